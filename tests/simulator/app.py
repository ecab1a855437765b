# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One simulator: the provider's API with faults and a log, the control API, and the hub."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from tests.simulator.control import Control
from tests.simulator.faults import Fault, Faults
from tests.simulator.journal import Journal
from tests.simulator.market import Market, Traits
from tests.simulator.vastai import VastApi
from tests.simulator.web import DropConnection, Reply, Request, Server, json_reply


class Simulator:
    """Listens on loopback at ``url`` until ``close``, which destroys all rentals."""

    def __init__(self, market: Market, port: int = 0, journal_file: Path | None = None) -> None:
        self.market = market
        self.faults = Faults()
        self.journal = Journal(journal_file)
        self.api = VastApi(market)
        self.control = Control(market, self.faults, self.journal)
        self.server = Server(("127.0.0.1", port), self.answer)
        self.url = f"http://127.0.0.1:{self.server.port}"

    def close(self) -> None:
        """Stop listening, then destroy every rental with its host."""
        self.server.close()
        self.market.reset()
        self.market.hosts.remove_all()

    def answer(self, request: Request) -> Reply:
        """Answer one request of any listener: control calls are neither logged nor faulty."""
        if request.path.startswith("/simulator/"):
            return self.control.answer(request)
        try:
            reply = self.answer_with_faults(request)
        except DropConnection:
            self.journal.note(request, None)
            raise
        self.journal.note(request, reply.status)
        return reply

    def answer_with_faults(self, request: Request) -> Reply:
        """Let the API answer, inside all faults that this request meets."""
        traits = Traits(boot_seconds=self.market.boot_seconds)
        around: list[Fault] = []
        for fault in self.faults.take(request.method, request.path):
            if fault.kind in RENTAL_TRAITS:
                traits = RENTAL_TRAITS[fault.kind](traits, fault.parameters)
            else:
                around.append(fault)

        def answer() -> Reply:
            return self.api.answer(request, traits)

        for fault in reversed(around):
            answer = wrapped(fault, answer)
        return answer()


def wrapped(fault: Fault, answer: Callable[[], Reply]) -> Callable[[], Reply]:
    """Return the answer as one fault lets it out."""
    return lambda: ANSWER_FAULTS[fault.kind](fault.parameters, answer)


def reply(given: dict[str, Any], answer: Callable[[], Reply]) -> Reply:
    """Answer what the test says, without doing anything."""
    body, headers = given["body"], given["headers"]
    if isinstance(body, str):
        text = Reply(given["status"], body.encode(), {"Content-Type": "text/plain"})
    else:
        text = json_reply(body, given["status"])
    text.headers |= headers
    return text


def reply_after_commit(given: dict[str, Any], answer: Callable[[], Reply]) -> Reply:
    """Do it, then answer what the test says."""
    answer()
    return reply(given, answer)


def drop_before(given: dict[str, Any], answer: Callable[[], Reply]) -> Reply:
    """Do nothing and close the connection."""
    raise DropConnection


def drop_after_commit(given: dict[str, Any], answer: Callable[[], Reply]) -> Reply:
    """Do it, then close the connection without an answer."""
    answer()
    raise DropConnection


def delay(given: dict[str, Any], answer: Callable[[], Reply]) -> Reply:
    """Take real seconds before doing it."""
    time.sleep(given["seconds"])
    return answer()


def destroy_noop(given: dict[str, Any], answer: Callable[[], Reply]) -> Reply:
    """Claim to have destroyed, and don't."""
    return json_reply({"success": True})


def boot(traits: Traits, given: dict[str, Any]) -> Traits:
    """Change how long booting takes and which statuses it goes through; the last one stays."""
    seconds, statuses = given["seconds"], given["statuses"]
    return replace(
        traits,
        boot_seconds=traits.boot_seconds if seconds is None else float(seconds),
        boot_statuses=traits.boot_statuses if statuses is None else tuple(statuses),
        status_msg=given["status_msg"],
    )


ANSWER_FAULTS: dict[str, Callable[[dict[str, Any], Callable[[], Reply]], Reply]] = {
    "reply": reply,
    "reply_after_commit": reply_after_commit,
    "drop_before": drop_before,
    "drop_after_commit": drop_after_commit,
    "delay": delay,
    "destroy_noop": destroy_noop,
}
RENTAL_TRAITS: dict[str, Callable[[Traits, dict[str, Any]], Traits]] = {
    "list_lag": lambda traits, given: replace(traits, list_lag_seconds=float(given["seconds"])),
    "never_ssh": lambda traits, given: replace(traits, never_ssh=True),
    "boot": boot,
}
