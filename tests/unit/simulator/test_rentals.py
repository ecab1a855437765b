# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The life of a rental over Vast.ai's API, without hosts."""

from __future__ import annotations

import json
from typing import Any

import pytest
import requests

from tests.hanging import HANGS_AFTER_SECONDS

from .conftest import PUBLIC_KEY, Client, wait_for


def test_a_rental_becomes_running_and_tells_where_to_log_in(client: Client) -> None:
    number = client.rent(label="mk-1", env={"-p 8000:8000": "1", "A": "b"}, onstart="true")
    row = client.wait_status(number, "running")
    assert row["public_ipaddr"].strip() == "127.0.0.1"
    assert set(row["ports"]) == {"22/tcp", "8000/tcp"}
    assert isinstance(row["ports"]["22/tcp"][0]["HostPort"], str)
    direct = ("127.0.0.1", int(row["ports"]["22/tcp"][0]["HostPort"]))
    assert row["ssh_host"] not in (direct[0], "")
    assert row["ssh_port"] not in (direct[1], 0)
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
    client.control("settings", {"boot_seconds": 2.0})
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
    assert (first["instances_found"], first["total_instances"]) == (25, 27)
    second = client.page(after_token=first["next_token"])
    assert len(second["instances"]) == 2
    assert second["next_token"] is None
    ids = [row["id"] for row in first["instances"] + second["instances"]]
    assert ids == sorted(set(ids))
    labelled = client.page(select_filters=json.dumps({"label": {"in": ["mk-1"]}}))
    assert (labelled["instances_found"], labelled["total_instances"]) == (13, 13)
    assert {row["label"] for row in labelled["instances"]} == {"mk-1"}
    assert first["label_counts"] == {"mk-0": 14, "mk-1": 13}
    assert len(client.call("GET", "/api/v0/instances/").json()["instances"]) == 27


def test_a_page_follows_the_place_of_a_row_and_not_the_row(client: Client) -> None:
    rented = [client.rent(label=f"mk-{number}") for number in range(4)]
    newest_first = '[{"col": "id", "dir": "desc"}]'
    first = client.page(limit="2", order_by=newest_first)
    assert [row["id"] for row in first["instances"]] == rented[:1:-1]
    client.destroy(rented[2])
    second = client.page(limit="2", order_by=newest_first, after_token=first["next_token"])
    assert [row["id"] for row in second["instances"]] == rented[1::-1]


@pytest.mark.parametrize(
    "token",
    ["27", "nonsense", "e30=", "eyJ2YWx1ZXMiOiB7ImlkIjogIngifX0="],
    ids=["number", "text", "empty", "odd"],
)
def test_what_is_no_token_is_refused(client: Client, token: str) -> None:
    answer = client.call("GET", "/api/v1/instances/", params={"after_token": token})
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_token")


def test_a_list_shows_the_columns_that_are_asked_for(client: Client) -> None:
    number = client.rent(label="mk-1")
    page = client.page(select_cols='["id", "label", "no_such"]')
    assert page["instances"] == [{"id": number, "label": "mk-1", "no_such": None}]
    whole = client.page(select_cols='["*"]')["instances"]
    assert whole[0]["machine_id"]


def test_a_list_counts_unlabelled_rentals_and_has_small_pages_for_odd_limits(
    client: Client,
) -> None:
    for _rental in range(6):
        client.rent()
    page = client.page(limit="-1")
    assert len(page["instances"]) == 5
    assert page["label_counts"] == {"": 6}


@pytest.mark.parametrize(
    ("column", "test"),
    [
        ("actual_status", {"eq": "running"}),
        ("machine_id", {"gt": 0}),
        ("label", {"notin": ["mk-2"]}),
        ("id", {"gte": 1, "lte": 10**12}),
    ],
)
def test_a_list_is_filtered_by_what_a_contract_holds(
    client: Client, column: str, test: dict[str, Any]
) -> None:
    kept, other = client.rent(label="mk-1"), client.rent(label="mk-2")
    client.wait_status(kept, "running")
    client.wait_status(other, "running")
    filters = {"label": {"neq": "mk-2"}, column: test}
    page = client.page(select_filters=json.dumps(filters))
    assert [row["id"] for row in page["instances"]] == [kept]


@pytest.mark.parametrize("filters", [{"dph_total": {"lt": 9}}, {"num_gpus": {"eq": 1}}, {"x": {}}])
def test_a_list_is_not_filtered_by_what_is_computed(client: Client, filters: object) -> None:
    client.rent()
    query = {"select_filters": json.dumps(filters)}
    answer = client.call("GET", "/api/v1/instances/", params=query)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


def test_a_rental_that_is_recycled_stays_the_same_on_another_host(client: Client) -> None:
    number = client.rent(label="mk-1", env={"A": "b"}, onstart="true")
    client.wait_status(number, "running")
    client.call("POST", f"/api/v0/instances/{number}/ssh/", json={"ssh_key": PUBLIC_KEY})
    before = client.read(number)
    answer = client.call("PUT", f"/api/v0/instances/recycle/{number}/", json={})
    assert answer.json() == {"success": True}
    after = client.wait_status(number, "running")
    same = ("id", "label", "machine_id", "start_date", "end_date", "extra_env", "dph_total")
    assert [after[field] for field in same] == [before[field] for field in same]
    assert client.hosts.specs[number].authorized_keys == (PUBLIC_KEY,)
    assert (client.hosts.starts[number], client.hosts.host_keys[number]) == (2, 2)


def test_a_rental_that_is_rebooted_keeps_its_disk(client: Client) -> None:
    number = client.rent()
    client.wait_status(number, "running")
    client.call("PUT", f"/api/v0/instances/reboot/{number}/", json={})
    client.wait_status(number, "running")
    assert (client.hosts.starts[number], client.hosts.host_keys[number]) == (2, 1)


@pytest.mark.parametrize("action", ["reboot", "recycle"])
def test_what_is_not_rented_is_neither_rebooted_nor_recycled(client: Client, action: str) -> None:
    answer = client.call("PUT", f"/api/v0/instances/{action}/4711/", json={})
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_id")


def test_a_log_is_there_some_time_after_it_was_asked_for(client: Client) -> None:
    number = client.rent()
    client.wait_status(number, "running")
    for _start in range(2):
        client.call("PUT", f"/api/v0/instances/reboot/{number}/", json={})
    path = f"/api/v0/instances/request_logs/{number}/"
    url = client.call("PUT", path, json={"tail": "2", "filter": "started"}).json()["result_url"]
    assert requests.get(url, timeout=HANGS_AFTER_SECONDS).status_code == 403
    assert (
        requests.get(url, timeout=HANGS_AFTER_SECONDS).text == f"rental {number} was started\n" * 2
    )
    none = client.call("PUT", path, json={"filter": "no such line"}).json()["result_url"]
    requests.get(none, timeout=HANGS_AFTER_SECONDS)
    assert requests.get(none, timeout=HANGS_AFTER_SECONDS).text == ""
    missing = client.call("PUT", "/api/v0/instances/request_logs/4711/", json={})
    assert (missing.status_code, missing.json()["error"]) == (404, "invalid_id")


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


def test_the_gpus_of_a_stopped_rental_are_for_rent_and_its_start_waits_for_them(
    client: Client,
) -> None:
    number = client.rent()
    client.wait_status(number, "running")
    path = f"/api/v0/instances/{number}/"
    machine = client.read(number)["machine_id"]
    client.call("PUT", path, json={"state": "stopped"})
    (offer,) = [one for one in client.search() if one["machine_id"] == machine]
    other = client.rent(offer=offer["id"])
    refused = client.call("PUT", path, json={"state": "running"})
    assert (refused.status_code, refused.json()["error"]) == (400, "resources_unavailable")
    assert client.read(number)["actual_status"] == "stopped"
    client.call("DELETE", f"/api/v0/instances/{other}/", json={})
    client.wait_status(number, "running")
    assert machine not in {one["machine_id"] for one in client.search()}


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
