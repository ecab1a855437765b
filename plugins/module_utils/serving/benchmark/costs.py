# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What tokens cost on a rental that bills by the hour, at the speed that was measured."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .reading import number

_MILLION = 1_000_000


def usd_per_million(
    price_usd_per_hour: float | None, tokens_per_second: float | None
) -> float | None:
    """Dollars for a million tokens; None where price or speed is not known.

    As long as the load lasts: an hour in which nobody asks costs as much.
    """
    if price_usd_per_hour is None or not tokens_per_second:
        return None
    return round(price_usd_per_hour / (tokens_per_second * 3600) * _MILLION, 4)


def price_of(rental: Mapping[str, Any]) -> float | None:
    """Dollars an hour; None for a host of one's own, and where the provider does not tell."""
    return None if rental.get("own") else number(rental.get("price_usd_per_hour"))


def priced(load: Mapping[str, Any], price_usd_per_hour: float | None) -> dict[str, Any]:
    """A load with what its tokens cost, those of the answers alone, and all."""

    def cost(name: str) -> float | None:
        return usd_per_million(price_usd_per_hour, load[name])

    return {
        **load,
        "usd_per_million_output_tokens": cost("output_tokens_per_second"),
        "usd_per_million_tokens": cost("tokens_per_second"),
    }
