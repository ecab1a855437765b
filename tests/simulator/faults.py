# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults on command: what kinds there are, and which request meets which."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

# kind -> its parameters with their defaults. The first group is played around one answer by the
# web layer, the second becomes a trait of the rental that the matching create makes.
ANSWER_KINDS: dict[str, dict[str, Any]] = {
    "reply": {"status": 500, "body": {}, "headers": {}},
    "reply_after_commit": {"status": 500, "body": {}, "headers": {}},
    "drop_before": {},
    "drop_after_commit": {},
    "delay": {"seconds": 1.0},
    "destroy_noop": {},
}
RENTAL_KINDS: dict[str, dict[str, Any]] = {
    "list_lag": {"seconds": 5.0},
    "never_ssh": {},
    "boot": {"seconds": None, "statuses": None, "status_msg": ""},
}
KINDS = ANSWER_KINDS | RENTAL_KINDS
CREATE_PATH = r"^/api/v0/asks/"
DEFAULT_MATCH = dict.fromkeys(RENTAL_KINDS, ("PUT", CREATE_PATH)) | {
    "destroy_noop": ("DELETE", r"^/api/v0/instances/")
}


@dataclass
class Fault:
    """One planned fault, for the next ``times`` requests that match."""

    kind: str
    method: str
    path: str  # a regular expression, searched in the path
    times: int
    parameters: dict[str, Any] = field(default_factory=dict)


def parse(given: dict[str, Any]) -> Fault:
    """Return a fault from ``{kind, method?, path?, times?, ...parameters}``. Raises ValueError."""
    rest = dict(given)
    kind = rest.pop("kind", None)
    if kind not in KINDS:
        raise ValueError(f"unknown fault kind {kind!r}; known: {', '.join(KINDS)}")
    method, path = DEFAULT_MATCH.get(kind, ("ANY", ""))
    method, path = rest.pop("method", method), rest.pop("path", path)
    times = int(rest.pop("times", 1))
    unknown = set(rest) - set(KINDS[kind])
    if unknown:
        raise ValueError(f"fault {kind!r} has no parameter {', '.join(sorted(unknown))}")
    re.compile(path)
    return Fault(kind, method, path, times, KINDS[kind] | rest)


class Faults:
    """The planned faults, in the order in which they were given."""

    def __init__(self) -> None:
        self.planned: list[Fault] = []
        self.lock = threading.Lock()

    def replace(self, faults: Iterable[dict[str, Any]]) -> None:
        """Plan exactly these faults. Raises ValueError."""
        parsed = [parse(fault) for fault in faults]
        with self.lock:
            self.planned = parsed

    def take(self, method: str, path: str) -> list[Fault]:
        """Return the faults that this request meets, and count each of them down."""
        with self.lock:
            met = [
                fault
                for fault in self.planned
                if fault.times > 0
                and fault.method in ("ANY", method)
                and re.search(fault.path, path)
            ]
            for fault in met:
                fault.times -= 1
            return met
