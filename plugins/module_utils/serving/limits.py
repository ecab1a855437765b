# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Has a server's start taken longer than it may?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from ..common.reasons import HUNG, NOT_READY


class Limit(NamedTuple):
    """What a start has passed: the option that sets it, why it is stopped, in a word and a line."""

    option: str
    reason: str
    event: str


def passed(
    seen: Mapping[str, Any],
    elapsed_seconds: float,
    seconds: float,
    checks_seconds: Mapping[str, float],
) -> Limit | None:
    """The limit that a server which starts, as it was observed, has passed; None when none."""
    check = seen.get("waiting_for") or ""
    doing = f"({seen['progress']}) and was stopped"
    if check in checks_seconds and seen["waiting_seconds"] > checks_seconds[check]:
        event = f"did not pass its check of {check} within {checks_seconds[check]:g} s {doing}"
        return Limit(f"check_timeouts_seconds.{check}", HUNG, event)
    if elapsed_seconds > seconds:
        return Limit("wait_timeout_seconds", NOT_READY, f"is not ready after {seconds:g} s {doing}")
    return None
