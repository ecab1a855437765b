# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""People write into labels, and lists are behind: nothing is rented twice or left to bill."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.inferops.gpu.plugins.filter.fleet_status import fleet_status
from tests.hanging import HANGS_AFTER_SECONDS
from tests.simulator import daemon
from tests.unit.market.conftest import Market, fault

WRITTEN = ["{mark} keep", "keep {mark}", "our demo", "", "{mark}\n", "{broken}"]


def write(market: Market, label: str) -> None:
    """Let somebody write into the label of the only rental."""
    (rental,) = market.simulator.market.rentals.values()
    mark = rental.label or ""
    rental.label = label.format(mark=mark, broken=mark.replace("gpu-1", "gpu-1 (do not touch)"))
    # Nobody shares a list that is older than this.
    market.clock.sleep(60)


def without_second_mark(market: Market) -> None:
    """As a provider shows a rental that has none, or as an older version has rented it."""
    for rental in market.simulator.market.rentals.values():
        rental.wish["env"].pop("INFEROPS_MARK")


def warned(result: dict[str, Any]) -> str:
    """All warnings as one text."""
    return str(result.get("warnings", ""))


def absent(market: Market, **options: Any) -> dict[str, Any]:
    return market.run("rental", name="gpu-1", scope="test", state="absent", **options)


@pytest.mark.parametrize("label", WRITTEN)
def test_a_rental_whose_label_was_written_over_is_kept(market: Market, label: str) -> None:
    first = market.rent()["rental"]
    write(market, label)
    again = market.rent()
    assert again["rental"]["id"] == first["id"]
    assert not again["changed"]
    assert len(market.billing()) == 1
    assert ("was changed by hand" in warned(again)) == (label != "{mark}\n")


@pytest.mark.parametrize("label", WRITTEN)
def test_a_rental_whose_label_was_written_over_is_released(market: Market, label: str) -> None:
    first = market.rent()["rental"]
    write(market, label)
    assert [one["id"] for one in absent(market)["released"]] == [first["id"]]
    assert market.billing() == []


@pytest.mark.parametrize("label", ["{mark} keep", "keep {mark}", "{broken}"])
@pytest.mark.parametrize("state", ["present", "absent"])
def test_a_label_that_is_no_mark_any_more_stops_the_run_and_is_told(
    market: Market, label: str, state: str
) -> None:
    first = market.rent()["rental"]
    write(market, label)
    without_second_mark(market)
    result = market.rent() if state == "present" else absent(market)
    assert result["failed"]
    for told in (first["id"], "unknown", "dollars an hour", "/instances/"):
        assert told in result["msg"]
    assert [row["id"] for row in market.billing()] == [int(first["id"])]


def test_a_label_that_is_no_mark_stops_nobody_whose_rental_is_known(market: Market) -> None:
    market.rent("gpu-2")
    write(market, "{mark} keep")
    without_second_mark(market)
    told = market.run("rental_info", scope="test")
    assert "keep" in warned(told)
    assert "dollars an hour" in warned(told)
    assert told["rentals"] == []


def test_an_extension_lasts_as_long_as_the_mark_is_a_word_of_the_label(market: Market) -> None:
    market.rent(deadline_hours=2)
    market.run("rental_extend", name="gpu-1", scope="test", hours=10)
    write(market, "{mark} keep")
    (told,) = market.run("rental_info", name="gpu-1", scope="test")["rentals"]
    assert told["remaining_seconds"] == pytest.approx(36000, abs=300)
    write(market, "our demo")
    (told,) = market.run("rental_info", name="gpu-1", scope="test")["rentals"]
    assert told["remaining_seconds"] == pytest.approx(7200, abs=300)
    told = market.run("rental_info", name="gpu-1", scope="test")
    assert "the deadline that it was made with" in warned(told)


def test_extending_writes_the_mark_anew(market: Market) -> None:
    market.rent(duration_hours=100)
    write(market, "our demo")
    assert market.run("rental_extend", name="gpu-1", scope="test", hours=30)["changed"]
    assert "by hand" not in warned(market.run("rental_info", name="gpu-1", scope="test"))


def test_a_reaper_ends_a_rental_whose_label_was_replaced_at_its_deadline(market: Market) -> None:
    market.rent(deadline_hours=2)
    write(market, "our demo")
    assert not market.run("rental_reap", scope="test", release=True)["changed"]
    market.pass_hours(3)
    market.run("rental_reap", scope="test", release=True)
    assert market.billing() == []


@pytest.mark.parametrize("lists", [1, 2, 3, 4])
def test_lists_that_are_behind_do_not_make_a_billing_rental_absent(
    market: Market, lists: int
) -> None:
    first = market.rent()["rental"]
    market.controller_dir = market.controller_dir / "another"
    market.fault("list_without", label="", times=lists)
    result = absent(market)
    assert [one["id"] for one in result["released"]] == [first["id"]]
    assert market.billing() == []


@pytest.mark.parametrize("call", ["deploy", "teardown"])
def test_lists_that_are_behind_do_not_hide_the_older_of_two_that_were_rented_at_once(
    market: Market, call: str
) -> None:
    """The older one of a race is kept, so that the youngest bill is of one that has ended."""
    first, other = (market.rent(name)["rental"]["id"] for name in ("gpu-1", "gpu-2"))
    market.create(market.ranked()[0].offer)
    (second,) = {str(row["id"]) for row in market.billing()} - {first, other}
    market.provider().release(second)
    market.clock.sleep(60)
    market.controller_dir = market.controller_dir / "another"
    market.fault("list_without", label="/gpu-1/", times=4)
    if call == "deploy":
        assert market.rent()["rental"]["id"] == first
        assert len(market.creates()) == 3
    else:
        assert [one["id"] for one in absent(market)["released"]] == [first]


def test_lists_that_are_behind_do_not_hide_one_whose_label_was_written_into(market: Market) -> None:
    first = market.rent()["rental"]["id"]
    write(market, "{mark} keep")
    market.controller_dir = market.controller_dir / "another"
    market.fault("list_without", label="", times=4)
    assert [one["id"] for one in absent(market)["released"]] == [first]
    assert market.billing() == []


def test_a_list_that_misses_one_of_several_does_not_make_it_absent(market: Market) -> None:
    first = market.rent()["rental"]
    market.rent("gpu-2")
    market.controller_dir = market.controller_dir / "another"
    market.fault("list_without", label="/gpu-1/", times=4)
    assert [one["id"] for one in absent(market)["released"]] == [first["id"]]


def test_lists_that_are_behind_let_no_dry_run_say_that_nothing_is_rented(market: Market) -> None:
    first = market.rent()["rental"]["id"]
    market.rent("gpu-2")
    market.controller_dir = market.controller_dir / "another"
    market.fault("list_without", label="/gpu-1/", times=4)
    assert [one["id"] for one in absent(market, check=True)["released"]] == [first]
    assert len(market.billing()) == 2


def test_lists_that_are_behind_let_no_extension_say_that_nothing_bills(market: Market) -> None:
    first = market.rent(duration_hours=100)["rental"]["id"]
    market.rent("gpu-2")
    market.controller_dir = market.controller_dir / "another"
    market.fault("list_without", label="/gpu-1/", times=4)
    told = market.run("rental_extend", name="gpu-1", scope="test", hours=30)
    assert told.get("rental", {}).get("id") == first, told
    assert told["changed"]


def test_lists_that_are_behind_rent_no_second_one(market: Market) -> None:
    first = market.rent()["rental"]
    market.rent("gpu-2")
    market.controller_dir = market.controller_dir / "another"
    market.fault("list_without", label="/gpu-1/", times=4)
    assert market.rent()["rental"]["id"] == first["id"]
    assert len(market.creates()) == len(market.billing()) == 2


def test_a_list_that_misses_one_of_two_lets_no_reaper_miss_it(market: Market) -> None:
    first = market.rent(deadline_hours=1)["rental"]["id"]
    market.rent("gpu-2")
    market.pass_hours(2)
    market.controller_dir = market.controller_dir / "another"
    market.fault("list_without", label="/gpu-1/", times=1)
    told = market.run("rental_reap", scope="test", release=True)
    assert {one["id"]: one["outcome"] for one in told["verdicts"]}[first] == "released"
    assert len(market.billing()) == 1


def test_what_a_list_may_miss_keeps_no_reaper_from_what_it_shows(market: Market) -> None:
    """One that has ended is charged for and not listed: whether it lives is asked by its id."""
    first = market.rent(deadline_hours=1)["rental"]["id"]
    market.rent("gpu-2")
    market.run("rental", name="gpu-2", scope="test", state="absent")
    market.pass_hours(2)
    market.fault("garble", on="get", times=3)
    told = market.run("rental_reap", scope="test", release=True)
    assert {one["id"]: one["outcome"] for one in told["verdicts"]}[first] == "released"
    assert "may miss could not be looked at" in warned(told)
    assert market.billing() == []


def test_what_one_view_alone_says_is_told(market: Market) -> None:
    market.fault("reply", on="charged", status=403, body={"error": "forbidden"}, times=9)
    result = absent(market)
    assert not result.get("failed")
    assert "lists alone" in warned(result)


def twins(market: Market, status: str = "loading") -> tuple[str, str]:
    """The rental that serves, and a younger one of its name in this status."""
    first = market.rent()["rental"]["id"]
    market.create(market.ranked()[0].offer)
    market.pass_hours(1)
    second = str(max(int(row["id"]) for row in market.billing()))
    both = [market.simulator.market.rentals[int(rental_id)] for rental_id in (first, second)]
    # They boot in threads of their own, which would have the last word.
    assert daemon.wait(lambda: all(rental.running for rental in both), HANGS_AFTER_SECONDS)
    both[1].status = status
    return first, second


@pytest.mark.parametrize("status", ["loading", "running"])
@pytest.mark.parametrize("call", ["reap", "deploy"])
def test_one_odd_list_does_not_end_the_rental_that_serves(
    market: Market, call: str, status: str
) -> None:
    first, _second = twins(market, status)
    older = market.simulator.market.rentals[int(first)].label or ""
    nonce = older.split("/")[3]
    market.faults(
        fault("row_is", on="list", of=f"/{nonce}/", fields={"actual_status": "exited"}, times=9)
    )
    if call == "reap":
        market.run("rental_reap", scope="test", release=True)
    else:
        market.rent()
    assert first in {str(row["id"]) for row in market.billing()}


def test_what_has_ended_stays_until_its_successor_has_run(market: Market) -> None:
    first, second = twins(market)
    market.simulator.market.rentals[int(first)].status = "exited"
    market.run("rental_reap", scope="test", release=True)
    assert len(market.billing()) == 2
    market.simulator.market.rentals[int(second)].status = "running"
    market.run("rental_reap", scope="test", release=True)
    assert [str(row["id"]) for row in market.billing()] == [second]


def test_an_odd_row_whose_label_was_replaced_is_still_known(market: Market) -> None:
    first = market.rent()["rental"]
    write(market, "our demo")
    market.fault("row_is", on="list", fields={"dph_total": "n/a"}, times=99)
    assert [one["id"] for one in absent(market)["released"]] == [first["id"]]
    assert market.billing() == []


def test_an_inventory_does_not_believe_lists_that_show_nothing(market: Market) -> None:
    first = market.rent()["rental"]
    market.controller_dir = market.controller_dir / "another"
    market.fault("list_without", label="", times=4)
    told = market.run("rental_info", scope="test")
    assert [one["id"] for one in told["rentals"]] == [first["id"]]


def test_a_letter_behind_the_mark_changes_nothing_of_it(market: Market) -> None:
    """It would be read as the time of the request, which tells what a rental has cost."""
    made = market.rent()["rental"]
    write(market, "{mark}k")
    again = market.rent()
    assert again["rental"]["mark"] == made["mark"]
    assert "was changed by hand" in warned(again)


def test_a_list_that_shows_a_rental_twice_ends_none(market: Market) -> None:
    """Pages overlap: the second row is no duplicate that could be released."""
    first = market.rent()["rental"]
    market.clock.sleep(3600)
    market.fault("overlap", times=99)
    again = market.rent()
    assert again["rental"]["id"] == first["id"]
    assert (again["changed"], again["duplicates"]) == (False, [])
    market.run("rental_reap", scope="test", names=["gpu-1"], release=True)
    assert [row["id"] for row in market.billing()] == [int(first["id"])]
    assert [one["id"] for one in absent(market)["released"]] == [first["id"]]


@pytest.mark.parametrize("odd", [5, "text", [1], [None], [["INFEROPS_MARK"]], {"INFEROPS_MARK": 1}])
def test_an_odd_environment_leaves_a_rental_to_its_label(market: Market, odd: object) -> None:
    first = market.rent()["rental"]
    market.clock.sleep(60)
    market.fault("row_is", fields={"extra_env": odd}, times=99)
    assert market.rent()["rental"]["id"] == first["id"]
    assert [one["id"] for one in absent(market)["released"]] == [first["id"]]


@pytest.mark.parametrize(
    "field", ["actual_status", "status_msg", "ports", "public_ipaddr", "start_date", "machine_id"]
)
def test_an_odd_row_is_told_without_a_word_of_python(market: Market, field: str) -> None:
    market.rent()
    market.clock.sleep(60)
    market.fault("row_is", fields={field: ["y"]}, times=99)
    said = market.rent()["msg"]
    assert "cannot be understood: " in said
    for word in ("Error", "object", "unhashable", "int()", "float"):
        assert word not in said


def test_one_odd_row_hides_no_other_rental_of_the_scope(market: Market) -> None:
    odd, good = (market.rent(name)["rental"]["id"] for name in ("gpu-1", "gpu-2"))
    market.clock.sleep(60)
    market.fault("row_is", of="/gpu-1/", fields={"ports": ["22/tcp"]}, times=99)
    told = market.run("rental_info", scope="test")
    assert {one["id"]: one["status"] for one in told["rentals"]} == {
        odd: "unreadable",
        good: "running",
    }
    assert "cannot be understood" in warned(told)
    (first, second, _sum) = fleet_status({"scope": "test", **told})["rentals"]
    assert f"gpu-1: rental {odd} of vastai may bill, and nobody knows how much: " in first
    assert "dollars per hour" in second
