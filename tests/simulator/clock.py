# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The simulated clock: real time times a scale, plus what a test has added."""

from __future__ import annotations

import time
from collections.abc import Callable


class Clock:
    """Seconds since the epoch on the simulated market. ``real`` gives real seconds."""

    def __init__(self, real: Callable[[], float] = time.time) -> None:
        self.real = real
        self.scale = 1.0
        self.simulated_base = self.real_base = real()

    def now(self) -> float:
        """Return the simulated time in seconds since the epoch."""
        return self.simulated_base + (self.real() - self.real_base) * self.scale

    def advance_to(self, simulated: float) -> None:
        """Jump forward to a simulated time; one that has passed changes nothing."""
        self.simulated_base += max(0.0, simulated - self.now())

    def rescale(self, scale: float) -> None:
        """Let simulated time run ``scale`` times as fast as real time from now on."""
        if scale < 0:
            raise ValueError("scale must not be negative")
        self.simulated_base, self.real_base = self.now(), self.real()
        self.scale = scale
