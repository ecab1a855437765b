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
  - Shows the rentals of a scope as hosts, under the names by which they were rented, with what is
    needed to connect.
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
    description: Secret of the scope, by which its rentals are known where it has one.
    type: str
    env:
      - name: INFEROPS_SCOPE_SECRET
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

from typing import Any

from ansible.errors import AnsibleParserError
from ansible.plugins.inventory import BaseInventoryPlugin, Constructable

from ansible_collections.inferops.gpu.plugins.module_utils.common.hiding import passwords_in
from ansible_collections.inferops.gpu.plugins.module_utils.common.plain import plain_line
from ansible_collections.inferops.gpu.plugins.module_utils.common.redaction import redact
from ansible_collections.inferops.gpu.plugins.module_utils.market.clock import Clock
from ansible_collections.inferops.gpu.plugins.module_utils.market.errors import MarketError
from ansible_collections.inferops.gpu.plugins.module_utils.market.mark import check_name
from ansible_collections.inferops.gpu.plugins.module_utils.market.model import Rental
from ansible_collections.inferops.gpu.plugins.module_utils.market.options import (
    MARKET_OPTIONS,
    make_lifecycle,
    make_provider,
)
from ansible_collections.inferops.gpu.plugins.module_utils.market.rentals.labels import (
    damaged_warning,
)
from ansible_collections.inferops.gpu.plugins.module_utils.market.rentals.lifecycle import (
    SHARED_FOR_SECONDS,
)


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
        market = {
            name: self.get_option(name) for name in (*MARKET_OPTIONS, "scope", "scope_secret")
        }
        clock = Clock.from_environment()
        try:
            lifecycle = make_lifecycle(market, make_provider(market, clock), clock)
            rentals = lifecycle.rentals(SHARED_FOR_SECONDS)
            damaged = lifecycle.damaged(SHARED_FOR_SECONDS)
        except MarketError as error:
            error.money = error.money or "What is rented, and so what bills, is unknown."
            raise _unreadable(path, error, market) from None
        except ValueError as error:
            raise _unreadable(path, error, market) from None
        if damaged:
            self.display.warning(damaged_warning(damaged))
        group = self.inventory.add_group(self.get_option("group"))
        # Another inventory may name the same hosts; of our own, the first rental of a name counts.
        seen: set[str] = set()
        for rental in rentals:
            if rental.mark and rental.mark.name not in seen:
                seen.add(rental.mark.name)
                self._add_unless_misleading(rental.mark.name, group, rental)

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
        self.inventory.set_variable(name, "ansible_user", rental.ssh_user)
        if rental.ssh:
            self.inventory.set_variable(name, "ansible_host", rental.ssh[0].host)
            self.inventory.set_variable(name, "ansible_port", rental.ssh[0].port)
        strict = self.get_option("strict")
        variables = self.inventory.get_host(name).get_vars()
        self._set_composite_vars(self.get_option("compose"), variables, name, strict=strict)
        self._add_host_to_composed_groups(self.get_option("groups"), variables, name, strict=strict)
        self._add_host_to_keyed_groups(
            self.get_option("keyed_groups"), variables, name, strict=strict
        )


def _unreadable(path: str, error: Exception, market: dict[str, Any]) -> AnsibleParserError:
    """Without its cause: Ansible would print what a marketplace has answered as it is."""
    told = redact(plain_line(str(error), 4000), passwords_in(market))
    return AnsibleParserError(f"{path}: {told}")
