# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A simulator inside the test's own process: real HTTP on loopback, pretended hosts."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests

from tests.hanging import HANGS_AFTER_SECONDS
from tests.simulator.app import Simulator
from tests.simulator.documents import Document, Wire
from tests.simulator.hosts import PretendHosts
from tests.simulator.market import ACCOUNT_KEY, Market
from tests.unit.market.conformance.subjects import Simulated

PUBLIC_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGk9 user@example"
Json = Any


class Client:
    """Talks to the simulator as an ordinary HTTP client does."""

    def __init__(self, simulator: Simulator, hosts: PretendHosts) -> None:
        self.simulator, self.url, self.hosts = simulator, simulator.url, hosts
        self.session = requests.Session()
        self.session.headers["Authorization"] = f"Bearer {ACCOUNT_KEY}"

    def call(self, method: str, path: str, **more: Any) -> requests.Response:
        return self.session.request(method, self.url + path, timeout=HANGS_AFTER_SECONDS, **more)

    def search(self, **query: Any) -> list[dict[str, Any]]:
        answer = self.call("POST", "/api/v0/bundles/", json=query)
        assert answer.status_code == 200, answer.text
        return list(answer.json()["offers"])

    def create(self, offer: int | None = None, **wish: Any) -> requests.Response:
        if offer is None:
            offer = self.search(limit=1)[0]["id"]
        body = {"image": "some/image", "disk": 20, "cancel_unavail": True} | wish
        return self.call("PUT", f"/api/v0/asks/{offer}/", json=body)

    def rent(self, **wish: Any) -> int:
        return int(self.create(**wish).json()["new_contract"])

    def read(self, number: int) -> Json:
        return self.call("GET", f"/api/v0/instances/{number}/?owner=me").json()["instances"]

    def page(self, **query: str) -> Json:
        return self.call("GET", "/api/v1/instances/", params=query).json()

    def control(self, path: str, given: Json = None) -> Json:
        method = "GET" if given is None else "POST"
        answer = self.call(method, f"/simulator/{path}", json=given)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def fault(self, kind: str, **parameters: Any) -> None:
        """Plan this fault and no other."""
        self.control("faults", [{"kind": kind, **parameters}])

    def advance(self, seconds: float) -> None:
        self.control("clock", {"advance_seconds": seconds})

    def destroy(self, number: int) -> requests.Response:
        return self.call("DELETE", f"/api/v0/instances/{number}/", json={})

    def wait_status(self, number: int, status: str) -> Json:
        return wait_for(lambda: self.read(number), lambda row: row["actual_status"] == status)


def wait_for(
    read: Callable[[], Json], holds: Callable[[Json], bool], seconds: float = HANGS_AFTER_SECONDS
) -> Json:
    """Read until the condition holds; fail with the last value after some seconds."""
    limit = time.monotonic() + seconds
    while not holds(value := read()):
        assert time.monotonic() < limit, f"never came true, last seen: {value}"
        time.sleep(0.01)
    return value


@pytest.fixture
def client() -> Iterator[Client]:
    hosts = PretendHosts()
    market = Market(hosts)
    market.boot_seconds = 0
    simulator = Simulator(market)
    yield Client(simulator, hosts)
    simulator.close()


@pytest.fixture
def wire(subject: Simulated) -> Iterator[Wire]:
    """Every call that is made from here on, held against the document of its provider."""
    made = Wire(subject.simulator, Document(subject.kind.name))
    yield made
    assert made.problems == []
    assert made.undocumented == set()
