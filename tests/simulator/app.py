# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One simulator: the provider's API, inside ordered faults and a request log, and its control."""

from __future__ import annotations

from pathlib import Path

from tests.simulator.control import Control
from tests.simulator.faults import Faults
from tests.simulator.journal import Journal
from tests.simulator.market import Market, Traits
from tests.simulator.vastai import VastApi
from tests.simulator.web import Reply, Request, Server


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
        """Answer one request; control calls are neither logged nor faulty."""
        if request.path.startswith("/simulator/"):
            return self.control.answer(request)
        status = None
        try:
            reply = self.faults.play(
                request.method,
                request.path,
                Traits(boot_seconds=self.market.boot_seconds),
                lambda traits: self.api.answer(request, traits),
            )
            status = reply.status
            return reply
        finally:
            self.journal.note(request, status)
