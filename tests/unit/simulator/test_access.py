# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who may call what and how often: an instance's own key, states of the account, rate limits."""

from __future__ import annotations

from typing import Any

import pytest
import requests

from tests.simulator.access import STATES

from .conftest import PUBLIC_KEY, Client

REVOKED = (404, "auth_error", "Invalid user key")


def told(answer: requests.Response) -> tuple[int, Any, Any]:
    body = answer.json()
    return answer.status_code, body.get("error"), body.get("msg")


def every_call(client: Client, number: int, offer: int) -> dict[str, requests.Response]:
    """Make each kind of call once; the one that destroys comes last."""
    own = f"/api/v0/instances/{number}/"
    return {
        "search": client.call("POST", "/api/v0/bundles/", json={}),
        "list": client.call("GET", "/api/v1/instances/"),
        "read": client.call("GET", own),
        "user": client.call("GET", "/api/v0/users/current/"),
        "keys": client.call("GET", f"{own}ssh/"),
        "attach": client.call("POST", f"{own}ssh/", json={"ssh_key": PUBLIC_KEY}),
        "label": client.call("PUT", own, json={"label": "other"}),
        "create": client.create(offer),
        "destroy": client.destroy(number),
    }


def in_state(client: Client, state: str) -> dict[str, requests.Response]:
    number, offer = client.rent(), client.search(limit=1)[0]["id"]
    client.control("settings", {"account": state})
    return every_call(client, number, offer)


def test_a_revoked_key_is_told_by_404_everywhere_and_nothing_is_done(client: Client) -> None:
    answers = in_state(client, "revoked")
    assert {told(answer) for answer in answers.values()} == {REVOKED}
    assert len(client.control("state")["rentals"]) == 1


def test_a_revoked_key_can_be_told_by_401(client: Client) -> None:
    answers = in_state(client, "revoked-401")
    assert {answer.status_code for answer in answers.values()} == {401}


def test_a_revoked_key_can_read_as_an_empty_account(client: Client) -> None:
    answers = in_state(client, "revoked-empty-lists")
    page = answers["list"].json()
    assert (page["instances"], page["total_instances"], page["next_token"]) == ([], 0, None)
    assert answers["read"].json() == {"instances": None}
    assert answers["search"].status_code == 200
    for name in ("user", "keys", "attach", "label", "create", "destroy"):
        assert told(answers[name]) == REVOKED
    assert len(client.control("state")["rentals"]) == 1


def test_a_session_can_expire(client: Client) -> None:
    answers = in_state(client, "session-expired")
    expected = (404, None, "Session expired. Please log in again.")
    assert {told(answer) for answer in answers.values()} == {expected}


def test_a_key_can_lack_the_right_to_see_its_user(client: Client) -> None:
    answers = in_state(client, "no-user-right")
    refused = [name for name, answer in answers.items() if answer.status_code == 403]
    assert refused == ["user"]
    assert {answers[name].status_code for name in answers if name != "user"} == {200}


def test_a_key_can_be_for_reading_only(client: Client) -> None:
    answers = in_state(client, "read-only")
    refused = [name for name, answer in answers.items() if answer.status_code == 403]
    assert refused == ["attach", "label", "create", "destroy"]
    assert len(client.control("state")["rentals"]) == 1


@pytest.mark.parametrize("state", sorted(STATES))
def test_whatever_the_account_an_instance_s_own_key_goes_on_working(
    client: Client, state: str
) -> None:
    made = client.create().json()
    client.control("settings", {"account": state})
    client.session.headers["Authorization"] = f"Bearer {made['instance_api_key']}"
    assert client.destroy(made["new_contract"]).json() == {"success": True}


def test_an_unknown_state_is_refused_and_changes_nothing(client: Client) -> None:
    given = {"credit_usd": 1, "account": "odd"}
    answer = client.call("POST", "/simulator/settings", json=given)
    assert answer.status_code == 400
    assert client.control("state")["credit_usd"] == 25


def test_an_instance_s_own_key_reads_stops_starts_and_destroys_it_and_no_more(
    client: Client,
) -> None:
    made = client.create().json()
    number, own = made["new_contract"], f"/api/v0/instances/{made['new_contract']}/"
    client.wait_status(number, "running")
    client.session.headers["Authorization"] = f"Bearer {made['instance_api_key']}"
    assert client.read(number)["id"] == number
    assert client.call("PUT", own, json={"label": "mine"}).status_code == 401
    assert client.call("POST", f"{own}ssh/", json={"ssh_key": PUBLIC_KEY}).status_code == 401
    assert client.call("GET", f"{own}ssh/").status_code == 401
    assert client.call("GET", "/api/v0/users/current/").status_code == 401
    for state in ("stopped", "running"):
        assert client.call("PUT", own, json={"state": state}).status_code == 200
        assert client.read(number)["actual_status"] == state
    assert client.hosts.starts[number] == 2
    assert client.destroy(number).json() == {"success": True}


def test_calls_too_close_together_are_refused_in_plain_text(client: Client) -> None:
    offer = client.search(limit=1)[0]["id"]
    client.control("settings", {"rate_limits": True})
    assert client.create(offer).status_code == 200
    early = client.create(offer)
    assert early.status_code == 429
    assert early.text == "API requests too frequent: endpoint threshold=4.5*1.0"
    assert early.headers["Content-Type"] == "text/plain"
    assert "Retry-After" not in early.headers
    assert client.control("state")["too_frequent"] == 1
    client.advance(4.5)
    assert client.create(offer).status_code == 410


@pytest.mark.parametrize(
    ("method", "path", "seconds"),
    [
        ("POST", "/api/v0/bundles/", 6.0),
        ("GET", "/api/v1/instances/", 2.0),
        ("GET", "/api/v0/instances/1/", 2.0),
        ("DELETE", "/api/v0/instances/1/", 3.0),
        ("PUT", "/api/v0/instances/1/", 1.0),
        ("POST", "/api/v0/instances/1/ssh/", 1.0),
    ],
)
def test_each_endpoint_has_its_own_pace(
    client: Client, method: str, path: str, seconds: float
) -> None:
    client.control("clock", {"scale": 0})
    client.control("settings", {"rate_limits": True})
    client.call(method, path, json={})
    client.advance(seconds - 0.1)
    assert client.call(method, path, json={}).status_code == 429
    client.advance(0.1)
    assert client.call(method, path, json={}).status_code != 429


def test_without_rate_limits_nothing_is_too_frequent(client: Client) -> None:
    for _try in range(5):
        client.page()
    assert client.control("state")["too_frequent"] == 0


def test_a_reset_market_refuses_no_call_for_one_that_was_made_before(client: Client) -> None:
    client.control("settings", {"rate_limits": True})
    client.control("clock", {"advance_seconds": 864_000})
    assert client.call("GET", "/api/v1/instances/").status_code == 200
    client.control("reset", {})
    client.control("settings", {"rate_limits": True})
    assert client.call("GET", "/api/v1/instances/").status_code == 200
