# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults on command: what kinds there are, and which request meets which."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

from tests.simulator.market import Traits
from tests.simulator.web import DropConnection, Reply, json_reply

Parameters = dict[str, Any]
Answer = Callable[[], Reply]


# --- faults of an answer: they may do the real thing, and decide what the client hears ---


def reply(given: Parameters, answer: Answer) -> Reply:
    """Answer what the test says, without doing anything; text is sent as plain text."""
    body = given["body"]
    if isinstance(body, str):
        told = Reply(given["status"], body.encode(), {"Content-Type": "text/plain"})
    else:
        told = json_reply(body, given["status"])
    told.headers |= given["headers"]
    return told


def reply_after_commit(given: Parameters, answer: Answer) -> Reply:
    """Do it, then answer what the test says."""
    answer()
    return reply(given, answer)


def drop_before(given: Parameters, answer: Answer) -> Reply:
    """Do nothing and close the connection."""
    raise DropConnection


def drop_after_commit(given: Parameters, answer: Answer) -> Reply:
    """Do it, then close the connection without an answer."""
    answer()
    raise DropConnection


def delay(given: Parameters, answer: Answer) -> Reply:
    """Take real seconds before doing it."""
    time.sleep(given["seconds"])
    return answer()


def destroy_noop(given: Parameters, answer: Answer) -> Reply:
    """Claim to have destroyed, and don't."""
    return json_reply({"success": True})


# --- faults of a rental: they change the traits of what the matching create makes ---


def list_lag(given: Parameters, traits: Traits) -> Traits:
    """Keep the new rental out of lists for real seconds; a read by its id shows it."""
    return replace(traits, list_lag_seconds=float(given["seconds"]))


def never_ssh(given: Parameters, traits: Traits) -> Traits:
    """Run the host without sshd."""
    return replace(traits, never_ssh=True)


def boot(given: Parameters, traits: Traits) -> Traits:
    """Change how long booting takes and which statuses it goes through; the last one stays."""
    seconds, statuses = given["seconds"], given["statuses"]
    return replace(
        traits,
        boot_seconds=traits.boot_seconds if seconds is None else float(seconds),
        boot_statuses=traits.boot_statuses if statuses is None else tuple(statuses),
        status_msg=given["status_msg"],
    )


@dataclass(frozen=True)
class Kind:
    """One kind of fault: what it does, its parameters, and the requests that it is for."""

    parameters: Parameters
    answer: Callable[[Parameters, Answer], Reply] | None = None
    rental: Callable[[Parameters, Traits], Traits] | None = None
    requests: tuple[str, str] = ("ANY", "")  # method and path, unless the order says otherwise


REPLY = {"status": 500, "body": {}, "headers": {}}
CREATE = ("PUT", "^/api/v0/asks/")
DESTROY = ("DELETE", "^/api/v0/instances/")
BOOT = {"seconds": None, "statuses": None, "status_msg": ""}
KINDS = {
    "reply": Kind(REPLY, answer=reply),
    "reply_after_commit": Kind(REPLY, answer=reply_after_commit),
    "drop_before": Kind({}, answer=drop_before),
    "drop_after_commit": Kind({}, answer=drop_after_commit),
    "delay": Kind({"seconds": 1.0}, answer=delay),
    "destroy_noop": Kind({}, answer=destroy_noop, requests=DESTROY),
    "list_lag": Kind({"seconds": 5.0}, rental=list_lag, requests=CREATE),
    "never_ssh": Kind({}, rental=never_ssh, requests=CREATE),
    "boot": Kind(BOOT, rental=boot, requests=CREATE),
}


@dataclass
class Fault:
    """One planned fault, for the next ``times`` requests that match."""

    kind: str
    method: str
    path: str  # a regular expression, searched in the path
    times: int
    parameters: Parameters

    def meets(self, method: str, path: str) -> bool:
        """Tell whether a request is one of those that this fault still waits for."""
        same = self.method in ("ANY", method)
        return self.times > 0 and same and re.search(self.path, path) is not None


def parse(given: dict[str, Any]) -> Fault:
    """Return a fault from ``{kind, method?, path?, times?, ...parameters}``. Raises ValueError."""
    rest = dict(given)
    name = rest.pop("kind", None)
    if name not in KINDS:
        raise ValueError(f"unknown fault kind {name!r}; known: {', '.join(KINDS)}")
    kind = KINDS[name]
    method, path = rest.pop("method", kind.requests[0]), rest.pop("path", kind.requests[1])
    times = int(rest.pop("times", 1))
    unknown = set(rest) - set(kind.parameters)
    if unknown:
        raise ValueError(f"fault {name!r} has no parameter {', '.join(sorted(unknown))}")
    try:
        re.compile(path)
    except re.error as reason:
        raise ValueError(f"path {path!r} is no regular expression: {reason}") from reason
    return Fault(name, method, path, times, kind.parameters | rest)


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
            met = [fault for fault in self.planned if fault.meets(method, path)]
            for fault in met:
                fault.times -= 1
            return met

    def play(
        self, method: str, path: str, traits: Traits, answer: Callable[[Traits], Reply]
    ) -> Reply:
        """Let ``answer`` answer one request, inside every fault that it meets.

        The fault that was ordered first is the outermost. Raises DropConnection where one says so.
        """
        met = self.take(method, path)
        for fault in met:
            change = KINDS[fault.kind].rental
            if change:
                traits = change(fault.parameters, traits)

        def from_fault(number: int) -> Reply:
            if number == len(met):
                return answer(traits)
            fault = met[number]
            play = KINDS[fault.kind].answer
            if play is None:
                return from_fault(number + 1)
            return play(fault.parameters, lambda: from_fault(number + 1))

        return from_fault(0)
