# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Fields of what a marketplace answers, read for every provider alike."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from datetime import datetime, timezone
from typing import Any

from ..border import check_id, check_port, port_of, printable, shown
from ..model import Endpoint

#: What a field of a wrong type ends in.
DAMAGED = (KeyError, IndexError, TypeError, ValueError, AttributeError, ArithmeticError)


def oddity(error: Exception) -> str:
    """What is odd about a row. What Python says of a wrong type tells nobody anything."""
    if isinstance(error, ValueError):
        return printable(str(error))
    return "one of its fields is of another kind than usual"


def id_or_none(value: Any) -> str | None:
    """An id as text; None for what cannot be one."""
    try:
        check_id(str(value))
    except ValueError:
        return None
    return str(value) if isinstance(value, (int, str)) and not isinstance(value, bool) else None


def is_denied(row: Mapping[str, Any], field: str) -> bool:
    """Whether a field says no, or nothing. An odd value is no no: it may stand for the contrary."""
    return row.get(field) in (None, False)


def label_text(value: Any) -> str:
    """What a rental shows in a field of people's, as one line; what is no text, as far as it goes.

    That is nobody's mark. It is shown to people, and known for a mark that was damaged.
    """
    if value is None:
        return ""
    return printable(value) if isinstance(value, str) else shown(value)


def tcp_ways(address: Any, ports: Iterable[Any]) -> dict[str, Endpoint]:
    """TCP ports by number, as they are reached from outside at *address*, of inner and outer ones.

    What is no pair of ports is left out: it must hide neither the other ways nor the rental, which
    bills. The first way of a port counts. Raises one of DAMAGED for an odd address.
    """
    found: dict[str, Endpoint] = {}
    for pair in ports:
        try:
            inner, outer = (port_of(one) for one in pair)
            check_port(inner)
            check_port(outer)
        except DAMAGED:
            continue
        found.setdefault(str(inner), Endpoint(address, outer))
    return found


def numeric(
    row: Mapping[str, Any], field: str, divisor: float = 1.0, digits: int | None = None
) -> float | None:
    """A numeric field in our unit; None when it is missing or null. Raises one of DAMAGED."""
    if row.get(field) is None:
        return None
    number = required(row, field) / divisor
    return number if digits is None else round(number, digits)


def required(row: Mapping[str, Any], field: str) -> float:
    """A numeric field that must be told. Raises one of DAMAGED."""
    try:
        number = float(row[field])
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        raise ValueError(f"{field} is {shown(row[field])}, which is no number")
    return number


def as_moment(seconds: float) -> str:
    """A time in epoch seconds as RFC 3339 has it, to the second before."""
    return f"{datetime.fromtimestamp(int(seconds), timezone.utc):%Y-%m-%dT%H:%M:%SZ}"


def moment(told: Any) -> float | None:
    """A time as RFC 3339 has it in epoch seconds; None where it is not told.

    Raises one of DAMAGED.
    """
    if told is None:
        return None
    # Python before 3.11 reads neither a Z nor nanoseconds.
    text = re.sub(r"(\.\d{1,6})\d*", r"\1", told.replace("Z", "+00:00"))
    text = re.sub(r"\.(\d{1,6})(?=[+-])", lambda found: f".{found[1]:0<6}", text)
    at = datetime.fromisoformat(text)
    return (at if at.tzinfo else at.replace(tzinfo=timezone.utc)).timestamp()
