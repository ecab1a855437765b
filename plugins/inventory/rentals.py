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
  - With O(cache) what was read is shown again until O(cache_timeout) is over, or the cache is
    flushed. A host that was released meanwhile is still among it; another one that has its address
    by then shows another key, and is refused.
  - The configuration file must end in C(rentals.yml) or C(rentals.yaml).
author:
  - inferops.gpu contributors (@inferops)
extends_documentation_fragment:
  - inferops.gpu.market
  - ansible.builtin.constructed
  - ansible.builtin.inventory_cache
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
  unclaimed:
    description:
      - Also show what bills in the account and has no mark of any scope, in the group
        O(unclaimed_group) alone, by names of C(unclaimed-), provider and id. They have
        C(inferops_rental) and nothing to connect with. Nothing of this collection ever ends them.
    type: bool
    default: false
  unclaimed_group:
    description: Group of what nobody has marked.
    type: str
    default: gpu_unclaimed
"""

EXAMPLES = r"""
# fleet.rentals.yml
plugin: inferops.gpu.rentals
scope: prod
keyed_groups:
  - key: inferops_rental.gpu_name
    prefix: gpu

---
# With what is shown for five minutes, also to other runs, and with what nobody has marked
plugin: inferops.gpu.rentals
scope: prod
unclaimed: true
cache: true
cache_plugin: ansible.builtin.jsonfile
cache_connection: ~/.cache/inferops-inventory
cache_timeout: 300
"""

import hashlib
import json
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleParserError
from ansible.plugins.inventory import BaseInventoryPlugin, Cacheable, Constructable
from ansible.utils.vars import load_extra_vars

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
    NO_PASSWORDS,
    known_hosts_file,
    password_for_all,
    ssh_arguments,
)
from ansible_collections.inferops.gpu.plugins.plugin_utils.controller import here

_OPTIONS = (*MARKET_OPTIONS, "scope", "scope_secret")
#: The scope's rentals, those whose mark of it is damaged, and those without any mark.
_KINDS = ("rentals", "damaged", "unclaimed")
_Seen = dict[str, list[Rental]]


def _read_all(accounts: list[dict[str, Any]]) -> _Seen:
    """What there is at all of them; raises MarketError where one does not tell."""
    answers, failed = ask_all(accounts, _read)
    if failed:
        # A part of the fleet would look like all of it.
        raise together([error for _account, error in failed])
    seen = {kind: [one for _account, answer in answers for one in answer[kind]] for kind in _KINDS}
    if len(answers) > 1:
        seen["rentals"].sort(key=precedence)
    return seen


def _read(account: dict[str, Any]) -> _Seen:
    """What there is at one provider."""
    clock = Clock.from_environment()
    listed = make_lifecycle(account, make_provider(account, clock), clock).account
    return {
        "rentals": listed.rentals(SHARED_FOR_SECONDS),
        "damaged": listed.damaged(SHARED_FOR_SECONDS),
        "unclaimed": listed.unclaimed(SHARED_FOR_SECONDS),
    }


def _secret(account: dict[str, Any]) -> tuple[str, str | None]:
    """The provider's name, and the secret of the keys that its hosts bring along, if they do."""
    provider = make_provider(account, Clock.from_environment())
    return provider.name, scope_secret(account) if provider.delivers_host_key else None


class InventoryModule(BaseInventoryPlugin, Constructable, Cacheable):
    """One host for each rental; of several with one name, the oldest that lives."""

    NAME = "inferops.gpu.rentals"

    def verify_file(self, path: str) -> bool:
        """Whether *path* looks like a configuration of this plugin."""
        return super().verify_file(path) and path.endswith(("rentals.yml", "rentals.yaml"))

    def parse(self, inventory: Any, loader: Any, path: str, cache: bool = True) -> None:
        """Read the provider's list into the inventory."""
        super().parse(inventory, loader, path, cache)
        self._read_config_data(path)
        if refusal := password_for_all(load_extra_vars(loader)):
            raise AnsibleParserError(f"{path}: {refusal}")
        market = {name: self.get_option(name) for name in _OPTIONS}
        try:
            accounts = accounts_of(market)
            #: What a host's key follows from, by provider; None where it brings none along.
            self._secrets = dict(map(_secret, accounts))
            seen = self._seen(path, accounts, cache)
        except MarketError as error:
            error.money = error.money or "What is rented, and so what bills, is unknown."
            raise _unreadable(path, error, market) from None
        except ValueError as error:
            raise _unreadable(path, error, market) from None
        if seen["damaged"]:
            self.display.warning(damaged_warning(seen["damaged"]))
        for warning in filter(None, map(unreadable_warning, seen["rentals"])):
            self.display.warning(warning)
        group = self.inventory.add_group(self.get_option("group"))
        # Another inventory may name the same hosts; of our own, the first rental of a name counts.
        shown: set[str] = set()
        for rental in seen["rentals"]:
            if rental.mark and rental.mark.name not in shown:
                shown.add(rental.mark.name)
                self._add_unless_misleading(rental.mark.name, group, rental)
        if self.get_option("unclaimed"):
            self._add_unclaimed(seen["unclaimed"])

    def _seen(self, path: str, accounts: list[dict[str, Any]], cache: bool) -> _Seen:
        """What was rented when it was last looked at, at most so long ago as the cache keeps it."""
        keeps, key = self.get_option("cache"), self._key(path, accounts)
        kept = self._kept(key) if cache and keeps else None
        if kept is not None:
            try:
                return {kind: list(map(Rental.from_dict, kept[kind])) for kind in _KINDS}
            except (LookupError, TypeError, ValueError, AttributeError):
                self.display.warning(f"{path}: what is in the cache cannot be read; asking anew.")
        seen = _read_all(accounts)
        if keeps:
            self._cache[key] = {
                kind: [rental.to_dict() for rental in rentals] for kind, rentals in seen.items()
            }
        return seen

    def _kept(self, key: str) -> Any:
        """What is in the cache; None where nothing is, or no longer."""
        try:
            return self._cache[key]
        except KeyError:
            return None

    def _key(self, path: str, accounts: list[dict[str, Any]]) -> str:
        """Of the file and of what was asked: another scope or account has another fleet."""
        asked = json.dumps(accounts, sort_keys=True, default=str)
        return f"{self.get_cache_key(path)}_{hashlib.sha256(asked.encode()).hexdigest()[:16]}"

    def _add_unclaimed(self, rentals: list[Rental]) -> None:
        """As hosts that nobody connects to by accident."""
        group = self.inventory.add_group(self.get_option("unclaimed_group"))
        for rental in rentals:
            name = f"unclaimed-{rental.provider}-{rental.id}"
            self.inventory.add_host(name, group=group)
            self.inventory.set_variable(name, "inferops_rental", rental.to_dict())

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
            return {"ansible_user": rental.ssh_user, **NO_PASSWORDS}
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
            **NO_PASSWORDS,
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
