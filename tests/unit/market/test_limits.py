# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What bounds renting: attempts, the price that is really charged, and the budget."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ansible_collections.inferops.gpu.plugins.module_utils.market.errors import (
    AttemptsExhausted,
    UnclearCreate,
)
from ansible_collections.inferops.gpu.plugins.module_utils.market.mark import Mark
from ansible_collections.inferops.gpu.plugins.module_utils.market.rentals.claims import Claims
from ansible_collections.inferops.gpu.plugins.module_utils.market.rentals.lifecycle import (
    Lifecycle,
    Limits,
)
from ansible_collections.inferops.gpu.plugins.module_utils.market.shared_file import SharedFile
from tests.unit.market import wire
from tests.unit.market.conftest import Market, fault, order


def outcomes(result: dict[str, Any]) -> list[str]:
    return [attempt["outcome"] for attempt in result["attempts"]]


def mark_of(market: Market) -> Mark:
    """The mark of the one rental."""
    (row,) = market.billing()
    mark = Mark.decode(row["label"])
    assert mark is not None
    return mark


def most_usd(market: Market) -> float:
    """What the one rental can cost until its deadline."""
    (rental,) = market.simulator.market.rentals.values()
    price = market.run("rental_info", scope="test")["rentals"][0]["price_usd_per_hour"]
    return float((mark_of(market).deadline - rental.created_at) / 3600 * price)


# The price that is charged.


def test_a_rental_that_is_charged_above_the_maximum_is_released_and_told(market: Market) -> None:
    most = market.ranked()[0].offer.price_usd_per_hour * 2
    market.fault("price_change", factor=3.0)
    result = market.rent(max_price_usd_per_hour=most)
    assert outcomes(result) == ["dearer", "rented"]
    assert result["attempts"][0]["cost_usd"] > 0
    assert result["rental"]["price_usd_per_hour"] <= most
    assert [str(row["id"]) for row in market.billing()] == [result["rental"]["id"]]


def test_a_price_that_the_first_rows_do_not_show_is_waited_for(market: Market) -> None:
    most = market.ranked()[0].offer.price_usd_per_hour * 2
    market.faults(
        fault("price_change", factor=3.0),
        fault("row_is", fields=wire.NO_PRICE, times=3),
    )
    result = market.rent(max_price_usd_per_hour=most)
    assert outcomes(result) == ["dearer", "rented"]
    assert 0 < result["rental"]["price_usd_per_hour"] <= most


@pytest.mark.parametrize("limit", ["max_price_usd_per_hour", "budget_usd"])
def test_a_rental_that_never_shows_its_price_is_not_kept_within_a_limit(
    market: Market, limit: str
) -> None:
    market.fault("row_is", fields=wire.NO_PRICE, times=999)
    result = market.rent(max_attempts=1, **{limit: 9.0})
    assert outcomes(result) == ["unlisted"]
    assert "its price is not shown" in result["attempts"][0]["message"]
    assert market.billing() == []


def test_a_market_that_always_charges_more_ends_without_a_rental_and_tells_the_cost(
    market: Market,
) -> None:
    market.fault("price_change", factor=3.0, times=99)
    result = market.rent(max_price_usd_per_hour=0.1, max_attempts=2)
    assert result["failed"]
    assert "2 charged more than allowed, and released" in result["msg"]
    assert "max_price_usd_per_hour" in result["failure"]["remedy"]
    assert "proven gone, for about" in result["failure"]["money"]
    assert all(attempt["cost_usd"] > 0 for attempt in result["attempts"])
    assert market.billing() == []


def test_a_dearer_rental_ends_sooner_so_that_its_budget_holds(market: Market) -> None:
    market.fault("price_change", factor=2.0)
    result = market.rent(budget_usd=1.0)
    assert outcomes(result) == ["rented"]
    assert most_usd(market) <= 1.01
    assert result["deadline"]["at"] == mark_of(market).deadline
    assert not market.rent(budget_usd=1.0)["changed"]


def test_the_budget_of_a_dearer_rental_pays_for_its_downloads_as_well(market: Market) -> None:
    metered = {"filter": "download_usd_per_gib > `0`", "download_gib": 100.0, "image_gib": 8.0}
    market.fault("price_change", factor=1.2)
    result = market.rent(budget_usd=1.0, deadline_hours=0, **metered)
    assert outcomes(result) == ["rented"]
    downloads = 108 * result["offer"]["download_usd_per_gib"]
    assert downloads > 0.05
    assert most_usd(market) + downloads <= 1.01


def test_a_dearer_rental_whose_deadline_cannot_be_moved_is_released(market: Market) -> None:
    market.faults(
        fault("price_change", factor=2.0),
        fault("reply", on="change_mark", saying="done"),
    )
    result = market.rent(budget_usd=1.0)
    assert outcomes(result) == ["dearer", "rented"]
    assert most_usd(market) <= 1.01


def test_a_cheaper_rental_keeps_its_deadline_through_later_deploys(market: Market) -> None:
    market.fault("price_change", factor=0.9)
    market.rent(budget_usd=1.0, spent_usd=0.5)
    before = mark_of(market)
    assert most_usd(market) <= 0.51
    assert not market.rent(budget_usd=1.0)["changed"]
    assert mark_of(market) == before


def test_a_deploy_keeps_the_extension_of_a_cheaper_rental(market: Market) -> None:
    market.fault("price_change", factor=0.9)
    market.rent(budget_usd=1.0)
    market.run("rental_extend", scope="test", name="gpu-1", hours=300)
    extended = mark_of(market)
    assert not market.rent(budget_usd=1.0)["changed"]
    assert mark_of(market) == extended


def test_a_cheaper_rental_whose_mark_cannot_be_changed_is_kept(market: Market) -> None:
    market.faults(
        fault("price_change", factor=0.9),
        fault("reply", on="change_mark", saying="done"),
    )
    result = market.rent(budget_usd=1.0)
    assert outcomes(result) == ["rented"]
    assert most_usd(market) <= 1.01


# What was spent before.


def test_what_was_spent_ends_a_rental_sooner_and_a_later_deploy_gives_nothing_back(
    market: Market,
) -> None:
    market.rent(budget_usd=1.0, spent_usd=0.5)
    before = mark_of(market)
    assert most_usd(market) <= 0.51
    again = market.rent(budget_usd=1.0)
    assert not again["changed"]
    assert mark_of(market) == before


def test_a_row_that_shows_no_price_moves_no_deadline(market: Market) -> None:
    market.rent(budget_usd=0.5)
    before = mark_of(market)
    market.pass_hours(0.1)
    market.fault("row_is", fields=wire.NO_PRICE, times=9)
    assert not market.rent(budget_usd=0.5)["changed"]
    assert mark_of(market) == before


# Attempts.


def test_machines_that_other_hosts_rent_cost_no_attempt(market: Market, tmp_path: Path) -> None:
    ranked = market.ranked()
    claims = Claims(SharedFile(str(tmp_path / "claims.json")), market.clock)
    for candidate in ranked[:6]:
        claims.take(candidate.offer.machine_id, "somebody else")
    lifecycle = Lifecycle(market.provider(), "test", market.clock, claims=claims)
    rented = lifecycle.rent(ranked, lambda _offer: order(), Limits(max_attempts=1))
    assert rented.own
    claimed = [one["machine_id"] for one in rented.attempts if one["outcome"] == "claimed"]
    assert len(claimed) == len(set(claimed)) > 0


def test_each_create_that_was_sent_counts(market: Market) -> None:
    market.fault("reply", on="create", saying="gone", times=99)
    with pytest.raises(AttemptsExhausted, match="4 taken meanwhile") as failure:
        market.lifecycle().rent(market.ranked(), lambda _offer: order(), Limits(max_attempts=4))
    assert len(failure.value.attempts) == len(market.creates()) == 4


def test_what_was_made_and_never_listed_is_told_with_its_cost(market: Market) -> None:
    market.fault("list_lag", seconds=604_800, times=99)
    result = market.rent(max_attempts=2)
    assert outcomes(result) == ["unlisted", "unlisted"]
    assert all(attempt["cost_usd"] > 0 for attempt in result["attempts"])
    assert "2 rented but never listed as it should be, and released" in result["msg"]
    assert "Nothing was rented" not in result["msg"]
    assert market.billing() == []


def test_a_failure_that_leaves_it_unclear_tells_the_attempts_before_it(market: Market) -> None:
    market.faults(
        fault("reply", on="create", saying="gone"), fault("drop_before", on="create", skip=1)
    )
    result = market.rent()
    assert outcomes(result) == ["gone", "unclear"]
    assert result["nonce"]


# What may have been carried out.


def test_whatever_breaks_after_a_create_leaves_the_nonce(
    market: Market, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_args: Any) -> None:
        raise RuntimeError("a defect")

    monkeypatch.setattr(Lifecycle, "_confirmed", broken)
    result = market.rent()
    assert result["failed"]
    assert result["failure"]["kind"] == UnclearCreate.__name__
    assert "A rental may bill" in result["msg"]
    monkeypatch.undo()
    (row,) = market.billing()
    assert f"/{result['nonce']}/" in row["label"]


def test_what_the_provider_does_to_every_machine_is_not_paid_for_five_times(
    market: Market,
) -> None:
    market.fault("row_is", fields={"driver_version": 580}, times=999)
    told = market.rent()
    assert len(market.creates()) == 2
    assert "580 is not a version" in told["msg"]
    assert market.billing() == []


def test_a_refusal_beside_every_rental_is_told_in_the_providers_words(market: Market) -> None:
    market.fault("stopped_create", times=99)
    told = market.rent()
    assert len(market.creates()) == 2
    assert "credit" in told["msg"]
    assert market.billing() == []


@pytest.mark.parametrize("check", [True, False])
def test_nothing_is_deployed_on_what_may_be_ended_at_any_moment(
    market: Market, check: bool
) -> None:
    market.rent(deadline_hours=1)
    market.pass_hours(2)
    told = market.rent(deadline_hours=1, check=check)
    assert "is past its deadline" in told["msg"]
    assert "inferops.gpu.extend" in told["msg"]
    assert "dollars an hour until it is ended" in told["msg"]
    assert len(market.creates()) == 1
    found = market.run("rental", name="gpu-1", scope="test", state="found", deadline_hours=1)
    assert found["rental"] is not None
    assert not found["as_asked"]


def test_what_was_extended_past_its_deadline_is_deployed_on(market: Market) -> None:
    market.rent(deadline_hours=1)
    market.pass_hours(2)
    assert market.run("rental_extend", name="gpu-1", scope="test", hours=1)["changed"]
    assert not market.rent(deadline_hours=1)["changed"]
