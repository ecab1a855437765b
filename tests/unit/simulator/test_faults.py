# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each fault that a test can order, seen from the client."""

from __future__ import annotations

import pytest
import requests

from tests.simulator import kinds

from .conftest import Client

CREATE = {"method": "PUT", "path": "/asks/"}


def test_a_fault_hits_as_often_as_ordered_and_only_what_it_names(client: Client) -> None:
    client.control("faults", [{"kind": "reply", "path": "/users/", "status": 503, "times": 2}])
    assert client.call("GET", "/api/v1/instances/").status_code == 200
    codes = [client.call("GET", "/api/v0/users/current/").status_code for _try in range(3)]
    assert codes == [503, 503, 200]


def test_a_rate_limit_is_plain_text_with_retry_after(client: Client) -> None:
    text = "API requests too frequent: endpoint threshold=4.5"
    client.control(
        "faults", [{"kind": "reply", "status": 429, "body": text, "headers": {"Retry-After": "1"}}]
    )
    answer = client.call("GET", "/api/v0/users/current/")
    assert (answer.status_code, answer.text) == (429, text)
    assert answer.headers["Content-Type"] == "text/plain"
    assert answer.headers["Retry-After"] == "1"


def test_drop_before_rents_nothing(client: Client) -> None:
    offer = client.search(limit=1)[0]["id"]
    client.control("faults", [{"kind": "drop_before", **CREATE}])
    with pytest.raises(requests.ConnectionError):
        client.create(offer)
    assert client.page()["instances"] == []


def test_drop_after_commit_rents_and_says_nothing(client: Client) -> None:
    offer = client.search(limit=1)[0]["id"]
    client.control("faults", [{"kind": "drop_after_commit", **CREATE}])
    with pytest.raises(requests.ConnectionError):
        client.create(offer)
    assert len(client.page()["instances"]) == 1


def test_an_error_after_commit_rents_all_the_same(client: Client) -> None:
    client.control("faults", [{"kind": "reply_after_commit", "status": 500, **CREATE}])
    assert client.create().status_code == 500
    assert len(client.page()["instances"]) == 1


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long answers were delayed, had anybody waited for it."""
    told: list[float] = []
    monkeypatch.setattr(kinds, "sleep", told.append)
    return told


def test_a_delay_only_delays(client: Client, slept: list[float]) -> None:
    client.control("faults", [{"kind": "delay", "seconds": 0.3, "path": "/users/"}])
    assert client.call("GET", "/api/v0/users/current/").status_code == 200
    assert slept == [0.3]


def test_two_faults_can_meet_one_request(client: Client, slept: list[float]) -> None:
    faults = [{"kind": "delay", "seconds": 0.2, **CREATE}, {"kind": "drop_after_commit", **CREATE}]
    offer = client.search(limit=1)[0]["id"]
    client.control("faults", faults)
    with pytest.raises(requests.ConnectionError):
        client.create(offer)
    assert slept == [0.2]


def test_a_new_rental_can_be_missing_from_lists_for_a_simulated_while(client: Client) -> None:
    client.control("faults", [{"kind": "list_lag", "seconds": 1000}])
    number = client.rent()
    assert client.read(number)["id"] == number
    assert client.page()["instances"] == []
    client.advance(1000)
    assert [row["id"] for row in client.page()["instances"]] == [number]


def test_a_fault_can_let_requests_pass_first_and_tells_how_often_it_was_met(client: Client) -> None:
    fault = {"kind": "reply", "path": "/users/", "status": 503, "skip": 1, "times": 2}
    client.control("faults", [fault])
    codes = [client.call("GET", "/api/v0/users/current/").status_code for _try in range(4)]
    assert codes == [200, 503, 503, 200]
    (planned,) = client.control("faults")["planned"]
    assert (planned["met"], planned["times"]) == (2, 0)


def test_a_fault_can_be_for_a_later_page_only(client: Client) -> None:
    client.control("settings", {"strangers": 30})
    client.fault("reply", path="/api/v1/instances", query="after_token=", status=500)
    first = client.page()
    path = f"/api/v1/instances/?after_token={first['next_token']}"
    assert client.call("GET", path).status_code == 500


def test_a_destroy_can_claim_success_and_do_nothing(client: Client) -> None:
    number = client.rent()
    client.control("faults", [{"kind": "destroy_noop", "times": 2}])
    for left in (True, True, False):
        answer = client.call("DELETE", f"/api/v0/instances/{number}/", json={})
        assert answer.json() == {"success": True}
        assert (client.read(number) is not None) is left


def test_a_host_can_run_without_ssh(client: Client) -> None:
    client.control("faults", [{"kind": "never_ssh"}])
    number = client.rent()
    client.wait_status(number, "running")
    assert not client.hosts.specs[number].sshd


def test_a_boot_can_end_badly(client: Client) -> None:
    fault = {"kind": "boot", "seconds": 0.1, "statuses": ["loading", "exited"], "status_msg": "no"}
    client.control("faults", [fault])
    row = client.wait_status(client.rent(), "exited")
    assert row["status_msg"] == "no"
    assert row["ports"] is None


@pytest.mark.parametrize(
    "fault",
    [{"kind": "nonsense"}, {"kind": "delay", "minutes": 1}, {"kind": "delay", "query": "("}],
)
def test_an_unknown_fault_is_refused(client: Client, fault: dict[str, object]) -> None:
    answer = client.call("POST", "/simulator/faults", json=[fault])
    assert answer.status_code == 400
    assert client.control("faults")["planned"] == []


def test_the_request_log_shows_what_was_asked_without_secrets(client: Client) -> None:
    private = "-----BEGIN OPENSSH PRIVATE KEY-----\nhush\n-----END OPENSSH PRIVATE KEY-----"
    client.rent(env={"HF_TOKEN": "hush", "PLAIN": "seen"}, onstart=f"echo '{private}'")
    client.call("GET", "/api/v0/users/current?api_key=hush")
    log = client.control("requests")
    creates = [entry for entry in log if entry["method"] == "PUT"]
    assert len(creates) == 1
    assert creates[0]["body"]["env"] == {"HF_TOKEN": "<redacted>", "PLAIN": "seen"}
    assert creates[0]["status"] == 200
    assert "hush" not in str(log)
    assert "simulated-account-key" not in str(log)
    client.call("DELETE", "/simulator/requests")
    assert client.control("requests") == []


def test_a_reset_destroys_everything_and_starts_afresh(client: Client) -> None:
    client.rent()
    client.control("settings", {"credit_usd": 1})
    client.control("faults", [{"kind": "drop_before"}])
    told = client.control("reset", {})
    assert (told["rentals"], told["containers"], told["credit_usd"]) == ([], [], 25.0)
    assert client.hosts.specs == {}
    assert client.call("GET", "/api/v0/users/current/").status_code == 200
