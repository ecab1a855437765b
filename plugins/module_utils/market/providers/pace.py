# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Rate limits, obeyed by all processes of one controller together."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

from ..clock import Clock
from ..errors import RateLimited
from ..shared_file import SharedFile

#: Slots are this much further apart than the limit says, at most: N hosts never move in step.
_JITTER = 0.1
#: More than any queue of parallel hosts needs: longer is a pause that the provider has asked for.
LONGEST_WAIT_SECONDS = 600.0
#: Longer pauses are obeyed for an hour: a slot further away comes from another clock.
_FURTHEST_SECONDS = 3600.0


class Pace:
    """Hands out the times at which calls may be made, by kind of endpoint.

    ``seconds_between`` is the provider's limit for each kind; other kinds are free. Without a
    file the limits hold for this process alone.
    """

    def __init__(
        self, file: SharedFile | None, seconds_between: Mapping[str, float], clock: Clock
    ) -> None:
        self._file = file
        self._seconds_between = seconds_between
        self._clock = clock
        self._own: dict[str, Any] = {}

    def wait(self, kind: str) -> None:
        """Sleep until it is this caller's turn to call *kind*; RateLimited when that is far."""
        between = self._seconds_between.get(kind, 0.0)
        seconds = self._book(kind, 0.0, between * (1 + random.uniform(0, _JITTER)))
        if seconds > LONGEST_WAIT_SECONDS:
            raise RateLimited(
                f"The provider takes no calls of kind {kind} for another {seconds:.0f} s."
            )
        self._clock.sleep(seconds)

    def slow_down(self, kind: str, seconds: float) -> None:
        """Keep everybody from calling *kind* for so long; the provider asked for it."""
        self._book(kind, min(seconds, _FURTHEST_SECONDS), 0.0)

    def _book(self, kind: str, pause: float, between: float) -> float:
        """Move the next free slot, and return how long to wait for the one that was taken."""
        if self._file is None:
            return self._take(self._own, kind, pause, between)
        try:
            with self._file.locked() as slots:
                return self._take(slots, kind, pause, between)
        except OSError:
            return self._take(self._own, kind, pause, between)

    def _take(self, slots: dict[str, Any], kind: str, pause: float, between: float) -> float:
        now = self._clock.now()
        slot = max(now + pause, _slot(slots.get(kind), now))
        # Who does not wait so long takes no slot either.
        following = slot + (between if slot - now <= LONGEST_WAIT_SECONDS else 0.0)
        slots[kind] = {"at": following, "noted_at": now}
        return max(0.0, slot - now)


def _slot(told: Any, now: float) -> float:
    """The next free time that a file tells; 0 for none, where it is damaged or of another clock.

    A clock that was set back since would keep everybody away, also from releasing.
    """
    try:
        at, noted_at = float(told["at"]), float(told["noted_at"])
    except (TypeError, KeyError, ValueError, OverflowError):
        return 0.0
    return at if noted_at <= now and at - now <= _FURTHEST_SECONDS else 0.0
