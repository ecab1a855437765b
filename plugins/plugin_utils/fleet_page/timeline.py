# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The phases of each deployment, expected beside happened, as bars on one scale."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

#: The phases that are measured, as people call them, in their order.
PHASES = {"ssh": "SSH", "install": "Install", "launch": "Launch"}
#: Minutes between two marks of the scale: the first that leaves no more than so many marks.
_STEPS_MINUTES, _MOST_MARKS = (1, 2, 5, 10, 20, 30, 60, 120, 240, 480), 6


def timelines(rows: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """`lines`, one for each host whose deploy left a report, and the `marks` of their scale.

    A bar has `left` and `width` in percent of the scale.
    """
    measured = [(row, _phases(row["deploy"])) for row in rows if row["deploy"]]
    measured = [(row, phases) for row, phases in measured if phases]
    longest = max((max(_sums(phases)) for _row, phases in measured), default=0.0)
    if not longest:
        return {"lines": [], "marks": []}
    step = next(
        (one for one in _STEPS_MINUTES if longest / 60 / one <= _MOST_MARKS), _STEPS_MINUTES[-1]
    )
    # A little wider than the longest bar, so that no mark's text is cut.
    scale = longest * 1.08
    marks = range(0, int(scale / 60) + 1, step)
    return {
        "lines": [_line(row, phases, scale) for row, phases in measured],
        "marks": [
            {"left": _percent(mark * 60, scale), "text": f"{mark} min" if mark else "0"}
            for mark in marks
        ],
    }


def _phases(deploy: Mapping[str, Any]) -> dict[str, tuple[float | None, float | None]]:
    """Expected and happened seconds by phase; where nothing was expected, what happened alone."""
    told = deploy["first_token"]
    if told:
        pairs = {
            phase: (told[phase]["expected_seconds"], told[phase]["happened_seconds"])
            for phase in PHASES
            if phase in told
        }
    else:
        pairs = {phase: (None, seconds) for phase, seconds in deploy["seconds"].items()}
    return {phase: pair for phase, pair in pairs.items() if any(pair)}


def _sums(phases: Mapping[str, tuple[float | None, float | None]]) -> tuple[float, float]:
    expected = sum(max(one or 0.0, 0.0) for one, _happened in phases.values())
    return expected, sum(max(one or 0.0, 0.0) for _expected, one in phases.values())


def _line(
    row: Mapping[str, Any],
    phases: Mapping[str, tuple[float | None, float | None]],
    scale: float,
) -> dict[str, Any]:
    deploy, (expected, happened) = row["deploy"], _sums(phases)
    hoped = f"expected {expected / 60:.1f}" if expected else "nothing was expected"
    notes = []
    if not deploy["current"] and not row["own"]:
        notes.append("an earlier rental")
    if deploy["attempts"]:
        lost = f"{deploy['attempts']} failed attempts before it"
        notes.append(f"{lost}, {deploy['attempts_usd']:.4f} dollars")
    return {
        "host": row["host"],
        "took": f"{happened / 60:.1f} min, {hoped}",
        "notes": "; ".join(notes),
        "expected": _bars(phases, 0, scale),
        "happened": _bars(phases, 1, scale),
    }


def _bars(
    phases: Mapping[str, tuple[float | None, float | None]], which: int, scale: float
) -> list[dict[str, Any]]:
    bars, begin = [], 0.0
    for phase, pair in phases.items():
        seconds = max(pair[which] or 0.0, 0.0)
        if seconds:
            bars.append(
                {
                    "phase": phase,
                    "title": f"{PHASES[phase]}: {seconds / 60:.1f} min",
                    "left": _percent(begin, scale),
                    "width": _percent(seconds, scale),
                }
            )
        begin += seconds
    return bars


def _percent(seconds: float, scale: float) -> float:
    return round(100 * seconds / scale, 3)
