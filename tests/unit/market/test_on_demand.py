# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is rented is on demand: nobody takes it away by paying more, whatever the market shows."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.inferops.gpu.plugins.module_utils.market.providers.prime import (
    _USUAL_IMAGE,
    _is_for_rent,
)
from tests.simulator import vastai
from tests.unit.market.conftest import Market, fault

ODD = (True, "true", "yes", 5, [True], {"a": 1}, [], {}, "")


def outcomes(result: dict[str, Any]) -> list[str]:
    return [one["outcome"] for one in result["attempts"]]


@pytest.mark.parametrize("value", ODD, ids=repr)
def test_an_offer_that_others_may_outbid_is_none(
    market: Market, monkeypatch: pytest.MonkeyPatch, value: Any
) -> None:
    whole = market.ranked()
    bid, kind_of = whole[0].offer.id, vastai.as_kind

    def as_kind(offer: Any, kind: str, storage_gib: float) -> Any:
        shown = kind_of(offer, kind, storage_gib)
        cheap = {"is_bid": value, "dph_total": 0.01, "dph_base": 0.01}
        return {**shown, **(cheap if str(offer["id"]) == bid else {})}

    monkeypatch.setattr(vastai, "as_kind", as_kind)
    assert bid not in [one.offer.id for one in market.ranked()]
    assert len(market.ranked()) == len(whole) - 1


@pytest.mark.parametrize("value", [None, False, 0])
def test_who_says_no_or_nothing_of_bids_is_on_demand(
    market: Market, monkeypatch: pytest.MonkeyPatch, value: Any
) -> None:
    whole, kind_of = len(market.ranked()), vastai.as_kind
    monkeypatch.setattr(vastai, "as_kind", lambda *args: {**kind_of(*args), "is_bid": value})
    assert len(market.ranked()) == whole


@pytest.mark.parametrize("value", [True, "yes", [1]], ids=repr)
def test_a_rental_that_others_may_outbid_is_released_and_another_one_taken(
    market: Market, monkeypatch: pytest.MonkeyPatch, value: Any
) -> None:
    row_of, first = vastai.instance_row, list[int]()

    def instance_row(market_of: Any, rental: Any) -> dict[str, Any]:
        first[:] = first or [rental.id]
        shown: dict[str, Any] = row_of(market_of, rental)
        return {**shown, "is_bid": value if rental.id == first[0] else False}

    monkeypatch.setattr(vastai, "instance_row", instance_row)
    result = market.rent()
    assert outcomes(result) == ["interruptible", "rented"]
    assert [str(row["id"]) for row in market.billing()] == [result["rental"]["id"]]
    assert str(first[0]) not in result["rental"]["id"]


def test_a_market_that_gives_nothing_but_bids_is_left_after_two(market: Market) -> None:
    market.faults(fault("row_is", fields={"is_bid": True}, times=999))
    result = market.rent()
    assert outcomes(result) == ["interruptible"] * 2
    assert "others may outbid" in result["msg"]
    assert market.billing() == []


@pytest.mark.parametrize("value", ODD, ids=repr)
@pytest.mark.parametrize("field", ["isSpot", "isVariable"])
def test_a_plan_that_may_be_taken_away_or_is_odd_is_none(field: str, value: Any) -> None:
    plan = {"isSpot": None, "prices": {}, "gpuType": "H100_80GB", "images": [_USUAL_IMAGE]}
    assert _is_for_rent(plan)
    odd = {**plan, "isSpot": value} if field == "isSpot" else {**plan, "prices": {field: value}}
    assert not _is_for_rent(odd)
