# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A simulated Vast.ai in the test's own process: real HTTP on loopback, pretended hosts."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.inferops.gpu.plugins.module_utils.market.clock import Clock
from ansible_collections.inferops.gpu.plugins.module_utils.market.mark import Mark
from ansible_collections.inferops.gpu.plugins.module_utils.market.model import Offer, Order
from ansible_collections.inferops.gpu.plugins.module_utils.market.offers.ranking import (
    RankedOffer,
    Usage,
    choose,
)
from ansible_collections.inferops.gpu.plugins.module_utils.market.offers.shared_search import (
    SharedSearch,
)
from ansible_collections.inferops.gpu.plugins.module_utils.market.providers.pace import Pace
from ansible_collections.inferops.gpu.plugins.module_utils.market.providers.vastai import VastAI
from ansible_collections.inferops.gpu.plugins.module_utils.market.rentals.lifecycle import Lifecycle
from ansible_collections.inferops.gpu.plugins.module_utils.market.wish import Wish
from ansible_collections.inferops.gpu.plugins.modules import (
    offer_info,
    rental,
    rental_costs,
    rental_extend,
    rental_info,
    rental_reap,
)
from tests.simulator.app import Simulator
from tests.simulator.hosts import PretendHosts
from tests.simulator.market import ACCOUNT_KEY
from tests.simulator.market import Market as SimulatedMarket
from tests.unit.market import wire

#: For offers that can be had longer than any test extends them.
MOST_HOURS = 100.0
PUBLIC_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGk9 user@example"
MODULES = {
    "offer_info": offer_info,
    "rental": rental,
    "rental_costs": rental_costs,
    "rental_extend": rental_extend,
    "rental_info": rental_info,
    "rental_reap": rental_reap,
}


def die(market: Market, number: int, status: str) -> None:
    """Let a host go down by itself as soon as it runs, which takes a thread's time."""
    rental = market.simulator.market.rentals[number]
    while not rental.running:
        time.sleep(0.001)
    market.simulator.market.die(rental, status)


def market_clock(market: SimulatedMarket) -> Clock:
    """The market's own time, which stands still unless somebody sleeps."""
    market.rescale(0)
    return Clock(monotonic=market.clock.now, sleep=market.advance, now=market.clock.now)


@dataclass
class Market:
    """The simulator, and the modules as a play runs them against it."""

    simulator: Simulator
    run_module: Callable[..., dict[str, Any]]
    clock: Clock
    controller_dir: Path

    def run(self, module: str, check: bool = False, **options: Any) -> dict[str, Any]:
        """Run a module's main() with the market's address and key."""
        market = {
            "api_url": self.simulator.url,
            "api_key": ACCOUNT_KEY,
            "controller_dir": str(self.controller_dir),
        }
        return self.run_module(MODULES[module], check=check, **{**market, **options})

    def rent(self, name: str = "gpu-1", **options: Any) -> dict[str, Any]:
        """Run the rental module as role rent does."""
        wish = {"scope": "test", "image": "some/image", "ssh_public_key": PUBLIC_KEY}
        return self.run("rental", name=name, **{**wish, **options})

    def fault(self, kind: str, **parameters: Any) -> None:
        """Order one fault, see :func:`fault`."""
        self.faults(fault(kind, **parameters))

    def faults(self, *orders: dict[str, Any]) -> None:
        """Order these faults in place of all others."""
        self.simulator.control.plan_faults(list(orders))

    def requests(self, call: str) -> list[dict[str, Any]]:
        """The requests that were made for a call of the contract, whatever became of them."""
        return requests(self.simulator, call)

    def count(self, call: str) -> int:
        """How many there were."""
        return len(self.requests(call))

    def creates(self) -> list[dict[str, Any]]:
        """The creating calls that were made, whatever became of them."""
        return self.requests("create")

    def billing(self) -> list[dict[str, Any]]:
        """The rentals that exist in truth."""
        return list(self.simulator.control.state()["rentals"])

    def pass_hours(self, hours: float) -> None:
        """Let simulated time pass."""
        self.clock.sleep(hours * 3600)

    def provider(self, key: str = ACCOUNT_KEY) -> VastAI:
        pace = Pace(None, VastAI.seconds_between, self.clock)
        return VastAI({"api_key": key}, self.simulator.url, pace, self.clock)

    def lifecycle(self) -> Lifecycle:
        """The rentals of scope ``test``."""
        return Lifecycle(self.provider(), "test", self.clock)

    def ranked(self) -> list[RankedOffer]:
        """All offers, best first."""
        return choose(SharedSearch(self.provider(), None, self.clock), Wish(), Usage())

    def create(self, offer: Offer, name: str = "gpu-1") -> Order:
        """Request a rental past all of our rules, as another controller would; return its order."""
        day = 86400
        now = int(self.clock.now())
        mark = Mark.new("test", name, now + day, day, now)
        wanted = replace(order(name), mark=mark)
        self.provider().rent(offer, wanted)
        return wanted


def requests(simulator: Simulator, call: str) -> list[dict[str, Any]]:
    """The requests that a simulator got for a call of the contract."""
    method, path = wire.CALLS[call]
    return [
        entry
        for entry in simulator.journal.entries()
        if method in ("ANY", entry["method"]) and re.search(path, entry["path"])
    ]


def fault(kind: str, on: str = "", saying: str = "", **parameters: Any) -> dict[str, Any]:
    """The order of a fault ``on`` a call of the contract, ``saying`` something of its provider's.

    Both are words of ``wire``.
    """
    where: dict[str, Any] = {}
    if on:
        where["method"], where["path"] = wire.CALLS[on]
    return {"kind": kind, **where, **(wire.SAYINGS[saying] if saying else {}), **parameters}


def as_order() -> Callable[[Offer], Order]:
    """One order for whatever offer is taken."""
    wanted = order()
    return lambda _offer: wanted


def order(name: str = "gpu-1") -> Order:
    """A rental request with a fresh mark."""
    return Order(Mark.new("test", name, 0, 0), "some/image", 20, PUBLIC_KEY, 0, ports=(8000,))


@pytest.fixture
def market(
    run_module: Callable[..., dict[str, Any]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[Market]:
    for variable in ("VAST_API_KEY", "VAST_URL"):
        monkeypatch.delenv(variable, raising=False)
    simulated = SimulatedMarket(PretendHosts())
    simulated.boot_seconds = 0
    clock = market_clock(simulated)
    monkeypatch.setattr(Clock, "from_environment", lambda: clock)
    simulator = Simulator(simulated)
    yield Market(simulator, run_module, clock, tmp_path / "controller")
    simulator.close()
