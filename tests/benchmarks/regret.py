# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How much more the host that we end up with costs than the best one in hindsight.

Dollars plus waiting, by what really happens (waiting_market.py) in markets of which 65 of 100 offers
fail (failing_market.py). A strategy takes the first host of its order that serves. The best in
hindsight is the host that serves for the least; who finds it needs to know what no offer shows.
"""

from __future__ import annotations

import random
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
RENTALS_HOURS = (4.0, 24.0)
WAIT_USD_PER_HOUR = 5.0
MOST = 0.05
#: The least cards for a model of so many GiB: how many, and how large each is.
CARDS = ((18.0, 1, 24), (38.0, 1, 48), (66.0, 1, 80), (132.0, 2, 80), (LARGEST_GIB, 4, 80))


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
        return Wish(
            vram_gib=vram_gib, gpu_count=count, disk_gib=disk_gib, compute_capability="8.0"
        )

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
        """What the host really costs from the request on, its waiting included."""
        waited = way(offer, self.model_gib, self.seed).hours
        gib = self.model_gib + PACKAGES_GIB + IMAGE_GIB
        traffic_usd = (offer.download_usd_per_gib or 0.0) * gib
        rent_usd = offer.price_usd_per_hour * (waited + self.hours)
        return rent_usd + traffic_usd + WAIT_USD_PER_HOUR * waited


@dataclass
class Regret:
    """By how much a strategy's hosts are dearer than the best, as a share, case by case."""

    shares: list[float] = field(default_factory=list)

    def add(self, paid_usd: float, best_usd: float) -> None:
        """Another case."""
        self.shares.append(paid_usd / best_usd - 1)

    @property
    def mean(self) -> float:
        """Over all cases, each weighing the same."""
        return sum(self.shares) / len(self.shares)

    @property
    def worst(self) -> float:
        """What nine of ten cases stay below."""
        return sorted(self.shares)[int(0.9 * len(self.shares))]


Order = Callable[[list[Offer], Usage], list[Offer]]
Search = Callable[[int, Wish], list[Offer]]


def cases(first_seed: int, seeds: int) -> Iterator[Case]:
    """A model of each market's own, the small as likely as the large, for each time."""
    for seed in range(first_seed, first_seed + seeds):
        chance = random.Random(f"{seed} model")
        model_gib = SMALLEST_GIB * (LARGEST_GIB / SMALLEST_GIB) ** chance.random()
        for hours in RENTALS_HOURS:
            yield Case(seed, model_gib, hours)


def compare(
    search: Search, orders: dict[str, Order], first_seed: int, seeds: int
) -> dict[str, Regret]:
    """The regret of each order, by its name."""
    regrets = {name: Regret() for name in orders}
    for case in cases(first_seed, seeds):
        found = varied(search(case.seed, case.wish), case.seed)
        fated = fates(generate(0, case.seed), case.seed)
        serving = [offer for offer in found if _serves(offer, fated)]
        if not serving:
            continue
        best_usd = min(map(case.usd, serving))
        for name, order in orders.items():
            taken = next(offer for offer in order(found, case.usage) if _serves(offer, fated))
            regrets[name].add(case.usd(taken), best_usd)
    return regrets


def _serves(offer: Offer, fated: dict[int, Fate]) -> bool:
    return fated[int(offer.id)].outcome == SERVES
