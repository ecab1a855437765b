# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The regret in hindsight: what its market promises, and how it counts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from statistics import mean

import pytest

from ansible_collections.inferops.gpu.plugins.module_utils.market.model import Offer
from ansible_collections.inferops.gpu.plugins.module_utils.market.offers.ranking import Usage
from ansible_collections.inferops.gpu.plugins.module_utils.market.wish import Wish
from tests.benchmarks import regret, waiting_market
from tests.benchmarks.failing_market import SERVES, SSH, Fate, fates
from tests.benchmarks.waiting_market import varied, way
from tests.simulator.offers import generate
from tests.unit.market.test_ranking import offer

MACHINES = range(300)


def minutes(step: Callable[[waiting_market.Way], float], model_gib: float, **of: object) -> float:
    """The mean of a step over many machines that show the same."""
    ways = (way(offer(str(machine), **of), model_gib, seed=1) for machine in MACHINES)
    return mean(step(one) for one in ways)


@pytest.mark.parametrize(
    ("better", "worse"),
    [
        ({"download_mbit_per_second": 1000.0}, {"download_mbit_per_second": 300.0}),
        ({"disk_mb_per_second": 2000.0}, {"disk_mb_per_second": 80.0}),
        ({"cpu_cores": 16.0}, {"cpu_cores": 2.0}),
        ({"ram_gib": 64.0}, {"ram_gib": 8.0, "disk_mb_per_second": 500.0}),
    ],
)
def test_network_disk_cores_and_memory_count(
    better: dict[str, object], worse: dict[str, object]
) -> None:
    assert minutes(lambda one: one.hours, 15, **better) < minutes(
        lambda one: one.hours, 15, **worse
    )


def test_two_hosts_that_show_the_same_are_not_the_same() -> None:
    hours = [way(offer(str(machine)), 15, seed=1).hours for machine in MACHINES]
    assert max(hours) > 1.5 * min(hours)


def test_the_seed_and_the_day_decide() -> None:
    one = offer("7")
    assert way(one, 15, seed=1) == way(replace(one, price_usd_per_hour=9.0), 15, seed=1)
    assert way(one, 15, seed=1) != way(one, 15, seed=2)
    assert way(one, 15, seed=1) != way(one, 15, seed=1, day=1)


def test_what_others_have_measured_is_about_what_happens() -> None:
    fast = {"download_mbit_per_second": 8000.0, "disk_mb_per_second": 3000.0, "cpu_cores": 32.0}
    assert 0.8 < minutes(lambda one: one.model, 15, **fast) < 2.5  # 61 s
    assert 1.2 < minutes(lambda one: one.engine + one.loading, 15, **fast) < 3.4  # 71 to 200 s
    assert 1 < minutes(lambda one: one.boot + one.image, 15) < 5  # 1 to 5 minutes


def test_some_hosts_have_slow_disks_or_few_cores_and_most_do_not() -> None:
    hosts = varied([offer(str(machine), cpu_cores=32.0) for machine in MACHINES], seed=1)
    slow = [one for one in hosts if (one.disk_mb_per_second or 0) < 300]
    few = [one for one in hosts if (one.cpu_cores or 0) < 8]
    for weak in (slow, few):
        assert len(weak) / len(hosts) == pytest.approx(0.25, abs=0.08)


def market(seed: int) -> tuple[list[Offer], dict[int, Fate]]:
    """Offers with the ids of a market's, and what becomes of each."""
    rows = generate(0, seed)
    hosts = [
        offer("x", price_usd_per_hour=row["dph_total"], cpu_cores=row["cpu_cores_effective"])
        for row in rows
    ]
    known = [
        replace(one, id=str(row["id"]), machine_id=str(row["machine_id"]))
        for one, row in zip(hosts, rows, strict=True)
    ]
    return known, fates(rows, seed)


def test_who_takes_the_best_regrets_nothing_and_nobody_less() -> None:
    def search(seed: int, _wish: Wish) -> list[Offer]:
        return market(seed)[0]

    def oracle(offers: list[Offer], usage: Usage) -> list[Offer]:
        case = regret.Case(3, usage.model_gib or 0.0, usage.hours)
        return sorted(offers, key=case.usd)

    def dearest(offers: list[Offer], _usage: Usage) -> list[Offer]:
        return sorted(offers, key=lambda one: -one.price_usd_per_hour)

    found = regret.compare(search, {"oracle": oracle, "dearest": dearest}, 3, 1)
    for hours in (regret.USUAL_HOURS, regret.SHORT_HOURS):
        assert found["oracle", hours].pick == pytest.approx(0)
        assert found["dearest", hours].pick > 0.5
        assert found["dearest", hours].whole_way >= found["dearest", hours].pick


def test_failed_attempts_cost_their_rent_and_their_waiting_once_a_machine() -> None:
    offers = [
        offer("1", price_usd_per_hour=1.0, machine_id="a"),
        offer("2", price_usd_per_hour=1.0, machine_id="a"),
        offer("3", price_usd_per_hour=1.0, machine_id="b"),
    ]
    fated = {1: Fate(SSH, "", 0.5, 8), 2: Fate(SSH, "", 0.5, 8), 3: Fate(SERVES, "", 0.2, 28)}
    taken, burned_usd = regret.deploy(offers, fated)
    assert taken.id == "3"
    assert burned_usd == pytest.approx(0.5 * (1 + regret.WAIT_USD_PER_HOUR))


def test_models_of_every_size_have_cards_that_hold_them() -> None:
    for size in (1.0, 18.0, 19.0, 66.1, 140.0):
        wish = regret.Case(1, size, 24).wish
        assert wish.gpu_count * (wish.vram_gib or 0) > size
        assert wish.disk_gib > size + 20
