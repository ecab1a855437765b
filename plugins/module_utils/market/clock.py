# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Waiting: one loop for everything that waits, with a clock that tests can bring along."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Callable


@dataclass(frozen=True)
class Clock:
    """Time as the caller sees it, in seconds from any start."""

    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep

    def ticks(self, total_seconds: float, interval_seconds: float) -> Iterator[float]:
        """Yield the seconds waited so far, every interval, until the total is spent.

        The first tick comes at once, and one comes when the time is up.
        """
        start = self.monotonic()
        while True:
            waited = self.monotonic() - start
            yield waited
            left = total_seconds - (self.monotonic() - start)
            if left <= 0:
                return
            self.sleep(min(interval_seconds, left))
