# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults on command: which are planned, and which request meets which."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from tests.simulator.dialect import SAYINGS, SHOWS, Dialect, Where, has_in_body
from tests.simulator.kinds import KINDS, Call, Parameters
from tests.simulator.market import Market, Traits
from tests.simulator.web import Reply, Request


@dataclass
class Fault:
    """One planned fault, for the next ``times`` requests that match, after ``skip`` of them."""

    kind: str
    method: str
    path: str  # a regular expression, searched in the path
    query: str  # another, searched in what follows the question mark
    body: str  # and in the body
    skip: int
    times: int
    parameters: Parameters
    met: int = 0

    def meets(self, request: Request) -> bool:
        """Tell whether this fault still waits for a request, and count it."""
        if (
            self.times == 0
            or self.method not in ("ANY", request.method)
            or not re.search(self.path, request.path)
            or not re.search(self.query, urlencode(request.query))
            or not has_in_body(self.body, request)
        ):
            return False
        if self.skip > 0:
            self.skip -= 1
            return False
        self.times -= 1
        self.met += 1
        return True


def parse(given: dict[str, Any], dialect: Dialect) -> Fault:
    """Return a fault: ``{kind, on?, method?, path?, query?, skip?, times?, ...parameters}``.

    ``on`` names requests of the dialect, ``saying`` and ``shows`` what is in its words. Raises
    ValueError.
    """
    rest = dict(given)
    name = rest.pop("kind", None)
    if name not in KINDS:
        raise ValueError(f"unknown fault kind {name!r}; known: {', '.join(KINDS)}")
    kind = KINDS[name]
    on = rest.pop("on", kind.on)
    where = dialect.where(on) if on else Where("ANY", "")
    method, path = rest.pop("method", where.method), rest.pop("path", where.path)
    query = rest.pop("query", where.query)
    skip, times = rest.pop("skip", 0), rest.pop("times", 1)
    unknown = set(rest) - set(kind.parameters)
    if unknown:
        raise ValueError(f"fault {name!r} has no parameter {', '.join(sorted(unknown))}")
    for word, known, why in (
        (rest.get("saying"), dialect.sayings, SAYINGS),
        (rest.get("shows"), dialect.shows, SHOWS),
    ):
        if word and word not in known:
            raise ValueError(f"no words for {word!r} here: {why.get(word, 'unknown')}")
    for pattern in (path, query):
        try:
            re.compile(pattern)
        except re.error as reason:
            raise ValueError(f"{pattern!r} is no regular expression: {reason}") from reason
    bounds = (method, path, query, where.body, int(skip), int(times))
    return Fault(name, *bounds, kind.parameters | rest)


class Faults:
    """The planned faults, in the order in which they were given, in a dialect."""

    def __init__(self, dialect: Dialect) -> None:
        self.dialect = dialect
        self.planned: list[Fault] = []
        self.lock = threading.Lock()

    def replace(self, faults: Iterable[dict[str, Any]]) -> None:
        """Plan exactly these faults. Raises ValueError."""
        parsed = [parse(fault, self.dialect) for fault in faults]
        with self.lock:
            self.planned = parsed

    def take(self, request: Request) -> list[Fault]:
        """Return the faults that this request meets, and count each of them down."""
        with self.lock:
            return [fault for fault in self.planned if fault.meets(request)]

    def play(
        self, request: Request, market: Market, answer: Callable[[Request, Traits], Reply]
    ) -> Reply:
        """Let ``answer`` answer one request, inside every fault that it meets.

        The fault that was ordered first is the outermost. Raises DropConnection where one says so.
        """
        met = self.take(request)
        traits = Traits(boot_seconds=market.boot_seconds)
        asked = request
        for fault in met:
            kind = KINDS[fault.kind]
            if kind.traits:
                traits = kind.traits(fault.parameters, traits)
            if kind.asks:
                asked = kind.asks(fault.parameters, self.dialect, asked)

        def from_fault(number: int) -> Reply:
            if number == len(met):
                return answer(asked, traits)
            fault = met[number]
            play = KINDS[fault.kind].answer
            if play is None:
                return from_fault(number + 1)
            call = Call(request, market, lambda: from_fault(number + 1), self.dialect)
            return play(fault.parameters, call)

        return from_fault(0)
