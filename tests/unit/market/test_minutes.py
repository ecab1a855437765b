# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From a rental request to the first token: what is expected, what it is worth, who loses by it."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.inferops.gpu.plugins.module_utils.market.model import Offer
from ansible_collections.inferops.gpu.plugins.module_utils.market.offers.history import (
    FAILED,
    MEASURED,
    SERVED,
    Attempt,
    History,
)
from ansible_collections.inferops.gpu.plugins.module_utils.market.offers.minutes import (
    FirstToken,
    Work,
    first_token,
    ratios,
    slowest_line,
)
from ansible_collections.inferops.gpu.plugins.module_utils.market.offers.ranking import Usage, rank
from ansible_collections.inferops.gpu.plugins.module_utils.market.offers.runners_up import (
    runners_up,
)
from ansible_collections.inferops.gpu.plugins.module_utils.market.rentals.options import with_usual
from tests.unit.market.conftest import Market
from tests.unit.market.test_ranking import GOOD, offer

#: 8B in 16 bits for a day, an hour of waiting at the default.
EIGHT = Usage(24, download_gib=18.5, image_gib=8, model_gib=15, wait_usd_per_hour=5)
WORK = EIGHT.work


def expected(work: Work = WORK, **changes: object) -> FirstToken:
    return first_token(offer("one", **changes), work)


def best(usage: Usage, *offers: Offer) -> str:
    return rank(offers, usage)[0].offer.id


# What is expected.


def test_the_phases_follow_each_other_and_the_weights_come_beside_the_stack() -> None:
    way = expected()
    assert way.phases["install"] == max(way.stack_seconds, way.weights_seconds)
    assert way.total_seconds == pytest.approx(
        way.ssh_seconds + way.phases["install"] + way.load_seconds + way.start_seconds
    )


@pytest.mark.parametrize(
    ("worse", "parts"),
    [
        ({"download_mbit_per_second": 100.0}, {"ssh", "stack", "weights"}),
        ({"disk_mb_per_second": 50.0}, {"ssh", "stack", "weights"}),
        ({"disk_mb_per_second": 50.0, "ram_gib": 8.0}, {"ssh", "stack", "weights", "load"}),
        ({"cpu_cores": 1.0}, {"stack", "start"}),
        ({"gpu_count": 1, "ram_gib": 4.0, "disk_mb_per_second": 500.0}, {"load"}),
    ],
)
def test_each_part_is_slower_by_what_it_needs_of_a_host(
    worse: dict[str, Any], parts: set[str]
) -> None:
    usual, other = expected(), expected(**worse)
    names = {"ssh", "stack", "weights", "load", "start"}
    slower = {
        name
        for name in names
        if getattr(other, f"{name}_seconds") > getattr(usual, f"{name}_seconds")
    }
    assert slower == parts


def test_a_larger_model_takes_longer_wherever_it_passes() -> None:
    small, large = expected(), expected(replace(WORK, model_gib=130.0))
    assert large.weights_seconds > 5 * small.weights_seconds
    assert large.load_seconds > 5 * small.load_seconds
    assert small.start_seconds < large.start_seconds < 3 * small.start_seconds
    assert (large.ssh_seconds, large.stack_seconds) == (small.ssh_seconds, small.stack_seconds)


def test_weights_that_stayed_in_memory_are_not_read_from_a_slow_disk_again() -> None:
    slow = {"disk_mb_per_second": 100.0}
    assert expected(ram_gib=64.0, **slow).load_seconds < 30
    assert expected(ram_gib=16.0, **slow).load_seconds > 150


def test_an_engine_that_does_not_compile_starts_sooner_and_needs_no_cores() -> None:
    eager = replace(WORK, compiles=False)
    assert expected(eager).start_seconds < 0.5 * expected().start_seconds
    assert expected(eager, cpu_cores=1.0).start_seconds == expected(eager).start_seconds


def test_an_image_that_has_the_stack_leaves_only_its_proof() -> None:
    assert expected(Work(8, 0.0, 15)).stack_seconds < 60 < expected().stack_seconds


def test_the_public_figures_of_others_are_met_within_a_third() -> None:
    fast = {"download_mbit_per_second": 8000.0, "disk_mb_per_second": 3000.0, "cpu_cores": 32.0}
    # 8B: 61 s of download; 108 s from start to token, 71 to 78 s, 200 s: between these.
    way = expected(Work(0, 0, 15), **fast)
    assert way.weights_seconds == pytest.approx(61, rel=0.34)
    assert 71 < way.load_seconds + way.start_seconds < 200
    # 70B in 8 bits on 8 GPUs: 10 s of weights, 145 s of dynamo, compilation and graphs.
    seventy = expected(Work(0, 0, 65.7), gpu_count=8, ram_gib=512.0, **fast)
    assert seventy.load_seconds == pytest.approx(10, rel=0.34)
    assert seventy.start_seconds == pytest.approx(145, rel=0.34)


def test_what_nobody_tells_is_assumed_and_said() -> None:
    silent = Offer(provider="p", id="1", gpu_name="X", gpu_count=1, price_usd_per_hour=1.0)
    way = first_token(silent, Usage().work)
    assert list(way.assumed) == [
        "a line of 500 Mbit/s",
        "a disk of 500 MB/s",
        "8 cores",
        "weights that do not stay in memory",
        "an image that is not on the host yet",
        "a model of 6.5 GiB",
    ]
    assert list(expected(Work(0, 3.5, 15)).assumed) == []


@pytest.mark.parametrize("told", [0.0, -1.0, 1e300])
def test_a_listing_that_says_nonsense_still_has_an_end(told: float) -> None:
    odd = {"download_mbit_per_second": told, "disk_mb_per_second": told, "cpu_cores": told}
    way = expected(Work(1e9, 1e9, 1e9), ram_gib=told, gpu_count=0, **odd)
    assert 0 < way.total_seconds <= 5 * 86400


# What it is worth.


def test_a_cheap_host_on_a_slow_line_no_longer_wins() -> None:
    """Issue: 0.30 dollars at 100 Mbit/s won over 0.32 at 5000."""
    slow = offer("slow", price_usd_per_hour=0.30, download_mbit_per_second=100.0)
    fast = offer("fast", price_usd_per_hour=0.32, download_mbit_per_second=5000.0)
    assert best(EIGHT, slow, fast) == "fast"


def test_a_cheap_host_with_a_slow_disk_and_few_cores_no_longer_wins() -> None:
    """Issue: 0.30 dollars at 80 MB/s and 2 cores won over 0.31 at 3000 and 32."""
    weak = {"disk_mb_per_second": 80.0, "cpu_cores": 2.0}
    strong = {"disk_mb_per_second": 3000.0, "cpu_cores": 32.0}
    slow = offer("slow", price_usd_per_hour=0.30, **weak)
    fast = offer("fast", price_usd_per_hour=0.31, **strong)
    assert best(EIGHT, slow, fast) == "fast"


def test_with_waiting_worth_nothing_the_dollars_alone_decide() -> None:
    nothing = replace(EIGHT, wait_usd_per_hour=0)
    slow = offer("slow", price_usd_per_hour=0.30, disk_mb_per_second=80.0, cpu_cores=2.0)
    fast = offer("fast", price_usd_per_hour=0.31)
    assert best(nothing, slow, fast) == "slow"
    for ranked in rank([slow, fast], nothing):
        assert ranked.ranked_usd == ranked.expected_usd


@pytest.mark.parametrize("odd", [-1, "nan", "inf"])
def test_waiting_that_is_worth_no_sum_is_refused_before_anything_is_rented(
    market: Market, odd: Any
) -> None:
    result = market.rent("gpu-1", wait_usd_per_hour=odd)
    assert result["failed"]
    assert "Nothing was rented" in result["msg"]
    assert market.run("offer_info", wait_usd_per_hour=odd)["failed"]


def test_waiting_is_never_told_as_dollars_that_are_billed() -> None:
    billed = [
        rank([GOOD], replace(EIGHT, wait_usd_per_hour=usd))[0].expected_usd for usd in (0, 5, 50)
    ]
    assert len(set(billed)) == 1


def test_the_waiting_for_failed_attempts_counts_too() -> None:
    sure, doubtful = (rank([one], EIGHT)[0] for one in (GOOD, offer("odd", verified=False)))
    assert doubtful.first_token == sure.first_token
    assert doubtful.wait_usd > sure.wait_usd > 5 * sure.first_token.total_seconds / 3600


# Who lost, and by what.


def test_runners_up_are_told_with_what_they_lost_by() -> None:
    slow = offer("slow", price_usd_per_hour=0.38, download_mbit_per_second=100.0)
    dear = offer("dear", price_usd_per_hour=0.5)
    ranked = rank([dear, slow, GOOD], EIGHT)
    told = {one["id"]: one for one in runners_up(ranked, ranked[0])}
    assert list(told) == ["dear", "slow"]
    assert told["dear"]["why"].startswith("rent 2.4")
    slow_why = told["slow"]["why"]
    assert slow_why.startswith("waiting ")
    assert "minutes to the first token instead of" in slow_why
    assert "download below 128 Mbit/s" in slow_why
    assert slow_why.endswith("dollars less")
    for one in told.values():
        assert one["behind_usd"] > 0


def test_only_who_comes_after_the_one_that_was_taken_is_a_runner_up() -> None:
    ranked = rank([offer(str(number)) for number in range(6)], EIGHT)
    assert [one["id"] for one in runners_up(ranked, ranked[1])] == ["2", "3", "4"]
    assert runners_up(ranked, ranked[-1]) == []
    assert runners_up(ranked, ranked[1])[0]["why"] == "as good, and after it by its id"


def test_a_rental_and_its_plan_name_them(market: Market) -> None:
    plan = market.rent("gpu-1", check=True)
    assert len(plan["runners_up"]) == 3
    assert plan["offer"]["first_token"]["total_seconds"] > 0
    assert plan["offer"]["waiting"]["usd_per_hour"] == 5
    rented = market.rent("gpu-1")
    assert rented["runners_up"] == plan["runners_up"]
    found = market.run("offer_info")
    assert found["runners_up"] == plan["runners_up"]


# The floor of the download speed.


def floor(**given: object) -> Any:
    options = {
        "provider": "vastai",
        "image_gib": None,
        "download_gib": 18.5,
        "min_download_mbit_per_second": None,
        **given,
    }
    return with_usual(options)["min_download_mbit_per_second"]


def test_the_slowest_line_that_is_taken_follows_the_models_size() -> None:
    assert floor() == slowest_line(26.5, 1.0) == 70
    assert floor(download_gib=4.5) == 30
    assert floor(download_gib=144.5) == 370
    assert floor(download_gib=1000.0) == 500


def test_a_floor_that_the_user_gives_stays_a_hard_limit() -> None:
    assert floor(min_download_mbit_per_second=5.0) == 5
    assert floor(min_download_mbit_per_second=0.0) == 0


def test_a_line_at_the_floor_brings_all_of_it_in_the_stated_time() -> None:
    for gib in (3.0, 26.5, 150.0):
        assert gib * 8 * 1024**3 / 1e6 / slowest_line(gib, 1.0) <= 3600


# What the history knows.


def measured(machine: str, **seen: float) -> Attempt:
    return Attempt(time.time(), "vastai", machine, MEASURED, ratios=seen)


@pytest.fixture
def history(tmp_path: Path) -> History:
    return History(str(tmp_path / "history.jsonl"))


def test_hosts_that_were_slower_than_expected_are_expected_to_be_slower(history: History) -> None:
    for _again in range(9):
        history.add(measured("elsewhere", ssh=2.0))
    usual, learnt = rank([GOOD], EIGHT)[0], rank([GOOD], EIGHT, history)[0]
    slower = learnt.first_token.ssh_seconds / usual.first_token.ssh_seconds
    assert 1.5 < slower < 2.0
    assert learnt.first_token.start_seconds == usual.first_token.start_seconds
    assert learnt.first_token.to_dict()["paces"] == {"ssh": pytest.approx(slower, abs=0.001)}


def test_a_machines_own_pace_goes_before_its_providers(history: History) -> None:
    history.add(measured("7", launch=0.5))
    history.add(measured("7", launch=0.5))
    own, other = rank([GOOD, offer("other")], EIGHT, history)
    assert own.offer.machine_id == "7"
    assert own.first_token.start_seconds < other.first_token.start_seconds


def test_one_odd_deploy_does_not_turn_the_estimate_over(history: History) -> None:
    history.add(measured("elsewhere", install=1e6))
    usual, learnt = rank([GOOD], EIGHT)[0], rank([GOOD], EIGHT, history)[0]
    assert learnt.first_token.weights_seconds < 2 * usual.first_token.weights_seconds


def test_hosts_that_have_the_image_already_are_expected_to_be_there_at_once(
    history: History,
) -> None:
    """Nobody is faster by accident: two deploys show it."""
    for machine in ("1", "2"):
        history.add(measured(machine, ssh=0.03))
    usual, learnt = rank([GOOD], EIGHT)[0], rank([GOOD], EIGHT, history)[0]
    happened = 0.03 * usual.first_token.ssh_seconds
    assert happened < learnt.first_token.ssh_seconds < 1.5 * happened


@pytest.mark.parametrize(
    "damaged",
    [{"ssh": -1.0}, {"ssh": 0.0}, {"ssh": float("nan")}, {"ssh": "2"}, {"other": 1.0}, ["ssh"]],
)
def test_a_damaged_line_of_the_history_says_nothing(history: History, damaged: Any) -> None:
    history.add(replace(measured("7"), ratios=damaged))
    assert rank([GOOD], EIGHT, history) == rank([GOOD], EIGHT)


def test_how_long_it_took_is_neither_a_success_nor_a_failure(history: History) -> None:
    for outcome in (FAILED, SERVED):
        history.add(Attempt(time.time(), "vastai", "7", outcome))
    before = history.machines("vastai")["7"]
    history.add(measured("7", ssh=1.5))
    assert history.machines("vastai")["7"] == before


def test_what_the_history_has_corrected_is_not_learnt_twice(history: History) -> None:
    for _again in range(30):
        history.add(measured("7", ssh=2.0))
    told = rank([GOOD], EIGHT, history)[0].first_token.to_dict()
    # It took exactly as long as was now expected: twice as long as the offer alone lets expect.
    assert ratios(told, told["phases"])["ssh"] == pytest.approx(told["paces"]["ssh"], abs=0.01)


def test_a_phase_that_was_not_measured_is_not_learnt() -> None:
    told = rank([GOOD], EIGHT)[0].first_token.to_dict()
    assert set(ratios(told, {"ssh": 0.0, "install": 100.0})) == {"install"}
