# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ranking of offers by what the whole rental is expected to cost, with the sum shown."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from .errors import RequestRefused
from .model import Offer
from .provider import Provider
from .wish import Wish

#: Hours that a failed attempt costs on average: boot, waiting for SSH, installation.
_FAILED_ATTEMPT_HOURS = 0.25
#: Where a listing says nothing or nonsense, count on this much bandwidth.
_LEAST_MBIT_PER_SECOND = 10.0


@dataclass(frozen=True)
class Usage:
    """What the rental will be used for, as far as it decides its cost."""

    hours: float = 24.0
    download_gib: float = 10.0


@dataclass(frozen=True)
class RankedOffer:
    """An offer with its expected cost in dollars over the usage's hours, by part."""

    offer: Offer
    rent_usd: float
    traffic_usd: float
    download_wait_usd: float
    failure_usd: float

    @property
    def expected_usd(self) -> float:
        """The sum that the ranking goes by."""
        return self.rent_usd + self.traffic_usd + self.download_wait_usd + self.failure_usd

    def to_dict(self) -> dict[str, Any]:
        """The offer's plain data with ``expected_cost`` beside it."""
        return {
            **self.offer.to_dict(),
            "expected_cost": {
                "total_usd": round(self.expected_usd, 4),
                "rent_usd": round(self.rent_usd, 4),
                "traffic_usd": round(self.traffic_usd, 4),
                "download_wait_usd": round(self.download_wait_usd, 4),
                "failure_usd": round(self.failure_usd, 4),
            },
        }


def rank(offers: Iterable[Offer], usage: Usage) -> list[RankedOffer]:
    """Offers by expected cost, cheapest first; ties go by id, so that runs agree."""
    priced = (_price(offer, usage) for offer in offers)
    return sorted(priced, key=lambda ranked: (ranked.expected_usd, ranked.offer.id))


def choose(provider: Provider, wish: Wish, usage: Usage) -> list[RankedOffer]:
    """The offers of *provider* that fulfil *wish*, best first.

    Raises RequestRefused with the reasons, counted, when there is none.
    """
    offers = provider.search(wish)
    matches, reasons = wish.select(offers)
    if matches:
        return rank(matches, usage)
    if not offers:
        raise RequestRefused(
            f"{provider.name} has no offer for this wish. Widen it: fewer countries, another GPU, "
            "a higher maximum price, unverified hosts."
        )
    told = ", ".join(
        f"{reason} ({count})"
        for reason, count in sorted(reasons.items(), key=lambda item: -item[1])
    )
    raise RequestRefused(
        f"None of {len(offers)} offers of {provider.name} fulfils the wish. They fail by: {told}. "
        "Relax the first ones."
    )


def _price(offer: Offer, usage: Usage) -> RankedOffer:
    rate = offer.price_usd_per_hour
    mbit_per_second = max(offer.download_mbit_per_second, _LEAST_MBIT_PER_SECOND)
    download_hours = usage.download_gib * 8 * 1.024**3 * 1000 / mbit_per_second / 3600
    odds_of_failure = 1.0 - min(max(offer.reliability, 0.01), 1.0)
    return RankedOffer(
        offer=offer,
        rent_usd=rate * usage.hours,
        traffic_usd=offer.download_usd_per_gib * usage.download_gib,
        download_wait_usd=rate * download_hours,
        failure_usd=odds_of_failure / (1.0 - odds_of_failure) * rate * _FAILED_ATTEMPT_HOURS,
    )
