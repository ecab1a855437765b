# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Safety rules that only a mutation showed to be untested: each test kills one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ansible_collections.inferops.gpu.plugins.module_utils.market.errors import (
    ProviderUnavailable,
    UnclearCreate,
)
from ansible_collections.inferops.gpu.plugins.module_utils.market.rentals.claims import Claims
from ansible_collections.inferops.gpu.plugins.module_utils.market.rentals.lifecycle import Lifecycle
from ansible_collections.inferops.gpu.plugins.module_utils.market.rentals.presence import (
    GONE,
    PRESENT,
    UNKNOWN,
)
from ansible_collections.inferops.gpu.plugins.module_utils.market.shared_file import SharedFile
from tests.simulator.market import ACCOUNT_KEY
from tests.unit.market.conftest import MOST_HOURS, Market, fault, order

#: Without the bills as a second view, lists alone decide.
NO_BILLS = fault("reply", on="charged", status=403, body={}, times=99)


def absent(market: Market, **options: Any) -> dict[str, Any]:
    """Tear down what has the name gpu-1."""
    return market.run("rental", name="gpu-1", scope="test", state="absent", **options)


# What an answer means.


@pytest.mark.parametrize(
    "body",
    [
        {"success": True, "instances": None, "total_instances": 0, "next_token": None},
        {"success": False, "instances": [], "total_instances": 0, "next_token": None},
    ],
    ids=["null", "failed"],
)
def test_a_list_that_only_looks_empty_is_not_believed(market: Market, body: object) -> None:
    market.fault("reply", on="list", status=200, body=body)
    with pytest.raises(ProviderUnavailable):
        market.provider().list_rentals()


@pytest.mark.parametrize("body", [{}, {"instances": {"id": 5}}], ids=["nothing", "another"])
def test_a_read_that_shows_no_such_rental_does_not_say_that_it_is_gone(
    market: Market, body: object
) -> None:
    market.fault("reply", on="get", status=200, body=body)
    with pytest.raises(ProviderUnavailable):
        market.provider().get("27")


def test_an_offer_that_is_stale_by_503_takes_the_next_one(market: Market) -> None:
    body = {"error_type": "stale_inventory", "retry_suggested": True}
    market.fault("reply", on="create", status=503, body=body)
    result = market.rent()
    assert [attempt["outcome"] for attempt in result["attempts"]] == ["gone", "rented"]


def test_a_lost_race_never_leaves_a_stopped_rental(market: Market) -> None:
    market.rent()
    assert market.creates()[0]["body"]["cancel_unavail"] is True


# Proof of absence.


def test_a_rental_that_comes_back_at_once_is_released_again(market: Market) -> None:
    market.rent()
    market.fault("resurrect", seconds=3)
    assert absent(market)["changed"]
    market.pass_hours(1)
    assert market.billing() == []


@pytest.mark.parametrize(
    ("liar", "presence"),
    [
        (fault("list_without", label="", times=9), PRESENT),
        (fault("reply", on="get", saying="no such rental", times=9), PRESENT),
        (fault("reply", on="get", status=500, body="oops", times=99), UNKNOWN),
    ],
    ids=["list", "id", "down"],
)
def test_gone_takes_both_the_list_and_the_id(
    market: Market, liar: dict[str, Any], presence: str
) -> None:
    rental = market.rent()["rental"]
    market.faults(liar)
    assert market.lifecycle().account.judge(rental["id"]).presence == presence != GONE


def test_a_create_that_shows_seconds_later_is_found_by_a_teardown(market: Market) -> None:
    market.faults(fault("list_lag", seconds=4), NO_BILLS)
    market.create(market.ranked()[0].offer)
    assert len(absent(market)["released"]) == 1
    assert market.billing() == []


def test_what_another_host_listed_never_proves_that_nothing_is_rented(market: Market) -> None:
    market.faults(NO_BILLS)
    assert market.run("rental_info", scope="test")["rentals"] == []
    market.create(market.ranked()[0].offer)
    assert len(absent(market)["released"]) == 1
    assert market.billing() == []


def test_a_teardown_that_cannot_be_proven_fails(market: Market) -> None:
    market.rent()
    market.fault("destroy_noop", times=999)
    result = absent(market)
    assert result["failed"]
    assert "may bill" in result["failure"]["money"]


def test_why_an_absence_is_not_proven_is_told_in_whole_sentences(market: Market) -> None:
    market.rent()
    market.fault("reply", on="get", status=500, body="oops", times=999)
    result = absent(market)
    assert result["failed"]
    assert ".." not in result["msg"]


# One name, one rental.


def test_the_rental_of_another_controller_is_not_taken_for_a_lost_create(market: Market) -> None:
    ranked = market.ranked()
    market.create(ranked[0].offer)
    market.fault("drop_before", on="create")
    with pytest.raises(UnclearCreate, match="No rental with its mark was listed"):
        market.lifecycle().rent(ranked[1:], lambda _offer: order())


def test_who_is_oldest_is_decided_by_a_list_that_shows_the_own_create(market: Market) -> None:
    ranked = market.ranked()
    older = market.create(ranked[0].offer)
    market.fault("list_lag", seconds=6)
    rented = market.lifecycle().rent(ranked[1:], lambda _offer: order())
    assert not rented.own
    assert [row["label"] for row in market.billing()] == [older.mark.encode()]


def test_a_rental_that_no_list_ever_shows_is_released(market: Market) -> None:
    market.fault("list_lag", seconds=604_800)
    kept = market.rent()["rental"]
    market.pass_hours(200)
    assert [row["id"] for row in market.billing()] == [int(kept["id"])]


def test_an_old_listing_of_another_host_is_not_used(market: Market) -> None:
    market.run("rental_info", scope="test")
    market.create(market.ranked()[0].offer)
    market.pass_hours(0.1)
    assert len(market.run("rental_info", scope="test")["rentals"]) == 1


def test_a_machine_that_another_host_is_renting_is_left_to_it(
    market: Market, tmp_path: Path
) -> None:
    ranked = market.ranked()
    claims = Claims(SharedFile(str(tmp_path / "claims.json")), market.clock)
    assert claims.take(ranked[0].offer.machine_id, "somebody else")
    lifecycle = Lifecycle(market.provider(), "test", market.clock, claims=claims)
    rented = lifecycle.rent(ranked, lambda _offer: order())
    assert rented.rental.machine_id != ranked[0].offer.machine_id
    assert [attempt["outcome"] for attempt in rented.attempts] == ["claimed", "rented"]


def test_two_hosts_of_a_fleet_never_share_a_machine(market: Market) -> None:
    first = market.rent("gpu-1")["rental"]
    (taken, *_rest) = market.simulator.market.taken[int(first["id"])]
    prices = {field: taken[field] * 0.05 for field in ("dph_base", "dph_total")}
    market.simulator.market.offers[5] = {**taken, **prices, "id": 5, "ask_contract_id": 5}
    assert market.ranked()[0].offer.machine_id == first["machine_id"]
    # By then the first host's claim on the machine is over.
    market.pass_hours(0.1)
    assert market.rent("gpu-2")["rental"]["machine_id"] != first["machine_id"]


# Deadlines.


def test_what_has_no_deadline_is_never_past_it(market: Market) -> None:
    market.rent(deadline_hours=0, no_deadline=True)
    market.pass_hours(1000)
    result = market.run("rental_reap", scope="test", release=True)
    assert [one["verdict"] for one in result["verdicts"]] == ["adopted"]
    assert len(market.billing()) == 1


def test_an_extension_that_the_provider_forgets_is_no_success(market: Market) -> None:
    market.rent(duration_hours=MOST_HOURS)
    market.fault("reply", on="change_mark", saying="done")
    result = market.run("rental_extend", scope="test", name="gpu-1", hours=99)
    assert result["failed"]
    assert "does not show" in result["msg"]


def test_the_dead_man_switch_travels_with_the_create(market: Market) -> None:
    at = market.rent(deadline_hours=5)["deadline"]["at"]
    script = market.creates()[0]["body"]["onstart"]
    assert f"original={at}\n" in script
    assert "CONTAINER_API_KEY" in script


# Check mode.


def test_check_mode_leaves_duplicates_alone(market: Market) -> None:
    for entry in market.ranked()[:2]:
        market.create(entry.offer)
    market.pass_hours(0.2)
    assert market.rent(check=True)["changed"]
    assert len(market.billing()) == 2


def test_check_mode_of_the_reaper_releases_nothing(market: Market) -> None:
    market.rent(deadline_hours=1)
    market.pass_hours(2)
    result = market.run("rental_reap", scope="test", release=True, check=True)
    assert [one["outcome"] for one in result["verdicts"]] == ["would release"]
    assert len(market.billing()) == 1


# Limits and secrets.


def test_no_call_comes_too_early(market: Market) -> None:
    market.simulator.control.settings({"rate_limits": True})
    market.rent("gpu-1")
    market.rent("gpu-2")
    absent(market)
    assert market.simulator.control.state()["too_frequent"] == 0


def test_a_provider_that_says_how_long_to_wait_is_obeyed(market: Market) -> None:
    market.fault("reply", on="list", status=429, body="too frequent", headers={"Retry-After": "20"})
    before = market.clock.now()
    market.provider().list_rentals()
    assert market.clock.now() - before >= 20


def test_no_host_ever_gets_the_accounts_key(market: Market) -> None:
    market.rent()
    (rental,) = market.simulator.market.rentals.values()
    assert ACCOUNT_KEY not in str(rental.wish)
