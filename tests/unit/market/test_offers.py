# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Searching and ranking offers, as a user of offer_info sees it."""

from __future__ import annotations

import re
from typing import Any

import pytest

from ansible_collections.inferops.gpu.plugins.module_utils.market.model import Offer
from ansible_collections.inferops.gpu.plugins.module_utils.market.offers.ranking import Usage, rank
from ansible_collections.inferops.gpu.plugins.module_utils.market.wish import Wish
from tests.unit.market.conftest import PUBLIC_KEY, Market


def offer(**changes: object) -> Offer:
    values = {
        "provider": "vastai",
        "id": "1",
        "machine_id": "7",
        "gpu_name": "RTX 4090",
        "gpu_count": 1,
        "vram_gib": 23.99,
        "compute_capability": "8.9",
        "driver_version": "580.95.05",
        "cuda_version": "13.0",
        "price_usd_per_hour": 0.4,
        "disk_usd_per_hour": 0.01,
        "disk_mb_per_second": 2000.0,
        "disk_gib": 500.0,
        "ram_gib": 64.0,
        "cpu_cores": 16.0,
        "download_mbit_per_second": 1000.0,
        "upload_mbit_per_second": 500.0,
        "download_usd_per_gib": 0.0,
        "upload_usd_per_gib": 0.0,
        "reliability": 0.99,
        "verified": True,
        "country": "SE",
        "max_duration_hours": 720.0,
        "direct_ports": 10,
    }
    return Offer(**{**values, **changes})  # type: ignore[arg-type]


def test_every_returned_offer_fulfils_the_wish(market: Market) -> None:
    result = market.run(
        "offer_info", vram_gib=24, countries=["SE", "DE"], max_price_usd_per_hour=1, limit=50
    )
    assert result["total"] == len(result["offers"]) > 0
    for found in result["offers"]:
        assert found["country"] in ("SE", "DE")
        assert found["price_usd_per_hour"] <= 1
        assert found["vram_gib"] >= 23.3
        assert found["verified"]


def test_offers_come_by_dollars_and_waiting_and_the_sums_are_shown(market: Market) -> None:
    offers = market.run("offer_info", limit=20)["offers"]
    sums = [found["ranked_usd"] for found in offers]
    assert sums == sorted(sums)
    for found in offers:
        both = found["expected_cost"]["total_usd"] + found["waiting"]["usd"]
        assert both == pytest.approx(found["ranked_usd"], abs=0.001)
    parts = offers[0]["expected_cost"]
    total = sum(value for name, value in parts.items() if name != "total_usd")
    assert total == pytest.approx(parts["total_usd"], abs=0.001)


def test_who_does_not_mind_waiting_gets_offers_by_what_is_billed(market: Market) -> None:
    offers = market.run("offer_info", limit=20, wait_usd_per_hour=0)["offers"]
    totals = [found["expected_cost"]["total_usd"] for found in offers]
    assert totals == sorted(totals)


def test_a_requested_disk_is_part_of_the_price(market: Market) -> None:
    small = market.run("offer_info", disk_gib=10, limit=500)["offers"]
    large = {row["id"]: row for row in market.run("offer_info", disk_gib=200, limit=500)["offers"]}
    both = [(row, large[row["id"]]) for row in small if row["id"] in large]
    assert both
    assert all(b["price_usd_per_hour"] > a["price_usd_per_hour"] for a, b in both)


def test_a_free_form_filter_is_applied(market: Market) -> None:
    offers = market.run("offer_info", filter="starts_with(gpu_name, 'RTX')", limit=500)["offers"]
    assert offers
    assert all(found["gpu_name"].startswith("RTX") for found in offers)


def test_a_broken_filter_is_refused_with_an_example(market: Market) -> None:
    result = market.run("offer_info", filter="country ==")
    assert result["failed"]
    assert "not a JMESPath expression" in result["msg"]
    assert "An example" in result["msg"]


@pytest.mark.parametrize(
    "name",
    [
        *("RX 7900 XTX", "MI300X", "Radeon VII", "PRO W7900", "Instinct MI100", "Arc A770"),
        *("gfx942", "9070 XT", "AI PRO R9700", "Ryzen AI Max", "Arc Pro B60"),
        *("Data Center GPU Max 1100", "TPU v5e", "Trainium2", "Ascend 910B"),
    ],
)
def test_a_gpu_by_another_maker_is_no_match(name: str) -> None:
    assert "GPU by NVIDIA" in Wish().misses(offer(gpu_name=name))


@pytest.mark.parametrize(
    "name", ["RTX 4090", "H100 SXM", "A100 PCIE", "Tesla V100", "RTX PRO 6000 WS", "GH200 SXM", ""]
)
def test_a_gpu_by_nvidia_is_none_by_another_maker(name: str) -> None:
    assert "GPU by NVIDIA" not in Wish().misses(offer(gpu_name=name))


def test_an_impossible_wish_says_which_limits_to_relax(market: Market) -> None:
    result = market.run("offer_info", filter="ram_gib > `100000`")
    assert result["failed"]
    assert "filter (" in result["msg"]
    amd = market.run("offer_info", gpu_names=["RX 7900 XTX"])
    assert "gpu_names has 'RX 7900 XTX', a GPU by AMD" in amd["msg"]
    result = market.run("offer_info", gpu_names=["Voodoo 3"])
    assert "gpu_names has 'Voodoo 3', which is no GPU that the marketplace knows." in result["msg"]
    result = market.run("offer_info", max_price_usd_per_hour=0.001)
    assert "has no offer for this wish" in result["msg"]
    assert re.search(
        r"Of \d+ with 1 GPUs: They fail by: price \(\d+\).*The nearest is offer \d+, 1 x .* "
        r"dollars an hour, which fails by: price\.",
        result["msg"],
    )


@pytest.mark.parametrize(
    "name", ["RTX 4090", "RTX_4090", "rtx4090", "4090", "NVIDIA GeForce RTX 4090", " rtx-4090 "]
)
def test_a_gpu_is_meant_however_people_write_its_name(market: Market, name: str) -> None:
    result = market.run("offer_info", gpu_names=[name])
    assert {offer["gpu_name"] for offer in result["offers"]} == {"RTX 4090"}
    assert {offer["gpu"] for offer in result["offers"]} == {"rtx4090"}


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("A100", "Did you mean A100 PCIE or A100 SXM4"),
        ("RTX 4O90", "Did you mean RTX 4090"),
        ("h100-smx", "H100 SXM"),
    ],
)
def test_a_gpu_that_may_be_another_is_asked_back_and_never_guessed(
    market: Market, name: str, meant: str
) -> None:
    result = market.run("offer_info", gpu_names=[name])
    assert result["failed"]
    assert meant in result["msg"]


def test_names_of_gpus_that_nobody_tells_are_searched_for_as_they_are(market: Market) -> None:
    where = {"method": "GET", "path": "gpu_names"}
    market.faults({"kind": "reply", **where, "status": 500, "body": {}, "times": 9})
    assert "has no offer for this wish" in market.run("offer_info", gpu_names=["4090"])["msg"]


def test_a_missing_key_names_the_environment_variable(market: Market) -> None:
    result = market.run("offer_info", api_key="")
    assert result["failed"]
    assert "VAST_API_KEY" in result["msg"]


def test_a_wrong_key_is_told_as_such(market: Market) -> None:
    result = market.run("offer_info", api_key="wrong")
    assert result["failed"]
    assert "refused the API key" in result["msg"]


def test_a_key_with_a_line_break_is_refused_without_showing_it(market: Market) -> None:
    result = market.run("offer_info", api_key="very-secret\r")
    assert "line break" in result["msg"]
    assert "very-secret" not in result["msg"]


@pytest.mark.parametrize(
    ("wish", "reason"),
    [
        (Wish(vram_gib=48), "VRAM"),
        (Wish(driver_version="590"), "driver"),
        (Wish(compute_capability="9.0"), "architecture"),
        (Wish(max_price_usd_per_hour=0.1), "price"),
        (Wish(countries=("DE",)), "country"),
        (Wish(duration_hours=10000), "duration"),
        (Wish(exclude_machines=("7",)), "excluded machine"),
        (Wish(gpu_count=2), "GPU count"),
    ],
)
def test_the_client_checks_each_limit_again(wish: Wish, reason: str) -> None:
    assert wish.misses(offer()) == [reason]


def test_a_card_sold_as_24_gb_counts_as_24() -> None:
    assert Wish(vram_gib=24).misses(offer()) == []


def test_drivers_are_compared_as_numbers() -> None:
    assert Wish(driver_version="580.9").misses(offer(driver_version="580.95.05")) == []


def test_a_slow_line_can_make_the_cheaper_offer_dearer() -> None:
    cheap_and_slow = offer(id="slow", price_usd_per_hour=0.39, download_mbit_per_second=10.0)
    ranked = rank([cheap_and_slow, offer(id="fast")], Usage(hours=4, download_gib=40))
    assert [entry.offer.id for entry in ranked] == ["fast", "slow"]
    assert ranked[1].download_wait_usd > ranked[0].download_wait_usd


def test_dear_traffic_counts() -> None:
    dear = offer(id="dear", price_usd_per_hour=0.39, download_usd_per_gib=0.1)
    ranked = rank([dear, offer(id="flat")], Usage(hours=4, download_gib=40))
    assert ranked[0].offer.id == "flat"


@pytest.mark.parametrize("countries", [["se"], [" SE ", ""], "SE, se"])
def test_a_country_is_meant_however_it_is_written(market: Market, countries: Any) -> None:
    wanted = market.run("offer_info", countries=["SE"], limit=50)["offers"]
    assert wanted
    assert market.run("offer_info", countries=countries, limit=50)["offers"] == wanted


@pytest.mark.parametrize("check", [True, False])
def test_a_country_that_is_none_is_refused_with_what_is_meant(market: Market, check: bool) -> None:
    result = market.run(
        "rental", check=check, name="gpu-1", scope="test", ssh_public_key=PUBLIC_KEY,
        countries=["Sweden"],
    )  # fmt: skip
    assert "'Sweden'" in result["msg"]
    assert "SE for Sweden" in result["failure"]["remedy"]


@pytest.mark.parametrize("field", [{"rented": True}, {"external": True}, {"cpu_arch": "arm64"}])
def test_what_a_search_did_not_leave_out_is_left_out(
    market: Market, field: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    victim = market.ranked()[0].offer.id
    market.simulator.market.offers[int(victim)].update(field)
    market.fault("unfiltered", times=9)
    assert victim not in {one.offer.id for one in market.ranked()}


@pytest.mark.parametrize(
    ("word", "meant"),
    [("UK", "GB for United Kingdom"), ("germny", "DE for Germany"), ("USA", "US"), ("XX", "SE")],
)
def test_a_country_that_is_none_is_told_with_its_code(
    market: Market, word: str, meant: str
) -> None:
    told = market.run("offer_info", countries=[word])
    assert "which is not the code of a country" in told["msg"]
    assert f"such as {meant}" in told["msg"]
    assert market.count("search") == 0


def test_a_number_of_gpus_that_nobody_has_is_told(market: Market) -> None:
    told = market.run("offer_info", gpu_count=3)
    assert "It has none with 3 GPUs at all." in told["msg"]


@pytest.mark.parametrize(
    "odd", [{"gpu_name": 4090}, {"cpu_ram": "much"}, {"disk_bw": [1]}, {"driver_version": 580.1}]
)
def test_offers_that_nobody_understands_are_no_market_without_offers(
    market: Market, odd: dict[str, Any]
) -> None:
    for row in market.simulator.market.offers.values():
        row.update(odd)
    told = market.run("offer_info", verified=False)
    assert re.search(r"none of \d+ can be understood: ", told["msg"])
    assert "no offer for this wish" not in told["msg"]
    for word in ("Error", "NoneType", "float()"):
        assert word not in told["msg"]
