# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Vast.ai's own words on the wire: its refusals, rows, pages and nulls, in ours."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.inferops.gpu.plugins.module_utils.market.errors import (
    CredentialError,
    ProviderUnavailable,
    UnclearCreate,
)
from ansible_collections.inferops.gpu.plugins.module_utils.market.providers import vastai as product
from ansible_collections.inferops.gpu.plugins.module_utils.market.providers.provider import (
    Credential,
)
from ansible_collections.inferops.gpu.plugins.module_utils.market.providers.vastai import (
    VastAI,
    _offered,
)
from tests.simulator import vastai
from tests.simulator.market import ACCOUNT_KEY
from tests.simulator.offers import generate
from tests.simulator.web import Reply, Request
from tests.unit.market.conftest import PUBLIC_KEY, Market, as_order, order

CREATE = {"method": "PUT", "path": "/asks/"}


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (404, "error 404/3603: no_such_ask Instance type by id 5 is not available."),
        (410, {"success": False, "error": "no_such_ask", "msg": "error 410/3907"}),
        (400, {"success": False, "error": "no_such_ask", "msg": "gone"}),
    ],
)
def test_a_stale_offer_takes_the_next_one(market: Market, status: int, body: object) -> None:
    market.fault("reply", **CREATE, times=1, status=status, body=body)
    result = market.rent()
    assert [attempt["outcome"] for attempt in result["attempts"]] == ["gone", "rented"]
    assert len(market.billing()) == 1


def test_a_503_is_never_taken_for_a_stale_offer(market: Market) -> None:
    market.fault("reply", **CREATE, times=1, status=503, body="service is not available")
    with pytest.raises(UnclearCreate):
        market.lifecycle().rent(market.ranked(), as_order())
    assert len(market.creates()) == 1


def test_missing_credit_is_refused_at_once(market: Market) -> None:
    body = {"success": False, "error": "insufficient_credit", "msg": "Your account lacks credit"}
    market.fault("reply", **CREATE, times=1, status=400, body=body)
    result = market.rent()
    assert "lacks credit" in result["msg"]
    assert len(market.creates()) == 1


def test_a_gateways_refusal_of_a_create_that_was_carried_out_is_not_believed(
    market: Market,
) -> None:
    body = {"message": "Forbidden"}  # JSON, but not in Vast.ai's shape
    market.fault("reply_after_commit", **CREATE, times=1, status=403, body=body)
    assert market.rent()["rental"]["id"]
    assert len(market.creates()) == len(market.billing()) == 1


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (408, {"success": False, "error": "timeout", "msg": "Request timeout"}),
        (400, "<html><h1>400 Bad Request</h1></html>"),
        (404, "<html><h1>404 Not Found</h1></html>"),
        (403, "<html>blocked</html>"),
    ],
)
def test_a_gateway_that_refuses_a_create_after_it_was_done_hides_no_rental(
    market: Market, status: int, body: object
) -> None:
    market.fault("reply_after_commit", **CREATE, status=status, body=body)
    result = market.rent()
    assert [str(row["id"]) for row in market.billing()] == [result["rental"]["id"]]
    assert len(market.creates()) == 1


def test_an_error_beside_an_id_leaves_no_stray(market: Market) -> None:
    """A bid that cannot be paid leaves a stopped instance that bills its disk."""
    market.fault("stopped_create", times=1)
    rented = market.lifecycle().rent(market.ranked(), as_order())
    assert len(market.creates()) == 2
    assert [row["id"] for row in market.billing()] == [int(rented.rental.id)]


def test_an_error_beside_an_id_tells_the_id(market: Market) -> None:
    market.fault("stopped_create", times=1)
    with pytest.raises(UnclearCreate, match="an error beside a rental") as raised:
        market.provider().rent(market.ranked()[0].offer, order())
    assert [str(row["id"]) for row in market.billing()] == [raised.value.rental_id]


def test_every_page_of_the_list_is_read(market: Market) -> None:
    for number in range(27):
        market.rent(f"gpu-{number}", verified=False)
    assert len(market.run("rental_info", scope="test")["rentals"]) == 27


def test_a_short_list_is_not_trusted(market: Market) -> None:
    body = {"success": True, "instances": [], "total_instances": 3, "next_token": None}
    market.fault("reply", method="GET", path="/api/v1/instances/", times=1, status=200, body=body)
    with pytest.raises(ProviderUnavailable, match="0 came of 3"):
        market.provider().list_rentals()


@pytest.mark.parametrize("limit", ["_MOST_PAGES", "_MOST_LISTING_SECONDS", "_MOST_LISTING_LETTERS"])
def test_a_list_without_end_is_given_up_by_pages_time_and_size(
    market: Market, monkeypatch: pytest.MonkeyPatch, limit: str
) -> None:
    monkeypatch.setattr(product, limit, 1)
    if limit == "_MOST_LISTING_SECONDS":
        monkeypatch.setattr(product, limit, -1.0)
    body = {"success": True, "instances": [], "total_instances": 9, "next_token": "more"}
    market.fault("reply", method="GET", path="/api/v1/instances/", times=9, status=200, body=body)
    with pytest.raises(ProviderUnavailable, match="no end after 1 pages"):
        market.provider().list_rentals()


@pytest.mark.parametrize("body", ["", {"success": False}, {"instances": ""}])
def test_an_odd_list_is_not_an_empty_one(market: Market, body: object) -> None:
    market.fault("reply", method="GET", path="/api/v1/instances/", times=9, status=200, body=body)
    with pytest.raises(ProviderUnavailable):
        market.provider().list_rentals()


def test_an_unknown_404_is_not_gone(market: Market) -> None:
    body = {"success": False, "error": "auth_error", "msg": "Session expired"}
    market.fault("reply", method="GET", path="/api/v0/instances/", times=9, status=404, body=body)
    with pytest.raises(CredentialError):
        market.provider().get("1")


ODD_FIELDS: list[dict[str, Any]] = [
    {"dph_total": "n/a"},
    {"start_date": "soon"},
    {"ports": {"22/tcp": [{}]}},
    {"ports": ["22/tcp"]},
    {"label": 5},
    {"status_msg": ["loading"]},
    {"actual_status": {}},
    {"num_gpus": float("nan")},
    {"extra_env": 5},
]


@pytest.mark.parametrize("fields", ODD_FIELDS, ids=str)
def test_odd_rows_after_a_create_are_looked_at_again(
    market: Market, fields: dict[str, Any]
) -> None:
    market.fault("row_is", fields=fields, times=4)
    result = market.rent()
    assert [str(row["id"]) for row in market.billing()] == [result["rental"]["id"]]


def test_a_row_of_ours_that_stays_odd_is_named_and_can_still_be_released(market: Market) -> None:
    rental = market.rent()["rental"]
    market.pass_hours(0.1)
    market.fault("row_is", fields={"dph_total": "n/a"}, times=99)
    result = market.rent()
    assert f"rental {rental['id']} cannot be understood" in result["msg"]
    assert len(market.billing()) == 1
    gone = market.run("rental", name="gpu-1", scope="test", state="absent")
    assert [one["id"] for one in gone["released"]] == [rental["id"]]
    assert market.billing() == []


@pytest.mark.parametrize("environment", [5, [5], [None], [{"a": 1, "b": 2}], "text", True])
def test_an_odd_environment_of_a_rental_hides_none(market: Market, environment: object) -> None:
    rental = market.rent()["rental"]
    market.fault("row_is", fields={"extra_env": environment}, times=99)
    gone = market.run("rental", name="gpu-1", scope="test", state="absent")
    assert [one["id"] for one in gone["released"]] == [rental["id"]]


def test_true_is_no_id_of_a_rental(market: Market) -> None:
    market.rent()
    market.fault("row_is", fields={"id": True}, times=99)
    with pytest.raises(ProviderUnavailable, match="cannot be trusted"):
        market.provider().list_rentals()


def test_a_strangers_row_that_stays_odd_is_in_nobodys_way(
    market: Market, monkeypatch: pytest.MonkeyPatch
) -> None:
    stranger = {"label": "their training", "dph_total": "n/a", "ports": ["22/tcp"]}
    market.provider().rent(market.ranked()[-1].offer, order("theirs"))
    (theirs,) = market.simulator.market.rentals.values()
    row_of = vastai.instance_row
    monkeypatch.setattr(
        vastai,
        "instance_row",
        lambda market, one: {**row_of(market, one), **(stranger if one is theirs else {})},
    )
    market.rent()
    market.pass_hours(48)
    assert market.run("rental_reap", scope="test", release=True)["counts"]["expired"] == 1
    assert [row["id"] for row in market.billing()] == [theirs.id]


def test_a_damaged_offer_hides_no_other_one(market: Market) -> None:
    whole = len(market.ranked())
    offer = market.ranked()[0].offer
    market.simulator.market.offers[int(offer.id)]["cpu_ram"] = ["n/a"]
    assert len(market.ranked()) == whole - 1


@pytest.mark.parametrize("price", [None, 0, 1e-9, "n/a", float("nan")])
def test_what_has_no_price_is_not_for_rent(price: object) -> None:
    row = {**generate(0.0)[0], "dph_total": price}
    with pytest.raises(ValueError, match="dph_total is"):
        _offered(row, 40)


@pytest.mark.parametrize("value", [None, ""])
def test_vast_ai_does_not_tell_what_it_shows_as_null(value: object) -> None:
    silent = dict.fromkeys(("driver_version", "cuda_max_good", "machine_id", "geolocation"), value)
    numbers = dict.fromkeys(("reliability", "reliability2", "inet_down", "disk_bw", "gpu_ram"))
    row = {**generate(0.0)[0], **silent, **numbers, "verification": value}
    (found,) = _offered(row, 40)
    assert found.driver_version is found.cuda_version is found.machine_id is found.country is None
    assert found.reliability is found.vram_gib is found.disk_mb_per_second is None
    assert found.download_mbit_per_second is found.verified is None


def test_attaching_a_key_twice_is_one_key(market: Market) -> None:
    provider = market.provider()
    rental_id = provider.rent(market.ranked()[0].offer, order())
    provider.attach_key(rental_id, PUBLIC_KEY)
    provider.attach_key(rental_id, PUBLIC_KEY)
    posts = [
        entry
        for entry in market.simulator.journal.entries()
        if entry["method"] == "POST" and entry["path"].endswith("/ssh/")
    ]
    assert len(posts) == 1


def test_the_secrets_of_vast_ai_are_what_they_were() -> None:
    assert VastAI.credentials == (Credential("api_key", ("VAST_API_KEY",)),)


@pytest.mark.parametrize(
    ("status", "body", "advice"),
    [
        (
            410,
            {"success": False, "error": "deprecated_endpoint", "msg": "Use v1."},
            "newer version",
        ),
        (
            404,
            {"success": False, "error": "deprecated_endpoint", "msg": "Use v1."},
            "newer version",
        ),
        (404, {"success": False, "error": "not_found", "msg": "no such endpoint"}, "newer version"),
        (400, {"success": False, "error": "spend_rate_limit", "msg": "Exceeded."}, "spend rate"),
        (400, {"success": False, "error": "missing_billing", "msg": "Add one."}, "payment method"),
        (402, {"success": False, "error": "payment_required", "msg": "Pay."}, "Add credit"),
        (400, {"success": False, "error": "insufficient_funds", "msg": "Too low."}, "Add credit"),
        (
            403,
            {"success": False, "error": "account_error", "msg": "Your account is suspended."},
            "See what the console says",
        ),
        # What refuses the account is not said of the key.
        (403, {"success": False, "error": "spend_rate_limit", "msg": "Exceeded."}, "spend rate"),
        # What is not available need not be the offer.
        (
            400,
            {"success": False, "error": "invalid_args", "msg": "image some/image is not available"},
            "Change the option",
        ),
        # A number in a text is no status.
        (
            400,
            {"success": False, "error": "invalid_args", "msg": "ask 4021404"},
            "Change the option",
        ),
    ],
)
def test_what_refuses_every_offer_is_no_offer_that_is_gone(
    market: Market, status: int, body: dict[str, Any], advice: str
) -> None:
    market.fault("reply", on="create", status=status, body=body, times=9)
    result = market.rent()
    assert result["failure"]["kind"] == "RequestRefused"
    assert advice in result["failure"]["remedy"]
    assert len(market.creates()) == 1


def test_the_login_of_a_registry_goes_to_the_market_and_into_no_message(market: Market) -> None:
    login = {"registry_username": "robot", "registry_password": "very-secret"}
    result = market.rent(image="ghcr.io/example/worker:1", **login)
    # The simulator's log of requests tells no secrets.
    (rental,) = market.simulator.market.rentals.values()
    assert rental.wish["image_login"] == "-u robot -p very-secret ghcr.io"
    assert "very-secret" not in str(result)
    assert market.rent("gpu-2")["changed"]
    assert market.creates()[1]["body"]["image_login"] is None


@pytest.mark.parametrize(
    "login",
    [{"registry_username": "robot"}, {"registry_username": "a b", "registry_password": "c"}],
)
def test_half_a_login_is_refused_before_anything_is_rented(
    market: Market, login: dict[str, str]
) -> None:
    for check in (True, False):
        result = market.run(
            "rental", check=check, name="gpu-1", scope="test", ssh_public_key=PUBLIC_KEY, **login
        )
        assert "registry_username" in result["msg"]
    assert market.creates() == []


# Logs.

REQUEST_LOG = {"method": "PUT", "path": "/request_logs/"}


def rented_id(market: Market) -> str:
    return str(market.rent()["rental"]["id"])


def test_a_log_is_looked_for_until_it_is_there_and_its_place_gets_no_key_of_ours(
    market: Market,
) -> None:
    rental_id = rented_id(market)
    keys: dict[str, set[str | None]] = {}
    answer = market.simulator.api.answer

    def watched(request: Request, traits: Any, from_host: bool) -> Reply:
        name = "log" if request.path.startswith("/instance_logs/") else "API"
        keys.setdefault(name, set()).add(request.headers.get("authorization"))
        return answer(request, traits, from_host)

    market.simulator.api.answer = watched  # type: ignore[method-assign]
    # It is on its way the first time that somebody looks.
    log = market.provider().log(rental_id, 20.0)
    assert "was started" in log.container
    assert "create container some/image" in log.machine
    assert keys == {"log": {None}, "API": {f"Bearer {ACCOUNT_KEY}"}}


@pytest.mark.parametrize(
    "link",
    [
        "http://169.254.169.254/latest/meta-data/",
        "https://s3.amazonaws.com@elsewhere.example/x.log",
        "https://s3.amazonaws.com.elsewhere.example/x.log",
        "https://elsewhere.example/s3.amazonaws.com/x.log",
        "http://s3.amazonaws.com/vast.ai/x.log",
        "{api}.elsewhere.example/x.log",
        "{api}@elsewhere.example/x.log",
        "file:///etc/passwd",
        "",
        5,
        None,
    ],
)
def test_a_log_that_is_said_to_lie_anywhere_is_not_fetched(market: Market, link: Any) -> None:
    rental_id = rented_id(market)
    told = link.format(api=market.simulator.url) if isinstance(link, str) else link
    body = {"success": True, "result_url": told, "msg": "x"}
    market.fault("reply", **REQUEST_LOG, status=200, body=body, times=9)
    with pytest.raises(ProviderUnavailable, match="is no bucket"):
        market.provider().log(rental_id, 20.0)


@pytest.mark.parametrize(
    "link",
    [
        "https://s3.amazonaws.com/vast.ai/instance_logs/1f.log",
        "https://vast-logs.s3.us-west-2.amazonaws.com/1f.log?X-Amz-Signature=1",
        "{api}/instance_logs/5.log",
    ],
)
def test_a_log_lies_in_a_bucket(market: Market, link: str) -> None:
    told = link.format(api=market.simulator.url)
    place, path = market.provider()._place_of_log(told)
    assert place + path == told


def test_a_log_that_never_comes_is_told(market: Market) -> None:
    rental_id, before = rented_id(market), market.clock.now()
    market.fault("reply", method="GET", path="/instance_logs/", status=403, body="", times=999)
    with pytest.raises(ProviderUnavailable, match="not there within 10 s"):
        market.provider().log(rental_id, 20.0)
    assert market.clock.now() - before < 60


def test_one_of_two_logs_is_better_than_none(market: Market) -> None:
    rental_id = rented_id(market)
    market.fault("reply", **REQUEST_LOG, status=500, body="", times=1)
    log = market.provider().log(rental_id, 20.0)
    assert log.machine == ""
    assert "was started" in log.container
