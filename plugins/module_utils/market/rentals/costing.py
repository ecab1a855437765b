# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What was spent: the work of module rental_costs."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, NamedTuple

from ...common.private_files import holds, write_private
from ..clock import Clock
from ..costs.courses import Bills, Course, Known, courses, month_of, month_usd
from ..costs.export import Part, days_csv, focus_csv, moment, parts_of
from ..costs.sums import lines_of, summed
from ..errors import MarketError, RequestRefused
from ..failing import failure
from ..lines import UNUSABLE, why
from ..own import is_own
from .asking import ask_all, together
from .budget import bills_of, known_at
from .options import ACCOUNT_OPTIONS, accounts_of, make_lifecycle, make_provider, make_trail

RENTAL_COSTS_OPTIONS: dict[str, Any] = {
    **ACCOUNT_OPTIONS,
    "first_day": {"type": "str", "default": ""},
    "last_day": {"type": "str", "default": ""},
    "folder": {"type": "path"},
}
_DAY = re.compile(r"20[0-9]{2}-[0-9]{2}-[0-9]{2}")
#: Bills of before the period tell what its older rentals were billed.
_BILLS_BEFORE_SECONDS = 31 * 86_400.0
#: Bills are asked for no further back: a year has two hundred pages of them.
_MOST_BILLS_SECONDS = 366 * 86_400.0


class _Seen(NamedTuple):
    """What is known of the scope: by the audit trail, and by the marketplaces that answered."""

    rows: list[dict[str, Any]]
    known: Known
    bills: Bills
    unasked: list[str]
    warnings: list[str]


class _Answer(NamedTuple):
    """What one marketplace tells."""

    known: Known
    bills: Bills
    doubts: list[str]


def rental_costs(given: Mapping[str, Any], dry_run: bool = False) -> dict[str, Any]:
    """The result of module rental_costs, which documents it; sentences are under `warnings`.

    *given* has the shape of RENTAL_COSTS_OPTIONS. A failure says so under `failed`.
    """
    now = Clock.from_environment().now()
    try:
        begin, end = _period(given["first_day"], given["last_day"], now)
        seen = _seen(given, begin, now)
        known = courses(seen.rows, seen.known, seen.bills, given["scope"], now)
        parts = parts_of(known, begin, end, now)
        told, budget = summed(parts), _budget(given, known, now)
        files, changed = _written(given["folder"], parts, begin, dry_run)
    except (MarketError, ValueError) as error:
        return failure(error, "Nothing was changed.")
    period = f"{moment(begin)[:10]} to {moment(end - 1)[:10]} (UTC)"
    return {
        "changed": changed,
        **told,
        "since": moment(begin),
        "until": moment(end),
        "budget": budget,
        "lines": [*lines_of(told, period), *_budget_line(budget)],
        "files": files,
        "unasked": seen.unasked,
        "warnings": seen.warnings,
    }


def _seen(given: Mapping[str, Any], begin: float, now: float) -> _Seen:
    """What there is to know. Raises MarketError where nobody tells anything."""
    if not given["scope"]:
        raise RequestRefused(
            "scope is not set, so no rental is known to be yours.",
            remedy="Name the set of rentals that this fleet owns, such as prod.",
            money="Nothing was changed.",
        )
    rows = _rows(given)
    if is_own(given["provider"]):
        return _Seen(rows, Known(), Bills(), [], [])
    since = max(begin - _BILLS_BEFORE_SECONDS, now - _MOST_BILLS_SECONDS)
    told, failed = ask_all(accounts_of(given), lambda account: _at_one(account, since))
    if failed and not told and not rows:
        raise together([error for _account, error in failed])
    answers = [answer for _account, answer in told]
    unknown = [
        f"What is rented and billed at {account['provider']} is unknown, so the audit trail alone "
        f"tells of it: {error}"
        for account, error in failed
    ]
    return _Seen(
        rows,
        Known(
            [rental for one in answers for rental in one.known.rentals],
            frozenset(name for one in answers for name in one.known.asked),
        ),
        Bills(since, {key: it for one in answers for key, it in one.bills.charges.items()}),
        [account["provider"] for account, _error in failed],
        [*unknown, *(doubt for one in answers for doubt in one.doubts)],
    )


def _at_one(account: Mapping[str, Any], since: float) -> _Answer:
    clock = Clock.from_environment()
    listed = make_lifecycle(account, make_provider(account, clock), clock).account
    return _Answer(known_at([listed]), bills_of([listed], since), listed.doubts)


def _rows(given: Mapping[str, Any]) -> list[dict[str, Any]]:
    try:
        return make_trail(given).rows()
    except UNUSABLE as error:
        raise RequestRefused(
            f"The audit trail at {given['audit_path']} cannot be read: {why(error)}.",
            remedy="See whose it is (audit_path, inferops_audit_path).",
            money="Nothing was changed.",
        ) from error


def _period(first: str, last: str, now: float) -> tuple[float, float]:
    """From the first moment of one day to the last of the other, both of UTC."""
    begin = _midnight("first_day", first) if first else month_of(now)[0]
    end = _midnight("last_day", last) + 86_400 if last else (now // 86_400 + 1) * 86_400
    if begin >= end:
        raise RequestRefused(
            f"The first day ({first or moment(begin)[:10]}) is after the last one "
            f"({last or moment(now)[:10]}).",
            remedy="Give both, such as 2026-11-01 and 2026-11-30 (costs_since, costs_until).",
            money="Nothing was changed.",
        )
    return begin, end


def _midnight(option: str, day: str) -> float:
    try:
        if _DAY.fullmatch(day):
            return datetime.strptime(day, "%Y-%m-%d").replace(tzinfo=timezone.utc).timestamp()
    except ValueError:
        pass
    raise RequestRefused(
        f"{option} is {day[:40]!r}, which is no day.",
        remedy="Give it as year, month and day: 2026-11-30.",
        money="Nothing was changed.",
    )


def _budget(given: Mapping[str, Any], known: list[Course], now: float) -> dict[str, float] | None:
    """How much of this month's budget is left; None without one."""
    usd = given["monthly_budget_usd"]
    if not usd:
        return None
    spent, to_come = month_usd(known, now)
    return {
        "usd": usd,
        "spent_usd": round(spent, 4),
        "to_come_usd": round(to_come, 4),
        "left_usd": round(usd - spent - to_come, 4),
    }


def _budget_line(budget: Mapping[str, float] | None) -> list[str]:
    if budget is None:
        return []
    return [
        f"Of {budget['usd']:.2f} dollars for this month {budget['spent_usd']:.2f} are spent, and "
        f"{budget['to_come_usd']:.2f} will be by what is rented: {budget['left_usd']:.2f} are left."
    ]


def _written(
    folder: str | None, parts: list[Part], begin: float, dry_run: bool
) -> tuple[list[str], bool]:
    """The files that other programs read, and whether one of them is new or has changed."""
    if not folder:
        return [], False
    texts = {"costs.csv": days_csv(parts), "focus.csv": focus_csv(parts, begin)}
    try:
        paths = {Path(folder).expanduser() / name: text for name, text in texts.items()}
        if dry_run:
            return [], not all(holds(path, text) for path, text in paths.items())
        changed = [write_private(path, text) for path, text in paths.items()]
    except UNUSABLE as error:
        raise RequestRefused(
            f"The tables in {folder} cannot be written: {why(error)}.",
            remedy="Give another folder (folder, inferops_report_dir).",
            money="Nothing was changed.",
        ) from error
    return [str(path) for path in paths], any(changed)
