# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What failed attempts cost until something serves: our ranking against cheapest first.

Each seed is a market of its own in which about 65 of 100 offers fail (failing_market.py). The real
client searches it over HTTP for typical wishes. On each of some days, and for each wish, a
deployment tries offers in the order of its strategy until one serves; the machine of a failed
attempt is not tried again. The ranking was written without looking at the seeds of a plain run.
Here waiting is worth nothing, as dollars alone are counted; what its default leads to is shown.

Beside it, over more markets and models of 1 to 140 GB: by how much the host that serves in the end
is dearer than the best in hindsight, in dollars plus waiting (regret.py).

Its last line is `RESULT {...}`. Lower is only what burns less and is also cheaper with the rent of
what serves in the end, so that nobody wins by renting dear machines.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import astuple, dataclass, field, replace
from itertools import product
from pathlib import Path

from tests.tools.tree import REPOSITORY

# It runs as a plain module too, where nothing else makes the collection importable.
sys.path.insert(0, str(REPOSITORY / "collections"))

from ansible_collections.inferops.gpu.plugins.module_utils.market.clock import Clock
from ansible_collections.inferops.gpu.plugins.module_utils.market.model import Offer
from ansible_collections.inferops.gpu.plugins.module_utils.market.offers.history import (
    Attempt,
    History,
)
from ansible_collections.inferops.gpu.plugins.module_utils.market.offers.ranking import Usage, rank
from ansible_collections.inferops.gpu.plugins.module_utils.market.providers.pace import Pace
from ansible_collections.inferops.gpu.plugins.module_utils.market.providers.vastai import VastAI
from ansible_collections.inferops.gpu.plugins.module_utils.market.wish import Wish
from tests.benchmarks import regret
from tests.benchmarks.failing_market import (
    IMAGE_GIB,
    PACKAGES_GIB,
    SERVES,
    STALE,
    WEIGHTS_GIB,
    Fate,
    fates,
)
from tests.simulator.app import Simulator
from tests.simulator.hosts import PretendHosts
from tests.simulator.market import ACCOUNT_KEY, Market
from tests.simulator.offers import generate

FIRST_SEED, SEEDS = 70_000, 100
DAYS = 4
MOST_ATTEMPTS = 25
WISHES = {
    "24 GB": Wish(vram_gib=24, disk_gib=40, compute_capability="8.0"),
    "48 GB": Wish(vram_gib=48, disk_gib=80, compute_capability="8.0"),
    "80 GB": Wish(vram_gib=80, disk_gib=120, compute_capability="8.0"),
}
RENTALS_HOURS = (4.0, 24.0)


@dataclass(frozen=True)
class Job:
    """What a deployment is for: a wish, and for how long."""

    wish: str
    hours: float

    @property
    def usage(self) -> Usage:
        return Usage(
            self.hours,
            download_gib=PACKAGES_GIB + WEIGHTS_GIB,
            image_gib=IMAGE_GIB,
            model_gib=WEIGHTS_GIB,
        )


JOBS = tuple(Job(wish, hours) for hours in RENTALS_HOURS for wish in WISHES)
Order = Callable[[list[Offer], Usage, History], list[Offer]]


@dataclass
class Outcome:
    """What deployments led to, in sums.

    ``start_usd`` is the time and traffic that a host needs until it serves, ``rent_usd`` its rent
    afterwards. ``waited_hours`` are those from the first request until something serves.
    """

    deployments: int = 0
    successes: int = 0
    attempts: int = 0
    burned_usd: float = 0.0
    start_usd: float = 0.0
    rent_usd: float = 0.0
    rate_usd_per_hour: float = 0.0
    waited_hours: float = 0.0

    def __add__(self, other: Outcome) -> Outcome:
        pairs = zip(astuple(self), astuple(other), strict=True)
        return Outcome(*(one + another for one, another in pairs))

    @property
    def burned_usd_each(self) -> float:
        """What failed attempts cost, for each deployment that serves."""
        return self.each(self.burned_usd)

    @property
    def usd_each(self) -> float:
        """What everything costs, for each deployment that serves."""
        return self.each(self.burned_usd + self.start_usd + self.rent_usd)

    def each(self, total: float) -> float:
        """A total for each deployment that serves; infinite when none does."""
        return total / self.successes if self.successes else math.inf


@dataclass(frozen=True)
class Strategy:
    """An order of trying offers, and what it led to, by job."""

    name: str
    order: Order
    remembers: bool = False
    outcomes: dict[Job, Outcome] = field(default_factory=lambda: {job: Outcome() for job in JOBS})

    @property
    def total(self) -> Outcome:
        return sum(self.outcomes.values(), Outcome())


def deploy(job: Job, offers: list[Offer], fated: dict[int, Fate], past: History) -> Outcome:
    """Try *offers* in their order until one serves."""
    outcome = Outcome(deployments=1)
    failed: set[str] = set()
    for offer in offers:
        if offer.machine_id in failed:
            continue
        fate = fated[int(offer.id)]
        outcome.attempts += 1
        outcome.waited_hours += fate.hours
        past.add(as_history(offer, fate))
        if fate.outcome == SERVES:
            outcome.successes = 1
            outcome.start_usd = cost_usd(offer, fate)
            outcome.rate_usd_per_hour = offer.price_usd_per_hour
            outcome.rent_usd = job.hours * offer.price_usd_per_hour
            return outcome
        outcome.burned_usd += cost_usd(offer, fate)
        failed.add(offer.machine_id)
        if outcome.attempts == MOST_ATTEMPTS:
            return outcome
    return outcome


def cost_usd(offer: Offer, fate: Fate) -> float:
    """What an attempt has cost by the time its outcome is known."""
    traffic_usd = fate.downloaded_gib * offer.download_usd_per_gib
    return fate.hours * offer.price_usd_per_hour + traffic_usd


def as_history(offer: Offer, fate: Fate) -> Attempt:
    """What a deployment remembers of an attempt."""
    outcome = {SERVES: "served", STALE: "gone"}.get(fate.outcome, "failed")
    usd = cost_usd(offer, fate)
    machine_id = offer.machine_id or ""
    return Attempt(Clock().now(), offer.provider, machine_id, outcome, fate.outcome, 0.0, usd)


def by_our_ranking(offers: list[Offer], usage: Usage, past: History) -> list[Offer]:
    return [ranked.offer for ranked in rank(offers, usage, past)]


def by_our_ranking_with_waiting(offers: list[Offer], usage: Usage, past: History) -> list[Offer]:
    return by_our_ranking(offers, replace(usage, wait_usd_per_hour=regret.WAIT_USD_PER_HOUR), past)


def by_price(offers: list[Offer], usage: Usage, past: History) -> list[Offer]:
    return sorted(offers, key=lambda offer: (offer.price_usd_per_hour, offer.id))


@contextmanager
def searching() -> Iterator[Callable[[int, Wish], list[Offer]]]:
    """A search of the market of a seed, by the real client over HTTP."""
    simulator = Simulator(Market(PretendHosts()))
    clock = Clock()
    provider = VastAI({"api_key": ACCOUNT_KEY}, simulator.url, Pace(None, {}, clock), clock)

    def search(seed: int, wish: Wish) -> list[Offer]:
        with simulator.market.lock:
            simulator.market.offers = {row["id"]: row for row in generate(clock.now(), seed)}
        return wish.select(provider.search(wish))[0]

    try:
        yield search
    finally:
        simulator.close()


def regrets(first_seed: int, seeds: int) -> regret.Regrets:
    """The regret of our ranking and of cheapest first."""
    orders: dict[str, regret.Order] = {
        "ours": lambda offers, usage: by_our_ranking(offers, usage, History(None)),
        "cheapest first": lambda offers, usage: by_price(offers, usage, History(None)),
    }
    with searching() as search:
        return regret.compare(search, orders, first_seed, seeds)


def compare(first_seed: int, seeds: int) -> tuple[list[Strategy], float]:
    """Every strategy after all its deployments, and the share of offers that fail."""
    strategies = [
        Strategy("ours", by_our_ranking),
        Strategy("ours, with history", by_our_ranking, remembers=True),
        Strategy("cheapest first", by_price),
        Strategy("ours, with waiting", by_our_ranking_with_waiting),
    ]
    failing = count = 0
    with searching() as search, tempfile.TemporaryDirectory() as folder:
        for seed in range(first_seed, first_seed + seeds):
            found = {name: search(seed, wish) for name, wish in WISHES.items()}
            kept = History(str(Path(folder) / f"{seed}.jsonl"))
            for day in range(DAYS):
                fated = fates(generate(0, seed), seed, day)
                failing += sum(fate.outcome != SERVES for fate in fated.values())
                count += len(fated)
                for strategy, job in product(strategies, JOBS):
                    past = kept if strategy.remembers else History(None)
                    offers = strategy.order(found[job.wish], job.usage, past)
                    strategy.outcomes[job] += deploy(job, offers, fated, past)
    return strategies, failing / count


def report(strategies: list[Strategy]) -> None:
    """What each strategy led to, for each job and for all."""
    print(
        "Per deployment that serves: attempts, $ burned by failed ones, $ an hour of what serves,"
    )
    print("hours waited for it, and $ for everything, the rent of what serves included.\n")
    for job in JOBS:
        print(f"1 x {job.wish} for {job.hours:.0f} h")
        for strategy in strategies:
            print(line(strategy.name, strategy.outcomes[job]))
    print("all")
    for strategy in strategies:
        print(line(strategy.name, strategy.total))


def report_regrets(found: regret.Regrets) -> None:
    """What each strategy pays more than the best in hindsight, by the hours of the rental."""
    print("\nMore than the best in hindsight, dollars plus waiting: of the host that serves, and")
    print("with the failed attempts before it\n")
    for (name, hours), one in found.items():
        told = f"{one.pick:9.1%}{one.whole_way:9.1%}"
        print(f"  {name:20}{hours:4.0f} h{told} of {len(one.picks)} deployments")


def line(name: str, outcome: Outcome) -> str:
    """One strategy's figures, each for a deployment that serves."""
    return (
        f"  {name:20}{outcome.successes:6} of {outcome.deployments} served"
        f"{outcome.each(outcome.attempts):8.2f} attempts"
        f"{outcome.burned_usd_each:9.4f} burned"
        f"{outcome.each(outcome.rate_usd_per_hour):9.4f} an hour"
        f"{outcome.each(outcome.waited_hours):7.2f} h waited"
        f"{outcome.usd_each:10.4f} in all"
    )


def told_regrets(found: regret.Regrets) -> dict[str, float]:
    """The regrets by their names in the RESULT line."""
    told = {}
    for (name, hours), one in found.items():
        whose = "" if name == "ours" else f"{name.replace(' ', '_')}_"
        ending = "" if hours == regret.USUAL_HOURS else f"_{hours:.0f}_hours"
        told[f"{whose}regret{ending}"] = round(one.pick, 4)
        told[f"{whose}regret_with_failures{ending}"] = round(one.whole_way, 4)
    return told


def main() -> int:
    """Compare, print both, and end with the RESULT line."""
    parser = argparse.ArgumentParser(description="Our ranking against cheapest first.")
    parser.add_argument("--seed", type=int, default=int(os.environ.get("SEED") or FIRST_SEED))
    parser.add_argument("--seeds", type=int, default=SEEDS)
    parser.add_argument("--regret-seeds", type=int, default=regret.SEEDS)
    options = parser.parse_args()
    strategies, failing = compare(options.seed, options.seeds)
    report(strategies)
    found = regrets(options.seed, options.regret_seeds)
    report_regrets(found)
    ours, _with_history, cheapest, _waiting = (strategy.total for strategy in strategies)
    burns_less = ours.burned_usd_each < cheapest.burned_usd_each
    lower = burns_less and ours.usd_each < cheapest.usd_each
    result = {
        "seeds": options.seeds,
        "first_seed": options.seed,
        "offers_failing": round(failing, 3),
        "deployments": ours.deployments,
        "ours_usd_per_success": round(ours.burned_usd_each, 4),
        "cheapest_first_usd_per_success": round(cheapest.burned_usd_each, 4),
        "lower": lower,
        "regret_seeds": options.regret_seeds,
        **told_regrets(found),
    }
    print("RESULT", json.dumps(result))
    small = found["ours", regret.USUAL_HOURS].pick <= regret.MOST
    return 0 if lower and small else 1


if __name__ == "__main__":
    sys.exit(main())
