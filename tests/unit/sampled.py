# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Matrices of tests of which every run sees a sample, and `make long` the whole."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

#: What spends money and what ends it: of the playbooks these two are always run.
MONEY = ("deploy", "teardown")


def sampled(values: Iterable[Any], usual: Callable[[Any], bool]) -> list[Any]:
    """The values of a parametrization; those that are not *usual* are `long`."""
    return [value if usual(value) else _long(value) for value in values]


def some(values: Iterable[Any], every: int) -> list[Any]:
    """The same, of which one in so many is usual."""
    return [value if number % every == 0 else _long(value) for number, value in enumerate(values)]


def playbooks(names: Iterable[Any]) -> list[Any]:
    """The same of playbooks, by their names or files."""
    return sampled(names, lambda one: Path(one).stem in MONEY)


def _long(value: Any) -> Any:
    # A named tuple is one value.
    values = value if type(value) is tuple else (value,)
    return pytest.param(*values, marks=pytest.mark.long)
