# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Rate limits, obeyed by all processes of one controller together."""

from __future__ import annotations

import random
from collections.abc import Mapping

from .clock import Clock
from .shared_file import SharedFile

#: Slots are this much further apart than the limit says, at most: N hosts never move in step.
_JITTER = 0.1


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
        self._own: dict[str, float] = {}

    def wait(self, kind: str) -> None:
        """Sleep until it is this caller's turn to call *kind*."""
        between = self._seconds_between.get(kind, 0.0)
        self._clock.sleep(self._book(kind, 0.0, between * (1 + random.uniform(0, _JITTER))))

    def slow_down(self, kind: str, seconds: float) -> None:
        """Keep everybody from calling *kind* for so long; the provider asked for it."""
        self._book(kind, seconds, 0.0)

    def _book(self, kind: str, pause: float, between: float) -> float:
        """Move the next free slot, and return how long to wait for the one that was taken."""
        if self._file is None:
            return self._take(self._own, kind, pause, between)
        try:
            with self._file.locked() as slots:
                return self._take(slots, kind, pause, between)
        except OSError:
            return self._take(self._own, kind, pause, between)

    def _take(self, slots: dict[str, float], kind: str, pause: float, between: float) -> float:
        now = self._clock.now()
        slot = max(now + pause, float(slots.get(kind, 0.0)))
        # A slot further away than any queue can be comes from another clock.
        if slot - now > 3600:
            slot = now + pause
        slots[kind] = slot + between
        return max(0.0, slot - now)
