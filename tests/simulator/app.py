# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One simulator: a provider's API, inside ordered faults and a request log, and its control."""

from __future__ import annotations

import importlib
import itertools
import keyword
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from tests.simulator.control import Control
from tests.simulator.dialect import Dialect
from tests.simulator.faults import Faults
from tests.simulator.hosts import GATEWAY
from tests.simulator.journal import Journal
from tests.simulator.market import Machines, Market, Traits
from tests.simulator.web import Reply, Request, Server, http_date

LOOPBACK = "127.0.0.1"
TICK_SECONDS = 0.25


DEFAULT_PROVIDER = "vastai"


class Api(Protocol):
    """A provider's routes, which are class ``Api`` in the file of its name beside this one.

    A word of Python's cannot be a file's name.
    """

    def answer(self, request: Request, traits: Traits, from_host: bool) -> Reply:
        """Answer one request; ``traits`` are those of a rental or a list that it may make."""


def routes_of(provider: str) -> Any:
    """The module with a provider's routes."""
    file = f"{provider}_cloud" if keyword.iskeyword(provider) else provider
    return importlib.import_module(f"tests.simulator.{file}")


def dialect_of(provider: str) -> Dialect:
    """Its ``DIALECT``."""
    dialect: Dialect = routes_of(provider).DIALECT
    return dialect


def machines_of(provider: str) -> Machines:
    """Its ``MACHINES``; containers with root alone where it says nothing."""
    machines: Machines = getattr(routes_of(provider), "MACHINES", Machines())
    return machines


#: Told of each API request: "before" or "after" it is done, the request, and its number from 1.
Observer = Callable[[str, Request, int], None]


class Simulator:
    """One marketplace, which speaks the API of one provider.

    Listens on loopback at ``url`` until ``close``, which destroys all rentals.

    ``observe`` runs in the thread of the request: "before" any fault and the API touch it, and
    "after" it is done, when its answer has not been sent yet. It may block, and it may raise
    DropConnection.
    """

    def __init__(
        self,
        market: Market,
        port: int = 0,
        journal_file: Path | None = None,
        observe: Observer | None = None,
        provider: str = DEFAULT_PROVIDER,
    ) -> None:
        self.market = market
        self.observe: Observer = observe or (lambda phase, request, number: None)
        self.numbers = itertools.count(1)
        self.dialect = dialect_of(provider)
        self.faults = Faults(self.dialect)
        self.journal = Journal(journal_file)
        self.routes = routes_of(provider)
        market.machines = machines_of(provider)
        self.renew()
        self.control = Control(market, self.faults, self.journal, self.renew)
        self.servers = [Server((LOOPBACK, port), self.answer)]
        self.url = self.servers[0].url
        self.closed = threading.Event()
        if market.hosts.real:
            self.open_to_hosts()

    def renew(self) -> None:
        """Let the routes forget what they keep beside the market."""
        self.api: Api = self.routes.Api(self.market)

    def listen(self) -> str:
        """Open one more listener on loopback for the same API; return its URL."""
        self.servers.append(Server((LOOPBACK, 0), self.answer))
        return self.servers[-1].url

    def open_to_hosts(self) -> None:
        """Let hosts call the API with their own keys, and let time pass for them without calls."""
        server = Server((self.market.hosts.door(), 0), self.answer_host, reached_as=GATEWAY)
        self.servers.append(server)
        self.market.hosts.api_url = server.url
        threading.Thread(target=self.tick, daemon=True).start()

    def tick(self) -> None:
        """Do what is due, until the simulator is closed."""
        while not self.closed.wait(TICK_SECONDS):
            self.market.catch_up()

    def close(self) -> None:
        """Stop listening, then destroy every rental with its host."""
        self.closed.set()
        for server in self.servers:
            server.close()
        self.market.destroy_all()
        self.market.hosts.remove_all()

    def answer(self, request: Request) -> Reply:
        """Answer one request; control calls are neither logged nor observed nor faulty."""
        if request.path.startswith("/simulator/"):
            self.market.catch_up()
            return self.control.answer(request)
        return self.serve(request, from_host=False)

    def answer_host(self, request: Request) -> Reply:
        """Answer a request of a host, which neither steers the market nor owns the account."""
        return self.serve(request, from_host=True)

    def serve(self, request: Request, from_host: bool) -> Reply:
        """Answer one request to the API."""
        number, status = next(self.numbers), None
        try:
            self.observe("before", request, number)
            self.market.catch_up()
            try:
                reply = self.faults.play(
                    request,
                    self.market,
                    lambda asked, traits: self.api.answer(asked, traits, from_host),
                )
            finally:
                self.observe("after", request, number)
            reply.headers.setdefault("Date", http_date(self.market.clock.now()))
            status = reply.status
            return reply
        finally:
            self.journal.note(request, status)
