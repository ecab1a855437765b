# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What was looked at before a deploy, and what came of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

#: As it should be; worth to know, and no obstacle; an obstacle; and what nobody could find out.
OK, NOTE, FAILED, UNKNOWN = "ok", "note", "failed", "unknown"


class Problem(NamedTuple):
    """What keeps a deploy from renting, and what to do about it: a sentence each."""

    cause: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.cause} {self.remedy}"


@dataclass(frozen=True)
class Check:
    """``told`` and ``remedy`` are sentences; what needs no change has no remedy."""

    name: str
    state: str
    told: str
    remedy: str = ""


def judged(name: str, problems: Iterable[Problem], told: str) -> list[Check]:
    """One failed check for each problem; where there is none, one that is OK and says *told*."""
    failed = [Check(name, FAILED, one.cause, one.remedy) for one in problems]
    return failed or [Check(name, OK, told)]
