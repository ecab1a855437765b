# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a test that drives the simulator hooks into: each request, its listener, and the time."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from email.utils import parsedate_to_datetime

import pytest
import requests

from tests.hanging import HANGS_AFTER_SECONDS
from tests.simulator.app import Simulator
from tests.simulator.hosts import PretendHosts
from tests.simulator.market import ACCOUNT_KEY, Market
from tests.simulator.web import DropConnection, Request

from .conftest import PUBLIC_KEY, Client, wait_for


@contextmanager
def observed(observe: Callable[[str, Request, int], None]) -> Iterator[Client]:
    hosts = PretendHosts()
    market = Market(hosts)
    market.boot_seconds = 0
    simulator = Simulator(market, observe=observe)
    yield Client(simulator, hosts)
    simulator.close()


def test_every_api_request_is_seen_before_and_after_it_is_done() -> None:
    seen: list[tuple[str, str, int, int]] = []

    def observe(phase: str, request: Request, number: int) -> None:
        seen.append((phase, request.method, number, len(client.simulator.market.rentals)))

    with observed(observe) as client:
        client.control("state")
        client.rent()
    assert seen == [
        ("before", "POST", 1, 0),
        ("after", "POST", 1, 0),
        ("before", "PUT", 2, 0),
        ("after", "PUT", 2, 1),
    ]


@pytest.mark.parametrize(("phase", "rentals"), [("before", 0), ("after", 1)])
def test_an_observer_can_cut_the_line_before_or_after_a_create(phase: str, rentals: int) -> None:
    def observe(now: str, request: Request, number: int) -> None:
        if request.method == "PUT" and now == phase:
            raise DropConnection

    with observed(observe) as client:
        offer = client.search(limit=1)[0]["id"]
        with pytest.raises(requests.ConnectionError):
            client.create(offer)
        assert len(client.control("state")["rentals"]) == rentals
        assert client.control("requests")[-1]["status"] is None


def test_an_observer_comes_before_the_faults_and_after_them() -> None:
    phases: list[str] = []
    with observed(lambda phase, request, number: phases.append(phase)) as client:
        client.fault("drop_before")
        with pytest.raises(requests.ConnectionError):
            client.page()
        assert phases == ["before", "after"]
        assert client.control("faults")["planned"][0]["met"] == 1


def test_an_observer_that_waits_holds_up_its_own_request_only() -> None:
    let_go, waiting = threading.Event(), threading.Event()

    def observe(phase: str, request: Request, number: int) -> None:
        if request.path.startswith("/api/v1") and phase == "before":
            waiting.set()
            assert let_go.wait(HANGS_AFTER_SECONDS)

    with observed(observe) as client:
        pages: list[int] = []
        held = threading.Thread(target=lambda: pages.append(client.page()["total_instances"]))
        held.start()
        assert waiting.wait(HANGS_AFTER_SECONDS)
        other = requests.get(
            f"{client.url}/api/v0/users/current/",
            headers={"Authorization": f"Bearer {ACCOUNT_KEY}"},
            timeout=HANGS_AFTER_SECONDS,
        )
        assert (other.status_code, pages) == (200, [])
        let_go.set()
        held.join(HANGS_AFTER_SECONDS)
        assert pages == [0]


def test_two_controllers_are_told_apart_by_their_listeners() -> None:
    listeners: list[str] = []

    def observe(phase: str, request: Request, number: int) -> None:
        if phase == "before":
            listeners.append(request.listener)

    with observed(observe) as client:
        second = client.simulator.listen()
        client.rent()
        page = client.session.get(f"{second}/api/v1/instances/", timeout=HANGS_AFTER_SECONDS).json()
        assert page["total_instances"] == 1
        assert listeners == [client.url, client.url, second]
        assert [entry["listener"] for entry in client.control("requests")] == listeners
    with pytest.raises(requests.ConnectionError):
        requests.get(second, timeout=HANGS_AFTER_SECONDS)


@pytest.fixture
def with_real_hosts() -> Iterator[Client]:
    """A market that takes its pretended hosts for real ones, which call it themselves."""
    hosts = PretendHosts(real=True)
    market = Market(hosts)
    market.boot_seconds = 0
    simulator = Simulator(market)
    yield Client(simulator, hosts)
    simulator.close()


def test_a_host_calls_the_market_with_its_own_key_only(with_real_hosts: Client) -> None:
    client = with_real_hosts
    made = client.create().json()
    url = f"http://127.0.0.1:{client.hosts.api_url.rpartition(':')[2]}"
    own = f"{url}/api/v0/instances/{made['new_contract']}/"

    def status(method: str, address: str, key: str) -> int:
        headers = {"Authorization": f"Bearer {key}"}
        return requests.request(
            method, address, headers=headers, timeout=HANGS_AFTER_SECONDS
        ).status_code

    assert status("GET", own, ACCOUNT_KEY) == 401
    assert status("GET", f"{url}/api/v1/instances/", ACCOUNT_KEY) == 401
    assert status("GET", f"{url}/simulator/state", made["instance_api_key"]) == 404
    assert status("DELETE", own, made["instance_api_key"]) == 200
    assert client.control("state")["rentals"] == []


def test_what_is_due_happens_to_real_hosts_without_any_request(with_real_hosts: Client) -> None:
    client = with_real_hosts
    client.fault("attach_delay", seconds=0.3)
    number = client.rent()
    client.wait_status(number, "running")
    client.call("POST", f"/api/v0/instances/{number}/ssh/", json={"ssh_key": PUBLIC_KEY})
    assert client.hosts.keys[number] == ()
    wait_for(lambda: client.hosts.keys[number], lambda keys: keys == (PUBLIC_KEY,))


def test_every_answer_tells_the_simulated_time(client: Client) -> None:
    client.advance(1_000_000)
    client.fault("reply", path="/users/")
    for path in ("/api/v1/instances/", "/api/v0/users/current/", "/api/v0/nothing/"):
        before = int(client.control("state")["now"])
        date = parsedate_to_datetime(client.call("GET", path).headers["Date"])
        assert before <= date.timestamp() <= client.control("state")["now"]


def test_a_seed_brings_other_offers_and_the_same_ones_again(client: Client) -> None:
    def market_of(seed: int) -> list[object]:
        assert client.control("reset", {"seed": seed})["seed"] == seed
        return [(offer["id"], offer["machine_id"], offer["dph_base"]) for offer in client.search()]

    assert market_of(1) == market_of(1)
    assert market_of(1) != market_of(2)
    assert client.control("reset", {})["seed"] == 7
