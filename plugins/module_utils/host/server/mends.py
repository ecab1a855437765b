# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How often a server was mended by itself lately, and whether it may be once more.

It is noted on the host, for the jobs that alerts start remember nothing.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from ..machine.files import read_json, write_json

FILE = "mends.json"


class Verdict(NamedTuple):
    """The times of the attempts that count, in epoch seconds, and whether one more is allowed."""

    at: list[float]
    allowed: bool


def judged(noted: Any, now: float, window_seconds: float, most: int) -> Verdict:
    """Judge by what a file says, whatever it says. Who set a clock back gains no attempt by it."""
    at = sorted(time for time in _times(noted) if time > now - window_seconds)
    return Verdict(at, len(at) < most)


def _times(noted: Any) -> Iterator[float]:
    for time in noted if isinstance(noted, list) else ():
        if isinstance(time, (int, float)) and not isinstance(time, bool) and math.isfinite(time):
            yield float(time)


def attempts(folder: Path) -> Any:
    """What is noted of the server with this folder."""
    return (read_json(folder / FILE) or {}).get("at")


def note(folder: Path, at: list[float]) -> None:
    """Write the attempts down. Raises OSError."""
    write_json(folder / FILE, {"at": at})
