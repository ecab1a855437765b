# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Vast.ai's query language: filters with operators, order and limit, over plain dictionaries."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Mapping
from typing import Any

Row = Mapping[str, Any]


class BadQuery(ValueError):
    """The query names an unknown operator or column; the text says which."""


OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "eq": operator.eq,
    "neq": operator.ne,
    "gt": operator.gt,
    "gte": operator.ge,
    "lt": operator.lt,
    "lte": operator.le,
    "in": lambda value, choices: value in choices,
    "notin": lambda value, choices: value not in choices,
}


def matches(row: Row, filters: Mapping[str, Any]) -> bool:
    """Tell whether a row passes every filter ``{column: {operator: value}}``.

    A column whose value is null passes no comparison but ``neq`` and ``notin``.
    Raises BadQuery for an unknown column or operator, and for values that cannot be compared.
    """
    return all(holds(row, column, test) for column, test in filters.items())


def holds(row: Row, column: str, test: Any) -> bool:
    """Tell whether one column passes all operators of its test."""
    if column not in row:
        raise BadQuery(f"unknown column {column!r}")
    if not isinstance(test, Mapping):
        raise BadQuery(f"the filter of {column!r} must be an object of operators")
    value = row[column]
    for name, wanted in test.items():
        if name not in OPERATORS:
            raise BadQuery(f"unknown operator {name!r} on {column!r}")
        if value is None and name not in ("eq", "neq", "in", "notin"):
            return False
        try:
            if not OPERATORS[name](value, like(value, wanted)):
                return False
        except (TypeError, ValueError) as reason:
            raise BadQuery(f"{column!r} cannot be compared with {wanted!r}") from reason
    return True


def like(value: Any, wanted: Any) -> Any:
    """Return what is wanted as a number where the column is one: the official client quotes some.

    Raises ValueError for text that is no number.
    """
    if isinstance(value, int | float) and isinstance(wanted, str):
        return float(wanted)
    if isinstance(wanted, list):
        return [like(value, item) for item in wanted]
    return wanted


def ordered(rows: Iterable[Row], order: Iterable[tuple[str, str]]) -> list[Row]:
    """Sort by several ``(column, "asc" | "desc")``; rows with a null come last."""
    result = list(rows)
    for column, direction in reversed(list(order)):
        if result and column not in result[0]:
            raise BadQuery(f"unknown column {column!r} in order")
        known = [row for row in result if row[column] is not None]
        unknown = [row for row in result if row[column] is None]
        known.sort(key=lambda row: row[column], reverse=direction == "desc")
        result = known + unknown
    return result
