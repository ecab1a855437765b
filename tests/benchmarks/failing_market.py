# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Decides which offers of a market fail, how, and how long it takes until that is known.

It was written before the ranking that it judges, and the ranking must never be fitted to it.

What is reported by others:

- 65 % of the attempts of a naive client fail: cloud-gpu-shopper had 17 successes in 48 attempts,
  13 failures or more were stale offers, about 14 were SSH that never let it in. In an earlier
  campaign of theirs 8 of 22 failures were stale offers.
- Boot takes 1 to 5 minutes, an image of a healthy host may take more than 10 at 111 Mbit/s.
- Clients give a host that never boots 10 to 40 minutes (dstack, Vast.ai's own QA launcher), SSH
  5 to 15 minutes (cloud-gpu-shopper).
- Hosts advertise a CUDA version that they do not have. One seller's hosts upgraded themselves 7 to
  19 minutes after SSH had answered.
- vLLM needs about 5 minutes from the start of the download to the first answer, 61 s of which
  are an 8B model's download.

What is assumed, because nobody publishes it: how failures depend on what an offer shows (clients
filter by reliability, verification, bandwidth, ports and driver, so they count here, with weights
that are guesses); that a third of the failures depends on nothing at all; that machines and their
owners have a hidden quality of about the same weight as all that is shown; how often each stage
fails beyond the shares above. Prices play no role: no source says that cheap hosts fail more.

A hidden quality stays with its machine, chance is new every day. Time is charged at the full
price in each stage but the stale one, although Vast.ai bills only the disk while an image loads.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from tests.simulator.offers import Offer

SERVES = "serves"
STALE, BOOT, SSH, DRIVER, INSTALL, START = "stale", "boot", "ssh", "driver", "install", "start"

#: What a deployment downloads: the image, then Python packages, then the model's weights.
IMAGE_GIB, PACKAGES_GIB, WEIGHTS_GIB = 8.0, 4.0, 16.0

#: How often an offer fails for no reason that it shows or hides: a third of 65 %.
CHANCE_ODDS = 0.65 / 3
CHANCE = "chance"
#: Log-odds of all other failures on a machine without any trait; makes 65 % with the traits below.
TRAITLESS = -1.26
MACHINE_SPREAD, OWNER_SPREAD = 1.0, 0.7

Stages = dict[str, float]
#: The usual mix of stages; it is also how chance and hidden qualities fail.
USUAL: Stages = {STALE: 42, BOOT: 12, SSH: 26, DRIVER: 6, INSTALL: 7, START: 7}


@dataclass(frozen=True)
class Trait:
    """Something that an offer shows: what it adds to the log-odds, and how it lets hosts fail."""

    cause: str
    log_odds: Callable[[Offer], float]
    stages: Stages


TRAITS = (
    Trait(
        "unreliable",
        lambda offer: 30 * min(1 - offer["reliability2"], 0.1),
        {STALE: 50, BOOT: 20, SSH: 20, INSTALL: 5, START: 5},
    ),
    Trait(
        "not verified",
        lambda offer: {"verified": 0.0, "unverified": 0.7}.get(offer["verification"], 1.5),
        USUAL,
    ),
    Trait("not in a data centre", lambda offer: 0.0 if offer["hosting_type"] else 0.4, USUAL),
    Trait(
        "slow line",
        lambda offer: min(2.0, 0.4 * max(0.0, math.log2(500 / offer["inet_down"]))),
        {BOOT: 60, INSTALL: 30, START: 10},
    ),
    Trait(
        "old driver",
        lambda offer: min(1.2, 0.02 * max(0, 575 - offer["driver_vers"] // 1_000_000)),
        {DRIVER: 70, INSTALL: 10, START: 20},
    ),
    Trait(
        "few ports",
        lambda offer: {0: 0.8, 2: 0.2}.get(offer["direct_port_count"], 0.0),
        {SSH: 100},
    ),
)


@dataclass(frozen=True)
class Fate:
    """What becomes of a deployment on one offer: the stage that fails, or that it serves.

    ``hours`` pass from the create until that is known; ``downloaded_gib`` have been paid by then.
    """

    outcome: str
    cause: str
    hours: float
    downloaded_gib: float


def fates(offers: Iterable[Offer], seed: int, day: int = 0) -> dict[int, Fate]:
    """The fate of each offer on one day, by the offer's id. Offers of one machine share theirs.

    Seed and day decide, neither the order of the offers nor which of them are given.
    """
    return {offer["id"]: fate(offer, seed, day) for offer in offers}


def fate(offer: Offer, seed: int, day: int = 0) -> Fate:
    """The fate of one offer, see :func:`fates`."""
    owner = random.Random(f"{seed} owner {offer['host_id']}")
    machine = random.Random(f"{seed} machine {offer['machine_id']}")
    today = random.Random(f"{seed} machine {offer['machine_id']} day {day}")
    if today.random() < CHANCE_ODDS:
        return _failing(offer, CHANCE, USUAL, today)
    hidden = (owner.gauss(0, OWNER_SPREAD), machine.gauss(0, MACHINE_SPREAD))
    shown = [trait.log_odds(offer) for trait in TRAITS]
    log_odds = TRAITLESS + sum(shown) + sum(hidden)
    if machine.random() >= 1 / (1 + math.exp(-log_odds)):
        return Fate(SERVES, "", *_spent(START, offer, today))
    # One of what speaks against the machine is the cause, the heavier the likelier.
    causes = [(trait.cause, trait.stages) for trait in TRAITS]
    causes += [("owner", USUAL), ("machine", USUAL)]
    weights = [*shown, *(max(0.0, quality) for quality in hidden)]
    cause, stages = machine.choices(causes, [weight + 0.01 for weight in weights])[0]
    return _failing(offer, cause, stages, machine)


def _failing(offer: Offer, cause: str, stages: Stages, chance: random.Random) -> Fate:
    stage = chance.choices(list(stages), list(stages.values()))[0]
    return Fate(stage, cause, *_spent(stage, offer, chance))


def _spent(stage: str, offer: Offer, chance: random.Random) -> tuple[float, float]:
    """Hours and GiB until *stage* has failed; the last stage also tells how long a success takes.

    Each stage pays for those before it. Nobody waits longer than an hour for a download.
    """
    if stage == STALE:
        return 0.0, 0.0
    if stage == BOOT:
        return chance.uniform(10, 40) / 60, IMAGE_GIB * chance.random()
    hours = chance.uniform(1, 5) / 60 + _download_hours(offer, IMAGE_GIB)
    if stage == SSH:
        return hours + chance.uniform(5, 15) / 60, IMAGE_GIB
    if stage == DRIVER:
        return hours + chance.uniform(1, 4) / 60, IMAGE_GIB
    hours += chance.uniform(2, 6) / 60 + _download_hours(offer, PACKAGES_GIB)
    if stage == INSTALL:
        return hours + chance.uniform(0, 15) / 60, IMAGE_GIB + PACKAGES_GIB
    hours += chance.uniform(3, 8) / 60 + _download_hours(offer, WEIGHTS_GIB)
    return hours, IMAGE_GIB + PACKAGES_GIB + WEIGHTS_GIB


def _download_hours(offer: Offer, gib: float) -> float:
    return min(1.0, gib * 8 * 1024**3 / 1e6 / float(offer["inet_down"]) / 3600)
