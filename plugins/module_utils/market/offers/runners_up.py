# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who else could have been rented, and why it was not: in dollars and minutes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .ranking import RankedOffer

_MOST = 3
#: A difference below this decides nothing that anybody would call a reason.
_LEAST_USD = 0.005


def runners_up(ranked: Sequence[RankedOffer], winner: RankedOffer) -> list[dict[str, Any]]:
    """The offers that come after the *winner*, best first, each with what it lost by."""
    after = ranked[ranked.index(winner) + 1 :]
    return [_lost(winner, other) for other in after[:_MOST]]


def _lost(winner: RankedOffer, other: RankedOffer) -> dict[str, Any]:
    offer = other.offer
    return {
        "id": offer.id,
        "machine_id": offer.machine_id,
        "gpu_name": offer.gpu_name,
        "price_usd_per_hour": offer.price_usd_per_hour,
        "total_usd": round(other.expected_usd, 4),
        "first_token_seconds": round(other.first_token.total_seconds, 1),
        "behind_usd": round(other.ranked_usd - winner.ranked_usd, 4),
        "why": _why(winner, other),
    }


def _why(winner: RankedOffer, other: RankedOffer) -> str:
    """What the *other* costs more of, and then what it costs less of, the most first."""
    differences = {
        "rent": _rent(other) - _rent(winner),
        "traffic": other.traffic_usd - winner.traffic_usd,
        "failures": other.failure_usd - winner.failure_usd,
        "waiting": other.wait_usd - winner.wait_usd,
    }
    notes = {"waiting": _minutes(winner, other), "failures": _doubts(winner, other)}
    most_first = sorted(differences.items(), key=lambda item: (-item[1], item[0]))
    told = [
        f"{name} {abs(usd):.2f} dollars {'more' if usd > 0 else 'less'}{notes.get(name, '')}"
        for name, usd in most_first
        if abs(usd) >= _LEAST_USD
    ]
    return ", ".join(told) or "as good, and after it by its id"


def _rent(one: RankedOffer) -> float:
    return one.base_usd + one.disk_usd + one.outage_usd + one.download_wait_usd


def _minutes(winner: RankedOffer, other: RankedOffer) -> str:
    mine, its = (one.first_token.total_seconds / 60 for one in (winner, other))
    return f" ({its:.1f} minutes to the first token instead of {mine:.1f})"


def _doubts(winner: RankedOffer, other: RankedOffer) -> str:
    fresh = [reason for reason in other.risk.reasons if reason not in winner.risk.reasons]
    return f" ({', '.join(fresh)})" if fresh else ""
