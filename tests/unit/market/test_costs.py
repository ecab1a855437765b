# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What rentals cost: the audit trail, the sums against the simulator's bill, and the budget."""

from __future__ import annotations

import csv
import fcntl
import io
import json
import os
import time
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.inferops.gpu.plugins.module_utils.market import lines
from ansible_collections.inferops.gpu.plugins.module_utils.market.costs.courses import (
    ENDED,
    UNCLEAR,
    Bills,
    Course,
    Known,
    courses,
    month_of,
)
from ansible_collections.inferops.gpu.plugins.module_utils.market.costs.export import (
    days_csv,
    focus_csv,
    parts_of,
)
from ansible_collections.inferops.gpu.plugins.module_utils.market.mark import Mark
from ansible_collections.inferops.gpu.plugins.module_utils.market.model import Charge
from tests.unit.market.conftest import Market, die, fault

HOUR, DAY = 3600.0, 86_400.0
CENT = 0.01


def trail_of(market: Market) -> str:
    return str(market.controller_dir / "audit.jsonl")


def events(market: Market) -> list[dict[str, Any]]:
    return [json.loads(line) for line in Path(trail_of(market)).read_text().splitlines()]


def told(market: Market, **options: Any) -> dict[str, Any]:
    """What the rentals of the scope have cost, of all that is known."""
    options = {"audit_path": trail_of(market), "first_day": "2020-01-01", **options}
    return market.run("rental_costs", scope="test", **options)


def bill_usd(market: Market) -> float:
    """What the simulated marketplace charges for all that was ever rented."""
    simulated = market.simulator.market
    return sum(one.charged_usd for one in (*simulated.rentals.values(), *simulated.ended))


def rent(market: Market, name: str = "gpu-1", **options: Any) -> dict[str, Any]:
    """Rent, and wait until what is rented runs, for that takes a thread's time."""
    result = market.rent(name, **options)
    for rental in list(market.simulator.market.rentals.values()):
        while rental.intended == "running" and not rental.running:
            time.sleep(0.001)
    return result


def release(market: Market, name: str = "gpu-1", **options: Any) -> dict[str, Any]:
    options = {"audit_path": trail_of(market), **options}
    return market.run("rental", name=name, scope="test", state="absent", **options)


# The audit trail.


def test_all_that_spends_changes_or_releases_leaves_a_line(market: Market) -> None:
    audit = {"audit_path": trail_of(market), "operator": "ada", "job": "4711"}
    rented = rent(market, **audit)["rental"]
    market.pass_hours(1)
    market.run("rental_extend", scope="test", name="gpu-1", hours=30, **audit)
    market.run("rental", scope="test", name="gpu-1", state="stopped", reaper=True, **audit)
    rent(market, **audit)
    release(market, **audit)
    rows = events(market)
    assert [row["event"] for row in rows] == [
        *("requested", "rented", "moved", "stopped", "started", "released")
    ]
    assert {(row["operator"], row["job"]) for row in rows} == {("ada", "4711")}
    assert {row["rental"] for row in rows[1:]} == {rented["id"]}
    assert {(row["scope"], row["name"], row["provider"]) for row in rows} == {
        ("test", "gpu-1", "vastai")
    }
    assert rows[0]["price_usd_per_hour"] > 0
    assert rows[2]["deadline"] > rows[1]["deadline"]


def test_looking_leaves_no_line(market: Market) -> None:
    rent(market)
    audit = {"audit_path": trail_of(market)}
    rent(market, **audit)
    market.run("rental", scope="test", name="gpu-1", state="absent", check=True, **audit)
    market.run("rental_reap", scope="test", release=True, **audit)
    told(market)
    assert not Path(trail_of(market)).exists()


def test_what_a_reaper_ends_is_on_the_trail(market: Market) -> None:
    rental = rent(market, deadline_hours=1)["rental"]
    market.pass_hours(2)
    market.run("rental_reap", scope="test", release=True, audit_path=trail_of(market))
    (row,) = events(market)
    assert (row["event"], row["rental"], row["name"]) == ("released", rental["id"], "gpu-1")


def test_a_trail_that_cannot_be_written_costs_a_warning_and_no_release(
    market: Market, tmp_path: Path
) -> None:
    in_the_way = tmp_path / "file"
    in_the_way.write_text("")
    path = str(in_the_way / "audit.jsonl")
    assert rent(market, audit_path=path)["rental"]
    result = release(market, audit_path=path)
    assert result["released"]
    assert not market.billing()
    assert "audit trail" in str(result["warnings"])


@pytest.mark.parametrize("path", ["~nobody-has-this-name/audit.jsonl", "/dev/null/audit.jsonl"])
def test_a_reaper_ends_all_that_it_should_whatever_its_trail_is(market: Market, path: str) -> None:
    for name in ("gpu-1", "gpu-2", "gpu-3"):
        rent(market, name, deadline_hours=1)
    market.pass_hours(2)
    result = market.run("rental_reap", scope="test", release=True, audit_path=path)
    assert [one["outcome"] for one in result["verdicts"]] == ["released"] * 3
    assert not market.billing()


def test_whoever_could_not_have_the_trail_waits_for_it_no_second_time(
    market: Market, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits = []

    def held(_descriptor: int, patience_seconds: float) -> None:
        waits.append(patience_seconds)
        raise TimeoutError("held")

    for name in ("gpu-1", "gpu-2", "gpu-3"):
        rent(market, name, deadline_hours=1)
    market.pass_hours(2)
    monkeypatch.setattr(lines, "lock", held)
    audit = {"audit_path": trail_of(market)}
    result = market.run("rental_reap", scope="test", release=True, **audit)
    assert [one["outcome"] for one in result["verdicts"]] == ["released"] * 3
    assert [bool(one) for one in waits] == [True, False, False]


def test_what_no_listing_shows_is_on_the_trail_once_it_is_released(market: Market) -> None:
    market.fault("hidden", seconds=3600)
    audit = {"audit_path": trail_of(market), "max_attempts": 1}
    assert market.rent(**audit)["attempts"][0]["outcome"] == "unlisted"
    assert [row["event"] for row in events(market)] == ["requested", "rented", "released"]
    (row,) = told(market)["rentals"]
    assert (row["name"], row["state"]) == ("gpu-1", "released")
    assert row["cost_usd"] > 0


def test_only_the_owner_can_read_the_trail(market: Market) -> None:
    rent(market, audit_path=trail_of(market))
    assert Path(trail_of(market)).stat().st_mode & 0o777 == 0o600


# The sums.


def test_the_sum_of_costs_is_the_marketplaces_bill_within_a_cent(market: Market) -> None:
    """Failed attempts, one that stood still, and one that bills on are among it."""
    audit = {"audit_path": trail_of(market)}
    most = market.ranked()[0].offer.price_usd_per_hour * 2
    market.fault("price_change", factor=3.0)
    attempts = rent(market, max_price_usd_per_hour=most, **audit)["attempts"]
    assert [one["outcome"] for one in attempts] == ["dearer", "rented"]
    market.pass_hours(3)
    release(market)
    rent(market, "gpu-2", **audit)
    market.pass_hours(5)
    stop = {"scope": "test", "name": "gpu-2", "state": "stopped", "reaper": True}
    market.run("rental", **stop, **audit)
    market.pass_hours(7)
    rent(market, "gpu-2", **audit)
    market.pass_hours(2)
    release(market, "gpu-2")
    rent(market, "gpu-3", **audit)
    market.pass_hours(4)
    sums = told(market)
    assert len(sums["rentals"]) == 4
    assert sums["cost_usd"] == pytest.approx(bill_usd(market), abs=CENT)
    assert sums["estimated_usd"] == pytest.approx(bill_usd(market), abs=CENT)
    for kind, parts in sums["by"].items():
        assert sum(parts.values()) == pytest.approx(sums["cost_usd"], abs=CENT), kind
    assert set(sums["by"]["name"]) == {"gpu-1", "gpu-2", "gpu-3"}
    states = {row["name"]: row["state"] for row in sums["rentals"]}
    assert states == {"gpu-1": "released", "gpu-2": "released", "gpu-3": "bills"}


def test_what_was_charged_above_its_offer_costs_that(market: Market) -> None:
    most = market.ranked()[0].offer.price_usd_per_hour * 2
    market.fault("price_change", factor=3.0)
    rent(market, max_price_usd_per_hour=most, audit_path=trail_of(market))
    dearer, _kept = told(market)["rentals"]
    assert dearer["price_usd_per_hour"] > most


def test_a_fresh_controller_knows_what_bills_and_what_bills_name(market: Market) -> None:
    rent(market)
    market.pass_hours(2)
    release(market)
    rent(market, "gpu-2")
    market.pass_hours(1)
    sums = told(market, audit_path=None)
    assert {row["name"]: row["state"] for row in sums["rentals"]} == {
        "gpu-1": "billed",
        "gpu-2": "bills",
    }
    assert sums["cost_usd"] == pytest.approx(bill_usd(market), abs=CENT)


def test_what_another_scope_rents_is_not_counted(market: Market) -> None:
    rent(market, audit_path=trail_of(market), scope="other")
    market.pass_hours(2)
    assert told(market)["rentals"] == []
    assert told(market)["cost_usd"] == 0


def test_what_stopped_by_itself_costs_what_its_bill_says(market: Market) -> None:
    rent(market, audit_path=trail_of(market))
    market.pass_hours(1)
    die(market, market.billing()[0]["id"], "stopped")
    market.pass_hours(20)
    sums = told(market)
    assert [one["state"] for one in sums["rentals"]] == ["stands still"]
    assert sums["cost_usd"] == pytest.approx(bill_usd(market), abs=CENT)


def test_a_label_that_somebody_wrote_over_hides_no_cost(market: Market) -> None:
    rent(market, audit_path=trail_of(market))
    (rental,) = market.simulator.market.rentals.values()
    market.simulator.market.relabel(rental, "mine now")
    market.pass_hours(3)
    (row,) = told(market)["rentals"]
    assert (row["name"], row["state"]) == ("gpu-1", "bills")


def test_without_a_scope_nothing_is_summed_up(market: Market) -> None:
    rent(market, audit_path=trail_of(market))
    result = market.run("rental_costs", audit_path=trail_of(market))
    assert "scope is not set" in result["msg"]


def test_a_trail_that_is_no_file_is_refused_and_not_waited_for(market: Market) -> None:
    Path(trail_of(market)).parent.mkdir(parents=True)
    os.mkfifo(trail_of(market))
    assert "no plain file" in told(market)["msg"]


def test_where_the_marketplace_does_not_answer_the_trail_tells(market: Market) -> None:
    rent(market, audit_path=trail_of(market))
    market.pass_hours(1)
    release(market)
    market.fault("reply", on="list", status=500, body={}, times=99)
    sums = told(market)
    assert sums["unasked"] == ["vastai"]
    assert sums["cost_usd"] > 0
    assert "is unknown" in str(sums["warnings"])


def test_a_day_that_is_none_is_refused_with_how_to_write_one(market: Market) -> None:
    for day in ("yesterday", "2026-13-01", "2026-1-1", "9999-12-31"):
        assert "2026-11-30" in told(market, first_day=day)["msg"]
    assert "is after" in told(market, first_day="2026-02-02", last_day="2026-02-01")["msg"]


def test_the_files_are_written_once_and_not_in_a_dry_run(market: Market, tmp_path: Path) -> None:
    rent(market, audit_path=trail_of(market))
    market.pass_hours(1)
    release(market)
    folder = tmp_path / "reports"
    would = told(market, folder=str(folder), check=True)
    assert (would["changed"], would["files"]) == (True, [])
    assert not folder.exists()
    first = told(market, folder=str(folder))
    assert first["changed"]
    assert [Path(path).name for path in first["files"]] == ["costs.csv", "focus.csv"]
    for check in (True, False):
        assert not told(market, folder=str(folder), check=check)["changed"]
    rows = list(csv.DictReader(io.StringIO((folder / "focus.csv").read_text())))
    assert sum(float(row["BilledCost"]) for row in rows) == pytest.approx(
        first["cost_usd"], abs=CENT
    )


# Courses of rentals, from rows alone.

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC).timestamp()


def row(event: str, hours_ago: float, **more: Any) -> dict[str, Any]:
    return {
        "time": NOW - hours_ago * HOUR,
        "event": event,
        "provider": "vastai",
        "rental": "7",
        "scope": "prod",
        "name": "gpu-1",
        "nonce": "1a2b3c4d",
        "price_usd_per_hour": 1.0,
        "deadline": int(NOW + DAY),
        **more,
    }


def known(rows: Iterable[dict[str, Any]], bills: Bills | None = None) -> list[Course]:
    return courses(rows, Known((), frozenset({"vastai"})), bills or Bills(), "prod", NOW)


def test_a_rental_that_nobody_released_ends_with_its_deadline() -> None:
    deadline = int(NOW - 2 * HOUR)
    (course,) = known([row("rented", 12, deadline=deadline)])
    assert (course.state, course.end) == (ENDED, deadline)
    assert course.estimated_usd == pytest.approx(10)


def test_a_disk_alone_counts_while_a_rental_stands_still() -> None:
    rows = [
        row("rented", 20, stopped_usd_per_hour=0.1),
        row("stopped", 10, stopped_usd_per_hour=0.1),
        row("started", 5),
        row("released", 1),
    ]
    assert known(rows)[0].estimated_usd == pytest.approx(10 + 0.5 + 4)


def test_a_refused_request_counts_for_nothing() -> None:
    sent = row("requested", 0.1, rental="")
    (waiting,) = known([sent])
    assert waiting.still_to_come_usd(NOW, NOW + DAY) > 0
    assert known([sent, row("refused", 0.05, rental="")]) == []


def test_a_bill_counts_once_a_rental_has_ended_a_day_ago() -> None:
    bills = Bills(0, {("vastai", "7"): Charge("", 3.0)})
    (late,) = known([row("rented", 40), row("released", 30)], bills)
    (young,) = known([row("rented", 12), row("released", 2)], bills)
    assert late.cost_usd(NOW) == 3.0
    assert young.cost_usd(NOW) == pytest.approx(10)


def test_a_bill_of_a_part_of_its_life_is_no_bill() -> None:
    bills = Bills(NOW - 20 * HOUR, {("vastai", "7"): Charge("", 3.0)})
    assert known([row("rented", 40), row("released", 30)], bills)[0].billed_usd is None


def test_days_are_those_of_utc_and_a_time_takes_what_is_in_it() -> None:
    (course,) = known([row("rented", 36), row("released", 1)])
    days = parts_of([course], *month_of(NOW), NOW)
    assert [part.usd for part in days] == [pytest.approx(24), pytest.approx(11)]
    assert course.usd_within(NOW - 2 * HOUR, NOW, NOW) == pytest.approx(1)


@pytest.mark.parametrize(
    "odd",
    [
        {"time": None},
        {"time": "now"},
        {"price_usd_per_hour": "NaN"},
        {"price_usd_per_hour": -1},
        {"price_usd_per_hour": 1e300},
        {"provider": ["vastai"]},
        {"event": "perhaps"},
        {"since": {"a": 1}},
        {"deadline": True},
        {"time": 10**400},
        {"since": 9e11},
    ],
)
def test_a_row_that_makes_no_sense_is_left_out(odd: dict[str, Any]) -> None:
    assert known([{**row("rented", 2), **odd}]) == []


def test_what_a_spreadsheet_takes_for_a_formula_is_text() -> None:
    (course,) = known([row("rented", 2, gpu="=HYPERLINK(1)", job="+1", operator="@x")])
    parts = parts_of([course], 0, NOW, NOW)
    for text in (days_csv(parts), focus_csv(parts, NOW)):
        cells = [cell for line in csv.reader(io.StringIO(text)) for cell in line]
        assert not [cell for cell in cells if cell.startswith(("=", "+", "@"))]


def test_what_was_just_rented_may_bill_before_a_listing_shows_it() -> None:
    (course,) = known([row("rented", 0.1)])
    assert course.state == UNCLEAR
    assert course.still_to_come_usd(NOW, NOW + 2 * DAY) == pytest.approx(24)


def test_a_second_try_under_the_same_nonce_counts_while_nobody_knows_its_answer() -> None:
    first = [row("requested", 0.1, rental=""), row("rented", 0.09), row("released", 0.08)]
    courses_now = known([*first, row("requested", 0.05, rental="")])
    assert [one.state for one in courses_now] == ["released", UNCLEAR]


def test_what_a_marketplace_that_was_not_asked_has_may_bill_until_its_deadline() -> None:
    rows = [row("rented", 20), row("rented", 20, rental="8", deadline=int(NOW - HOUR))]
    silent = courses(rows, Known(), Bills(), "prod", NOW)
    assert [one.state for one in silent] == [UNCLEAR, ENDED]
    assert silent[0].still_to_come_usd(NOW, NOW + 2 * DAY) == pytest.approx(24)


def test_what_nobody_released_costs_what_its_bill_says() -> None:
    for deadline in (0, int(NOW + DAY)):
        bills = Bills(0, {("vastai", "7"): Charge("", 0.07)})
        (course,) = known([row("rented", 90, deadline=deadline)], bills)
        assert (course.state, course.cost_usd(NOW)) == (ENDED, 0.07)


def test_what_is_past_its_deadline_bills_until_somebody_ends_it() -> None:
    (course,) = known([row("rented", 0.1)])
    late = replace(course, state="bills", deadline=int(NOW - HOUR))
    assert late.still_to_come_usd(NOW, NOW + 2 * HOUR) == pytest.approx(2)


def test_a_bill_of_this_month_is_spent_in_it_whenever_its_rental_began() -> None:
    begin, end = month_of(NOW)
    mark = Mark.new("prod", "gpu-1", 0, 0, int(begin - 9 * DAY), nonce="1a2b3c4d")
    bills = Bills(begin, {("vastai", "9"): Charge(mark.encode(), 500.0)})
    (course,) = known([], bills)
    assert course.usd_within(begin, end, NOW) == 500.0


# The budget.


def budgeted(market: Market, usd: float, name: str = "gpu-1", **options: Any) -> dict[str, Any]:
    options = {"audit_path": trail_of(market), "deadline_hours": 10.0, **options}
    return rent(market, name, monthly_budget_usd=usd, **options)


@pytest.fixture
def price(market: Market) -> float:
    """What is rented costs in an hour; it is the middle of a month."""
    now = market.clock.now()
    begin, end = month_of(now)
    market.clock.sleep(max(0.0, begin + 15 * DAY - now) or (end - now + 15 * DAY))
    plan = rent(market, check=True, deadline_hours=10.0)
    return float(plan["offer"]["price_usd_per_hour"])


def test_a_request_beyond_the_budget_is_not_sent(market: Market, price: float) -> None:
    result = budgeted(market, 9.5 * price)
    assert "may spend" in result["msg"]
    assert "inferops_monthly_budget_usd" in result["failure"]["remedy"]
    assert not market.creates()
    assert budgeted(market, 14 * price)["rental"]


def test_the_plan_of_a_dry_run_refuses_it_as_well(market: Market, price: float) -> None:
    assert "may spend" in budgeted(market, 9.5 * price, check=True)["msg"]
    assert budgeted(market, 14 * price, check=True)["offer"]


def test_what_is_rented_counts_until_its_deadline(market: Market, price: float) -> None:
    assert budgeted(market, 21 * price)["rental"]
    refused = budgeted(market, 15 * price, "gpu-2")
    assert "may spend" in refused["msg"]
    assert len(market.creates()) == 1


def test_what_is_rented_counts_without_a_trail(market: Market, price: float) -> None:
    rent(market, deadline_hours=10.0)
    assert "may spend" in budgeted(market, 15 * price, "gpu-2", audit_path=None)["msg"]


def test_what_was_spent_this_month_counts(market: Market, price: float) -> None:
    for path in (trail_of(market), None):
        rent(market, deadline_hours=10.0, audit_path=path)
        market.pass_hours(9)
        release(market, audit_path=path)
    refused = budgeted(market, 25 * price, "gpu-2")
    assert "are spent" in refused["msg"]


def test_a_request_that_another_host_has_sent_counts(market: Market, price: float) -> None:
    """Its answer has not come, and no listing shows it yet."""
    trail = Path(trail_of(market))
    trail.parent.mkdir(parents=True, exist_ok=True)
    now = market.clock.now()
    sent = row("requested", 0, time=now, rental="", scope="test", deadline=int(now + 10 * HOUR))
    trail.write_text(json.dumps({**sent, "price_usd_per_hour": price}) + "\n")
    assert "may spend" in budgeted(market, 15 * price, "gpu-2")["msg"]
    market.pass_hours(1)
    assert budgeted(market, 15 * price, "gpu-2")["rental"]


def test_a_host_that_stands_still_is_not_started_beyond_the_budget(
    market: Market, price: float
) -> None:
    audit = {"audit_path": trail_of(market)}
    rent(market, deadline_hours=100.0, **audit)
    stop = {"scope": "test", "name": "gpu-1", "state": "stopped", "reaper": True}
    market.run("rental", **stop, **audit)
    assert "may spend" in budgeted(market, 20 * price, deadline_hours=100.0)["msg"]
    assert budgeted(market, 200 * price, deadline_hours=100.0)["changed"]


def test_a_budget_without_a_trail_says_what_it_lacks(market: Market, price: float) -> None:
    result = budgeted(market, 200 * price, audit_path=None)
    assert "do not count each other" in str(result["warnings"])


def test_what_was_spent_in_another_month_does_not_count(market: Market, price: float) -> None:
    rent(market, deadline_hours=10.0, audit_path=trail_of(market))
    market.pass_hours(9)
    release(market)
    market.pass_hours(24 * 20)
    assert budgeted(market, 15 * price, "gpu-2")["rental"]


def test_nothing_is_rented_by_a_budget_that_nobody_can_keep(market: Market, price: float) -> None:
    market.pass_hours(1)
    market.faults(fault("reply", on="list", status=500, body={}, times=99))
    result = budgeted(market, 1000 * price)
    assert result["failed"]
    assert not market.creates()


def test_an_offer_that_is_gone_takes_nothing_of_the_budget(market: Market, price: float) -> None:
    market.fault("reply", on="create", saying="gone", times=2)
    result = budgeted(market, 20 * price)
    assert result["rental"]
    names = [one["event"] for one in events(market)]
    assert names == ["requested", "refused"] * 2 + ["requested", "rented"]


@pytest.mark.parametrize("check", [True, False])
def test_without_a_trail_that_can_be_read_the_listing_decides(
    market: Market, price: float, check: bool
) -> None:
    rent(market, deadline_hours=10.0)
    Path(trail_of(market)).mkdir(parents=True)
    assert "may spend" in budgeted(market, 15 * price, "gpu-2", check=check)["msg"]
    assert len(market.creates()) == 1
    result = budgeted(market, 25 * price, "gpu-2", check=check)
    assert result["offer"]
    assert "audit trail" in str(result["warnings"])


def test_a_trail_that_stays_locked_costs_a_bounded_time_and_no_rental(
    market: Market, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lines, "_PATIENCE_SECONDS", 0.0)
    trail = Path(trail_of(market))
    trail.parent.mkdir(parents=True)
    with trail.open("wb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        result = rent(market, audit_path=str(trail))
    assert result["rental"]
    assert "stays locked" in str(result["warnings"])
