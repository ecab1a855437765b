# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""That every playbook means the same rental by a host, and no other host means it too.

A play sees a host with the variables of the play; whoever looks at it from another host, or from
another play, sees what the inventory and extra variables say of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ansible import constants
from ansible.errors import AnsibleError

from ansible_collections.inferops.gpu.plugins.module_utils.market.rentals.options import (
    ACCOUNT_OPTIONS,
    SPENDING_OPTIONS,
)
from ansible_collections.inferops.gpu.plugins.plugin_utils import variables as known

NAME = "inferops_name"
#: What says which hosts a play takes. Ansible reads it before any host's own variables.
_FOR_ALL = ("inferops_group", "inferops_hosts", "inferops_gateway_group", "inferops_gateways")
#: Whom the marketplace is asked for, and as whom. What the controller keeps is its own business.
_ACCOUNT = tuple(
    f"{known.SHARED}{option}"
    for option in ACCOUNT_OPTIONS
    if option not in ("controller_dir", *SPENDING_OPTIONS)
)
#: What inventory plugin rentals says of a host, which nobody need have wished for.
_FOUND = "inferops_rental"


class OneRental:
    """What is wrong with the variables by which the rental of a host is known, for one host."""

    def __init__(
        self, templar: Any, variables: Mapping[str, Any], extra: Mapping[str, Any]
    ) -> None:
        self._templar, self._variables, self._extra = templar, variables, extra
        self._host = variables["inventory_hostname"]
        self._hostvars, self._groups = variables["hostvars"], variables["groups"]

    def complaints(self, values: Mapping[str, Any], for_all: bool) -> Iterator[str]:
        """One sentence each; *for_all* where this host speaks for all hosts of the play."""
        seen, name = self._hostvars[self._host], values.get(NAME)
        for variable in _FOR_ALL:
            if variable in seen and variable not in self._extra:
                yield (
                    f"{variable} works as an extra variable alone, as in -e {variable}=...: a play "
                    "looks for its hosts before it reads their variables. Take it out of the "
                    "inventory."
                )
        if name is not None:
            yield from self._known_here_only(name)
        if name not in (None, self._host):
            yield from self._of_two(name, values.get("inferops_group"))
        if for_all:
            yield from self._of_two_accounts(values)
        if for_all and values.get("reap_strict") and NAME in self._extra:
            yield (
                f"reap_strict compares the rentals with the names of the inventory, and {NAME} as "
                "an extra variable hides them: leave one of the two out."
            )

    def _known_here_only(self, name: str) -> Iterator[str]:
        seen = self._name_of(self._host)
        if seen != name:
            seen = "cannot be rendered" if seen is None else f"is {seen}"
            yield (
                f"{NAME} is {name} for {self._host} in this play, and {seen} outside of it, so "
                "that playbook reap would take its rental for a stranger's. Set it in the "
                "inventory, in host_vars or with -e, and make it of variables that are set there."
            )

    def _of_two(self, name: str, group: Any) -> Iterator[str]:
        """Two hosts of one name would be one rental: what one rents, the other would end."""
        if NAME in self._extra:
            # It names the hosts of this run, and says nothing of others.
            others = {*self._variables["ansible_play_hosts_all"]} - {*constants.LOCALHOST}
        else:
            others = {*self._groups["all"]}
        for other in sorted(others - {self._host}):
            if self._name_of(other) == name and not self._is_only_found(other, group):
                yield (
                    f"{NAME} is {name} for {self._host} and for {other}: each host needs a rental "
                    "of its own."
                )
                return

    def _of_two_accounts(self, values: Mapping[str, Any]) -> Iterator[str]:
        group = {*self._groups.get(values.get("inferops_group"), ())} - {self._host}
        fleet = sorted(group & {*self._variables["ansible_play_hosts_all"]})
        for variable in _ACCOUNT:
            here = values.get(variable)
            others = ((host, self._account_of(host, variable, here)) for host in fleet)
            for other, there in others:
                if None in (here, there) or str(here) == str(there):
                    continue
                told = f"{here} for {self._host} and {there} for {other}"
                if known.is_secret(variable):
                    told = f"not the same for {self._host} and {other}"
                yield (
                    f"{variable} is {told}, and this run looks at the marketplace once for all "
                    "of its hosts. Run it once for each, with --limit, or set one for all with -e."
                )
                break

    def _account_of(self, host: str, variable: str, here: Any) -> Any:
        """What a variable is for another host of the play; None where nobody can tell."""
        default = known.options()[variable].get("default")
        try:
            if self._hostvars[self._host].get(variable, default) == here:
                return self._hostvars[host].get(variable, default)
            # The play sets it, for each host as that host's variables say.
            ours = {variable: self._variables.get(variable)}
            theirs = {**self._variables, **self._hostvars.raw_get(host), **ours}
            templar = self._templar.copy_with_new_env(available_variables=theirs)
            return templar.resolve_variable_expression(variable)
        except AnsibleError:
            return None

    def _name_of(self, host: str) -> str | None:
        """The name of a host's rental, as others see it; None where it cannot be rendered."""
        try:
            return str(self._hostvars[host].get(NAME, host))
        except AnsibleError:
            return None

    def _is_only_found(self, host: str, group: Any) -> bool:
        """Whether a host is only there because its rental is, under the name that it has."""
        seen = self._hostvars[host]
        return _FOUND in seen and NAME not in seen and host not in self._groups.get(group, ())
