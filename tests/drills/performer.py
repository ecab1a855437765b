# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What runs in the process of one operation: the product's own code, in the market's time.

The process that all others are forked from imports this once. Nothing else should: it sets up
Ansible for the whole process, which must come before any import of Ansible or of the collection.
"""

from __future__ import annotations

import contextlib
import io
import json
import runpy
import sys
import traceback
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

from tests.drills import collection_loader

collection_loader.install()

# isort: split
from ansible.inventory.manager import InventoryManager
from ansible.module_utils.testing import patch_module_args
from ansible.parsing.dataloader import DataLoader
from ansible.playbook.play_context import PlayContext
from ansible.playbook.task import Task
from ansible.plugins.loader import (
    action_loader,
    connection_loader,
    inventory_loader,
)
from ansible.template import Templar

from ansible_collections.inferops.gpu.plugins.action import rental_ready
from ansible_collections.inferops.gpu.plugins.module_utils.market.access.ssh_probe import (
    FIRST_KEY,
    Login,
    Probe,
)
from ansible_collections.inferops.gpu.plugins.module_utils.market.access.ssh_probe import (
    READY as LET_IN,
)
from ansible_collections.inferops.gpu.plugins.module_utils.market.clock import Clock
from ansible_collections.inferops.gpu.plugins.module_utils.market.mark import Mark, Seal
from ansible_collections.inferops.gpu.plugins.module_utils.market.model import (
    Endpoint,
    HostKey,
    Order,
)
from ansible_collections.inferops.gpu.plugins.module_utils.market.providers.registry import (
    PROVIDERS,
)
from ansible_collections.inferops.gpu.plugins.module_utils.market.rentals.options import (
    make_provider,
)
from ansible_collections.inferops.gpu.plugins.module_utils.market.rentals.waiting import Waiter
from ansible_collections.inferops.gpu.plugins.module_utils.market.wish import Wish
from ansible_collections.inferops.gpu.plugins.modules import (
    offer_check,
    rental,
    rental_extend,
    rental_reap,
)

#: What a host shows to whoever knows no key of it.
FIRST_SHOWN = "ssh-ed25519 AAAAshown"
INVENTORY, READY = "inferops.gpu.rentals", "inferops.gpu.rental_ready"
inventory_loader.get(INVENTORY)

MODULES = {
    module.__name__.rpartition(".")[2]: module
    for module in (offer_check, rental, rental_extend, rental_reap)
}

#: Asks the drill for something, by a word and its argument, and waits for the answer.
Ask = Callable[[str, Any], Any]


def market_clock(ask: Ask) -> Clock:
    """The market's time, which stands still unless somebody sleeps."""

    def now() -> float:
        return float(ask("now", None))

    def sleep(seconds: float) -> None:
        if seconds > 0:
            ask("sleep", seconds)

    return Clock(monotonic=now, sleep=sleep, now=now)


def perform(kind: str, options: dict[str, Any], ask: Ask) -> dict[str, Any]:
    """Do one operation; return its result, and under ``said`` what else it printed."""
    clock = market_clock(ask)
    Clock.from_environment = classmethod(lambda _cls: clock)  # type: ignore[method-assign]
    said = io.StringIO()
    with contextlib.redirect_stderr(said), contextlib.redirect_stdout(said):
        try:
            if kind == "inventory":
                result = inventory(options)
            elif kind == "ready":
                result = ready(options, ask)
            elif kind == "capabilities":
                result = capabilities()
            elif kind == "rent_by_hand":
                result = rent_by_hand(options, clock)
            else:
                result = run_module(kind, options)
        except Exception:
            result = {"traceback": traceback.format_exc()}
    text = said.getvalue()
    if kind == "inventory":
        # Ansible goes on without a source that it cannot read; its warning is all that is told.
        result["failed"] = "Unable to parse" in text
    return {**result, "said": text}


def run_module(name: str, options: dict[str, Any]) -> dict[str, Any]:
    """Run a module as Ansible does, as the main program; return what it printed last."""
    printed = io.StringIO()
    # Loaded for the sake of what it imports; the main program is another copy.
    sys.modules.pop(MODULES[name].__name__)
    with (
        patch_module_args(options),
        contextlib.redirect_stdout(printed),
        contextlib.suppress(SystemExit),
    ):
        runpy.run_module(MODULES[name].__name__, run_name="__main__", alter_sys=True)
    result: dict[str, Any] = json.loads(printed.getvalue().splitlines()[-1])
    return result


def inventory(options: dict[str, Any]) -> dict[str, Any]:
    """Read a source as every Ansible command does; return the ids of the rentals by host."""
    manager = InventoryManager(loader=DataLoader(), sources=[options["source"]])
    shown = {name: host.vars["inferops_rental"]["id"] for name, host in manager.hosts.items()}
    return {"hosts": shown}


def ready(options: dict[str, Any], ask: Ask) -> dict[str, Any]:
    """Wait for a rental by the action plugin; the drill says how far each probe gets."""

    def probe(endpoint: Endpoint, login: Login) -> Probe:
        told = Probe(**ask("probe", (options["id"], endpoint.host)))
        # Only the run that has rented a host believes the key that came with its request.
        if told.stage == FIRST_KEY and len(login.expected_keys) > 1:
            return replace(told, stage=LET_IN, host_key=login.expected_keys[1])
        # Where none came along, whatever it shows first is believed.
        return replace(told, host_key=(*login.expected_keys, FIRST_SHOWN)[0])

    def replace_host_key(_endpoint: Endpoint, _login: Login, new: HostKey) -> Probe:
        ask("host key replaced", options["id"])
        return Probe(LET_IN, "", host_key=new.public)

    rental_ready.Waiter = partial(Waiter, probe=probe, replace_host_key=replace_host_key)
    loader, context = DataLoader(), PlayContext()
    action = action_loader.get(
        READY,
        task=Task.load({"name": "Wait for the host", READY: options}),
        connection=connection_loader.get("ansible.builtin.local", context),
        play_context=context,
        loader=loader,
        templar=Templar(loader=loader),
        shared_loader_obj=None,
    )
    result: dict[str, Any] = action.run(task_vars={"inventory_hostname": "drill"})
    return result


def rent_by_hand(options: dict[str, Any], clock: Clock) -> dict[str, Any]:
    """Rent the dearest offers under these names, past all rules of the product; return the ids.

    Where a provider rents for so many hours at most, it is told of those alone.
    """
    provider = make_provider(options, clock)
    image = options["image"] or provider.usual.image
    ids = []
    for scope, name in options["names"]:
        # What was rented before may have taken several offers away.
        offers = provider.search(Wish(disk_gib=options["disk_gib"]))
        dearest = max(offers, key=lambda offer: offer.price_usd_per_hour)
        now, hours = int(clock.now()), options["hours"]
        mark = Mark.new(scope, name, now + hours * 3600, 0, now)
        mark = Seal(options["secret"]).put_on(mark) if options["secret"] else mark
        asked_at = mark.deadline - (options["most_hours"] or hours) * 3600
        order = Order(mark, image, options["disk_gib"], options["public_key"], asked_at)
        ids.append(provider.rent(dearest, order))
    return {"ids": ids}


def capabilities() -> dict[str, Any]:
    """What each provider of the registry says of itself, as plain values by its name."""
    return {
        name: {
            attribute: value
            for attribute in dir(kind)
            if isinstance(value := getattr(kind, attribute), (bool, str))
        }
        for name, kind in PROVIDERS.items()
    }
