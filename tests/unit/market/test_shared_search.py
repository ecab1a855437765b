# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts of one play with one wish make one search; what proves old in it is searched anew."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.inferops.gpu.plugins.module_utils.market import shared_file
from ansible_collections.inferops.gpu.plugins.module_utils.market.offers.shared_search import (
    SHARED_FOR_SECONDS,
    SharedSearch,
)
from ansible_collections.inferops.gpu.plugins.module_utils.market.shared_file import SharedFile
from ansible_collections.inferops.gpu.plugins.module_utils.market.wish import Wish
from tests.hanging import HANGS_AFTER_SECONDS
from tests.simulator.app import Simulator
from tests.simulator.hosts import PretendHosts
from tests.simulator.market import ACCOUNT_KEY
from tests.simulator.market import Market as SimulatedMarket
from tests.tools.tree import REPOSITORY
from tests.unit.market.conftest import PUBLIC_KEY, Market, fault, requests
from tests.unit.market.test_plays import play


def searches(market: Market) -> int:
    return market.count("search")


def shared(market: Market, path: Path) -> SharedSearch:
    return SharedSearch(market.provider(), SharedFile(str(path)), market.clock)


def test_hosts_with_one_wish_make_one_search_whatever_they_rent(market: Market) -> None:
    rented = [market.rent(f"gpu-{number}")["rental"]["machine_id"] for number in range(4)]
    assert len(set(rented)) == 4
    assert searches(market) == 1


def test_check_mode_shares_it_too(market: Market) -> None:
    for number in range(4):
        assert market.rent(f"gpu-{number}", check=True)["offer"]
    market.run("offer_info", limit=1)
    assert searches(market) == 1


def test_another_wish_is_another_search(market: Market) -> None:
    for wish in ({"vram_gib": 24}, {"vram_gib": 48}, {"disk_gib": 200, "vram_gib": 24}):
        market.run("offer_info", **wish)
    assert searches(market) == 3
    market.run("offer_info", vram_gib=48)
    assert searches(market) == 3


def test_what_is_checked_on_our_side_alone_is_no_other_wish(market: Market) -> None:
    best, second = market.run("offer_info", limit=2)["offers"]
    shunning = market.run("offer_info", exclude_machines=[best["machine_id"]], limit=1)
    assert shunning["offers"][0]["machine_id"] == second["machine_id"]
    filtered = market.run("offer_info", filter="ends_with(gpu_name, '90')")["offers"]
    assert all(offer["gpu_name"].endswith("90") for offer in filtered)
    assert searches(market) == 1


def test_another_account_and_a_later_play_search_anew(market: Market) -> None:
    market.rent(check=True)
    market.clock.sleep(SHARED_FOR_SECONDS + 1)
    market.rent(check=True)
    assert searches(market) == 2
    market.run("offer_info", api_key="another")
    assert searches(market) == 3


def test_an_offer_that_turns_out_to_be_gone_ends_the_sharing(market: Market) -> None:
    best = market.run("offer_info", limit=1)["offers"][0]
    market.simulator.market.offers.pop(int(best["id"]))
    assert [one["outcome"] for one in market.rent()["attempts"]] == ["gone", "rented"]
    assert searches(market) == 1
    offers = market.run("offer_info", limit=500)["offers"]
    assert searches(market) == 2
    assert best["id"] not in {offer["id"] for offer in offers}


def test_a_search_that_failed_is_not_shared(market: Market) -> None:
    market.fault("garble", on="search")
    assert market.run("offer_info")["failed"]
    assert market.run("offer_info")["offers"]


@pytest.mark.parametrize(
    "rubbish", [b"\xff", b"[" * 100_000, b"5", b'{"KEY": 5}', b'{"KEY": {"asked_at": 1e999}}']
)
def test_a_damaged_file_is_searched_again(market: Market, tmp_path: Path, rubbish: bytes) -> None:
    path = tmp_path / "search.json"
    offers = shared(market, path).offers(Wish())
    (key,) = json.loads(path.read_text())
    path.write_bytes(rubbish.replace(b"KEY", key.encode()))
    assert shared(market, path).offers(Wish()) == offers
    for broken in ({"offers": [{}]}, {"offers": 5}, {}):
        path.write_text(json.dumps({key: {"asked_at": market.clock.now(), **broken}}))
        assert shared(market, path).offers(Wish()) == offers


def test_who_can_keep_nothing_searches_alone(
    market: Market, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_args: Any) -> None:
        raise OSError("No space left on device")

    search = shared(market, tmp_path / "search.json")
    with monkeypatch.context() as broken:
        broken.setattr(shared_file.json, "dump", full)
        assert search.offers(Wish())
        assert searches(market) == 1
        search.forget()
    assert search.offers(Wish())
    assert searches(market) == 2


PROCESS = """
import json, sys
from ansible_collections.inferops.gpu.plugins.module_utils.market.clock import Clock
from ansible_collections.inferops.gpu.plugins.module_utils.market.rentals.options import (
    MARKET_OPTIONS, make_provider, make_search)
from ansible_collections.inferops.gpu.plugins.module_utils.market.wish import Wish
options = {"provider": "vastai", **json.loads(sys.argv[1])}
clock = Clock()
print(len(make_search(options, make_provider(options, clock), clock).offers(Wish())))
"""


@pytest.fixture
def simulator() -> Any:
    made = Simulator(SimulatedMarket(PretendHosts()))
    yield made
    made.close()


def test_processes_that_search_at_once_wait_for_one_answer(
    simulator: Simulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    simulator.control.plan_faults([fault("delay", on="search", seconds=1.0)])
    options = {
        "api_url": simulator.url,
        "api_key": ACCOUNT_KEY,
        "controller_dir": str(tmp_path),
    }
    monkeypatch.setenv("PYTHONPATH", str(REPOSITORY / "collections"))
    started = [
        subprocess.Popen(
            [sys.executable, "-c", PROCESS, json.dumps(options)], stdout=subprocess.PIPE, text=True
        )
        for _host in range(4)
    ]
    found = {process.communicate(timeout=HANGS_AFTER_SECONDS)[0] for process in started}
    assert len(found) == 1
    assert int(found.pop()) > 0
    assert len(requests(simulator, "search")) == 1


@pytest.mark.long
@pytest.mark.parametrize("arguments", [("--check",), ()], ids=["check", "rent"])
def test_a_play_over_hosts_with_one_wish_makes_one_search(
    simulator: Simulator, tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    rent: dict[str, Any] = {
        "inferops.gpu.rental": {
            "name": "{{ inventory_hostname }}",
            "scope": "test",
            "api_url": simulator.url,
            "api_key": ACCOUNT_KEY,
            "controller_dir": "{{ inferops_controller_dir }}",
            "image": "some/image",
            "ssh_public_key": PUBLIC_KEY,
        },
        "delegate_to": "localhost",
    }
    playbook = [{"hosts": "gpu_hosts", "gather_facts": False, "tasks": [rent]}]
    status, output = play(tmp_path, playbook, *arguments)
    assert status == 0, output
    assert output.count("changed: [gpu-") == 2
    assert len(requests(simulator, "search")) == 1
