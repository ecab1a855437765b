# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What each rental has cost and when: from the audit trail, what is rented now, and bills.

None of the three knows all. The trail has what its controllers did, a listing what bills now, and
bills, where a provider tells them, what it charges in the end. They are joined by provider and id.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, timezone
from typing import Any

from ..mark import mark_of
from ..model import DEAD, Charge, Rental
from ..trail import (
    EVENTS,
    REFUSED,
    RELEASED,
    RENTED,
    REQUESTED,
    STARTED,
    STOPPED,
    row_of,
)

#: How a rental stands: it bills, or its disk alone does; it was proven gone; it is gone, and nobody
#: wrote when; nobody knows whether it bills; or nothing but its bill tells of it.
BILLS, STANDS, RELEASED_ONE = "bills", "stands still", "released"
ENDED, UNCLEAR, BILLED = "ended", "unclear", "billed"
#: By then a bill names all that it is for.
_FINAL_AFTER_SECONDS = 86_400.0
#: What was asked for so long ago is in a listing by now, if it is there at all.
PENDING_SECONDS = 900.0
#: No price is that high, and no time later than the year 2286.
_MOST = 1e10


@dataclass(frozen=True)
class Known:
    """What providers list now, whosever it is, and which of them were asked and have answered."""

    rentals: Sequence[Rental] = ()
    asked: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Bills:
    """What providers have charged after ``since`` (epoch seconds), by provider and rental id."""

    since: float = 0.0
    charges: Mapping[tuple[str, str], Charge] = field(default_factory=dict)

    def of(self, key: tuple[str, str], begin: float) -> float | None:
        """What one that began then was billed; None where that is not told, or a part of it alone.

        Bills are those of whole days.
        """
        charge = self.charges.get(key)
        return charge.usd if charge and begin >= self.since else None


@dataclass(frozen=True)
class Span:
    """A time in which a rental cost the same. Times are in epoch seconds, by its provider."""

    begin: float
    end: float
    usd_per_hour: float
    running: bool = True

    @property
    def usd(self) -> float:
        """What it cost, in dollars."""
        return max(0.0, self.end - self.begin) / 3600 * self.usd_per_hour

    def within(self, begin: float, end: float) -> Span:
        """The part of it in that time, which may be none."""
        begin, end = max(self.begin, begin), min(self.end, end)
        return replace(self, begin=begin, end=max(begin, end))


@dataclass(frozen=True)
class Course:
    """What became of one rental. ``end`` is None while it bills, and ``deadline`` 0 without one.

    ``billed_usd`` is None where no bill tells. ``price_usd_per_hour`` is what it bills now. One
    that ``stood_unseen`` stands still, or has, and nobody wrote since when.
    """

    provider: str
    rental: str
    scope: str
    name: str
    gpu: str
    gpu_count: int
    operator: str
    job: str
    state: str
    deadline: int
    end: float | None
    spans: tuple[Span, ...]
    price_usd_per_hour: float | None = None
    billed_usd: float | None = None
    stood_unseen: bool = False

    @property
    def begin(self) -> float | None:
        """From when on it cost anything; None where nobody knows."""
        return self.spans[0].begin if self.spans else None

    @property
    def estimated_usd(self) -> float:
        """What it has cost by its prices and times."""
        return sum(span.usd for span in self.spans)

    def cost_usd(self, now: float) -> float:
        """By its bill once that is whole; until then the larger one of bill and estimate.

        Where nobody wrote when it ended or stopped, its bill alone knows.
        """
        if self.billed_usd is None:
            return self.estimated_usd
        is_whole = self.end is not None and now - self.end > _FINAL_AFTER_SECONDS
        if is_whole or self.stood_unseen or self.state in (ENDED, BILLED):
            return self.billed_usd
        return max(self.billed_usd, self.estimated_usd)

    def parts(self, begin: float, end: float, now: float) -> Iterator[tuple[Span, float]]:
        """The part of each of its days in that time, with what it cost; days are those of UTC.

        A bill is shared out by the estimate. What only its bill tells is of the day of its request.
        """
        estimated, cost = self.estimated_usd, self.cost_usd(now)
        if self.spans and not estimated and cost:
            if begin <= self.spans[0].begin < end:
                yield self.spans[0], cost
            return
        for span in self.spans:
            for day in _days(span.within(begin, end)):
                yield day, day.usd * cost / estimated if estimated else 0.0

    def usd_within(self, begin: float, end: float, now: float) -> float:
        """What it has cost in that time. All of it where nobody knows when it was."""
        if not self.spans:
            return self.cost_usd(now)
        return sum(usd for _day, usd in self.parts(begin, end, now))

    def still_to_come_usd(self, now: float, until: float) -> float:
        """What it will cost until then, or until its deadline where that comes first.

        One that is past its deadline bills until somebody ends it.
        """
        if self.state not in (BILLS, STANDS, UNCLEAR):
            return 0.0
        end = min(self.deadline, until) if self.deadline > now else until
        return max(0.0, end - now) / 3600 * (self.price_usd_per_hour or 0.0)


def month_of(now: float) -> tuple[float, float]:
    """When the month of UTC that *now* is in begins and ends, in epoch seconds."""
    first = datetime.fromtimestamp(now, timezone.utc).replace(
        day=1, hour=0, minute=0, second=0, microsecond=0
    )
    return first.timestamp(), (first + timedelta(days=32)).replace(day=1).timestamp()


def month_usd(known: Iterable[Course], now: float) -> tuple[float, float]:
    """What these have cost in the month of *now*, and what they will by its end."""
    begin, end = month_of(now)
    each = list(known)
    spent = sum(one.usd_within(begin, end, now) for one in each)
    return spent, sum(one.still_to_come_usd(now, end) for one in each)


def courses(
    rows: Iterable[Mapping[str, Any]],
    known: Known,
    bills: Bills,
    scope: str,
    now: float,
) -> list[Course]:
    """What became of the rentals of *scope*, oldest first.

    *rows* are those of an audit trail. Those that make no sense are left out.
    """
    sound = [row for row in rows if _is_sound(row)]
    living = {(one.provider, one.id): one for one in known.rentals}
    by_id: dict[tuple[str, str], list[Mapping[str, Any]]] = {key: [] for key in living}
    requested: dict[str, Mapping[str, Any]] = {}
    for row in sound:
        if row["event"] == REQUESTED:
            requested[str(row.get("nonce"))] = row
            continue
        if row["event"] in (REFUSED, RENTED):
            requested.pop(str(row.get("nonce")), None)
        if row["event"] != REFUSED:
            by_id.setdefault((row["provider"], row["rental"]), []).append(row)
    found = [_course(key, its, known, living.get(key), bills, now) for key, its in by_id.items()]
    found += [
        _of_bill(key, one, bills.since) for key, one in bills.charges.items() if key not in by_id
    ]
    listed = {one.mark.nonce for one in known.rentals if one.mark}
    found += [
        _pending(row, now)
        for nonce, row in requested.items()
        if nonce not in listed and now - row["time"] < PENDING_SECONDS
    ]
    mine = [one for one in found if one.scope == scope]
    return sorted(mine, key=lambda one: (one.begin or 0.0, one.provider, one.rental))


def _course(
    key: tuple[str, str],
    rows: list[Mapping[str, Any]],
    known: Known,
    living: Rental | None,
    bills: Bills,
    now: float,
) -> Course:
    rows = sorted(rows, key=lambda row: float(row["time"]))
    told = _all_told(rows, living)
    deadline = int(told.get("deadline") or 0)
    end, state = _ending(key, rows, known, living, deadline, now)
    spans = tuple(_spans(told, rows, now if end is None else end))
    stands = state == STANDS
    stopped = any(row["event"] == STOPPED for row in rows)
    return Course(
        provider=key[0],
        rental=key[1],
        scope=str(told.get("scope", "")),
        name=str(told.get("name", "")),
        gpu=str(told.get("gpu", "")),
        gpu_count=int(told.get("gpu_count") or 0),
        operator=_first(rows, "operator"),
        job=_first(rows, "job"),
        state=state,
        deadline=deadline,
        end=end,
        spans=spans,
        price_usd_per_hour=told.get("stopped_usd_per_hour" if stands else "price_usd_per_hour"),
        billed_usd=bills.of(key, spans[0].begin),
        stood_unseen=told.get("status") in DEAD and not stopped,
    )


def _all_told(rows: list[Mapping[str, Any]], living: Rental | None) -> dict[str, Any]:
    """What its rows say of it, the last one first, and its listing before all of them."""
    told: dict[str, Any] = {}
    for row in [*rows, *([row_of(living)] if living else [])]:
        told |= {name: value for name, value in row.items() if value not in (None, "")}
    return told


def _ending(
    key: tuple[str, str],
    rows: list[Mapping[str, Any]],
    known: Known,
    living: Rental | None,
    deadline: int,
    now: float,
) -> tuple[float | None, str]:
    """When it ended, None while it bills, and how it stands."""
    if living is not None:
        return None, STANDS if living.status in DEAD else BILLS
    released = [float(row["time"]) for row in rows if row["event"] == RELEASED]
    if released:
        return min(released), RELEASED_ONE
    is_sure = key[0] in known.asked and now - rows[-1]["time"] > PENDING_SECONDS
    return _unseen_end(is_sure, deadline, now)


def _unseen_end(is_sure: bool, deadline: int, now: float) -> tuple[float | None, str]:
    """When something ended that nobody has released, and how it stands.

    It is not in a listing. Where none was asked for, or none since it was rented, it may bill until
    its deadline.
    """
    if is_sure or 0 < deadline < now:
        return min(deadline or now, now), ENDED
    return None, UNCLEAR


def _spans(told: Mapping[str, Any], rows: list[Mapping[str, Any]], end: float) -> Iterator[Span]:
    """The times in which it ran and stood still, by its *rows* from the first to the last one.

    The last price counts for all that it ran.
    """
    running_usd = float(told.get("price_usd_per_hour") or 0.0)
    stopped_usd = float(told.get("stopped_usd_per_hour") or 0.0)
    begin = float(told.get("since") or told.get("created_at") or (rows[0]["time"] if rows else 0.0))
    running = True
    for row in rows:
        if row["event"] not in (STOPPED, STARTED) or not begin <= row["time"] <= end:
            continue
        yield Span(begin, row["time"], running_usd if running else stopped_usd, running)
        begin, running = row["time"], row["event"] == STARTED
    yield Span(begin, max(begin, end), running_usd if running else stopped_usd, running)


def _first(rows: Sequence[Mapping[str, Any]], name: str) -> str:
    """Who rented it, not who did something to it later."""
    made = [row for row in rows if row["event"] == RENTED]
    return next((str(row[name]) for row in made if row.get(name)), "")


def _of_bill(key: tuple[str, str], charge: Charge, since: float) -> Course:
    """A rental that nothing but its bill of after *since* tells of."""
    mark = mark_of(charge.label or "")
    began = max(mark.created_at, since) if mark and mark.created_at else 0.0
    return Course(
        provider=key[0],
        rental=key[1],
        scope=mark.scope if mark else "",
        name=mark.name if mark else "",
        gpu="",
        gpu_count=0,
        operator="",
        job="",
        state=BILLED,
        deadline=mark.deadline if mark else 0,
        end=None,
        spans=(Span(began, began, 0.0),) if began else (),
        billed_usd=charge.usd,
    )


def _pending(row: Mapping[str, Any], now: float) -> Course:
    """What a request without an answer may have rented."""
    rented = {**row, "event": RENTED}
    return _course((row["provider"], ""), [rented], Known(), None, Bills(), now)


def _is_sound(row: Mapping[str, Any]) -> bool:
    numbers = ("time", "price_usd_per_hour", "stopped_usd_per_hour", "since", "deadline")
    texts = ("event", "provider", "rental")
    return (
        row.get("event") in EVENTS
        and row.get("time") is not None
        and all(isinstance(row.get(name), str) for name in texts)
        and all(row.get(name) is None or _is_number(row[name]) for name in numbers)
        and all(_is_number(row.get(name) or 0) for name in ("created_at", "gpu_count"))
    )


def _is_number(value: Any) -> bool:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return is_number and 0 <= value < _MOST


def _days(span: Span) -> Iterator[Span]:
    """A span in pieces, one for each day of UTC."""
    begin = span.begin
    while begin < span.end:
        midnight = (begin // 86_400 + 1) * 86_400
        yield replace(span, begin=begin, end=min(midnight, span.end))
        begin = midnight
