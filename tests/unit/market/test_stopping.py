# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A rental that stands still: its disk stays and bills alone, and it runs again or is replaced."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.market import wire
from tests.unit.market.conftest import Market, die, fault


def stop(market: Market, **options: Any) -> dict[str, Any]:
    """Run the module as role teardown's entry point stop does, where a reaper ends what is left."""
    given = {"scope": "test", "name": "gpu-1", "state": "stopped", "reaper": True}
    return market.run("rental", **{**given, **options})


def row(market: Market, rental_id: str) -> dict[str, Any]:
    """The rental in truth."""
    return next(one for one in market.billing() if str(one["id"]) == rental_id)


def running(market: Market) -> str:
    """The id of a rental that runs."""
    number = int(market.rent()["rental"]["id"])
    rental = market.simulator.market.rentals[number]
    while not rental.running:
        rental.gone.wait(0.001)
    return str(number)


def take_gpus(market: Market, rental_id: str) -> None:
    """Let somebody else rent the machine of what stands still."""
    simulated = market.simulator.market
    machine = simulated.rentals[int(rental_id)].offer["machine_id"]
    for offer in [one for one in simulated.search() if one["machine_id"] == machine]:
        del simulated.offers[offer["id"]]


def test_a_rental_stands_still_and_its_disk_bills_alone(market: Market) -> None:
    rental_id = running(market)
    market.pass_hours(1)
    stopped = stop(market)
    assert stopped["changed"]
    assert (stopped["rental"]["id"], stopped["rental"]["status"]) == (rental_id, "stopped")
    assert stopped["cost_usd"] > 0
    assert stopped["diff"]["after"]["rental"]["status"] == "stopped"
    (told,) = market.run("rental_info", scope="test")["rentals"]
    assert told["billed_usd_per_hour"] == told["stopped_usd_per_hour"]
    assert told["billed_usd_per_hour"] < told["price_usd_per_hour"] / 2
    assert told["enforced_by"] == "nobody"
    before = row(market, rental_id)["gpu_usd"]
    market.pass_hours(5)
    assert row(market, rental_id)["gpu_usd"] == before


def test_what_stands_still_already_is_left_alone(market: Market) -> None:
    running(market)
    stop(market)
    asked = market.count("stop")
    assert not stop(market)["changed"]
    assert market.count("stop") == asked


def test_check_mode_stops_nothing_and_says_what_it_would(market: Market) -> None:
    rental_id = running(market)
    would = stop(market, check=True)
    assert (would["changed"], would["rental"]["status"]) == (True, "stopped")
    assert row(market, rental_id)["status"] == "running"


def test_nothing_is_rented_so_nothing_stands_still(market: Market) -> None:
    stopped = stop(market)
    assert (stopped["changed"], stopped["rental"]) == (False, None)


def test_it_is_refused_where_nobody_would_end_it_at_its_deadline(market: Market) -> None:
    rental_id = running(market)
    refused = stop(market, reaper=False)
    assert refused["failed"]
    assert "inferops_reaper" in refused["msg"]
    assert "inferops_allow_unenforced_deadline" in refused["msg"]
    assert row(market, rental_id)["status"] == "running"
    assert stop(market, reaper=False, allow_unenforced_deadline=True)["changed"]


def test_a_reaper_ends_it_at_its_deadline(market: Market) -> None:
    running(market)
    stop(market)
    market.pass_hours(25)
    reaped = market.run("rental_reap", scope="test", release=True)
    assert [one["verdict"] for one in reaped["verdicts"]] == ["expired"]
    assert market.billing() == []


def test_only_the_rental_of_the_id_stands_still(market: Market) -> None:
    rental_id = running(market)
    assert not stop(market, id="4711")["changed"]
    assert row(market, rental_id)["status"] == "running"
    assert stop(market, id=rental_id)["changed"]


def test_a_stop_that_nobody_sees_fails_and_says_what_bills(market: Market) -> None:
    rental_id = running(market)
    market.fault("reply", on="stop", saying="done", times=99)
    failed = stop(market)
    assert failed["failed"]
    assert f"Rental {rental_id} was asked to stand still, and is not seen to" in failed["msg"]
    assert "It may go on billing" in failed["msg"]


def test_a_stop_whose_answer_was_lost_is_seen_to_have_worked(market: Market) -> None:
    running(market)
    market.fault("drop_after_commit", on="stop", times=99)
    assert stop(market)["rental"]["status"] == "stopped"


def test_a_key_that_was_revoked_stops_nothing_and_says_so(market: Market) -> None:
    running(market)
    market.fault("reply", on="stop", saying="key refused", times=99)
    failed = stop(market)
    assert failed["failed"]
    assert "the provider refused the API key" in failed["msg"]
    assert "It may go on billing" in failed["msg"]


def test_a_deploy_starts_what_stands_still_and_rents_nothing(market: Market) -> None:
    rental_id = running(market)
    stop(market)
    again = market.rent()
    assert again["changed"]
    assert (again["rental"]["id"], again["started"]) == (rental_id, rental_id)
    assert again["rental"]["status"] not in ("stopped", "failed")
    assert again["nonce"] == ""
    assert len(market.creates()) == 1
    assert not market.rent()["changed"]


def test_check_mode_starts_nothing_and_says_what_it_would(market: Market) -> None:
    rental_id = running(market)
    stop(market)
    would = market.rent(check=True)
    assert (would["changed"], would["started"]) == (True, rental_id)
    assert would["rental"]["status"] == "stopped"
    assert row(market, rental_id)["status"] == "stopped"


def test_what_stands_still_is_not_as_asked(market: Market) -> None:
    running(market)
    stop(market)
    found = market.run("rental", scope="test", name="gpu-1", state="found")
    assert (found["as_asked"], found["changed"]) == (False, False)
    assert found["rental"]["status"] == "stopped"


def test_a_rental_whose_gpus_others_have_is_replaced(market: Market) -> None:
    rental_id = running(market)
    stop(market)
    take_gpus(market, rental_id)
    replaced = market.rent()
    assert not replaced.get("failed"), replaced
    assert "started" not in replaced
    assert replaced["rental"]["id"] != rental_id
    assert replaced["nonce"]
    assert [str(one["id"]) for one in market.billing()] == [replaced["rental"]["id"]]
    assert f"Starting rental {rental_id}: its GPUs are somebody else" in str(replaced["warnings"])


def test_a_start_that_is_accepted_and_waits_for_gpus_is_replaced(market: Market) -> None:
    rental_id = running(market)
    stop(market)
    market.fault("reply", on="start", saying="done", times=99)
    replaced = market.rent()
    assert replaced["rental"]["id"] != rental_id
    assert [str(one["id"]) for one in market.billing()] == [replaced["rental"]["id"]]
    assert "still stands still 120 s after its start" in str(replaced["warnings"])


def test_a_start_whose_answer_was_lost_is_seen_to_have_worked(market: Market) -> None:
    rental_id = running(market)
    stop(market)
    market.fault("drop_after_commit", on="start", times=99)
    assert market.rent()["rental"]["id"] == rental_id
    assert len(market.creates()) == 1


def test_a_start_of_which_nobody_knows_rents_no_second_one(market: Market) -> None:
    rental_id = running(market)
    stop(market)
    market.fault("reply", on="start", status=500, body="", times=9999)
    failed = market.rent()
    assert failed["failed"]
    assert f"Nobody knows whether rental {rental_id} was started" in failed["msg"]
    assert (failed["started"], failed["started_provider"]) == (rental_id, "vastai")
    assert len(market.creates()) == 1
    assert [str(one["id"]) for one in market.billing()] == [rental_id]


def test_what_could_not_be_released_after_its_start_is_named_as_started(market: Market) -> None:
    """It may run as soon as its GPUs are free."""
    rental_id = running(market)
    stop(market)
    market.faults(
        fault("reply", on="start", saying="done", times=99),
        fault("destroy_noop", times=9999),
    )
    failed = market.rent()
    assert failed["failed"]
    assert failed["started"] == rental_id


def test_a_failure_that_starts_nothing_names_nothing_as_started(market: Market) -> None:
    rental_id = running(market)
    stop(market)
    take_gpus(market, rental_id)
    market.fault("reply", on="create", status=500, body="", times=9)
    failed = market.rent()
    assert failed["failed"]
    assert "started" not in failed


def test_lists_that_are_behind_keep_nothing_running_that_has_to_stand_still(
    market: Market,
) -> None:
    rental_id = running(market)
    market.fault("list_without", label="", times=99)
    assert stop(market, id=rental_id)["changed"]
    assert row(market, rental_id)["status"] == "stopped"


def test_reads_that_are_down_keep_nothing_running_that_a_list_shows(market: Market) -> None:
    rental_id = running(market)
    market.fault("reply", on="get", status=500, body="", times=9999)
    failed = stop(market, id=rental_id)
    assert failed["failed"]
    # Nobody has seen it stand still, but it was told to.
    assert row(market, rental_id)["status"] == "stopped"


def test_a_start_without_credit_ends_nothing_and_says_why(market: Market) -> None:
    rental_id = running(market)
    stop(market)
    poor = {"success": False, "error": "insufficient_credit", "msg": "Your account lacks credit."}
    market.fault("reply", on="start", status=400, body=poor, times=99)
    refused = market.rent()
    assert refused["failed"]
    assert "the account lacks credit" in refused["msg"]
    assert "Add credit" in refused["msg"]
    assert row(market, rental_id)["status"] == "stopped"
    assert len(market.creates()) == 1


def test_a_start_that_is_refused_in_other_words_ends_nothing(market: Market) -> None:
    rental_id = running(market)
    stop(market)
    market.fault("reply", on="start", status=400, body={"error": "invalid_state"}, times=99)
    refused = market.rent()
    assert refused["failed"]
    assert "invalid_state" in refused["msg"]
    assert row(market, rental_id)["status"] == "stopped"
    assert len(market.creates()) == 1


#: How a list that is odd shows what runs.
STANDING = {"actual_status": "stopped", "intended_status": "stopped", "cur_state": "stopped"}


@pytest.mark.parametrize(
    "shown",
    [
        {"actual_status": "exited", "status_msg": None},
        {"actual_status": "loading", "status_msg": "unauthorized: authentication required"},
    ],
    ids=["exited", "loading"],
)
def test_what_was_stopped_bills_its_disk_alone_whatever_its_host_was_doing(
    market: Market, shown: dict[str, Any]
) -> None:
    """As rows in the field show it: what the machine last said stays, and is no status."""
    rental_id = running(market)
    market.clock.sleep(60)
    costs = {"dph_total": 0.47777777777777775, "storage_total_cost": 0.0021}
    market.fault("row_is", fields={**STANDING, **shown, **costs}, times=99)
    (told,) = market.run("rental_info", scope="test")["rentals"]
    assert (told["id"], told["status"]) == (rental_id, "stopped")
    assert told["billed_usd_per_hour"] == 0.0021
    assert shown["actual_status"] in told["status_text"]
    assert (shown["status_msg"] or "") in told["status_text"]
    assert not stop(market)["changed"]


def test_one_odd_list_starts_nothing_that_serves(market: Market) -> None:
    running(market)
    market.clock.sleep(60)
    market.faults(
        {"kind": "row_is", "method": "GET", "path": wire.CALLS["list"][1], "fields": STANDING,
         "times": 99}
    )  # fmt: skip
    kept = market.rent()
    assert not kept.get("failed"), kept
    assert "started" not in kept
    assert market.count("start") == 0


def test_one_odd_list_lets_nothing_that_bills_count_as_stopped(market: Market) -> None:
    rental_id = running(market)
    market.faults(
        {"kind": "row_is", "method": "GET", "path": wire.CALLS["list"][1], "fields": STANDING,
         "times": 99}
    )  # fmt: skip
    assert stop(market)["changed"]
    assert row(market, rental_id)["status"] == "stopped"


def test_what_is_past_its_deadline_is_not_started(market: Market) -> None:
    rental_id = running(market)
    stop(market)
    market.pass_hours(25)
    refused = market.rent()
    assert refused["failed"]
    assert "is past its deadline" in refused["msg"]
    assert row(market, rental_id)["status"] == "stopped"


def test_another_deadline_moves_along_with_the_start(market: Market) -> None:
    rental_id = running(market)
    stop(market)
    again = market.rent(deadline_hours=48)
    assert (again["rental"]["id"], again["started"]) == (rental_id, rental_id)
    assert again["deadline"]["hours"] == pytest.approx(48, abs=0.1)
    assert again["rental"]["mark"]["lifetime_seconds"] == 48 * 3600


def test_a_host_that_has_died_is_not_started(market: Market) -> None:
    number = int(market.rent()["rental"]["id"])
    die(market, number, "exited")
    kept = market.rent()
    assert "started" not in kept
    assert market.count("start") == 0


def test_a_living_one_of_the_same_name_counts_and_the_other_stays_still(market: Market) -> None:
    first = running(market)
    stop(market)
    market.create(market.ranked()[0].offer)
    kept = market.rent()
    assert kept["rental"]["id"] != first
    assert "started" not in kept


def test_nobody_is_logged_in_to_where_a_rental_stands_still(market: Market) -> None:
    """Its address may be somebody else's by now."""
    running(market)
    market.pass_hours(1)

    def told() -> bool:
        (rental,) = market.run("rental_info", scope="test", name="gpu-1")["rentals"]
        return bool(rental["can_be_reached"])

    assert told()
    stop(market)
    assert not told()
