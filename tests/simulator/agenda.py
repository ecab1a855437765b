# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is to happen at a simulated time: keys that expire, hosts that die, rentals that return."""

from __future__ import annotations

import heapq
import itertools
import threading
from collections.abc import Callable

Action = Callable[[], object]


class Agenda:
    """Actions by the simulated time at which they are due. Safe to use from several threads."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.order = itertools.count()  # of two that are due at once, the one added first
        self.coming: list[tuple[float, int, Action]] = []

    def add(self, due: float, action: Action) -> None:
        """Do ``action`` at ``due``, in simulated epoch seconds."""
        with self.lock:
            heapq.heappush(self.coming, (due, next(self.order), action))

    def next_due(self) -> float | None:
        """Return when the next action is due, None when there is none."""
        with self.lock:
            return self.coming[0][0] if self.coming else None

    def take(self, now: float) -> Action | None:
        """Remove and return the first action that is due at ``now``, None when none is."""
        with self.lock:
            if self.coming and self.coming[0][0] <= now:
                return heapq.heappop(self.coming)[2]
            return None

    def clear(self) -> None:
        """Forget everything."""
        with self.lock:
            self.coming.clear()
