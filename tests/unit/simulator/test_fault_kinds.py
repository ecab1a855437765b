# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each kind of fault in lists, destroys and new rentals, seen from the client."""

from __future__ import annotations

import json
import socket
from concurrent.futures import ThreadPoolExecutor
from email.utils import parsedate_to_datetime
from typing import Any

import pytest
import requests

from tests.hanging import HANGS_AFTER_SECONDS

from .conftest import PUBLIC_KEY, Client, Json

LIST = "/api/v1/instances/"


def billing(client: Client) -> list[int]:
    """The ids of what exists in truth."""
    return [rental["id"] for rental in client.control("state")["rentals"]]


# --- answers ---


def test_an_answer_can_be_cut_in_half(client: Client) -> None:
    client.fault("truncate", path=LIST)
    answer = client.call("GET", LIST)
    assert answer.status_code == 200
    assert len(answer.content) == int(answer.headers["Content-Length"])
    with pytest.raises(requests.JSONDecodeError):
        answer.json()


def test_an_answer_can_be_a_page_for_people_and_nothing_is_done(client: Client) -> None:
    offer = client.search(limit=1)[0]["id"]
    client.fault("garble")
    answer = client.create(offer)
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "text/html")
    assert "<html>" in answer.text
    assert billing(client) == []


def test_an_answer_can_be_held_back_while_others_see_what_was_done(client: Client) -> None:
    offer = client.search(limit=1)[0]["id"]
    client.fault("hold_after_commit", seconds=2, method="PUT", path="/asks/")
    with ThreadPoolExecutor() as aside:
        answer = aside.submit(client.create, offer)
        seen: list[int] = []
        while not seen and not answer.done():
            seen = billing(client)
        assert seen
        assert answer.result().json()["new_contract"] == seen[0]


def test_a_date_can_be_wrong_in_one_answer(client: Client) -> None:
    client.fault("clock_skew", seconds=-86400, path="/users/")
    dates = [
        parsedate_to_datetime(client.call("GET", "/api/v0/users/current/").headers["Date"])
        for _try in range(2)
    ]
    # A day, and what has passed between the two.
    assert 86399 <= (dates[1] - dates[0]).total_seconds() < 2 * 86400


# --- lists ---


def test_a_page_can_miss_its_last_row_and_count_it(client: Client) -> None:
    client.rent()
    client.fault("short_page")
    page = client.page()
    assert (page["instances"], page["total_instances"]) == ([], 1)
    assert len(client.page()["instances"]) == 1


def test_a_page_can_hide_that_another_one_comes(client: Client) -> None:
    client.control("settings", {"strangers": 30})
    client.fault("drop_token")
    page = client.page()
    assert (len(page["instances"]), page["next_token"], page["total_instances"]) == (25, None, 30)


@pytest.mark.parametrize("rows", [None, "", {}, "none"])
def test_rows_can_be_no_list(client: Client, rows: Json) -> None:
    client.rent()
    client.fault("list_is", body=rows)
    page = client.page()
    assert (page["instances"], page["total_instances"]) == (rows, 1)


@pytest.mark.parametrize("body", ["", {"success": False, "error": "deprecated_endpoint"}])
def test_a_list_can_be_another_answer_altogether(client: Client, body: Json) -> None:
    client.fault("list_is", body=body, whole=True)
    answer = client.call("GET", LIST)
    assert (answer.status_code, answer.json()) == (200, body)


def test_a_list_can_lag_behind_with_consistent_counts(client: Client) -> None:
    client.rent(label="ours/1")
    kept = client.rent(label="theirs")
    client.fault("list_without", label="ours")
    page = client.page()
    assert [row["id"] for row in page["instances"]] == [kept]
    assert (page["total_instances"], page["instances_found"]) == (1, 1)
    assert page["label_counts"] == {"theirs": 1}
    client.fault("list_without")
    assert client.page()["total_instances"] == 0


def test_rows_can_show_other_values_in_lists_and_by_id(client: Client) -> None:
    number = client.rent()
    client.fault("row_is", fields={"gpu_name": None, "actual_status": "hibernating"}, times=2)
    for row in (client.read(number), client.page()["instances"][0]):
        assert (row["id"], row["gpu_name"], row["actual_status"]) == (number, None, "hibernating")


def test_a_search_can_answer_what_was_not_asked(client: Client) -> None:
    client.fault("unfiltered")
    found = client.search(gpu_name={"eq": "H200"})
    assert {offer["gpu_name"] for offer in found} - {"H200"}
    assert {offer["gpu_name"] for offer in client.search(gpu_name={"eq": "H200"})} == {"H200"}


def test_faults_that_spoil_each_other_s_answer_still_answer(client: Client) -> None:
    client.rent()
    spoilt = [{"kind": kind} for kind in ("short_page", "drop_token", "row_is", "list_is")]
    client.control("faults", [*spoilt, {"kind": "truncate", "path": LIST}])
    assert client.call("GET", LIST).status_code == 200


# --- destroys ---


def test_a_destroy_can_come_late(client: Client) -> None:
    number = client.rent()
    client.fault("destroy_late", seconds=100)
    assert client.destroy(number).json() == {"success": True}
    assert client.read(number) is not None
    client.advance(100)
    assert client.read(number) is None
    assert billing(client) == []


def test_a_destroyed_rental_can_come_back_once_and_bill(client: Client) -> None:
    number = client.rent(label="mk-1")
    client.wait_status(number, "running")
    machine = client.read(number)["machine_id"]
    client.fault("resurrect", seconds=100)
    client.destroy(number)
    assert client.read(number) is None
    assert client.page()["total_instances"] == 0
    assert client.hosts.specs == {}
    client.advance(100)
    row = client.wait_status(number, "running")
    assert (row["label"], row["machine_id"]) == ("mk-1", machine)
    assert client.search(machine_id={"eq": machine}) == []
    assert list(client.hosts.specs) == [number]
    before = client.control("state")["rentals"][0]["gpu_usd"]
    client.advance(3600)
    assert client.control("state")["rentals"][0]["gpu_usd"] > before
    client.destroy(number)
    client.advance(1000)
    assert client.read(number) is None


# --- new rentals ---


def test_a_new_rental_can_be_invisible_for_a_while(client: Client) -> None:
    client.fault("hidden", seconds=1000)
    number = client.rent()
    answer = client.call("GET", f"/api/v0/instances/{number}/")
    assert (answer.status_code, answer.json()) == (200, {"instances": None})
    assert client.page()["total_instances"] == 0
    assert billing(client) == [number]
    client.advance(1000)
    assert client.read(number)["id"] == number
    assert client.page()["total_instances"] == 1


def test_a_hidden_rental_can_be_destroyed_by_its_id(client: Client) -> None:
    client.fault("hidden", seconds=1000)
    number = client.rent()
    assert client.destroy(number).json() == {"success": True}
    assert billing(client) == []


def test_a_rental_can_cost_more_than_its_offer(client: Client) -> None:
    offer = client.search(limit=1, allocated_storage=20)[0]
    client.fault("price_change", factor=3)
    number = client.rent(offer=offer["id"])
    row = client.wait_status(number, "running")
    assert row["dph_base"] == pytest.approx(offer["dph_base"] * 3)
    client.advance(3600)
    (rental,) = client.control("state")["rentals"]
    assert rental["gpu_usd"] == pytest.approx(offer["dph_base"] * 3, rel=1e-2)
    client.destroy(number)
    back = client.search(machine_id={"eq": offer["machine_id"]}, allocated_storage=20)
    assert offer["dph_base"] in [other["dph_base"] for other in back]


def test_a_create_can_fail_and_leave_a_stopped_rental_that_pays_for_its_disk(
    client: Client,
) -> None:
    client.fault("stopped_create")
    answer = client.create()
    told = answer.json()
    assert answer.status_code == 200
    assert (told["success"], told["error"]) == (False, "insufficient_credit")
    row = client.read(told["new_contract"])
    assert {row[f] for f in ("actual_status", "intended_status", "cur_state")} == {"stopped"}
    assert client.hosts.specs == {}
    client.advance(3600)
    (rental,) = client.control("state")["rentals"]
    assert rental["gpu_usd"] == 0
    assert rental["storage_usd"] > 0
    client.call("PUT", f"/api/v0/instances/{row['id']}/", json={"state": "running"})
    client.wait_status(row["id"], "running")
    assert list(client.hosts.specs) == [row["id"]]


def test_a_host_can_have_something_else_than_its_offer_says(client: Client) -> None:
    offer = client.search(num_gpus={"eq": 2}, limit=1)[0]
    wrong = {"driver_version": "470.1", "vram_factor": 0.5, "gpu_count": 1, "disk_factor": 0.5}
    client.fault("lies", **wrong)
    number = client.rent(offer=offer["id"], disk=40)
    row = client.wait_status(number, "running")
    advertised = ("driver_version", "gpu_ram", "num_gpus")
    assert [row[field] for field in advertised] == [offer[field] for field in advertised]
    assert row["disk_space"] == 40
    spec = client.hosts.specs[number]
    assert spec.gpus is not None
    (gpu,) = spec.gpus["gpus"]
    assert spec.gpus["driver_version"] == "470.1"
    assert gpu["memory.total"] == round(offer["gpu_ram"] / 2)
    assert spec.short_disk_gib == 20


def test_an_attached_key_can_take_a_while_to_work(client: Client) -> None:
    client.fault("attach_delay", seconds=100)
    number = client.rent()
    client.wait_status(number, "running")
    path = f"/api/v0/instances/{number}/ssh/"
    assert client.call("POST", path, json={"ssh_key": PUBLIC_KEY}).json()["success"] is True
    assert PUBLIC_KEY in client.call("GET", path).json()["ssh_keys"]
    assert client.hosts.keys[number] == ()
    client.advance(100)
    assert client.hosts.keys[number] == (PUBLIC_KEY,)


@pytest.mark.parametrize("keep", [True, False])
def test_the_provider_can_rewrite_the_keys_of_a_host(client: Client, keep: bool) -> None:
    client.fault("wipe_keys", after_seconds=100, keep_attached=keep)
    number = client.rent()
    client.wait_status(number, "running")
    path = f"/api/v0/instances/{number}/ssh/"
    client.call("POST", path, json={"ssh_key": PUBLIC_KEY})
    client.hosts.keys[number] += ("a key that a start script added",)
    client.advance(100)
    assert client.hosts.keys[number] == ((PUBLIC_KEY,) if keep else ())
    listed = json.loads(client.call("GET", path).json()["ssh_keys"])
    assert [row["public_key"] for row in listed] == [PUBLIC_KEY]
    client.call("DELETE", f"{path}{listed[0]['id']}/")
    client.call("POST", path, json={"ssh_key": PUBLIC_KEY})
    assert client.hosts.keys[number] == (PUBLIC_KEY,)


def ways(client: Client, number: int) -> dict[str, tuple[str, int]]:
    """Where a running rental is reached."""
    row = client.wait_status(number, "running")
    port = int(row["ports"]["22/tcp"][0]["HostPort"])
    return {
        "direct": (row["public_ipaddr"].strip(), port),
        "proxy": (row["ssh_host"], row["ssh_port"]),
    }


@pytest.mark.parametrize("dead", [("direct",), ("proxy",), ("direct", "proxy")], ids="+".join)
def test_the_ways_to_ssh_can_swallow_connections(client: Client, dead: tuple[str, ...]) -> None:
    client.fault("black_hole", way=dead[0] if len(dead) == 1 else "both")
    number = client.rent()
    addresses = ways(client, number)
    for way in dead:
        for _try in range(2):
            with pytest.raises(TimeoutError):
                socket.create_connection(addresses[way], timeout=0.3)
    client.destroy(number)
    for way in dead:
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(addresses[way], timeout=HANGS_AFTER_SECONDS)


@pytest.mark.parametrize(("dead", "alive"), [("direct", "proxy"), ("proxy", "direct")])
def test_one_way_to_ssh_can_refuse_while_the_other_works(
    client: Client, monkeypatch: pytest.MonkeyPatch, dead: str, alive: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as sshd:
        launch, own = client.hosts.launch, {"22/tcp": sshd.getsockname()[1]}
        monkeypatch.setattr(client.hosts, "launch", lambda spec: {**launch(spec), **own})
        client.fault("never_ssh", way=dead)
        addresses = ways(client, client.rent())
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(addresses[dead], timeout=HANGS_AFTER_SECONDS)
        with socket.create_connection(addresses[alive], timeout=HANGS_AFTER_SECONDS) as line:
            host, _address = sshd.accept()
            with host:
                host.sendall(b"SSH-2.0")
                line.settimeout(HANGS_AFTER_SECONDS)
                assert line.recv(7) == b"SSH-2.0"
                line.sendall(b"hello")
                assert host.recv(5) == b"hello"


def test_a_container_can_be_made_anew_later(client: Client) -> None:
    client.fault("recreates", after_seconds=100)
    number = client.rent(label="mk-1")
    client.wait_status(number, "running")
    assert client.hosts.host_keys[number] == 1
    client.advance(100)
    assert client.wait_status(number, "running")["label"] == "mk-1"
    assert client.hosts.host_keys[number] == 2
    client.advance(1000)
    assert client.hosts.host_keys[number] == 2


def test_another_host_key_can_answer_later(client: Client) -> None:
    client.fault("host_key_changes", after_seconds=100)
    number = client.rent()
    client.wait_status(number, "running")
    assert client.hosts.host_keys[number] == 1
    client.advance(100)
    assert client.hosts.host_keys[number] == 2


@pytest.mark.parametrize("status", ["exited", "offline", "unknown", "stopped"])
def test_a_running_rental_can_go_down_by_itself(client: Client, status: str) -> None:
    client.fault("dies", after_seconds=1800, status=status)
    number = client.rent()
    client.wait_status(number, "running")
    client.advance(7200)
    row = client.read(number)
    assert (row["actual_status"], row["ports"]) == (status, None)
    assert (row["intended_status"] == "stopped") is (status == "stopped")
    (rental,) = client.control("state")["rentals"]
    assert rental["gpu_usd"] == pytest.approx(row["dph_base"] / 2, rel=1e-2)  # until it died


def test_what_was_planned_for_a_destroyed_rental_never_happens(client: Client) -> None:
    kinds = ("dies", "host_key_changes", "wipe_keys", "recreates")
    client.control("faults", [{"kind": kind, "after_seconds": 10} for kind in kinds])
    number = client.rent()
    client.wait_status(number, "running")
    client.destroy(number)
    client.advance(100)
    assert client.read(number) is None
    assert client.hosts.host_keys[number] == 1


# --- others on the same account ---


def test_strangers_share_the_account_and_cost_it_nothing(client: Client) -> None:
    own = client.rent(label="ours")
    client.control("settings", {"strangers": 3})
    rows = client.page()["instances"]
    assert len(rows) == 4
    assert None in {row["label"] for row in rows}
    truth: list[dict[str, Any]] = client.control("state")["rentals"]
    assert [rental["stranger"] for rental in truth] == [False, True, True, True]
    client.destroy(own)
    before = client.control("state")["credit_usd"]
    client.advance(3600)
    assert client.control("state")["credit_usd"] == before
    assert client.control("settings", {"strangers": 0})["strangers"] == 0
    assert client.page()["instances"] == []
