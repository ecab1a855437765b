# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What sends load to a server: a program of the engine's own, driven load by load.

It is started once, for that takes long, and reads the words of one load in each line. It answers
in lines of JSON that begin with MARK: first {"release": ...}, then for each load
{"result": {...}, "errors": [...]} or {"refused": message}.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

from ...common.loads import Load, Plan
from .client import Client

MARK = "inferops-load:"


class Generator(ABC):
    """A load generator beside the engine, on its host."""

    title: ClassVar[str]
    """As a person calls it."""
    key_variable: ClassVar[str]
    """The environment variable by which it takes the server's key, which is no argument of it."""

    @property
    @abstractmethod
    def command(self) -> list[str]:
        """The command line of the program."""

    @abstractmethod
    def environment(self, own: Mapping[str, str], asked: Mapping[str, str]) -> dict[str, str]:
        """Its variables without the key, of this process' own and those of the server."""

    @abstractmethod
    def words(self, load: Load, plan: Plan, address: str) -> list[str]:
        """What one load is, in its own words, for a server at an address such as
        http://127.0.0.1:8000."""

    @abstractmethod
    def figures(self, result: Mapping[str, Any]) -> dict[str, Any]:
        """What a load came to, in the words of EMPTY. Raises ValueError where something else
        answers."""

    @abstractmethod
    def most_tokens(self, client: Client) -> int | None:
        """How many tokens a request and its answer may have together; None where nobody says.
        Raises NotYet."""


EMPTY: dict[str, Any] = {
    "completed": 0,
    "failed": 0,
    "seconds": None,
    "input_tokens": 0,
    "output_tokens": 0,
    "requests_per_second": None,
    "good_requests_per_second": None,
    "output_tokens_per_second": None,
    "tokens_per_second": None,
    "ttft_ms": None,
    "tpot_ms": None,
    "itl_ms": None,
    "e2el_ms": None,
}
"""The figures of a load that has none. Latencies have mean, p50, p90 and p99, or are null."""


def number(result: Mapping[str, Any], name: str) -> float:
    """A figure of a result. Raises ValueError where it is none."""
    value = result.get(name)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise ValueError(f"{name} is {value!r}, which is no figure")
    return value
