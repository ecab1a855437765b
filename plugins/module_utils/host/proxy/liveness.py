# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Does an engine behind a proxy get on with its work? What its figures say over time.

`/health` says 200 with a hung engine. An engine is at work when it answers and, with requests
pending, its tokens move. A long prompt is worked on for many seconds before its tokens are counted,
so that no token for a while is no proof of a frozen one, while silence is.
"""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

from ..engines.engine import Sample


class State(Enum):
    """What an engine may get. One that is `gone` or `stuck` gets nothing new, one that `hung` also
    loses what waits for it."""

    AT_WORK = "at work"
    STUCK = "stuck"
    GONE = "gone"
    HUNG = "hung"


class Limits(NamedTuple):
    """After how many seconds without an answer, and with requests and no token, it is stuck; after
    how many of either it hangs."""

    silence_seconds: float
    stalled_seconds: float
    hung_seconds: float


class Verdict(NamedTuple):
    """`reason` is for a person."""

    state: State
    reason: str


class Progress:
    """What was seen of one engine. Times are those of one clock, in seconds."""

    def __init__(self, limits: Limits, now: float) -> None:
        self.limits = limits
        self.answered_at = self.progressed_at = now
        self.progress: float | None = None
        self.pending = 0.0
        self.refusal: str | None = None

    def answered(self, sample: Sample, now: float) -> None:
        """It gave its figures, or at least an answer. Work that is done and none to do are both
        progress; so is the first request, which cannot have waited yet."""
        idle = not (sample.pending and self.pending)
        if idle or sample.progress != self.progress:
            self.progressed_at = now
        self.progress, self.pending = sample.progress, sample.pending
        self.answered_at, self.refusal = now, None

    def refused(self, why: str) -> None:
        """It takes nobody."""
        self.refusal = why

    def verdict(self, now: float) -> Verdict:
        silent, without = now - self.answered_at, now - self.progressed_at
        if self.refusal is not None:
            return Verdict(State.GONE, self.refusal)
        if without >= self.limits.hung_seconds:
            return Verdict(State.HUNG, f"no progress for {without:.0f} s")
        if silent >= self.limits.silence_seconds:
            return Verdict(State.STUCK, f"no answer for {silent:.1f} s")
        if without >= self.limits.stalled_seconds:
            return Verdict(
                State.STUCK, f"{self.pending:g} requests pending and no token in {without:.0f} s"
            )
        return Verdict(State.AT_WORK, "it answers")
