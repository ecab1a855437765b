# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which loads a benchmark sends, and when its search has found the highest that keeps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from ansible_collections.inferops.gpu.plugins.module_utils.common.loads import (
    KEPT,
    MISSED,
    UNFINISHED,
    Load,
    Plan,
    highest_kept,
    judged,
    plan_of,
)
from ansible_collections.inferops.gpu.plugins.modules.benchmark import LOADS

USUAL = {name: option["default"] for name, option in LOADS.items()}


def plan(**asked: Any) -> Plan:
    return plan_of({**USUAL, **asked})


def run(of: Plan, show: Callable[[int], str]) -> dict[int, str]:
    """What each load of a plan has shown, in the order in which they were sent."""
    shown: dict[int, str] = {}
    while (concurrency := of.following(shown)) is not None:
        assert concurrency not in shown, "a load is sent twice"
        shown[concurrency] = show(concurrency)
    return shown


def up_to(limit: int) -> Callable[[int], str]:
    return lambda concurrency: KEPT if concurrency <= limit else MISSED


def test_without_an_objective_the_ladder_is_all() -> None:
    """In order, each once, however it was written."""
    assert list(run(plan(concurrencies=[8, 1, 8, 2]), up_to(9999))) == [1, 2, 8]


@pytest.mark.parametrize("limit", [1, 2, 3, 15, 16, 17, 23, 64, 99, 200, 255, 256, 5000])
def test_a_search_comes_within_an_eighth_of_the_highest_load_that_keeps(limit: int) -> None:
    found = highest_kept(run(plan(objective_ttft_ms=500, most_loads=64), up_to(limit)))
    best = min(limit, 256)
    assert found is not None
    assert best - max(1, best // 8) <= found <= best


def test_a_search_ends_at_once_where_not_even_the_least_load_keeps() -> None:
    shown = run(plan(objective_ttft_ms=1), up_to(0))
    assert list(shown) == [1, 4, 16, 64]
    assert highest_kept(shown) is None


def test_a_search_goes_below_the_ladder() -> None:
    shown = run(plan(concurrencies=[16], objective_ttft_ms=1), up_to(3))
    assert list(shown) == [16, 8, 4, 2, 3]
    assert highest_kept(shown) == 3


def test_what_was_kept_above_a_load_that_missed_counts_for_nothing() -> None:
    """Whoever promises the higher one would break it at the lower."""
    assert highest_kept({1: KEPT, 4: MISSED, 16: KEPT}) == 1
    assert highest_kept({1: KEPT, 4: UNFINISHED, 16: KEPT}) == 1


def test_nothing_higher_is_sent_than_what_did_not_end_in_its_time() -> None:
    slow = run(plan(), lambda concurrency: UNFINISHED if concurrency == 4 else KEPT)
    assert list(slow) == [1, 4]
    searched = run(
        plan(objective_ttft_ms=9), lambda concurrency: UNFINISHED if concurrency > 3 else KEPT
    )
    assert list(searched) == [1, 4, 2, 3]


def test_no_more_loads_are_sent_than_the_plan_has() -> None:
    of = plan(concurrencies=[1], objective_ttft_ms=1, most_loads=3)
    assert len(run(of, up_to(9999))) == of.most.loads == 3


@pytest.mark.parametrize("objective", [0, 500])
def test_what_a_plan_says_that_it_comes_to_at_most_is_never_exceeded(objective: float) -> None:
    of = plan(objective_ttft_ms=objective, output_tokens=10, input_tokens=20)
    for limit in (0, 1, 7, 100, 9999):
        sent = [of.load(one, 1).requests for one in run(of, up_to(limit))]
        assert len(sent) <= of.most.loads
        assert sum(sent) + 8 <= of.most.requests
        assert of.most.tokens == of.most.requests * 30


def test_a_load_has_so_many_rounds_of_its_clients_and_no_fewer_requests_than_asked() -> None:
    assert plan().load(1, 5) == Load(1, 8, 5)
    assert plan().load(16, 5) == Load(16, 64, 5)
    assert plan(warmup_requests=3).warmup == Load(3, 3, 0)
    assert plan(warmup_requests=0).warmup is None


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"concurrencies": []}, "concurrencies: name at least one"),
        ({"concurrencies": [0]}, "concurrencies: 0 is not within 1 and 4096"),
        ({"concurrencies": [1, 5000]}, "concurrencies: 5000 is not"),
        ({"most_loads": 3}, "most_loads: 3 are fewer than the 4 loads"),
        ({"most_seconds": 7000}, "most_seconds: 7000 is not within 1 and 6600"),
        ({"load_seconds": 0}, "load_seconds: 0 is not"),
        ({"objective_tpot_ms": -1}, "objective_tpot_ms: -1 is not"),
        ({"rounds": 1000}, "rounds: 64 clients would send 64000 requests"),
        ({"rounds": 100, "objective_ttft_ms": 1}, "rounds: 256 clients would send 25600 requests"),
        ({"input_tokens": 2_000_000}, "input_tokens: 2000000 is not within 1 and 1000000"),
    ],
)
def test_a_plan_without_bounds_is_refused(asked: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=f"^{said}"):
        plan(**asked)


FIGURES: dict[str, Any] = {
    "completed": 8,
    "failed": 0,
    "ttft_ms": {"mean": 1.0, "p99": 500.0},
    "tpot_ms": None,
    "e2el_ms": {"mean": 900.0, "p99": 1000.0},
}


@pytest.mark.parametrize(
    ("figures", "objective", "verdict"),
    [
        ({}, {}, KEPT),
        ({}, {"ttft": 500.0}, KEPT),
        ({}, {"ttft": 499.9}, MISSED),
        ({}, {"ttft": 500.0, "e2el": 999.0}, MISSED),
        # Nobody knows it, so nobody may say that it was kept.
        ({}, {"tpot": 10.0}, MISSED),
        ({"failed": 1}, {}, MISSED),
        ({"failed": 1}, {"ttft": 500.0}, MISSED),
        ({"completed": 0, "ttft_ms": None}, {"ttft": 500.0}, MISSED),
    ],
)
def test_a_load_keeps_the_objective_when_99_of_100_do_and_none_failed(
    figures: dict[str, Any], objective: dict[str, float], verdict: str
) -> None:
    assert judged({**FIGURES, **figures}, objective) == verdict
