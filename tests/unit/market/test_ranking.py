# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The ranking's sum: what counts, how much, and that it is explained."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from ansible_collections.inferops.gpu.plugins.module_utils.market.model import Offer
from ansible_collections.inferops.gpu.plugins.module_utils.market.offers.history import (
    Attempt,
    History,
)
from ansible_collections.inferops.gpu.plugins.module_utils.market.offers.ranking import (
    RankedOffer,
    Usage,
    rank,
)

#: Nothing speaks against this one.
GOOD = Offer(
    provider="vastai",
    id="good",
    machine_id="7",
    gpu_name="RTX 4090",
    gpu_count=1,
    vram_gib=23.99,
    compute_capability="8.9",
    driver_version="580.95.05",
    cuda_version="13.0",
    price_usd_per_hour=0.4,
    disk_usd_per_hour=0.01,
    disk_gib=500.0,
    disk_mb_per_second=2000.0,
    ram_gib=64.0,
    cpu_cores=16.0,
    download_mbit_per_second=1000.0,
    upload_mbit_per_second=500.0,
    download_usd_per_gib=0.0,
    upload_usd_per_gib=0.0,
    reliability=0.999,
    verified=True,
    country="SE",
    max_duration_hours=720.0,
    direct_ports=10,
)
USAGE = Usage(hours=4, download_gib=20, image_gib=8)


def offer(name: str, **changes: object) -> Offer:
    return Offer.from_dict({**GOOD.to_dict(), "id": name, "machine_id": name, **changes})


def one(changed: Offer, history: History | None = None) -> RankedOffer:
    return rank([changed], USAGE, history)[0]


@pytest.fixture
def history(tmp_path: Path) -> History:
    return History(str(tmp_path / "history.jsonl"))


def remember(history: History, machine: str, *outcomes: str) -> None:
    for outcome in outcomes:
        assert history.add(Attempt(time.time(), "vastai", machine, outcome)) == ""


def test_the_parts_make_the_total_and_the_total_makes_the_order() -> None:
    dear = offer("dear", price_usd_per_hour=0.5, download_usd_per_gib=0.01, reliability=0.9)
    ranked = rank([dear, GOOD], USAGE)
    assert [entry.offer.id for entry in ranked] == ["good", "dear"]
    for entry in ranked:
        parts = entry.to_dict()["expected_cost"]
        total = parts.pop("total_usd")
        assert sum(parts.values()) == pytest.approx(total, abs=0.0005)
        assert all(part >= 0 for part in parts.values())


def test_the_disk_is_shown_apart_and_counted_once() -> None:
    entry = one(GOOD)
    assert entry.disk_usd == pytest.approx(4 * 0.01)
    assert entry.base_usd + entry.disk_usd == pytest.approx(4 * 0.4)


def test_traffic_counts_image_and_downloads() -> None:
    assert one(offer("metered", download_usd_per_gib=0.01)).traffic_usd == pytest.approx(0.28)


def test_downloads_cost_the_hours_that_they_take() -> None:
    slow = one(offer("slow", download_mbit_per_second=200.0))
    # 28 GiB at 200 Mbit/s take 1203 s.
    assert slow.download_wait_usd == pytest.approx(0.4 * 1202.6 / 3600, rel=0.001)
    unknown = one(offer("unknown", download_mbit_per_second=0.0))
    assert unknown.download_wait_usd > 10 * slow.download_wait_usd


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"reliability": 0.99}, "reliability below 0.995"),
        ({"verified": False}, "not verified"),
        ({"direct_ports": 0}, "no direct port"),
        ({"download_mbit_per_second": 100.0}, "download below 128 Mbit/s"),
        ({"cuda_version": "12.4"}, "CUDA below 12.8"),
        ({"cuda_version": ""}, "CUDA below 12.8"),
    ],
)
def test_each_doubt_costs_something_and_is_told(change: dict[str, object], reason: str) -> None:
    good, doubtful = one(GOOD), one(offer("doubtful", **change))
    assert good.risk.reasons == ()
    assert doubtful.risk.reasons == (reason,)
    assert doubtful.failure_usd > good.failure_usd
    assert doubtful.to_dict()["risk"] == {"failure_probability": 0.391, "reasons": [reason]}


def test_who_asks_less_than_half_of_the_usual_price_is_doubted() -> None:
    others = [offer(f"{number}") for number in range(5)]
    cheap = offer("cheap", price_usd_per_hour=0.19)
    reasons = {entry.offer.id: entry.risk.reasons for entry in rank([*others, cheap], USAGE)}
    assert reasons["cheap"] == ("less than half of the usual price",)
    assert reasons["1"] == ()


def test_the_usual_price_is_one_gpus_and_one_models() -> None:
    fleet = [offer(f"{number}", gpu_count=4, price_usd_per_hour=1.6) for number in range(3)]
    h200s = [offer(f"h{number}", gpu_name="H200", price_usd_per_hour=3) for number in range(3)]
    assert all(not entry.risk.reasons for entry in rank([*fleet, *h200s, GOOD], USAGE))


def test_a_little_cheaper_does_not_make_up_for_many_doubts() -> None:
    doubtful = offer("doubtful", price_usd_per_hour=0.398, verified=False, direct_ports=0)
    assert [entry.offer.id for entry in rank([doubtful, GOOD], USAGE)] == ["good", "doubtful"]


def test_much_cheaper_does() -> None:
    doubtful = offer("doubtful", price_usd_per_hour=0.3, verified=False, direct_ports=0)
    assert rank([doubtful, GOOD], USAGE)[0].offer.id == "doubtful"


def test_uptime_weighs_the_more_the_longer_the_rental() -> None:
    steady = offer("steady", reliability=0.9999, download_usd_per_gib=0.001)
    shaky = offer("shaky", reliability=0.996)
    for hours, first in ((4, "shaky"), (100, "steady")):
        assert rank([shaky, steady], Usage(hours=hours))[0].offer.id == first


def test_the_score_of_a_new_machine_is_not_taken_for_its_uptime() -> None:
    assert one(offer("new", reliability=0.6)).outage_usd == pytest.approx(0.1 * 4 * 0.4)


def test_two_failures_on_a_machine_weigh_more_than_all_that_it_shows(history: History) -> None:
    remember(history, "7", "failed", "failed")
    doubtful = offer("doubtful", verified=False, direct_ports=0, cuda_version="12.4")
    ranked = rank([GOOD, doubtful], USAGE, history)
    assert [entry.offer.id for entry in ranked] == ["doubtful", "good"]
    assert "2 of 2 attempts on this machine failed" in ranked[1].risk.reasons


def test_one_success_exonerates(history: History) -> None:
    remember(history, "7", "failed", "failed", "served")
    other = offer("other")
    ranked = rank([other, GOOD], USAGE, history)
    assert ranked[0].offer.id == "good"
    assert ranked[0].risk.failure_probability < ranked[1].risk.failure_probability


def test_a_provider_that_fails_often_is_expected_to_fail_more(history: History) -> None:
    before = one(GOOD).risk.failure_probability
    remember(history, "elsewhere", *["failed"] * 10)
    after = one(GOOD, history).risk
    assert before < after.failure_probability < 0.6
    assert after.reasons == ("10 of 10 attempts on vastai failed",)
    foreign = one(offer("foreign", provider="other"), history)
    assert foreign.risk.failure_probability == before


def test_an_offer_that_was_taken_says_nothing_about_its_machine(history: History) -> None:
    remember(history, "7", "gone", "gone", "gone")
    assert one(GOOD, history) == one(GOOD)


def test_losing_the_history_changes_only_the_ranking(tmp_path: Path) -> None:
    assert rank([GOOD], USAGE, History(str(tmp_path / "lost"))) == rank([GOOD], USAGE)


def test_the_worst_offer_still_has_a_price() -> None:
    nothing = {"price_usd_per_hour": 0.0, "reliability": 0.0, "gpu_count": 0, "cuda_version": ""}
    worst = one(offer("worst", download_mbit_per_second=0.0, verified=False, **nothing))
    assert 0.5 < worst.risk.failure_probability < 1
    assert worst.expected_usd == 0


def test_ties_go_by_id_so_that_two_controllers_agree() -> None:
    twins = [offer("b"), offer("a")]
    assert [entry.offer.id for entry in rank(twins, USAGE)] == ["a", "b"]
