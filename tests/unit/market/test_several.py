# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One name at two marketplaces at once: one rental, where it is best and wherever it is found."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.inferops.gpu.plugins.module_utils.market.clock import Clock
from ansible_collections.inferops.gpu.plugins.module_utils.market.mark import Mark, Seal
from ansible_collections.inferops.gpu.plugins.module_utils.market.model import Order
from ansible_collections.inferops.gpu.plugins.module_utils.market.providers.pace import Pace
from ansible_collections.inferops.gpu.plugins.module_utils.market.providers.runpod import RunPod
from ansible_collections.inferops.gpu.plugins.module_utils.market.wish import Wish
from tests.hanging import HANGS_AFTER_SECONDS
from tests.simulator.app import Simulator
from tests.simulator.hosts import PretendHosts
from tests.simulator.market import ACCOUNT_KEY
from tests.simulator.market import Market as SimulatedMarket
from tests.simulator.web import Request
from tests.unit.market.conftest import MODULES, PUBLIC_KEY

VASTAI, RUNPOD = "vastai", "runpod"
SECRET = "a-secret-of-20-letters"
NO_PACE = Pace(None, {}, Clock())
#: Another controller may be about to release a duplicate that is younger.
SETTLED_SECONDS = 3600.0
DOWN = {"kind": "reply", "method": "ANY", "path": "", "times": 100_000, "status": 503, "body": {}}


@dataclass
class Markets:
    """Two simulators whose time passes together, and modules that know both."""

    simulators: dict[str, Simulator]
    run_module: Callable[..., dict[str, Any]]
    folder: Path

    def accounts(self, *names: str) -> list[dict[str, str]]:
        return [
            {"provider": name, "api_key": ACCOUNT_KEY, "api_url": self.simulators[name].url}
            for name in names or self.simulators
        ]

    def run(self, module: str, check: bool = False, **options: Any) -> dict[str, Any]:
        usual = {
            "accounts": self.accounts(),
            "controller_dir": str(self.folder / "controller"),
            "scope": "test",
            "scope_secret": SECRET,
        }
        return self.run_module(MODULES[module], check=check, **{**usual, **options})

    def rent(self, check: bool = False, **options: Any) -> dict[str, Any]:
        wish = {"image": "some/image", "ssh_public_key": PUBLIC_KEY, "name": "gpu-1"}
        accepted = {"allow_unenforced_deadline": True, "min_reliability": 0.0}
        return self.run("rental", check, **{**wish, **accepted, **options})

    def absent(self, **options: Any) -> dict[str, Any]:
        return self.run("rental", **{"name": "gpu-1", "state": "absent", **options})

    def billing(self) -> dict[str, int]:
        """How many rentals there are in truth, by provider."""
        states = {name: one.control.state() for name, one in self.simulators.items()}
        return {name: len(state["rentals"]) for name, state in states.items()}

    def fault(self, name: str, *orders: dict[str, Any]) -> None:
        self.simulators[name].control.plan_faults(list(orders))

    def without_offers(self, name: str) -> None:
        self.simulators[name].market.offers.clear()

    def make_dear(self, name: str) -> None:
        """Let every offer of the others come before those of this one."""
        for offer in self.simulators[name].market.offers.values():
            offer["dph_base"] *= 100

    def pass_time(self, seconds: float) -> None:
        for one in self.simulators.values():
            one.market.advance(seconds)


@pytest.fixture
def markets(
    run_module: Callable[..., dict[str, Any]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[Markets]:
    began = time.time()
    both = {}
    for name in (VASTAI, RUNPOD):
        market = SimulatedMarket(PretendHosts())
        market.boot_seconds = 0
        market.clock.epoch = began
        market.rescale(0)
        both[name] = Simulator(market, provider=name)
    made = Markets(both, run_module, tmp_path)
    now = both[VASTAI].market.clock.now
    clock = Clock(monotonic=now, sleep=made.pass_time, now=now)
    monkeypatch.setattr(Clock, "from_environment", lambda: clock)
    yield made
    for one in both.values():
        one.close()


def test_the_best_offer_of_all_is_rented_and_found_again(markets: Markets) -> None:
    plan = markets.rent(check=True)
    assert markets.billing() == {VASTAI: 0, RUNPOD: 0}
    first = markets.rent()
    assert first["changed"]
    assert first["rental"]["provider"] == plan["offer"]["provider"]
    assert sum(markets.billing().values()) == 1
    again = markets.rent()
    assert not again["changed"]
    assert again["rental"]["id"] == first["rental"]["id"]
    told = markets.run("rental_info", name="gpu-1")
    assert [one["id"] for one in told["rentals"]] == [first["rental"]["id"]]
    assert told["unasked"] == []
    assert markets.rent(state="found")["as_asked"]


def test_offers_of_all_are_shown_in_one_order(markets: Markets) -> None:
    told = markets.run("offer_info", limit=1000)
    assert {one["provider"] for one in told["offers"]} == {VASTAI, RUNPOD}
    sums = [one["ranked_usd"] for one in told["offers"]]
    assert sums == sorted(sums)


@pytest.mark.parametrize("name", [VASTAI, RUNPOD])
def test_a_provider_without_what_is_asked_for_leaves_it_to_the_other(
    markets: Markets, name: str
) -> None:
    markets.without_offers(name)
    result = markets.rent()
    assert result["rental"]["provider"] != name
    assert f"{name} is left out" in str(result["warnings"])


@pytest.mark.parametrize("name", [VASTAI, RUNPOD])
def test_one_that_is_down_is_said_and_the_other_rents(markets: Markets, name: str) -> None:
    markets.fault(name, DOWN)
    result = markets.rent()
    assert result["rental"]["provider"] != name, result
    assert f"{name} does not answer, so it is left out" in str(result["warnings"])
    told = markets.run("rental_info")
    assert told["unasked"] == [name]
    assert len(told["rentals"]) == 1
    gone = markets.absent()
    assert gone["failed"]
    assert f"Nobody can say what is rented at {name}" in gone["msg"]
    assert "Released and proven gone" in gone["msg"]
    assert sum(markets.billing().values()) == 0


def test_where_the_name_was_last_seen_nothing_else_is_rented_while_it_is_down(
    markets: Markets,
) -> None:
    here = markets.rent()["rental"]["provider"]
    markets.fault(here, DOWN)
    markets.pass_time(60)
    result = markets.rent()
    assert result["failed"]
    assert f"{here} had it when last seen" in result["msg"]
    assert sum(markets.billing().values()) == 1


def test_an_account_without_credit_makes_room_for_the_other(markets: Markets) -> None:
    best = markets.rent(check=True)["offer"]["provider"]
    markets.simulators[best].market.credit_usd = 0.0
    result = markets.rent()
    assert result["rental"]["provider"] != best
    assert f"{best} rents nothing: " in str(result["warnings"])
    assert {one["provider"] for one in result["attempts"]} == {VASTAI, RUNPOD}


def test_offers_that_are_gone_make_room_for_the_other_provider(markets: Markets) -> None:
    gone = {"status": 404, "body": {"success": False, "error": "no_such_ask", "msg": "no_such_ask"}}
    asks = {"kind": "reply", "method": "PUT", "path": "/asks/", "times": 1000}
    markets.fault(VASTAI, {**asks, **gone})
    result = markets.rent(max_attempts=100)
    assert result["rental"]["provider"] == RUNPOD


@pytest.mark.parametrize("name", [VASTAI, RUNPOD])
def test_offers_that_are_all_gone_leave_requests_for_the_other_provider(
    markets: Markets, name: str
) -> None:
    gone = {"kind": "reply", "on": "create", "saying": "offer gone", "times": 100_000}
    markets.fault(name, gone)
    markets.make_dear(({VASTAI, RUNPOD} - {name}).pop())
    result = markets.rent(max_attempts=3)
    sent = [one["provider"] for one in result["attempts"]]
    assert sent[:-1] == [name, name]
    assert result["rental"]["provider"] == sent[-1] != name


@pytest.mark.parametrize("without", [VASTAI, RUNPOD])
def test_what_is_rented_anywhere_carries_the_nonce_that_was_drawn_before_the_call(
    markets: Markets, without: str
) -> None:
    markets.without_offers(without)
    result = markets.rent(nonce="9f2c41aa")
    assert result["nonce"] == result["rental"]["mark"]["nonce"] == "9f2c41aa"
    markets.absent(nonce="9f2c41aa")
    assert markets.billing() == {VASTAI: 0, RUNPOD: 0}


def test_a_request_without_an_answer_is_followed_by_no_other_one(markets: Markets) -> None:
    markets.without_offers(RUNPOD)
    hidden = [{"kind": "hidden", "seconds": 3600}, {"kind": "drop_after_commit", "path": "/asks/"}]
    markets.fault(VASTAI, *({**one, "method": "PUT"} for one in hidden))
    result = markets.rent()
    assert result["failed"]
    assert result["nonce"]
    assert markets.billing() == {VASTAI: 1, RUNPOD: 0}


def twins(markets: Markets) -> tuple[dict[str, Any], dict[str, Any]]:
    """The name at both, by two controllers that each know one of them; the older one first."""
    older = markets.rent(accounts=markets.accounts(RUNPOD))["rental"]
    markets.pass_time(60)
    younger = markets.rent(accounts=markets.accounts(VASTAI))["rental"]
    assert markets.billing() == {VASTAI: 1, RUNPOD: 1}
    return older, younger


def test_of_two_the_older_request_counts_and_the_settled_one_is_released(markets: Markets) -> None:
    older, _younger = twins(markets)
    result = markets.rent()
    assert result["rental"]["id"] == older["id"]
    assert "bills" in str(result["warnings"])
    assert markets.billing() == {VASTAI: 1, RUNPOD: 1}
    markets.pass_time(SETTLED_SECONDS)
    result = markets.rent()
    assert result["changed"]
    assert [one["released"] for one in result["duplicates"]] == [True]
    assert markets.billing() == {VASTAI: 0, RUNPOD: 1}


def test_the_reaper_sees_the_duplicate_of_another_provider(markets: Markets) -> None:
    older, younger = twins(markets)
    markets.pass_time(SETTLED_SECONDS)
    told = markets.run("rental_reap", release=True)
    verdicts = {one["id"]: one["verdict"] for one in told["verdicts"]}
    assert verdicts == {older["id"]: "adopted", younger["id"]: "duplicate"}
    assert markets.billing() == {VASTAI: 0, RUNPOD: 1}


def test_the_reaper_releases_what_it_can_and_says_whom_it_could_not_ask(markets: Markets) -> None:
    twins(markets)
    markets.pass_time(30 * 3600)
    markets.fault(VASTAI, DOWN)
    told = markets.run("rental_reap", release=True)
    assert told["failed"]
    assert markets.billing() == {VASTAI: 1, RUNPOD: 0}
    markets.fault(VASTAI)
    assert not markets.run("rental_reap", release=True).get("failed")
    assert markets.billing() == {VASTAI: 0, RUNPOD: 0}


def test_a_teardown_releases_at_all_of_them(markets: Markets) -> None:
    twins(markets)
    result = markets.absent()
    assert {one["provider"] for one in result["released"]} == {VASTAI, RUNPOD}
    assert markets.billing() == {VASTAI: 0, RUNPOD: 0}
    assert not markets.absent()["changed"]


def test_what_another_controller_has_rented_earlier_elsewhere_wins(markets: Markets) -> None:
    """Its request was sent before ours, and shows only while ours is on its way."""
    clock, began = Clock.from_environment(), int(Clock.from_environment().now())
    other = RunPod({"api_key": ACCOUNT_KEY}, markets.simulators[RUNPOD].url, NO_PACE, clock)
    (cheapest, *_more) = sorted(other.search(Wish()), key=lambda one: one.price_usd_per_hour)
    mark = Seal(SECRET).put_on(Mark.new("test", "gpu-1", began + 7200, 7200, began))
    markets.pass_time(30)
    made: list[str] = []
    offers = dict(markets.simulators[RUNPOD].market.offers)
    markets.without_offers(RUNPOD)

    def rent_there(phase: str, request: Request, _number: int) -> None:
        if phase == "before" and request.method == "PUT" and not made:
            markets.simulators[RUNPOD].market.offers.update(offers)
            made.append(other.rent(cheapest, Order(mark, "some/image", 20, PUBLIC_KEY, began)))

    markets.simulators[VASTAI].observe = rent_there
    result = markets.rent()
    assert result["rental"]["id"] == made[0]
    assert result["nonce"] == ""
    assert "is older and counts under this name" in str(result["warnings"])
    assert markets.billing() == {VASTAI: 0, RUNPOD: 1}


def test_what_was_rented_is_named_where_the_other_one_refuses_to_say_what_it_has(
    markets: Markets,
) -> None:
    """Whether another controller has an older one there nobody knows: whoever rescues releases."""
    markets.without_offers(RUNPOD)

    def refuse_there(phase: str, request: Request, _number: int) -> None:
        if phase == "after" and "/asks/" in request.path:
            markets.fault(RUNPOD, {**DOWN, "status": 401})

    markets.simulators[VASTAI].observe = refuse_there
    failed = markets.rent(nonce="01234567")
    assert failed["failed"]
    assert markets.billing() == {VASTAI: 1, RUNPOD: 0}
    assert failed["nonce"] == "01234567"
    assert [one["outcome"] for one in failed["attempts"]] == ["rented"]


def test_what_was_started_stands_still_again_though_another_one_counts(markets: Markets) -> None:
    older, younger = twins(markets)
    named = {"name": "gpu-1", "state": "stopped", "reaper": True}
    stopped = markets.run("rental", **named, id=younger["id"], id_provider=VASTAI)
    assert stopped["rental"]["id"] == younger["id"]
    (row,) = markets.simulators[VASTAI].control.state()["rentals"]
    assert row["status"] == "stopped"
    # Whose an id is must be said.
    refused = markets.run("rental", **named, id=older["id"])
    assert "id_provider" in refused["msg"]


def test_a_start_that_is_followed_by_a_failure_elsewhere_is_told(markets: Markets) -> None:
    ours = markets.rent(accounts=markets.accounts(VASTAI))["rental"]
    markets.pass_time(60)
    markets.rent(accounts=markets.accounts(RUNPOD))
    for one in markets.simulators.values():
        (rental,) = one.market.rentals.values()
        while not rental.running:
            rental.gone.wait(0.001)
        one.market.set_state(rental, "stopped")
    markets.pass_time(SETTLED_SECONDS)
    markets.fault(RUNPOD, {**DOWN, "method": "DELETE"})
    failed = markets.rent()
    assert failed["failed"]
    assert (failed["started"], failed["started_provider"]) == (ours["id"], VASTAI)


def test_an_extension_finds_it_wherever_it_is(markets: Markets) -> None:
    markets.without_offers(VASTAI)
    markets.rent()
    result = markets.run("rental_extend", name="gpu-1", hours=48)
    assert result["changed"]
    assert result["rental"]["provider"] == RUNPOD


@pytest.mark.parametrize(
    ("accounts", "secret", "said"),
    [
        ((VASTAI, VASTAI), SECRET, "names a provider twice"),
        ((VASTAI, RUNPOD), "", "no secret in common"),
    ],
)
def test_accounts_that_cannot_be_told_apart_are_refused(
    markets: Markets, accounts: tuple[str, ...], secret: str, said: str
) -> None:
    result = markets.rent(accounts=markets.accounts(*accounts), scope_secret=secret)
    assert result["failed"]
    assert said in result["msg"]
    assert markets.billing() == {VASTAI: 0, RUNPOD: 0}


def test_all_are_asked_at_the_same_time(markets: Markets) -> None:
    """None is answered before all were asked; whoever asks one after the other waits for ever."""
    both = threading.Barrier(2, timeout=HANGS_AFTER_SECONDS)
    waiting = set(markets.simulators)

    def wait_for_the_other(name: str, phase: str) -> None:
        if phase == "before" and name in waiting:
            waiting.remove(name)
            both.wait()  # in vain, the request is dropped and sent again

    for name, one in markets.simulators.items():
        one.observe = lambda phase, _request, _number, name=name: wait_for_the_other(name, phase)
    told = markets.run("rental_info")
    assert told["unasked"] == []
    assert waiting == set()
    assert not both.broken


@pytest.mark.parametrize("provider", ["ssh", "local"])
def test_a_host_of_the_users_own_is_no_rental_whatever_accounts_there_are(
    markets: Markets, provider: str
) -> None:
    told = markets.rent(provider=provider)
    assert (told["changed"], told["rental"]["own"]) == (False, True)
    assert markets.run("rental_info", provider=provider, name="gpu-1")["rentals"][0]["own"] is True
    assert set(markets.billing().values()) == {0}
    asked = [
        one for simulator in markets.simulators.values() for one in simulator.journal.entries()
    ]
    assert asked == []
