# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The failing market that rankings are judged in: what it promises to whoever reads a result."""

from __future__ import annotations

import pytest

from tests.benchmarks.failing_market import CHANCE, SERVES, STALE, Fate, fates
from tests.simulator.offers import Offer, generate

SEEDS = range(50)
Fated = list[tuple[Offer, Fate]]


@pytest.fixture(scope="module")
def fated() -> Fated:
    """Many offers of many markets, each with what becomes of it."""
    together: Fated = []
    for seed in SEEDS:
        offers = generate(0, seed)
        decided = fates(offers, seed)
        together += [(offer, decided[offer["id"]]) for offer in offers]
    return together


def failing(fated: Fated) -> float:
    return sum(fate.outcome != SERVES for _offer, fate in fated) / len(fated)


def by_chance(fated: Fated) -> float:
    return sum(fate.cause == CHANCE for _offer, fate in fated) / len(fated)


def split(fated: Fated, field: str, limit: float) -> tuple[Fated, Fated]:
    """The offers below the limit, and the others."""
    below = [pair for pair in fated if pair[0][field] < limit]
    return below, [pair for pair in fated if pair[0][field] >= limit]


def test_about_65_of_100_offers_fail(fated: Fated) -> None:
    assert failing(fated) == pytest.approx(0.65, abs=0.02)


def test_a_third_of_the_failures_is_chance(fated: Fated) -> None:
    assert by_chance(fated) / failing(fated) == pytest.approx(1 / 3, abs=0.03)


@pytest.mark.parametrize(
    ("field", "limit"),
    [("reliability2", 0.98), ("vericode", 1), ("inet_down", 400), ("dph_total", 0.5)],
)
def test_chance_looks_at_nothing(fated: Fated, field: str, limit: float) -> None:
    below, above = split(fated, field, limit)
    assert by_chance(below) == pytest.approx(by_chance(above), abs=0.03)


@pytest.mark.parametrize(
    ("field", "limit"),
    [
        ("reliability2", 0.98),
        ("vericode", 1),
        ("hosting_type", 1),
        ("inet_down", 400),
        ("driver_vers", 560_000_000),
        ("direct_port_count", 2),
    ],
)
def test_what_an_offer_shows_counts_but_never_decides(
    fated: Fated, field: str, limit: float
) -> None:
    below, above = split(fated, field, limit)
    assert failing(below) > failing(above) + 0.03
    assert failing(below) < 0.9
    assert failing(above) > 0.4


def test_offers_of_one_machine_share_their_fate() -> None:
    offers = generate(0, 1)
    decided = fates(offers, 1)
    outcomes: dict[int, set[str]] = {}
    for offer in offers:
        outcomes.setdefault(offer["machine_id"], set()).add(decided[offer["id"]].outcome)
    assert len(outcomes) < len(offers)
    assert all(len(seen) == 1 for seen in outcomes.values())


def test_a_stale_offer_costs_nothing_and_every_other_failure_costs_time(fated: Fated) -> None:
    for _offer, fate in fated:
        spent = (fate.hours, fate.downloaded_gib)
        assert (spent == (0, 0)) == (fate.outcome == STALE)
        assert fate.hours < 4


def test_the_seed_decides_and_not_which_offers_are_asked_about() -> None:
    offers = generate(0, 3)
    decided = fates(offers, 3)
    assert fates(offers[::-3], 3) == {offer["id"]: decided[offer["id"]] for offer in offers[::-3]}
    assert fates(offers, 4) != decided


def test_the_next_day_brings_other_chances_on_the_same_machines() -> None:
    offers = generate(0, 5)
    today, tomorrow = fates(offers, 5, day=0), fates(offers, 5, day=1)
    unlucky = [key for key, fate in today.items() if fate.cause == CHANCE]
    bad = [key for key, fate in today.items() if fate.cause not in (CHANCE, "")]
    assert any(tomorrow[key].outcome == SERVES for key in unlucky)
    assert all(tomorrow[key].outcome != SERVES for key in bad)
