# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Costs for other programs: a table of days, and the same in the terms of FOCUS.

FOCUS is the FinOps Open Cost and Usage Specification, here of version 1.2, by which the bills of
all clouds are read alike: https://focus.finops.org
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from .courses import Course, Span, month_of

#: What a spreadsheet takes for the beginning of a formula.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_CURRENCY, _UNIT = "USD", "Hours"


@dataclass(frozen=True)
class Part:
    """What a rental has cost on a day, or in a part of it. ``span`` is None for unknown times."""

    course: Course
    span: Span | None
    usd: float
    estimated_usd: float


def parts_of(known: Iterable[Course], begin: float, end: float, now: float) -> list[Part]:
    """What rentals have cost in that time, day by day. Times are in epoch seconds."""
    return [part for course in known for part in _parts(course, begin, end, now)]


def _parts(course: Course, begin: float, end: float, now: float) -> Iterator[Part]:
    if not course.spans:
        yield Part(course, None, course.cost_usd(now), 0.0)
    for span, usd in course.parts(begin, end, now):
        yield Part(course, span, usd, span.usd)


def days_csv(parts: Iterable[Part]) -> str:
    """A line for each day of each rental, for spreadsheets."""
    return _csv([_day(part) for part in parts], list(_day(_NOTHING)))


def focus_csv(parts: Iterable[Part], begin: float) -> str:
    """The same as a data set of FOCUS 1.2. What happened at unknown times is of *begin*."""
    rows = [_focus(part, begin) for part in parts]
    return _csv(rows, list(_focus(_NOTHING, begin)))


def moment(seconds: float) -> str:
    """A time as FOCUS writes it."""
    return f"{datetime.fromtimestamp(seconds, timezone.utc):%Y-%m-%dT%H:%M:%SZ}"


_NOTHING = Part(
    Course("", "", "", "", "", 0, "", "", "", 0, None, ()), Span(0.0, 0.0, 0.0), 0.0, 0.0
)


def _csv(rows: Iterable[Mapping[str, Any]], columns: list[str]) -> str:
    stream = io.StringIO()
    writer = csv.DictWriter(stream, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: _cell(value) for name, value in row.items()} for row in rows)
    return stream.getvalue()


def _cell(value: Any) -> Any:
    is_formula = isinstance(value, str) and value.startswith(_FORMULA)
    return f"'{value}" if is_formula else value


def _dollars(usd: float) -> str:
    return f"{usd:.6f}"


def _hours(span: Span | None) -> float:
    return (span.end - span.begin) / 3600 if span else 0.0


def _day(part: Part) -> dict[str, Any]:
    course, span = part.course, part.span
    return {
        "day": moment(span.begin)[:10] if span else "",
        "provider": course.provider,
        "rental": course.rental,
        "name": course.name,
        "job": course.job,
        "operator": course.operator,
        "gpu": course.gpu,
        "gpu_count": course.gpu_count,
        "state": course.state,
        "runs": "" if span is None else span.running,
        "hours": f"{_hours(span):.4f}",
        "usd_per_hour": f"{span.usd_per_hour:.6f}" if span else "",
        "estimated_usd": _dollars(part.estimated_usd),
        "cost_usd": _dollars(part.usd),
        "basis": basis(course),
    }


def basis(course: Course) -> str:
    """What the cost of a rental goes by."""
    return "estimate" if course.billed_usd is None else "bill"


def _focus(part: Part, begin: float) -> dict[str, Any]:
    course, span = part.course, part.span
    starts, ends = (span.begin, span.end) if span else (begin, begin)
    month, next_month = month_of(starts)
    price = f"{span.usd_per_hour:.6f}" if span else ""
    hours = f"{_hours(span):.6f}"
    what = "its disk alone" if span and not span.running else f"{course.gpu_count} x {course.gpu}"
    return {
        "AvailabilityZone": "",
        "BilledCost": _dollars(part.usd),
        "BillingAccountId": course.provider,
        "BillingAccountName": course.provider,
        "BillingCurrency": _CURRENCY,
        "BillingPeriodEnd": moment(next_month),
        "BillingPeriodStart": moment(month),
        "ChargeCategory": "Usage",
        "ChargeClass": "",
        "ChargeDescription": f"Rental {course.rental} of {course.provider}: {what}",
        "ChargeFrequency": "Usage-Based",
        "ChargePeriodEnd": moment(ends),
        "ChargePeriodStart": moment(starts),
        **dict.fromkeys(_DISCOUNT, ""),
        "ConsumedQuantity": hours,
        "ConsumedUnit": _UNIT,
        "ContractedCost": _dollars(part.usd),
        "ContractedUnitPrice": price,
        "EffectiveCost": _dollars(part.usd),
        "InvoiceId": "",
        "InvoiceIssuerName": course.provider,
        "ListCost": _dollars(part.usd),
        "ListUnitPrice": price,
        "PricingCategory": "Standard",
        "PricingCurrency": _CURRENCY,
        "PricingCurrencyContractedUnitPrice": price,
        "PricingCurrencyEffectiveCost": _dollars(part.usd),
        "PricingCurrencyListUnitPrice": price,
        "PricingQuantity": hours,
        "PricingUnit": _UNIT,
        "ProviderName": course.provider,
        "PublisherName": course.provider,
        "RegionId": "",
        "RegionName": "",
        # Ids are each marketplace's own.
        "ResourceId": f"{course.provider}/{course.rental}",
        "ResourceName": course.name,
        "ResourceType": "Rental",
        "ServiceCategory": "Compute",
        "ServiceName": "GPU rental",
        "ServiceSubcategory": "Other (Compute)",
        "SkuId": course.gpu,
        "SkuMeter": "Disk hours" if span and not span.running else "Rental hours",
        "SkuPriceDetails": "",
        "SkuPriceId": "",
        "SubAccountId": course.scope,
        "SubAccountName": course.scope,
        "Tags": json.dumps(
            {"job": course.job, "operator": course.operator, "basis": basis(course)}
        ),
    }


_DISCOUNT = tuple(
    f"CommitmentDiscount{what}" for what in ("Category", "Id", "Name", "Status", "Type")
)
