# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How much more the host that we end up with costs than the best one in hindsight.

Dollars plus waiting, by what really happens (waiting_market.py) in markets of which 65 of 100
offers fail (failing_market.py). A strategy takes the first host of its order that serves. The best
in hindsight is the host that serves for the least; who finds it knows what no offer shows.

What failed attempts have cost before is counted apart: nobody can know who fails, so that no order
comes near who does. For the same reason a ranking that shuns doubtful hosts, and is right to do so,
looks a little worse in the pick alone than one that doubts nobody.
"""

from __future__ import annotations

import random
import statistics
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from ansible_collections.inferops.gpu.plugins.module_utils.market.model import Offer
from ansible_collections.inferops.gpu.plugins.module_utils.market.offers.ranking import Usage
from ansible_collections.inferops.gpu.plugins.module_utils.market.wish import Wish
from tests.benchmarks.failing_market import SERVES, Fate, fates
from tests.benchmarks.waiting_market import IMAGE_GIB, PACKAGES_GIB, varied, way
from tests.simulator.offers import generate

SEEDS = 200
SMALLEST_GIB, LARGEST_GIB = 1.0, 140.0
#: What rentals are expected to live unless somebody says otherwise, and a short one beside it, of
#: which chance (an image that lies there, a boot) is worth more than what an offer tells.
USUAL_HOURS, SHORT_HOURS = 24.0, 4.0
WAIT_USD_PER_HOUR = 5.0
MOST = 0.05
#: The least cards for a model of so many GiB: how many, and how large each is.
CARDS = ((18.0, 1, 24), (38.0, 1, 48), (66.0, 1, 80), (132.0, 2, 80), (LARGEST_GIB, 4, 80))

Order = Callable[[list[Offer], Usage], list[Offer]]
Search = Callable[[int, Wish], list[Offer]]


@dataclass(frozen=True)
class Case:
    """One deployment: what is served, for how long, in which market."""

    seed: int
    model_gib: float
    hours: float

    @property
    def wish(self) -> Wish:
        """What such a model needs."""
        count, vram_gib = next((n, gib) for most, n, gib in CARDS if self.model_gib <= most)
        disk_gib = round(self.model_gib + 30)
        return Wish(vram_gib=vram_gib, gpu_count=count, disk_gib=disk_gib, compute_capability="8.0")

    @property
    def usage(self) -> Usage:
        """The same for the ranking."""
        return Usage(
            hours=self.hours,
            download_gib=self.model_gib + PACKAGES_GIB,
            image_gib=IMAGE_GIB,
            model_gib=self.model_gib,
            wait_usd_per_hour=WAIT_USD_PER_HOUR,
        )

    def usd(self, offer: Offer) -> float:
        """What a host that serves really costs from the request on, its waiting included."""
        waited = way(offer, self.model_gib, self.seed).hours
        gib = self.model_gib + PACKAGES_GIB + IMAGE_GIB
        traffic_usd = (offer.download_usd_per_gib or 0.0) * gib
        rent_usd = offer.price_usd_per_hour * (waited + self.hours)
        return rent_usd + traffic_usd + WAIT_USD_PER_HOUR * waited


@dataclass
class Regret:
    """By how much a strategy's hosts are dearer than the best, as a share, case by case.

    ``picks`` looks at the host that serves alone, ``ways`` counts the failed attempts before it.
    """

    picks: list[float] = field(default_factory=list)
    ways: list[float] = field(default_factory=list)

    def add(self, best_usd: float, taken_usd: float, burned_usd: float) -> None:
        """Another case."""
        self.picks.append(taken_usd / best_usd - 1)
        self.ways.append((taken_usd + burned_usd) / best_usd - 1)

    @property
    def pick(self) -> float:
        """Over all cases, each weighing the same."""
        return statistics.mean(self.picks)

    @property
    def whole_way(self) -> float:
        """The same with the failed attempts."""
        return statistics.mean(self.ways)


Regrets = dict[tuple[str, float], Regret]


def compare(search: Search, orders: dict[str, Order], first_seed: int, seeds: int) -> Regrets:
    """The regret of each order, by its name and the hours of the rental."""
    hours = (USUAL_HOURS, SHORT_HOURS)
    regrets = {(name, each): Regret() for name in orders for each in hours}
    for seed in range(first_seed, first_seed + seeds):
        for case, found in _cases(search, seed, hours):
            fated = fates(generate(0, seed), seed)
            serving = [offer for offer in found if fated[int(offer.id)].outcome == SERVES]
            if not serving:
                continue
            best_usd = min(map(case.usd, serving))
            for name, order in orders.items():
                taken, burned_usd = deploy(order(found, case.usage), fated)
                regrets[name, case.hours].add(best_usd, case.usd(taken), burned_usd)
    return regrets


def _cases(
    search: Search, seed: int, hours: tuple[float, ...]
) -> Iterator[tuple[Case, list[Offer]]]:
    """A model of the market's own, the small as likely as the large, and what may serve it."""
    chance = random.Random(f"{seed} model")
    model_gib = SMALLEST_GIB * (LARGEST_GIB / SMALLEST_GIB) ** chance.random()
    found = varied(search(seed, Case(seed, model_gib, USUAL_HOURS).wish), seed)
    for each in hours:
        yield Case(seed, model_gib, each), found


def deploy(offers: list[Offer], fated: dict[int, Fate]) -> tuple[Offer, float]:
    """The first host that serves, and what was paid and waited before it."""
    burned_usd, failed = 0.0, set()
    for offer in offers:
        fate = fated[int(offer.id)]
        if offer.machine_id in failed:
            continue
        if fate.outcome == SERVES:
            return offer, burned_usd
        failed.add(offer.machine_id)
        traffic_usd = fate.downloaded_gib * (offer.download_usd_per_gib or 0.0)
        burned_usd += fate.hours * (offer.price_usd_per_hour + WAIT_USD_PER_HOUR) + traffic_usd
    raise ValueError("none of them serves")
