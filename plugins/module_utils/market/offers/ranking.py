# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ranking of offers by what the whole rental is expected to cost in dollars and in waiting.

Failing costs the odds, ``p / (1 - p)``, times what a failed attempt costs. As far as the odds are
right, no other order of trying offers is cheaper on average: swapping two neighbours shows it.

Waiting is nobody's bill, so it is shown beside the dollars: what an hour of it is worth is the
user's to say, and at 0 the dollars alone make the order.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Callable, Optional

from ..gpus import gpu_key
from ..model import NOT_TOLD, HostImage, Offer
from ..wish import Wish, version_key
from .gpu_names import in_words_of
from .history import History, Record
from .minutes import (
    MBIT_PER_GIB,
    PACKAGES_GIB,
    USUAL_MBIT_PER_SECOND,
    FirstToken,
    Work,
    first_token,
)
from .nothing_fits import nothing_fits
from .shared_search import SharedSearch

#: How often an offer fails, after its rental request, that nothing speaks against. Between what two
#: others report of offers that passed their filters: Vast.ai's own image tests 6 of 70,
#: cloud-gpu-shopper 40 of 100. (Its naive client: 18 of the 35 offers that were not stale.)
_FAILING = 0.3
#: How many attempts that estimate is worth against what the history tells of a provider, and how
#: many the estimate for one machine: two failures there outweigh all that it shows.
_PROVIDER_WEIGHT, _MACHINE_WEIGHT = 20.0, 1.0
#: Hours from the request until a failure is known, beside the image: a boot of 1 to 5 minutes, and
#: an SSH that never answers, the usual failure, for which others wait 5 to 15 minutes.
_FAILED_ATTEMPT_HOURS = 0.25
#: Reliability is a machine's uptime so far, and weighs the more the longer a rental lives. New
#: machines start at 0.6, which says little: nobody is down more than this share of the time.
_MOST_DOWN = 0.1
#: Where a listing says nonsense, count on this much bandwidth.
_LEAST_MBIT_PER_SECOND = 10.0
#: What is counted on where an offer tells nothing: what most offers have that pass the usual
#: filters (uptimes above 0.99, no price for traffic). Its doubt is counted apart.
_USUAL_RELIABILITY, _USUAL_USD_PER_GIB = 0.99, 0.0

#: Each doubt multiplies the odds of failing by this much. That hosts below these limits fail more
#: is why others refuse them; by how much nobody publishes, so all count the same.
_DOUBT = 1.5


@dataclass(frozen=True)
class _Doubt:
    """What speaks against an offer, by the value that it tells of ``field``."""

    reason: str
    field: str
    applies: Callable[[Any], bool]


_DOUBTS = (
    # The floors of vastai-gpu-runner, cloud-gpu-shopper and dstack.
    _Doubt("reliability below 0.995", "reliability", lambda told: told < 0.995),
    _Doubt("reliability below 0.95", "reliability", lambda told: told < 0.95),
    _Doubt("reliability below 0.9", "reliability", lambda told: told < 0.9),
    # dstack and Vast.ai's own client search only verified hosts.
    _Doubt("not verified", "verified", lambda told: not told),
    # dstack wants one: the provider's SSH proxy can refuse while the host runs.
    _Doubt("no direct port", "direct_ports", lambda told: told < 1),
    # dstack wants more: images that load slowly run into time limits.
    _Doubt("download below 128 Mbit/s", "download_mbit_per_second", lambda told: told < 128),
    # dstack wants 12.8; hosts with older drivers passed every check but the first inference.
    _Doubt("CUDA below 12.8", "cuda_version", lambda told: version_key(told) < (12, 8)),
)
#: Our guess, no source: who asks half of what others ask may not have what others have.
_CHEAP_SHARE, _CHEAP = 0.5, "less than half of the usual price"
#: What decides over failing and cost, in the words for an offer that does not tell it. However much
#: of it is missing, that is one doubt: what is unknown is not the worst case of each.
_DECIDING = {
    "driver_version": "driver",
    "cuda_version": "CUDA",
    "vram_gib": "VRAM",
    "compute_capability": "architecture",
    "reliability": "reliability",
    "verified": "verification",
    "download_mbit_per_second": "download speed",
    "disk_gib": "disk",
    "disk_mb_per_second": "disk speed",
    "direct_ports": "direct ports",
    "download_usd_per_gib": "price of traffic",
}


#: Tells which image has the engine already, for a host like an offer's.
ImageFor = Callable[[Offer], Optional[HostImage]]


def no_image(_offer: Offer) -> None:
    """Where all is installed."""


@dataclass(frozen=True)
class Usage:
    """What the rental will be used for, as far as it decides its cost.

    ``download_gib`` are model and packages, ``image_gib`` the host's image. ``model_gib`` is the
    model's part of the download, None where nobody knows it. ``packages_in_image`` says that the
    image has the packages.
    """

    hours: float = 24.0
    download_gib: float = 10.0
    image_gib: float = 8.0
    model_gib: float | None = None
    compiles: bool = True
    wait_usd_per_hour: float = 0.0
    packages_in_image: bool = False

    def with_image(self, image: HostImage | None) -> Usage:
        """The same with an image that has the packages; as it is for None."""
        if image is None:
            return self
        model_gib = self.work.model_gib
        return replace(self, image_gib=image.gib, download_gib=model_gib, packages_in_image=True)

    @property
    def work(self) -> Work:
        """What a new host has to do before it serves."""
        guessed = self.model_gib is None
        packages_gib = 0.0 if self.packages_in_image else min(self.download_gib, PACKAGES_GIB)
        model_gib = self.download_gib - packages_gib
        if self.model_gib is not None:
            packages_gib = max(self.download_gib - self.model_gib, 0.0)
            model_gib = self.model_gib
        return Work(self.image_gib, packages_gib, model_gib, guessed, self.compiles)


@dataclass(frozen=True)
class Risk:
    """How likely an attempt on an offer fails after its rental request, and what that rests on."""

    failure_probability: float
    reasons: tuple[str, ...] = ()

    @property
    def odds(self) -> float:
        """Failures to expect for one success."""
        return self.failure_probability / (1.0 - self.failure_probability)


@dataclass(frozen=True)
class RankedOffer:
    """An offer with its expected cost in dollars over the usage's hours, by part.

    ``base_usd`` is the rent without the disk. ``failure_usd`` is what failed attempts cost before
    one like this serves, ``outage_usd`` the rent of the time that it is down afterwards.
    ``wait_hours`` are those until the first token, with failed attempts before it, and
    ``wait_usd_per_hour`` what each is worth. ``image`` is one that has the engine already, where
    that serves sooner than an installation. ``unchecked`` are the limits of the wish about which
    the offer tells nothing.
    """

    offer: Offer
    base_usd: float
    disk_usd: float
    traffic_usd: float
    download_wait_usd: float
    failure_usd: float
    outage_usd: float
    risk: Risk
    first_token: FirstToken
    wait_hours: float
    wait_usd_per_hour: float
    image: HostImage | None = None
    unchecked: tuple[str, ...] = ()

    @property
    def wait_usd(self) -> float:
        """What the waiting is worth; nobody bills it."""
        return self.wait_hours * self.wait_usd_per_hour

    @property
    def ranked_usd(self) -> float:
        """The sum that the ranking goes by: dollars and waiting."""
        return self.expected_usd + self.wait_usd

    @property
    def expected_usd(self) -> float:
        """What will be billed, as far as that can be expected."""
        start_usd = self.traffic_usd + self.download_wait_usd + self.failure_usd
        return start_usd + self.base_usd + self.disk_usd + self.outage_usd

    def to_dict(self) -> dict[str, Any]:
        """The offer's plain data with ``expected_cost`` and ``risk`` beside it."""
        return {
            **self.offer.to_dict(),
            "expected_cost": {
                "total_usd": round(self.expected_usd, 4),
                "base_usd": round(self.base_usd, 4),
                "disk_usd": round(self.disk_usd, 4),
                "traffic_usd": round(self.traffic_usd, 4),
                "download_wait_usd": round(self.download_wait_usd, 4),
                "failure_usd": round(self.failure_usd, 4),
                "outage_usd": round(self.outage_usd, 4),
            },
            "ranked_usd": round(self.ranked_usd, 4),
            "waiting": {
                "hours": round(self.wait_hours, 4),
                "usd_per_hour": self.wait_usd_per_hour,
                "usd": round(self.wait_usd, 4),
            },
            "first_token": self.first_token.to_dict(),
            "engine_image": self.image and asdict(self.image),
            "risk": {
                "failure_probability": round(self.risk.failure_probability, 3),
                "reasons": list(self.risk.reasons),
            },
            "unchecked": list(self.unchecked),
        }


def rank(
    offers: Iterable[Offer],
    usage: Usage,
    history: History | None = None,
    image_for: ImageFor = no_image,
) -> list[RankedOffer]:
    """Offers by expected cost and waiting, best first; ties go by id, so that runs agree.

    *image_for* tells which image has the engine, for a host like this.
    """
    listed, known = list(offers), history or History(None)
    risks = _risks(listed, known)
    paces = {name: known.paces(name) for name in {offer.provider for offer in listed}}
    priced = [
        _price(offer, usage, risk, paces[offer.provider].of(offer.machine_id), image_for(offer))
        for offer, risk in zip(listed, risks)
    ]
    return sorted(priced, key=lambda ranked: (ranked.ranked_usd, ranked.offer.id))


def choose(
    search: SharedSearch,
    wish: Wish,
    usage: Usage,
    history: History | None = None,
    image_for: ImageFor = no_image,
) -> list[RankedOffer]:
    """The offers that fulfil *wish*, best first.

    Raises RequestRefused with the reasons, counted, and the nearest offer when there is none.
    """
    offers = search.offers(wish)
    matches, _reasons = wish.select(offers)
    if matches:
        ranked = rank(matches, usage, history, image_for)
        return [replace(one, unchecked=tuple(wish.unchecked(one.offer))) for one in ranked]
    # Only now, for it is another call: people write the names of GPUs in many ways.
    meant = in_words_of(search.provider, wish)
    if meant.gpu_names != wish.gpu_names:
        return choose(search, meant, usage, history, image_for)
    raise nothing_fits(search, wish, offers)


def _risks(offers: list[Offer], history: History) -> list[Risk]:
    """The risk of each offer, from what it shows and what the history tells."""
    prices: dict[str, list[float]] = {}
    for offer in offers:
        prices.setdefault(gpu_key(offer.gpu_name), []).append(_usd_per_gpu_hour(offer))
    median = {name: statistics.median(known) for name, known in prices.items()}
    names = {offer.provider for offer in offers}
    records = {name: history.provider(name) for name in names}
    machines = {name: history.machines(name) for name in names}
    return [
        _risk(
            offer,
            _usd_per_gpu_hour(offer) / (median[gpu_key(offer.gpu_name)] or 1.0),
            records[offer.provider],
            machines[offer.provider].get(offer.machine_id or "", Record()),
        )
        for offer in offers
    ]


def _risk(offer: Offer, share_of_median: float, provider: Record, machine: Record) -> Risk:
    doubts = _doubts(offer, share_of_median)
    odds = Risk(_updated(_FAILING, _PROVIDER_WEIGHT, provider)).odds * _DOUBT ** len(doubts)
    told = (
        _told(f"attempts on {offer.provider}", provider),
        _told("attempts on this machine", machine),
    )
    return Risk(
        _updated(odds / (1.0 + odds), _MACHINE_WEIGHT, machine),
        (*doubts, *filter(None, told)),
    )


def _doubts(offer: Offer, share_of_median: float) -> list[str]:
    """What speaks against *offer*, given its price as a share of the same GPU's median."""
    told = [(doubt, getattr(offer, doubt.field)) for doubt in _DOUBTS]
    doubts = [doubt.reason for doubt, value in told if value is not None and doubt.applies(value)]
    if share_of_median < _CHEAP_SHARE:
        doubts.append(_CHEAP)
    untold = [name for field, name in _DECIDING.items() if getattr(offer, field) is None]
    if untold:
        doubts.append(", ".join(f"{name} {NOT_TOLD}" for name in untold))
    return doubts


def _updated(probability: float, weight: float, record: Record) -> float:
    """*probability*, worth *weight* attempts, after the attempts of *record*."""
    return (weight * probability + record.failed) / (weight + record.failed + record.served)


def _told(what: str, record: Record) -> str:
    made = record.failed + record.served
    return f"{record.failed} of {made} {what} failed" if made else ""


def _price(
    offer: Offer,
    installing: Usage,
    risk: Risk,
    paces: Mapping[str, float],
    image: HostImage | None,
) -> RankedOffer:
    ways = {
        one: first_token(offer, installing.with_image(one).work, paces) for one in (image, None)
    }
    # As fast as each other, the image has less that can fail.
    image = min(ways, key=lambda one: ways[one].total_seconds)
    way, usage = ways[image], installing.with_image(image)
    rate = offer.price_usd_per_hour
    usd_per_gib = _or(offer.download_usd_per_gib, _USUAL_USD_PER_GIB)
    reliability = _or(offer.reliability, _USUAL_RELIABILITY)
    failed_hours = _FAILED_ATTEMPT_HOURS + _download_hours(offer, usage.image_gib)
    gib = usage.image_gib + usage.download_gib
    wait_hours = way.total_seconds / 3600 + risk.odds * failed_hours
    return RankedOffer(
        offer=offer,
        base_usd=(rate - offer.disk_usd_per_hour) * usage.hours,
        disk_usd=offer.disk_usd_per_hour * usage.hours,
        traffic_usd=traffic_usd(offer, usage),
        download_wait_usd=rate * _download_hours(offer, gib),
        failure_usd=risk.odds * (rate * failed_hours + usd_per_gib * usage.image_gib),
        outage_usd=rate * usage.hours * min(max(0.0, 1.0 - reliability), _MOST_DOWN),
        risk=risk,
        first_token=way,
        wait_hours=wait_hours,
        wait_usd_per_hour=usage.wait_usd_per_hour,
        image=image,
    )


def traffic_usd(offer: Offer, usage: Usage) -> float:
    """What the image, the model and the packages cost to download."""
    usd_per_gib = _or(offer.download_usd_per_gib, _USUAL_USD_PER_GIB)
    return usd_per_gib * (usage.image_gib + usage.download_gib)


def _download_hours(offer: Offer, gib: float) -> float:
    told = _or(offer.download_mbit_per_second, USUAL_MBIT_PER_SECOND)
    mbit_per_second = max(told, _LEAST_MBIT_PER_SECOND)
    return gib * MBIT_PER_GIB / mbit_per_second / 3600


def _or(told: float | None, usual: float) -> float:
    return usual if told is None else told


def _usd_per_gpu_hour(offer: Offer) -> float:
    return offer.price_usd_per_hour / max(offer.gpu_count, 1)
