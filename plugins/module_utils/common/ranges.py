# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which numbers options and variables may have, by their unit: one table for all of them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Range:
    """The numbers that an option may have, and the words that may stand in for one."""

    low: float = 0
    high: float = math.inf
    words: tuple[str, ...] = ()

    def __contains__(self, value: Any) -> bool:
        if isinstance(value, str) and value in self.words:
            return True
        try:
            return self.low <= float(value) <= self.high and math.isfinite(float(value))
        except (TypeError, ValueError, OverflowError):
            return False

    def __str__(self) -> str:
        limits = f"at least {self.low:g}"
        if self.high != math.inf:
            limits = f"from {self.low:g} to {self.high:.12g}"
        return " or ".join([*self.words, limits])


#: Ten years. What is longer was a slip, and its rental would bill until somebody remembers it.
MOST_HOURS = 87_600.0
_TIME = Range(0, MOST_HOURS * 3600)
#: What was measured, and lies in the past as well as in the future.
_ANY_TIME = Range(-_TIME.high, _TIME.high)
_DOLLARS = Range(0, 10_000_000)
#: By the end of a name, where its unit stands; the first that suits counts.
RANGES: tuple[tuple[str, Range], ...] = (
    ("inferops_server_port", Range(1, 65535, ("auto",))),
    ("inferops_engine_port", Range(1, 65535, ("auto",))),
    ("_ports", Range(1, 65535)),
    ("_port", Range(0, 65535)),
    ("extend_hours", Range(0.05, MOST_HOURS)),
    ("keys_overlap_seconds", Range(0, 3000)),
    ("_share", Range(0, 1)),
    ("_reliability", Range(0, 1)),
    ("_concurrencies", Range(1)),
    ("_concurrency", Range(1)),
    ("_count", Range(1)),
    ("_loads", Range(1)),
    ("_ms", Range()),
    ("_percent", Range()),
    ("_requests", Range()),
    ("_attempts", Range(1)),
    ("_steps", Range(1)),
    ("_tokens", Range(1)),
    ("_len", Range(1)),
    ("_bytes", Range()),
    ("_gib", Range()),
    ("_hours", Range(0, MOST_HOURS)),
    ("_mbit_per_second", Range()),
    ("_kib", Range(1)),
    ("_mib", Range(1)),
    ("_orphans", Range()),
    ("_remaining_seconds", _ANY_TIME),
    ("_switch_seconds", _ANY_TIME),
    ("_offset_seconds", _ANY_TIME),
    ("_seconds", _TIME),
    ("_usd", _DOLLARS),
    ("_usd_per_hour", _DOLLARS),
)


#: What a slip in costs money, or a wait without end.
_OF_MONEY_AND_TIME = ("_hours", "_seconds", "_usd", "_usd_per_hour")


def range_of(name: str) -> Range | None:
    """The numbers that a variable or an option of this name may have."""
    return next((allowed for end, allowed in RANGES if f"_{name}".endswith(end)), None)


def beyond(options: Mapping[str, Any]) -> Iterator[str]:
    """Which options about money and time, as a task has them, have no number that they may.

    A sentence each. What is no number at all is refused by its type.
    """
    for name, value in options.items():
        allowed = range_of(name)
        if not allowed or not f"_{name}".endswith(_OF_MONEY_AND_TIME) or not _is_number(value):
            continue
        if value not in allowed:
            yield f"{name} must be {allowed}, not {value}."


def _is_number(value: Any) -> bool:
    try:
        float(value)
    except (TypeError, ValueError):
        return False
    except OverflowError:  # a whole number with more digits than any
        return True
    return True
