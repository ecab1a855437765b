# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Dynamic inventory of the rentals of a scope."""

from __future__ import annotations

DOCUMENTATION = r"""
name: rentals
short_description: The GPU hosts that a scope has rented
version_added: "0.1.0"
description:
  - Shows the rentals of a scope as hosts, under the names by which they were rented, with all that
    Ansible needs to connect to them, C(ansible -i fleet.rentals.yml all -m ping) for example.
  - Writes the host keys that they have to show into O(controller_dir), as role
    P(inferops.gpu.connect#role) does.
  - A rental whose name would hide others, such as C(all), C(localhost) or the name of a group, is
    left out with a warning.
  - The configuration file must end in C(rentals.yml) or C(rentals.yaml).
author:
  - inferops.gpu contributors (@inferops)
extends_documentation_fragment:
  - inferops.gpu.market
  - ansible.builtin.constructed
options:
  plugin:
    description: Must be V(inferops.gpu.rentals).
    type: str
    required: true
    choices: [inferops.gpu.rentals]
  scope:
    description: The set of rentals to show.
    type: str
    required: true
    env:
      - name: INFEROPS_SCOPE
  scope_secret:
    description:
      - Secret of the scope, by which its rentals are known where it has one, and from which the
        hosts' SSH keys are derived. Without it, they are derived from the account's API key.
    type: str
    env:
      - name: INFEROPS_SCOPE_SECRET
  host_keys:
    description:
      - V(delivered) accepts the derived key alone. V(first_contact) is for rentals that were made
        so, and knows the keys of those that this controller has rented.
    type: str
    choices: [delivered, first_contact]
    default: delivered
  ssh_private_key_file:
    description: Private key on the controller that the hosts let in.
    type: path
    default: ~/.ssh/inferops_ed25519
  group:
    description: Group that every host joins.
    type: str
    default: gpu_rentals
"""

EXAMPLES = r"""
# fleet.rentals.yml
plugin: inferops.gpu.rentals
scope: prod
keyed_groups:
  - key: inferops_rental.gpu_name
    prefix: gpu
"""

from pathlib import Path
from typing import Any

from ansible.errors import AnsibleParserError
from ansible.plugins.inventory import BaseInventoryPlugin, Constructable

from ansible_collections.inferops.gpu.plugins.module_utils.common.hiding import passwords_in
from ansible_collections.inferops.gpu.plugins.module_utils.common.plain import plain_line
from ansible_collections.inferops.gpu.plugins.module_utils.common.private_files import (
    holds,
    make_folders,
    replace,
)
from ansible_collections.inferops.gpu.plugins.module_utils.common.redaction import redact
from ansible_collections.inferops.gpu.plugins.module_utils.market.clock import Clock
from ansible_collections.inferops.gpu.plugins.module_utils.market.errors import MarketError
from ansible_collections.inferops.gpu.plugins.module_utils.market.mark import check_name
from ansible_collections.inferops.gpu.plugins.module_utils.market.model import Rental
from ansible_collections.inferops.gpu.plugins.module_utils.market.rentals.account import (
    SHARED_FOR_SECONDS,
)
from ansible_collections.inferops.gpu.plugins.module_utils.market.rentals.asking import (
    ask_all,
    precedence,
    together,
)
from ansible_collections.inferops.gpu.plugins.module_utils.market.rentals.info import known_hosts
from ansible_collections.inferops.gpu.plugins.module_utils.market.rentals.labels import (
    damaged_warning,
    unreadable_warning,
)
from ansible_collections.inferops.gpu.plugins.module_utils.market.rentals.options import (
    MARKET_OPTIONS,
    accounts_of,
    make_lifecycle,
    make_provider,
    scope_secret,
)
from ansible_collections.inferops.gpu.plugins.plugin_utils.connection import (
    COMMON_ARGUMENTS,
    DELIVERED,
    FIRST_CONTACT,
    known_hosts_file,
    ssh_arguments,
)
from ansible_collections.inferops.gpu.plugins.plugin_utils.controller import here

_OPTIONS = (*MARKET_OPTIONS, "scope", "scope_secret")


class InventoryModule(BaseInventoryPlugin, Constructable):
    """One host for each rental; of several with one name, the oldest that lives."""

    NAME = "inferops.gpu.rentals"

    def verify_file(self, path: str) -> bool:
        """Whether *path* looks like a configuration of this plugin."""
        return super().verify_file(path) and path.endswith(("rentals.yml", "rentals.yaml"))

    def parse(self, inventory: Any, loader: Any, path: str, cache: bool = True) -> None:
        """Read the provider's list into the inventory."""
        super().parse(inventory, loader, path, cache)
        self._read_config_data(path)
        market = {name: self.get_option(name) for name in _OPTIONS}
        #: What a host's key follows from, by provider; None where it brings none along.
        self._secrets: dict[str, str | None] = {}
        try:
            answers, failed = ask_all(accounts_of(market), self._read)
            if failed:
                # A part of the fleet would look like all of it.
                raise together([error for _account, error in failed])
            rentals = [rental for _account, (living, _damaged) in answers for rental in living]
            damaged = [rental for _account, (_living, odd) in answers for rental in odd]
            if len(answers) > 1:
                rentals.sort(key=precedence)
        except MarketError as error:
            error.money = error.money or "What is rented, and so what bills, is unknown."
            raise _unreadable(path, error, market) from None
        except ValueError as error:
            raise _unreadable(path, error, market) from None
        if damaged:
            self.display.warning(damaged_warning(damaged))
        for warning in filter(None, map(unreadable_warning, rentals)):
            self.display.warning(warning)
        group = self.inventory.add_group(self.get_option("group"))
        # Another inventory may name the same hosts; of our own, the first rental of a name counts.
        seen: set[str] = set()
        for rental in rentals:
            if rental.mark and rental.mark.name not in seen:
                seen.add(rental.mark.name)
                self._add_unless_misleading(rental.mark.name, group, rental)

    def _read(self, account: dict[str, Any]) -> tuple[list[Rental], list[Rental]]:
        """The rentals of the scope at one provider, and those whose mark is damaged."""
        clock = Clock.from_environment()
        provider = make_provider(account, clock)
        secret = scope_secret(account) if provider.delivers_host_key else None
        self._secrets[provider.name] = secret
        listed = make_lifecycle(account, provider, clock).account
        return listed.rentals(SHARED_FOR_SECONDS), listed.damaged(SHARED_FOR_SECONDS)

    def _add_unless_misleading(self, name: str, group: str, rental: Rental) -> None:
        """A label is written by others: a host may not stand in for the controller or a group."""
        try:
            check_name(name)
            if name in self.inventory.groups:
                raise ValueError(f"Name {name!r} is that of a group.")
        except ValueError as error:
            self.display.warning(
                f"Rental {rental.id} is not shown: {error} It goes on billing: end it at "
                f"{rental.console_url}"
            )
            return
        self._add(name, group, rental)

    def _add(self, name: str, group: str, rental: Rental) -> None:
        self.inventory.add_host(name, group=group)
        self.inventory.set_variable(name, "inferops_rental", rental.to_dict())
        for variable, value in self._connection(rental).items():
            self.inventory.set_variable(name, variable, value)
        strict = self.get_option("strict")
        variables = self.inventory.get_host(name).get_vars()
        self._set_composite_vars(self.get_option("compose"), variables, name, strict=strict)
        self._add_host_to_composed_groups(self.get_option("groups"), variables, name, strict=strict)
        self._add_host_to_keyed_groups(
            self.get_option("keyed_groups"), variables, name, strict=strict
        )

    def _connection(self, rental: Rental) -> dict[str, Any]:
        """What role connect sets."""
        if not rental.ssh:
            return {"ansible_user": rental.ssh_user}
        secret = self._secrets[rental.provider]
        keys = self.get_option("host_keys") if secret else FIRST_CONTACT
        folder = here(self.get_option("controller_dir"))
        known = known_hosts_file(str(folder), rental.provider, rental.id, keys)
        if keys == DELIVERED:
            self._write(Path(known), "\n".join([*known_hosts(rental, secret), ""]))
        return {
            "ansible_user": rental.ssh_user,
            "ansible_host": rental.ssh[0].host,
            "ansible_port": rental.ssh[0].port,
            "ansible_ssh_private_key_file": str(here(self.get_option("ssh_private_key_file"))),
            # Where the environment turns it off, Ansible would put its "no" before our "yes".
            "ansible_host_key_checking": True,
            "ansible_ssh_args": ssh_arguments(known, keys),
            "ansible_ssh_common_args": COMMON_ARGUMENTS,
        }

    def _write(self, path: Path, content: str) -> None:
        """Keep the host keys; without them ssh refuses the host, and nothing else is lost."""
        try:
            make_folders(path.parent)
            if not holds(path, content, 0o600):
                replace(path, content, 0o600)
        except OSError as error:
            self.display.warning(f"{path} cannot be written, so its host is refused: {error}")


def _unreadable(path: str, error: Exception, market: dict[str, Any]) -> AnsibleParserError:
    """Without its cause: Ansible would print what a marketplace has answered as it is."""
    told = redact(plain_line(str(error), 4000), passwords_in(market))
    return AnsibleParserError(f"{path}: {told}")
