# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Has a server's start taken longer than it may?"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

from ..common.reasons import HUNG, NOT_READY

#: The host measures its disk and says how long a start may take: no longer than this. A terabyte at
#: 100 MB/s is read in three.
MOST_START_SECONDS = 4 * 3600.0


class Allowed(NamedTuple):
    """How long a start, and each of its checks, may take."""

    seconds: float
    checks_seconds: dict[str, float]


class Limit(NamedTuple):
    """What a start has passed: the option that sets it, why it is stopped, in a word and a line."""

    option: str
    reason: str
    event: str


def allowed(told: Any, asked_seconds: float | str | None) -> Allowed:
    """What is asked for, or else what the host has *told*, as far as that is reasonable."""
    told = told if isinstance(told, Mapping) else {}
    checks = told.get("checks_seconds")
    named = checks.items() if isinstance(checks, Mapping) else ()
    if asked_seconds is None:
        seconds = told.get("seconds") if _is_number(told.get("seconds")) else math.inf
        asked_seconds = min(float(seconds), MOST_START_SECONDS)
    return Allowed(
        float(asked_seconds), {str(name): value for name, value in named if _is_number(value)}
    )


def passed(
    seen: Mapping[str, Any],
    elapsed_seconds: float,
    seconds: float,
    checks_seconds: Mapping[str, float],
) -> Limit | None:
    """The limit that a server which starts, as it was observed, has passed; None when none."""
    check = seen.get("waiting_for") or ""
    doing = f"({seen['progress']}) and was stopped"
    waited = seen["waiting_seconds"] if check else 0
    if check in checks_seconds and _is_number(waited) and waited > checks_seconds[check]:
        event = f"did not pass its check of {check} within {checks_seconds[check]:g} s {doing}"
        return Limit(f"check_timeouts_seconds.{check}", HUNG, event)
    if elapsed_seconds > seconds:
        return Limit("wait_timeout_seconds", NOT_READY, f"is not ready after {seconds:g} s {doing}")
    return None


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
