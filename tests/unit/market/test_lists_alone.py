# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a provider's lists alone tell what is rented, and may be behind: that is said.

Where bills tell it too, what they name and no list shows is looked at by its id.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.inferops.gpu.plugins.module_utils.market.clock import Clock
from ansible_collections.inferops.gpu.plugins.module_utils.market.providers.registry import (
    PROVIDERS,
)
from tests.simulator.app import Simulator
from tests.simulator.hosts import PretendHosts
from tests.simulator.market import Market as SimulatedMarket
from tests.unit.market.conftest import MODULES, PUBLIC_KEY, market_clock

LISTS_ALONE = sorted(name for name, kind in PROVIDERS.items() if not kind.tells_charges)
BILLS_TOO = sorted(set(PROVIDERS) - set(LISTS_ALONE))
SAID = "is known by its lists alone"
BEHIND = {"kind": "list_without", "label": "", "times": 9}


@dataclass
class Place:
    """A provider's market, and a controller that has never seen it."""

    provider: str
    simulator: Simulator
    run_module: Callable[..., dict[str, Any]]
    folder: Path

    def run(self, module: str, **options: Any) -> dict[str, Any]:
        dialect = self.simulator.dialect
        account = {
            "provider": self.provider,
            "api_url": self.simulator.url + dialect.api_path,
            "controller_dir": str(self.folder),
            "scope": "test",
            **dialect.credentials,
        }
        return self.run_module(MODULES[module], **{**account, **options})

    def rent(self, name: str = "gpu-1", scope: str = "test") -> str:
        result = self.deploy(name, scope)
        assert result.get("rental"), result
        return str(result["rental"]["id"])

    def deploy(self, name: str = "gpu-1", scope: str = "test") -> dict[str, Any]:
        dialect = self.simulator.dialect
        hours = {"deadline_hours": dialect.whole_hours} if dialect.whole_hours else {}
        return self.run(
            "rental",
            name=name,
            scope=scope,
            ssh_public_key=PUBLIC_KEY,
            allow_unenforced_deadline=True,
            image=dialect.image or None,
            **hours,
        )

    def billing(self) -> set[int]:
        return set(self.simulator.market.rentals)

    def absent(self) -> dict[str, Any]:
        return self.run("rental", name="gpu-1", state="absent")

    def extend(self) -> dict[str, Any]:
        return self.run("rental_extend", name="gpu-1", hours=5)

    def reap(self) -> dict[str, Any]:
        return self.run("rental_reap")


@pytest.fixture(params=LISTS_ALONE)
def place(
    request: pytest.FixtureRequest,
    run_module: Callable[..., dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> Iterator[Place]:
    market = SimulatedMarket(PretendHosts())
    market.boot_seconds = 0
    clock = market_clock(market)
    monkeypatch.setattr(Clock, "from_environment", lambda: clock)
    simulator = Simulator(market, provider=request.param)
    yield Place(request.param, simulator, run_module, tmp_path / "controller")
    simulator.close()


def said(result: dict[str, Any]) -> bool:
    """Whether the result tells that lists alone tell it, and where a person sees more."""
    told = str(result.get("warnings"))
    return SAID in told and "see http" in told


OPERATIONS = {"teardown": Place.absent, "extend": Place.extend, "reap": Place.reap}


@pytest.mark.parametrize("operation", list(OPERATIONS))
def test_a_fresh_controller_says_that_lists_alone_tell_it(place: Place, operation: str) -> None:
    place.rent()
    place.folder = place.folder.with_name("another-controller")
    place.simulator.control.plan_faults([BEHIND])
    result = OPERATIONS[operation](place)
    assert said(result), result
    assert "Nothing bills" not in str(result.get("msg"))


def test_what_the_same_play_has_listed_before_is_no_other_view(place: Place) -> None:
    place.simulator.control.plan_faults([BEHIND])
    assert place.run("rental_info")["rentals"] == []
    assert said(place.absent())


def test_a_controller_that_has_known_what_was_there_is_sure(place: Place) -> None:
    place.rent()
    place.simulator.market.advance(3600)
    assert len(place.absent()["released"]) == 1
    place.simulator.market.advance(60)
    for operation in OPERATIONS.values():
        assert not said(operation(place))


@pytest.mark.parametrize("place", BILLS_TOO, indirect=True)
def test_where_bills_tell_it_too_nothing_is_doubted(place: Place) -> None:
    for operation in OPERATIONS.values():
        assert not said(operation(place))


# What bills name.


@pytest.fixture
def billed(place: Place) -> Place:
    """A market with bills in which another host of the scope, and the name, have been rented."""
    place.rent("gpu-2")
    place.rent()
    place.simulator.market.advance(3600)
    return place


def end(place: Place) -> None:
    """Tear the name down; its last bill is a young one."""
    assert len(place.absent()["released"]) == 1
    place.simulator.market.advance(60)


@pytest.mark.parametrize("place", BILLS_TOO, indirect=True)
def test_what_others_rent_does_not_hide_what_a_list_misses(billed: Place) -> None:
    """Where bills have no names, those of other scopes come first: theirs are in the list."""
    (first,) = (
        one["id"] for one in billed.run("rental_info")["rentals"] if one["mark"]["name"] == "gpu-1"
    )
    for number in range(6):
        billed.simulator.market.advance(60)
        billed.rent(f"gpu-{number}", scope="another-team")
    billed.simulator.market.advance(3600)
    billed.folder = billed.folder.with_name("another-controller")
    missing = {"kind": "list_without", "label": "/test/gpu-1/", "times": 99}
    billed.simulator.control.plan_faults([missing])
    there = billed.billing()
    assert billed.rent() == first
    assert billed.billing() == there


@pytest.mark.parametrize("place", BILLS_TOO, indirect=True)
@pytest.mark.parametrize(
    "trouble", [{"kind": "garble"}, {"kind": "reply", "status": 200, "body": {}}]
)
def test_an_odd_read_of_what_has_ended_keeps_nobody_from_renting(
    billed: Place, trouble: dict[str, Any]
) -> None:
    end(billed)
    billed.simulator.control.plan_faults([{**trouble, "on": "read", "times": 2}])
    assert billed.rent()


@pytest.mark.parametrize("place", BILLS_TOO, indirect=True)
def test_nothing_is_rented_beside_what_bills_and_cannot_be_read(billed: Place) -> None:
    """The read that stays odd would have to prove that it is gone."""
    end(billed)
    billed.simulator.control.plan_faults([{"kind": "garble", "on": "read", "times": 99}])
    there = billed.billing()
    failed = billed.deploy()
    assert failed["failed"]
    assert "was charged for lately and is in no list" in failed["failure"]["cause"]
    assert "see whether it bills at http" in failed["failure"]["remedy"]
    assert "This call rented nothing" in failed["failure"]["money"]
    assert billed.billing() == there
