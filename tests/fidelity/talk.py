# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One client's dialogue with a simulator: each result of a call is compared with the books.

The books are ``GET /simulator/state``, the market behind the routes, and what the routes keep
beside it (keys, disks, scripts).
"""

from __future__ import annotations

import importlib
import json
import math
import tempfile
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ansible_collections.inferops.gpu.plugins.module_utils.market.mark import Mark
from ansible_collections.inferops.gpu.plugins.module_utils.market.model import Order
from ansible_collections.inferops.gpu.plugins.module_utils.market.wish import Wish
from tests.fidelity.clients import Answer, Caller, Client
from tests.simulator.documents import Document, Wire
from tests.simulator.hosts import PretendHosts
from tests.simulator.market import ACCOUNT_KEY, Rental
from tests.unit.market.conformance.subjects import SUBJECTS, Simulated

PUBLIC_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGk9 user@example"
WRONG_KEY = "a-key-of-nobody"
#: Why no projection of a result could be made.
ODD_SHAPES = (KeyError, IndexError, TypeError, ValueError, AttributeError)


def as_it_is(value: Any) -> Any:
    """The whole of a result."""
    return value


class Talk:
    """A dialogue: ``calls`` that were compared, and in ``mismatches`` what was not as it is."""

    def __init__(self, subject: Simulated, caller: Caller, stranger: Callable[[], Caller]) -> None:
        self.subject, self.caller, self.stranger = subject, caller, stranger
        self.market, self.api = subject.market, subject.simulator.api
        provider = subject.kind.name
        self.wire = (
            Wire(subject.simulator, Document(provider), ours=False)
            if Document.exists(provider)
            else None
        )
        self.calls = 0
        self.mismatches: list[str] = []

    # --- calls ---

    def say(
        self,
        *words: Any,
        want: Any = None,
        told: Callable[[Any], Any] = as_it_is,
        **named: Any,
    ) -> Any:
        """Make a call and return its result.

        ``told`` picks what is compared, ``want`` is what it must be: a function is asked after the
        call, when the books have what came of it.
        """
        answer, where = self.made(self.caller, *words, **named)
        expected = want() if callable(want) else want
        if answer.refused:
            self.wrong(where, f"refused: {answer.refused}", expected)
            return None
        try:
            seen = told(answer.value)
        except ODD_SHAPES as reason:
            seen = f"{type(reason).__name__}: {reason} in {answer.value!r}"
        if not same(seen, expected):
            self.wrong(where, seen, expected)
        return answer.value

    def does(self, *words: Any, says: Any, done: Callable[[], Any], **named: Any) -> Any:
        """Make a call that changes something: its result has this in it, and the books show it."""
        return self.say(
            *words, told=lambda said: (says in (said or ""), done()), want=(True, True), **named
        )

    def refused(self, *words: Any, says: str, **named: Any) -> None:
        """Make a call that must be refused with this in its words, and change nothing."""
        self.must_refuse(self.caller, *words, says=says, **named)

    def refused_to_strangers(self, *words: Any, says: str, **named: Any) -> None:
        """The same with the key of nobody."""
        before = len(self.requests())
        caller = self.stranger()
        try:
            self.must_refuse(caller, *words, says=says, since=before, **named)
        finally:
            caller.close()

    def must_refuse(
        self, caller: Caller, *words: Any, says: str, since: int | None = None, **named: Any
    ) -> None:
        """What both have in common."""
        before = self.owned()
        answer, where = self.made(caller, *words, since=since, **named)
        if says not in answer.refused:
            self.wrong(where, answer.refused or answer.value, f"a refusal with {says!r}")
        if self.owned() != before:
            self.wrong(where, self.owned(), f"nothing changed of {before}")

    def made(
        self, caller: Caller, *words: Any, since: int | None = None, **named: Any
    ) -> tuple[Answer, str]:
        """Make a call and count it; one that never reached the simulator proves nothing."""
        before = len(self.requests()) if since is None else since
        answer = caller.call(*words, **named)
        where = " ".join(map(str, words))
        if len(self.requests()) > before:
            self.calls += 1
        else:
            self.wrong(where, answer.refused or answer.value, "a request to the simulator")
        for problem in self.wire.problems if self.wire else ():
            self.wrong(where, problem, "what its document has")
        if self.wire:
            self.wire.problems.clear()
        return answer, where

    def wrong(self, where: str, seen: Any, expected: Any) -> None:
        """Note a mismatch."""
        self.mismatches.append(
            f"{where}\n    the client has {seen!r}\n    the books have {expected!r}"
        )

    def ours(self) -> Rental:
        """Let our own client rent its cheapest offer, with a mark and a key; return it running."""
        provider, now = self.subject.provider(), int(self.subject.clock.now())
        offer = min(provider.search(Wish()), key=lambda one: one.price_usd_per_hour)
        mark = Mark.new("main", "gpu-1", now + 3600, 3600, now)
        provider.rent(offer, Order(mark, self.subject.image, 40, PUBLIC_KEY, now))
        return self.newest()

    # --- the books ---

    def requests(self) -> list[dict[str, Any]]:
        """What the simulator was asked."""
        return self.subject.simulator.journal.entries()

    def state(self) -> dict[str, Any]:
        """What the simulator tells of itself."""
        with urllib.request.urlopen(f"{self.subject.simulator.url}/simulator/state") as reply:
            return dict(json.load(reply))

    def row(self, rental: Rental) -> dict[str, Any]:
        """A rental in that."""
        return next(one for one in self.state()["rentals"] if one["id"] == rental.id)

    def starts(self, rental: Rental) -> int:
        """How often its host has been started."""
        assert isinstance(self.market.hosts, PretendHosts)
        return self.market.hosts.starts[rental.id]

    def restarts(self, rental: Rental) -> Callable[[], bool]:
        """Whether its host has been started again since this was asked for, and runs."""
        before = self.starts(rental)
        return lambda: self.starts(self.newest()) > before

    def is_to(self, rental: Rental, state: str) -> Callable[[], bool]:
        """Whether it is meant to be in this state."""
        return lambda: bool(self.row(rental)["intended"] == state)

    def left(self, count: int) -> Callable[[], bool]:
        """Whether so many rentals are left."""
        return lambda: len(self.state()["rentals"]) == count

    def let_in(self, rental: Rental) -> list[str]:
        """The public keys that its host knows."""
        assert isinstance(self.market.hosts, PretendHosts)
        return list(self.market.hosts.keys[rental.id])

    def owned(self) -> tuple[Any, ...]:
        """What the account has, that a refused call must leave alone."""
        rentals = {one["id"]: (one["label"], one["intended"]) for one in self.state()["rentals"]}
        return rentals, dict(self.market.account_keys), sorted(self.market.offers)

    def rentals(self) -> list[Rental]:
        """All that there are, oldest first."""
        return list(self.market.rentals.values())

    def newest(self) -> Rental:
        """The one that was made last, when it runs."""
        self.subject.settle()
        return self.rentals()[-1]


def same(seen: Any, expected: Any) -> bool:
    """Whether two results are alike; numbers may differ by what rounding makes of them."""
    if isinstance(seen, dict) and isinstance(expected, dict):
        return seen.keys() == expected.keys() and all(same(seen[k], expected[k]) for k in seen)
    if isinstance(seen, list | tuple) and isinstance(expected, list | tuple):
        return len(seen) == len(expected) and all(map(same, seen, expected))
    if isinstance(seen, float | int) and isinstance(expected, float | int):
        alike = isinstance(seen, bool) == isinstance(expected, bool)
        return alike and math.isclose(seen, expected, rel_tol=1e-6, abs_tol=1e-6)
    return bool(seen == expected)


@contextmanager
def talking(client: Client) -> Iterator[Talk]:
    """A dialogue of an installed client with a fresh simulator of its provider."""
    subject = SUBJECTS[client.provider]()
    assert isinstance(subject, Simulated)
    with tempfile.TemporaryDirectory(prefix="inferops-fidelity-") as folder:
        url, home = subject.simulator.url, Path(folder)
        caller = client.start(url, ACCOUNT_KEY, home / "own")
        try:
            yield Talk(subject, caller, lambda: client.start(url, WRONG_KEY, home / "strange"))
        finally:
            caller.close()
            subject.close()


def hold(client: Client) -> Talk:
    """Install a client, let it say all that it has to say, and return the dialogue."""
    client.environment.install()
    dialogue = importlib.import_module(f"tests.fidelity.dialogues.{client.name}")
    with talking(client) as talk:
        try:
            dialogue.hold(talk)
        except ODD_SHAPES as reason:
            talk.wrong("the dialogue", f"{type(reason).__name__}: {reason}", "an end")
    return talk
