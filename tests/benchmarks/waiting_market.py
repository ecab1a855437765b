# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Decides how long each host of a market really needs until its first token.

Nothing here is taken from the function that ranks, and neither may ever be fitted to the other. The
steps follow each other as a person would time them: transfers are summed over files and layers, not
taken as the slowest of several limits; a host keeps less than it advertises, by an amount of its
own that no offer shows; and chance adds to every step, each day anew.

What is reported by others: 1 to 5 minutes until SSH; a healthy host that needed more than twice
what its bandwidth promised; 61 s for 16 GB on the fastest lines; 33 s to load them from a disk;
42 s of compilation, 54 s of graphs and 94 s for the rest on a fast CPU (8B, L40S), 71 to 78 s in
all elsewhere; 145 s for 70B. Between those the figures are guesses: there is no public record of a
marketplace's hosts. The simulator's hosts all have fast disks and many cores, so some get a slow
disk or the few cores that a share of a machine brings.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, replace

from ansible_collections.inferops.gpu.plugins.module_utils.market.model import Offer

IMAGE_GIB, PACKAGES_GIB = 8.0, 3.5
_GB_PER_GIB = 1024**3 / 1e9
SLOW_DISKS, FEW_CORES = 0.25, 0.25


@dataclass(frozen=True)
class Way:
    """The minutes of one host from the rental request to the first token, by step."""

    boot: float
    image: float
    packages: float
    model: float
    loading: float
    engine: float

    @property
    def hours(self) -> float:
        """Model and packages arrive side by side, and slow each other down."""
        arrived = max(self.packages, self.model) + 0.3 * min(self.packages, self.model)
        return (self.boot + self.image + arrived + self.loading + self.engine) / 60


def varied(offers: list[Offer], seed: int) -> list[Offer]:
    """The offers of a market with slow disks and few cores among them."""
    return [_varied(offer, random.Random(f"{seed} parts {offer.machine_id}")) for offer in offers]


def _varied(offer: Offer, chance: random.Random) -> Offer:
    if chance.random() < SLOW_DISKS:
        offer = replace(offer, disk_mb_per_second=round(chance.uniform(60, 300), 1))
    if chance.random() < FEW_CORES:
        offer = replace(offer, cpu_cores=float(chance.choice((2, 3, 4, 6))))
    return offer


def way(offer: Offer, model_gib: float, seed: int, day: int = 0) -> Way:
    """What really happens on *offer*; seed and day decide, not which offers are asked about."""
    machine = random.Random(f"{seed} pace {offer.machine_id}")
    today = random.Random(f"{seed} pace {offer.machine_id} day {day}")

    def noise() -> float:
        return today.lognormvariate(0, 0.15)

    line = min((offer.download_mbit_per_second or 100) * machine.triangular(0.3, 1.0, 0.65), 2400)
    gb_per_second = line / 8000
    disk = (offer.disk_mb_per_second or 100) * machine.triangular(0.5, 1.0, 0.8) / 1000
    clock = machine.triangular(0.7, 1.4, 1.0)
    cores = offer.cpu_cores or 4
    has_image = machine.random() < 0.3

    image = IMAGE_GIB * _GB_PER_GIB
    pull = 0.0 if has_image else image / gb_per_second + image * (0.8 / disk + 4 / clock)
    wheels = PACKAGES_GIB * _GB_PER_GIB
    unzip = wheels * 2.3 * (1 / disk + 9 / (clock * min(cores, 10)))
    packages = wheels / gb_per_second + unzip + today.uniform(25, 60) / clock
    model = model_gib * _GB_PER_GIB
    # What arrives is written behind, and hashed by one core a file.
    arriving = model / gb_per_second + 0.25 * model / disk + model / (2.0 * clock)
    kept = min(1.0, 0.75 * (offer.ram_gib or 16) / max(model_gib, 0.1))
    loading = model * (1 - kept) / disk + model / (1.1 * max(offer.gpu_count, 1))
    imports = today.uniform(30, 70) / clock
    compiling = (150 + 1.2 * model) / (clock * (0.5 + min(cores, 12) ** 0.8))
    graphs = today.uniform(15, 50) / clock
    return Way(
        boot=today.uniform(40, 150) / 60,
        image=pull * noise() / 60,
        packages=packages * noise() / 60,
        model=arriving * noise() / 60,
        loading=loading * noise() / 60,
        engine=(imports + compiling + graphs) * noise() / 60,
    )
