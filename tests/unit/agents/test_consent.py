# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an agent may spend: a fresh plan, once, under the cap, and no more than it said."""

from __future__ import annotations

import math
from typing import Any

import pytest

from tools.mcp.consent import PLAN_LIVES_SECONDS, Desk, Plan, Refused, still_due_usd


def offer(price: float = 0.341204, hours: float | None = 10.0) -> dict[str, Any]:
    """What a dry run tells of one host."""
    return {
        "provider": "vastai",
        "offer": "7",
        "gpu": "RTX 4090",
        "gpu_count": 1,
        "price_usd_per_hour": price,
        "hours": hours,
        "first_token_seconds": 612.0,
        "model": "a/b",
    }


def planned(desk: Desk, *prices: float, now: float = 0.0) -> Plan:
    told = {f"gpu-{number}": offer(price) for number, price in enumerate(prices, 1)}
    return desk.plan({"inferops_model": "a/b"}, told, told, now)


def test_a_plan_may_be_carried_out_once() -> None:
    desk = Desk(100)
    plan = planned(desk, 0.5)
    assert desk.allowed(plan.id, {}, 1.0) == plan
    assert desk.spend(plan.id, {}, 1.0) == plan
    for judge in (desk.allowed, desk.spend):
        with pytest.raises(Refused, match="carried out already"):
            judge(plan.id, {}, 2.0)


def test_a_plan_that_nobody_made_is_none() -> None:
    with pytest.raises(Refused, match="no such plan"):
        Desk(100).allowed("0123456789ab", {}, 0.0)


def test_an_old_plan_is_refused_also_where_the_person_took_too_long() -> None:
    desk = Desk(100)
    plan = planned(desk, 0.5, now=50.0)
    assert desk.allowed(plan.id, {}, 50.0 + PLAN_LIVES_SECONDS) == plan
    for judge in (desk.allowed, desk.spend):
        with pytest.raises(Refused, match="too old"):
            judge(plan.id, {}, 51.0 + PLAN_LIVES_SECONDS)


def test_no_plan_passes_the_cap() -> None:
    plan = planned(desk := Desk(9.99), 0.5, 0.5)
    assert plan.most_usd == 10.0
    with pytest.raises(Refused, match=r"cap of 9\.99 dollars"):
        desk.allowed(plan.id, {}, 0.0)
    assert planned(roomy := Desk(10), 0.5, 0.5).most_usd == 10.0
    assert roomy.allowed(next(iter(roomy._plans)), {}, 0.0)


def test_without_a_cap_nothing_may_be_spent() -> None:
    plan = planned(desk := Desk(0), 0.0001)
    with pytest.raises(Refused, match="only a person can raise"):
        desk.allowed(plan.id, {}, 0.0)


def test_what_is_rented_already_counts_against_the_cap() -> None:
    plan = planned(desk := Desk(10), 0.5)
    assert desk.allowed(plan.id, {"old": 5.0}, 0.0)
    with pytest.raises(Refused, match=r"5\.01 are committed already"):
        desk.allowed(plan.id, {"old": 5.01}, 0.0)
    with pytest.raises(Refused):
        desk.allowed(plan.id, {"old": math.inf}, 0.0)


def test_what_was_approved_counts_whole_and_once() -> None:
    """Also after it has ended: an agent that rents in a circle comes to an end."""
    desk = Desk(10)
    first, second = planned(desk, 0.5), planned(desk, 0.5)
    desk.spend(first.id, {}, 0.0)
    assert desk.allowed(second.id, {"gpu-1": 4.0}, 0.0)
    desk.spend(second.id, {}, 0.0)
    third = planned(desk, 0.0001)
    with pytest.raises(Refused, match=r"10\.00 are committed"):
        desk.allowed(third.id, {}, 0.0)


def test_a_plan_that_was_allowed_before_another_was_spent_is_judged_again() -> None:
    desk = Desk(9)
    first, second = planned(desk, 0.5), planned(desk, 0.5)
    assert desk.allowed(first.id, {}, 0.0)
    assert desk.allowed(second.id, {}, 0.0)
    desk.spend(first.id, {}, 0.0)
    with pytest.raises(Refused, match="cap"):
        desk.spend(second.id, {}, 0.0)


def test_a_deploy_is_held_to_what_was_planned() -> None:
    plan = planned(Desk(100), 0.341204, 0.2)
    assert plan.limits() == {
        "rent_max_price_usd_per_hour": 0.3413,
        "rent_budget_usd": 3.42,
        "rent_deadline_hours": 10.0,
    }
    assert plan.most_usd == 6.84


def test_the_person_is_told_hosts_prices_and_the_most_that_it_costs() -> None:
    told = planned(Desk(100), 0.341204, 0.2).question()
    assert "rent 2 host(s) and serve a/b" in told
    assert "gpu-1: 1 x RTX 4090 at vastai for 0.3412 dollars per hour" in told
    assert "at most 6.84 dollars: each host ends after 10 hours or 3.42 dollars" in told


def test_a_host_that_no_offer_was_told_of_is_no_plan() -> None:
    with pytest.raises(Refused, match=r"No offer was planned for gpu-2"):
        Desk(100).plan({}, ["gpu-1", "gpu-2"], {"gpu-1": offer()}, 0.0)


@pytest.mark.parametrize("hours", [None, 0])
def test_a_rental_without_an_end_is_no_plan(hours: float | None) -> None:
    with pytest.raises(Refused, match="no deadline"):
        Desk(100).plan({}, ["gpu-1"], {"gpu-1": offer(hours=hours)}, 0.0)


def rental(name: str, price: float | None, seconds: float | None, **more: Any) -> dict[str, Any]:
    told = {"id": "7", "mark": {"name": name}, "price_usd_per_hour": price}
    return {**told, "remaining_seconds": seconds, **more}


def test_what_is_still_due_is_the_price_until_the_deadline() -> None:
    told = [rental("a", 0.5, 7200), rental("a", 1.0, 3600), rental("b", 2.0, -5)]
    assert still_due_usd(told) == {"a": 2.0, "b": 0.0}
    assert still_due_usd([rental("own", None, None, own=True)]) == {}
    assert still_due_usd([{"id": "9", "price_usd_per_hour": 1.0, "remaining_seconds": 3600}]) == {
        "9": 1.0
    }


@pytest.mark.parametrize(("price", "seconds"), [(None, 3600.0), (0.5, None)])
def test_what_nobody_knows_is_without_end(price: float | None, seconds: float | None) -> None:
    assert still_due_usd([rental("a", price, seconds)]) == {"a": math.inf}
