# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Time and waiting: one clock for everything that waits, which tests can bring along."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Callable

#: ``<simulated epoch seconds> <real epoch seconds> <scale>``: at the real time, it was the
#: simulated one, and runs scale times as fast. For rehearsals against a simulated market.
ENVIRONMENT = "INFEROPS_CLOCK"


@dataclass(frozen=True)
class Clock:
    """Time in seconds: ``monotonic`` from any start, ``now`` since the epoch."""

    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    now: Callable[[], float] = time.time

    @classmethod
    def from_environment(cls) -> Clock:
        """The real clock, or the simulated one that INFEROPS_CLOCK describes."""
        told = os.environ.get(ENVIRONMENT)
        if not told:
            return cls()
        simulated, real, scale = (float(number) for number in told.split())
        return cls(
            monotonic=lambda: time.monotonic() * scale,
            sleep=lambda seconds: time.sleep(seconds / scale),
            now=lambda: simulated + (time.time() - real) * scale,
        )

    def ticks(
        self, total_seconds: float, interval_seconds: float | Callable[[float], float]
    ) -> Iterator[float]:
        """Yield the seconds waited so far, every interval, until the total is spent.

        The first tick comes at once, and one comes when the time is up. An interval that changes
        is a function of the seconds waited.
        """
        interval = (
            interval_seconds if callable(interval_seconds) else lambda _waited: interval_seconds
        )
        start = self.monotonic()
        while True:
            waited = self.monotonic() - start
            yield waited
            left = total_seconds - (self.monotonic() - start)
            if left <= 0:
                return
            self.sleep(min(interval(waited), left))
