# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The life of a rental over Vast.ai's API, without hosts."""

from __future__ import annotations

import json
from typing import Any

import pytest

from .conftest import PUBLIC_KEY, Client, wait_for


def test_a_rental_becomes_running_and_tells_where_to_log_in(client: Client) -> None:
    number = client.rent(label="mk-1", env={"-p 8000:8000": "1", "A": "b"}, onstart="true")
    row = client.wait_status(number, "running")
    assert row["public_ipaddr"].strip() == "127.0.0.1"
    assert set(row["ports"]) == {"22/tcp", "8000/tcp"}
    assert isinstance(row["ports"]["22/tcp"][0]["HostPort"], str)
    assert row["ssh_port"] == int(row["ports"]["22/tcp"][0]["HostPort"])
    assert row["extra_env"] == [["-p 8000:8000", "1"], ["A", "b"]]
    assert (row["label"], row["onstart"], row["disk_space"]) == ("mk-1", "true", 20)


def test_ports_are_null_until_it_runs(client: Client) -> None:
    client.control("settings", {"boot_seconds": 60})
    number = client.rent()
    row = client.read(number)
    assert row["actual_status"] is None
    assert row["intended_status"] == "running"
    assert row["ports"] is None


def test_booting_goes_through_every_status_in_order(client: Client) -> None:
    client.control("settings", {"boot_seconds": 0.4})
    number = client.rent()
    seen: list[str | None] = []

    def read() -> str | None:
        status: str | None = client.read(number)["actual_status"]
        if status not in seen:
            seen.append(status)
        return status

    wait_for(read, lambda status: status == "running")
    assert seen == [None, "created", "loading", "running"]


def test_the_host_gets_keys_environment_and_gpus(client: Client) -> None:
    client.call("POST", "/api/v0/ssh/", json={"ssh_key": PUBLIC_KEY})
    offer = client.search(limit=1)[0]
    number = client.rent(offer=offer["id"], env={"A": "b"}, image="team/host-systemd:1")
    client.wait_status(number, "running")
    spec = client.hosts.specs[number]
    assert spec.authorized_keys == (PUBLIC_KEY,)
    assert spec.environment["CONTAINER_ID"] == str(number)
    assert spec.environment["A"] == "b"
    assert spec.systemd
    assert spec.gpus is not None
    assert spec.gpus["driver_version"] == offer["driver_version"]
    assert len(spec.gpus["gpus"]) == offer["num_gpus"]


def test_an_offer_can_be_rented_once(client: Client) -> None:
    offer = client.search(limit=1)[0]
    assert client.create(offer["id"]).json()["success"] is True
    strict = client.create(offer["id"], cancel_unavail=True)
    loose = client.create(offer["id"], cancel_unavail=False)
    assert (strict.status_code, strict.json()["error"]) == (410, "no_such_ask")
    assert (loose.status_code, loose.json()["error"]) == (404, "no_such_ask")
    assert len(client.page()["instances"]) == 1


def test_a_rented_machine_leaves_the_market_and_comes_back_under_a_new_offer(
    client: Client,
) -> None:
    offer = client.search(limit=1)[0]
    of_machine = {"machine_id": {"eq": offer["machine_id"]}}
    number = client.rent(offer=offer["id"])
    assert client.search(**of_machine) == []
    client.call("DELETE", f"/api/v0/instances/{number}/", json={})
    back = client.search(**of_machine)
    assert back
    assert offer["id"] not in {o["id"] for o in back}


def test_destroy_means_gone_for_reads_lists_and_hosts(client: Client) -> None:
    number = client.rent()
    client.wait_status(number, "running")
    answer = client.call("DELETE", f"/api/v0/instances/{number}/", json={})
    assert answer.json() == {"success": True}
    gone = client.call("GET", f"/api/v0/instances/{number}/")
    assert (gone.status_code, gone.json()) == (200, {"instances": None})
    assert client.page()["instances"] == []
    assert client.hosts.specs == {}
    again = client.call("DELETE", f"/api/v0/instances/{number}/", json={})
    assert (again.status_code, again.json()["error"]) == (404, "no_such_instance")


def test_a_host_that_cannot_start_says_why(client: Client) -> None:
    client.hosts.failure = "no space left"
    row = client.wait_status(client.rent(), "created")
    assert ": OCI runtime create failed: no space left" in row["status_msg"]


def test_the_list_has_pages_of_25_and_filters_by_label(client: Client) -> None:
    offers = client.search(order=[["machine_id", "asc"]])
    machines = {offer["machine_id"]: offer["id"] for offer in offers}
    for count, offer in enumerate(list(machines.values())[:27]):
        assert client.create(offer, label=f"mk-{count % 2}").status_code == 200
    first = client.page(limit="100")
    assert len(first["instances"]) == 25
    assert (first["instances_found"], first["total_instances"]) == (27, 27)
    second = client.page(after_token=first["next_token"])
    assert len(second["instances"]) == 2
    assert second["next_token"] is None
    ids = [row["id"] for row in first["instances"] + second["instances"]]
    assert ids == sorted(set(ids))
    labelled = client.page(select_filters=json.dumps({"label": {"in": ["mk-1"]}}))
    assert labelled["instances_found"] == 13
    assert {row["label"] for row in labelled["instances"]} == {"mk-1"}
    assert first["label_counts"] == {"mk-0": 14, "mk-1": 13}
    assert len(client.call("GET", "/api/v0/instances/").json()["instances"]) == 27


def test_a_label_can_be_changed_later(client: Client) -> None:
    number = client.rent(label="mk-1")
    client.call("PUT", f"/api/v0/instances/{number}/", json={"label": "mk-2"})
    assert client.read(number)["label"] == "mk-2"


def test_a_rental_can_be_stopped_and_started(client: Client) -> None:
    number = client.rent()
    client.wait_status(number, "running")
    client.call("PUT", f"/api/v0/instances/{number}/", json={"state": "stopped"})
    row = client.read(number)
    assert (row["actual_status"], row["cur_state"], row["ports"]) == ("stopped", "stopped", None)
    client.call("PUT", f"/api/v0/instances/{number}/", json={"state": "running"})
    assert client.read(number)["actual_status"] == "running"


def test_keys_are_attached_listed_and_detached(client: Client) -> None:
    number = client.rent()
    path = f"/api/v0/instances/{number}/ssh/"
    assert client.call("POST", path, json={"ssh_key": PUBLIC_KEY}).json()["success"] is True
    listed = json.loads(client.call("GET", path).json()["ssh_keys"])
    assert [key["public_key"] for key in listed] == [PUBLIC_KEY]
    assert client.call("DELETE", f"{path}{listed[0]['id']}/").json()["success"] is True
    assert json.loads(client.call("GET", path).json()["ssh_keys"]) == []


def test_a_private_key_is_no_key_to_attach(client: Client) -> None:
    path = f"/api/v0/instances/{client.rent()}/ssh/"
    answer = client.call("POST", path, json={"ssh_key": "-----BEGIN OPENSSH PRIVATE KEY-----"})
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_args")


@pytest.mark.parametrize(
    ("wish", "error"),
    [
        ({"image": None}, "invalid_args"),
        ({"disk": 4}, "invalid_args"),
        ({"disk": "much"}, "invalid_args"),
        ({"label": "x" * 257}, "invalid_args"),
        ({"onstart": "x" * 4097}, "invalid_args"),
        ({"env": "-e A=b"}, "invalid_args"),
        ({"price": 1000}, "invalid_price"),
    ],
)
def test_a_wrong_create_is_refused_and_rents_nothing(
    client: Client, wish: dict[str, Any], error: str
) -> None:
    answer = client.create(**wish)
    assert (answer.status_code, answer.json()["error"]) == (400, error)
    assert client.page()["instances"] == []


def test_a_wrong_key_is_refused_everywhere(client: Client) -> None:
    number = client.rent()
    client.session.headers["Authorization"] = "Bearer wrong"
    for method, path in (
        ("GET", "/api/v0/users/current/"),
        ("GET", "/api/v1/instances/"),
        ("GET", f"/api/v0/instances/{number}/"),
        ("DELETE", f"/api/v0/instances/{number}/"),
        ("PUT", "/api/v0/asks/1/"),
        ("POST", "/api/v0/bundles/"),
    ):
        answer = client.call(method, path, json={})
        assert answer.status_code == 401, path
        assert answer.json() == {"success": False, "error": "auth_error", "msg": "Invalid user key"}


def test_the_key_may_come_in_the_query(client: Client) -> None:
    key = str(client.session.headers["Authorization"]).removeprefix("Bearer ")
    del client.session.headers["Authorization"]
    assert client.call("GET", "/api/v0/users/current").status_code == 401
    assert client.call("GET", f"/api/v0/users/current?api_key={key}").status_code == 200


def test_an_instance_key_opens_its_own_instance_only(client: Client) -> None:
    made = client.create().json()
    other = client.rent()
    client.session.headers["Authorization"] = f"Bearer {made['instance_api_key']}"
    assert client.call("GET", f"/api/v0/instances/{other}/").status_code == 401
    assert client.call("GET", "/api/v1/instances/").status_code == 401
    own = f"/api/v0/instances/{made['new_contract']}/"
    assert client.call("DELETE", own, json={}).json() == {"success": True}


def test_an_unknown_path_is_not_found(client: Client) -> None:
    answer = client.call("GET", "/api/v0/nothing/")
    assert (answer.status_code, answer.json()["error"]) == (404, "not_found")
