# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A simulated Vast.ai in the test's own process: real HTTP on loopback, pretended hosts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from ansible_collections.inferops.gpu.plugins.module_utils.market.clock import Clock
from ansible_collections.inferops.gpu.plugins.module_utils.market.lifecycle import Lifecycle
from ansible_collections.inferops.gpu.plugins.module_utils.market.mark import Mark
from ansible_collections.inferops.gpu.plugins.module_utils.market.model import Order
from ansible_collections.inferops.gpu.plugins.module_utils.market.vastai import VastAI
from ansible_collections.inferops.gpu.plugins.modules import offer_info, rental, rental_info
from tests.simulator.app import Simulator
from tests.simulator.hosts import PretendHosts
from tests.simulator.market import ACCOUNT_KEY
from tests.simulator.market import Market as SimulatedMarket

PUBLIC_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGk9 user@example"
MODULES = {"offer_info": offer_info, "rental": rental, "rental_info": rental_info}


class FastClock:
    """Time that passes only by sleeping."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds

    def clock(self) -> Clock:
        return Clock(monotonic=lambda: self.seconds, sleep=self.sleep)


@dataclass
class Market:
    """The simulator, and the modules as a play runs them against it."""

    simulator: Simulator
    run_module: Callable[..., dict[str, Any]]

    def run(self, module: str, check: bool = False, **options: Any) -> dict[str, Any]:
        """Run a module's main() with the market's address and key."""
        market = {"api_url": self.simulator.url, "api_key": ACCOUNT_KEY}
        return self.run_module(MODULES[module], check=check, **{**market, **options})

    def rent(self, name: str = "gpu-1", **options: Any) -> dict[str, Any]:
        """Run the rental module as role rent does."""
        wish = {"scope": "test", "image": "some/image", "ssh_public_key": PUBLIC_KEY}
        return self.run("rental", name=name, **{**wish, **options})

    def fault(self, kind: str, **parameters: Any) -> None:
        """Order one fault."""
        self.simulator.control.plan_faults([{"kind": kind, **parameters}])

    def creates(self) -> list[dict[str, Any]]:
        """The creating calls that were made, whatever became of them."""
        return [
            entry
            for entry in self.simulator.journal.entries()
            if entry["method"] == "PUT" and "/asks/" in entry["path"]
        ]

    def billing(self) -> list[dict[str, Any]]:
        """The rentals that exist in truth."""
        return list(self.simulator.control.state()["rentals"])

    def provider(self) -> VastAI:
        return VastAI(ACCOUNT_KEY, self.simulator.url)

    def lifecycle(self) -> Lifecycle:
        """The rentals of scope ``test``, with a clock that never keeps the test waiting."""
        return Lifecycle(self.provider(), "test", clock=FastClock().clock())


def order(name: str = "gpu-1") -> Order:
    """A create with a fresh mark."""
    return Order(Mark.new("test", name, 0), "some/image", 20, PUBLIC_KEY, ports=(8000,))


@pytest.fixture
def market(
    run_module: Callable[..., dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Market]:
    for variable in ("VAST_API_KEY", "VAST_URL"):
        monkeypatch.delenv(variable, raising=False)
    simulated = SimulatedMarket(PretendHosts())
    simulated.boot_seconds = 0
    simulator = Simulator(simulated)
    yield Market(simulator, run_module)
    simulator.close()
