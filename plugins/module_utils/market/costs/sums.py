# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What rentals have cost in a time, summed up for people and as data."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from .courses import BILLED, BILLS, ENDED, STANDS, UNCLEAR, Course
from .export import Part, basis, moment

#: What there is to say of a rental that ended well: nothing.
_NOTES: Mapping[str, str] = {
    BILLS: "bills on",
    STANDS: "stands still, and its disk bills",
    ENDED: "ended, and nobody wrote when",
    UNCLEAR: "may bill: no listing shows it, or none was to be had",
    BILLED: "known by its bill alone",
}


def summed(parts: list[Part]) -> dict[str, Any]:
    """A row for each rental, and sums by what people ask for. Dollars, to 0.0001."""
    of_each: dict[int, list[Part]] = {}
    for part in parts:
        of_each.setdefault(id(part.course), []).append(part)
    known = [its[0].course for its in of_each.values()]
    keys: dict[str, Callable[[Part], str]] = {
        "day": lambda part: moment(part.span.begin)[:10] if part.span else "",
        "name": lambda part: part.course.name,
        "job": lambda part: part.course.job,
        "operator": lambda part: part.course.operator,
        "provider": lambda part: part.course.provider,
        "gpu": lambda part: part.course.gpu,
    }
    rows = [_row(its[0].course, its) for its in of_each.values()]
    return {
        "rentals": rows,
        "by": {name: _by(parts, key) for name, key in keys.items()},
        "cost_usd": _dollars(part.usd for part in parts),
        "estimated_usd": _dollars(part.estimated_usd for part in parts),
        "usd_per_hour": _dollars(
            one.price_usd_per_hour or 0.0 for one in known if one.state in (BILLS, STANDS, UNCLEAR)
        ),
    }


def lines_of(told: Mapping[str, Any], period: str) -> list[str]:
    """The sums as a table for people, dearest rental first."""
    rows = sorted(told["rentals"], key=lambda row: -float(row["cost_usd"]))
    lines = [_line(row) for row in rows]
    days = [f"{day or 'day unknown'}: {usd:.4f}" for day, usd in told["by"]["day"].items()]
    count = {0: "no rental", 1: "1 rental"}.get(len(rows), f"{len(rows)} rentals")
    total = f"{period}: {told['cost_usd']:.4f} dollars for {count}"
    if told["usd_per_hour"]:
        total += f", and {told['usd_per_hour']:.4f} an hour from now on"
    return [*lines, *(days if len(days) > 1 else []), f"{total}."]


def _line(row: Mapping[str, Any]) -> str:
    gpus = f"{row['gpu_count']} x {row['gpu']}" if row["gpu"] else "GPU not told"
    notes = [_NOTES.get(row["state"], ""), f"job {row['job']}" if row["job"] else ""]
    note = "".join(f", {one}" for one in notes if one)
    billed = "" if row["billed_usd"] is None else f" ({row['billed_usd']:.4f} billed)"
    return (
        f"{row['name'] or 'no name'}: {row['cost_usd']:.4f} dollars{billed}, {row['hours']:.2f} h, "
        f"{gpus}, rental {row['rental'] or '(no id)'} of {row['provider']}{note}"
    )


def _row(course: Course, parts: list[Part]) -> dict[str, Any]:
    spans = [part.span for part in parts if part.span]
    return {
        "provider": course.provider,
        "rental": course.rental,
        "name": course.name,
        "gpu": course.gpu,
        "gpu_count": course.gpu_count,
        "operator": course.operator,
        "job": course.job,
        "state": course.state,
        "began_at": moment(course.begin) if course.begin else "",
        "ended_at": moment(course.end) if course.end else "",
        "hours": round(sum(span.end - span.begin for span in spans) / 3600, 4),
        "price_usd_per_hour": course.price_usd_per_hour,
        "estimated_usd": _dollars(part.estimated_usd for part in parts),
        "billed_usd": course.billed_usd,
        "cost_usd": _dollars(part.usd for part in parts),
        "basis": basis(course),
    }


def _by(parts: Iterable[Part], key: Callable[[Part], str]) -> dict[str, float]:
    sums: dict[str, float] = {}
    for part in parts:
        sums[key(part)] = sums.get(key(part), 0.0) + part.usd
    return {name: round(usd, 4) for name, usd in sorted(sums.items())}


def _dollars(parts: Iterable[float]) -> float:
    return round(sum(parts), 4)
