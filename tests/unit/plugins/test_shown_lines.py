# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What people see of an offer and of a plan before money is spent."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.inferops.gpu.plugins.filter.offer_lines import offer_lines
from ansible_collections.inferops.gpu.plugins.filter.plan_lines import plan_lines

OFFER: dict[str, Any] = {
    "provider": "vastai",
    "id": "1234567",
    "gpu_name": "RTX 4090",
    "gpu_count": 1,
    "vram_gib": 23.99,
    "country": "SE",
    "driver_version": "580.95.05",
    "reliability": 0.9951,
    "price_usd_per_hour": 0.3412,
    "expected_cost": {
        "total_usd": 8.4,
        "base_usd": 8.0,
        "disk_usd": 0.2,
        "traffic_usd": 0.1,
        "download_wait_usd": 0.04,
        "outage_usd": 0.03,
        "failure_usd": 0.03,
    },
    "risk": {"failure_probability": 0.3, "reasons": ["not verified", "reliability below 0.995"]},
}
DEADLINE = {"at": 1795312800, "hours": 24.0, "enforced_by": "host"}
PLAN = {"why": "vLLM 0.32.0 suits it", "requirements": ["vllm==0.32.0", "torch"], "image": "a:b"}


def test_an_offer_is_shown_with_its_price_its_odds_and_its_deadline() -> None:
    assert offer_lines(OFFER, DEADLINE, 40, 24) == [
        "Rented offer 1234567 of vastai: 1 x RTX 4090 (23.99 GiB each), country SE, "
        "driver 580.95.05, reliability 0.995",
        "Price: 0.3412 dollars per hour with 40 GiB of disk; expected for 24 hours: 8.40 dollars "
        "(base 8.00, disk 0.20, traffic 0.10, waiting for downloads 0.04, outages 0.03, failures "
        "0.03)",
        "Odds of failure: 30 % (not verified, reliability below 0.995)",
        "Deadline: in 24.0 hours, enforced by host",
    ]


def test_what_an_offer_does_not_tell_is_said_to_be_not_told() -> None:
    silent = {**OFFER, "driver_version": None, "reliability": None, "country": ""}
    silent["unchecked"] = ["min_reliability", "driver_version"]
    lines = offer_lines(silent, {"at": 0}, 40, 24, pretend=True)
    assert lines[0].startswith("Would rent offer 1234567")
    assert lines[0].endswith(
        "country not told, driver not told, reliability not told (unchecked, because not told: "
        "min_reliability, driver_version)"
    )
    assert lines[-1] == "Deadline: none"


@pytest.mark.parametrize(
    ("image", "python", "said"),
    [
        (
            "a:b",
            "",
            "the same is prebuilt in the image a:b (rent_image, with inferops_image_python)",
        ),
        ("", "", "no prebuilt image"),
        ("a:b", "/p", "take what /p of the image has, and install nothing"),
    ],
)
def test_a_plan_says_what_is_installed_and_that_nothing_was_rented(
    image: str, python: str, said: str
) -> None:
    lines = plan_lines({**PLAN, "image": image}, "a/b", 8000, python)
    assert lines[0] == "Plan: vLLM 0.32.0 suits it, from vllm==0.32.0 and torch"
    assert lines[1] == f"Plan: {said}"
    assert "port 8000" in lines[2]
    assert lines[3].startswith("Nothing was rented")
