# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What became of the rental requests of one call, for people and as data."""

from __future__ import annotations

from collections import Counter
from typing import Any

from ..errors import AttemptsExhausted
from ..model import Offer

NOTHING_BILLS = "Nothing was rented, nothing bills."
_LATER = "Run again later: the provider does not show what it rents as it should."
#: What became of an attempt that did not end with a rental, for people, and what helps.
_OUTCOMES = {
    "claimed": (
        "on machines that other hosts of this play rent",
        "Widen the wish, or deploy fewer hosts at once.",
    ),
    "gone": ("taken meanwhile", "Run again, or widen the wish: the market moves."),
    "refused": ("refused by their provider", "See what it says."),
    "unlisted": ("rented but never listed as it should be, and released", _LATER),
    "unusable": (
        "rented but stopped, and released",
        "See what the provider says of it, and the account's credit.",
    ),
    "interruptible": ("rented, yet such as others may outbid, and released", _LATER),
    "dearer": (
        "charged more than allowed, and released",
        "Raise max_price_usd_per_hour or budget_usd, or wish for another GPU.",
    ),
}


#: Outcomes of which the last attempt's own message tells more.
_TOLD = ("refused", "unlisted", "unusable", "interruptible", "dearer")


def exhausted(attempts: list[dict[str, Any]]) -> AttemptsExhausted:
    """Why none of the attempts ended with a rental, and what helps against the most of them."""
    counted = Counter(attempt["outcome"] for attempt in attempts).most_common()
    told = ", ".join(f"{count} {_OUTCOMES[outcome][0]}" for outcome, count in counted)
    # What is not the market's usual run of things is told in the provider's words.
    last = attempts[-1]["message"] if attempts and counted[0][0] in _TOLD else ""
    cause = f"None of {len(attempts)} offers could be rented{': ' + told if told else ''}."
    error = AttemptsExhausted(
        f"{cause} Of the last one: {last}" if last else cause,
        remedy=_OUTCOMES[counted[0][0]][1] if counted else "",
        money=nothing_bills(attempts),
    )
    error.attempts = attempts
    return error


def nothing_bills(attempts: list[dict[str, Any]]) -> str:
    """What is at stake once nothing is left of the attempts."""
    spent = sum(attempt["cost_usd"] for attempt in attempts)
    if not spent:
        return NOTHING_BILLS
    return f"What was rented was released and proven gone, for about {spent:.4f} dollars."


def tried(offer: Offer, outcome: str, message: str, cost: float = 0.0) -> dict[str, Any]:
    return {
        "provider": offer.provider,
        "offer": offer.id,
        "machine_id": offer.machine_id,
        "price_usd_per_hour": offer.price_usd_per_hour,
        "outcome": outcome,
        "message": message,
        "cost_usd": cost,
    }
