# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""No entry of the committed list is dead: each changes what an ordinary client meets."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

import pytest
import requests

from tests.simulator.app import Simulator
from tests.simulator.catalogue import FAULTS, HEALTHY, NamedFault
from tests.simulator.control import SETTINGS
from tests.simulator.hosts import PretendHosts
from tests.simulator.kinds import KINDS
from tests.simulator.market import Market
from tests.simulator.vastai import DIALECT

from .conftest import PUBLIC_KEY, Client

Told = list[str]
PAGE = "/api/v1/instances/"
CHARGES = '{"day": {"gte": 0, "lte": 4000000000}}'


def ask(client: Client, told: Told, method: str, path: str, body: Any = None) -> Any:
    """Make one call, note what kind of answer came, and return its JSON, None without any."""
    try:
        answer = client.call(method, path, json=body)
    except requests.ConnectionError:
        told.append(f"{method} dropped")
        return None
    told.append(f"{method} {answer.status_code}")
    try:
        return answer.json()
    except ValueError:
        return None


def tour(client: Client) -> Told:
    """Do what a client does in the life of a rental, whatever it is answered."""
    told: Told = []
    for _search in range(2):
        ask(client, told, "POST", "/api/v0/bundles/", {"limit": 2})
        ask(client, told, "GET", "/api/v0/users/current/")
    for offer in [other["id"] for other in client.simulator.market.search()][::80]:
        ask(client, told, "PUT", f"/api/v0/asks/{offer}/", {"image": "some/image", "disk": 20})
    page = ask(client, told, "GET", PAGE)
    rows = page.get("instances") if isinstance(page, dict) else None
    told.append(f"{len(rows)} rows" if isinstance(rows, list) else "no rows")
    token = page.get("next_token") if isinstance(page, dict) else None
    if token:
        for _page in range(2):
            ask(client, told, "GET", f"{PAGE}?after_token={token}")
    ask(client, told, "GET", PAGE)
    ask(client, told, "GET", PAGE)
    ask(client, told, "GET", f"/api/v0/charges/?select_filters={CHARGES}")
    own = [rental.id for rental in client.simulator.market.rentals.values() if not rental.stranger]
    for number in own:
        path = f"/api/v0/instances/{number}/"
        for _read in range(2):
            ask(client, told, "GET", path)
        ask(client, told, "POST", f"{path}ssh/", {"ssh_key": PUBLIC_KEY})
        ask(client, told, "PUT", path, {"label": "other"})
        ask(client, told, "DELETE", path, {})
    return told


@pytest.fixture(scope="module")
def healthy() -> Told:
    """What the tour meets without any fault."""
    market = Market(PretendHosts())
    simulator = Simulator(market)
    told = tour(Client(simulator, PretendHosts()))
    simulator.close()
    return told


@pytest.fixture
def quick(client: Client, monkeypatch: pytest.MonkeyPatch) -> Client:
    """A client whose slow answers are quick: what is slow is tested elsewhere."""
    monkeypatch.setattr("tests.simulator.kinds.sleep", lambda seconds: None)
    return client


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_client_meets_it(quick: Client, healthy: Told, fault: NamedFault) -> None:
    quick.control("settings", fault.settings_in(DIALECT))
    quick.control("faults", list(fault.orders))
    told = tour(quick)
    for order in quick.control("faults")["planned"]:
        assert order["met"] > 0, order
    if fault.settings or fault.pages:
        assert told != healthy
    quick.control("settings", HEALTHY)
    quick.control("faults", [])
    assert ask(quick, [], "GET", PAGE)["total_instances"] == len(quick.simulator.market.rentals)


def test_names_and_effects_are_different() -> None:
    assert not [name for name, count in Counter(f.name for f in FAULTS).items() if count > 1]
    effects = Counter(str((f.orders, f.settings, f.pages)) for f in FAULTS)
    assert not [effect for effect, count in effects.items() if count > 1]


def test_every_entry_says_what_it_is_and_where_it_was_seen() -> None:
    for fault in FAULTS:
        assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", fault.name)
        assert fault.story.endswith(".")
        assert re.search(r" #\d+$|[/.]", fault.source), fault.source
        assert fault.orders or fault.settings or fault.pages
        assert set(fault.settings) <= set(SETTINGS)


def test_the_list_uses_every_kind_of_fault() -> None:
    used = {order["kind"] for fault in FAULTS for order in fault.orders}
    assert used == set(KINDS)


def test_what_heals_is_what_a_fresh_simulator_has(client: Client) -> None:
    state = client.control("state")
    assert {name: state[name] for name in HEALTHY} == HEALTHY
