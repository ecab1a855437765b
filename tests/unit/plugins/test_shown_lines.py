# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What people see of an offer and of a plan before money is spent."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.inferops.gpu.plugins.filter.deploy_plan import deploy_plan
from ansible_collections.inferops.gpu.plugins.filter.offer_lines import offer_lines
from ansible_collections.inferops.gpu.plugins.module_utils.market.rentals.report import (
    Deployed,
    Now,
    deploy_lines,
    deploy_report,
)
from ansible_collections.inferops.gpu.plugins.module_utils.serving.planned import plan_lines

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
    "waiting": {"hours": 0.63, "usd_per_hour": 5.0, "usd": 3.15},
    "first_token": {
        "total_seconds": 612.4,
        "ssh_seconds": 229.2,
        "stack_seconds": 119.0,
        "weights_seconds": 211.5,
        "load_seconds": 8.2,
        "start_seconds": 163.5,
        "phases": {"ssh": 229.2, "install": 211.5, "launch": 171.7},
        "paces": {},
        "assumed": ["8 cores", "an image that is not on the host yet"],
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
        "First token: expected 10.2 minutes after the request (SSH 3.8, stack 2.0 beside weights "
        "3.5, load 0.1, start 2.7); assumed: 8 cores, an image that is not on the host yet",
        "Waiting: 37.8 minutes with failed attempts before it, counted as 3.15 dollars that nobody "
        "bills, 5 for each hour (rent_wait_usd_per_hour)",
        "Odds of failure: 30 % (not verified, reliability below 0.995)",
        "Deadline: in 24.0 hours, enforced by host",
    ]


def test_who_came_after_it_and_why_is_shown_before_money_is_spent() -> None:
    other = {
        "id": "7",
        "price_usd_per_hour": 0.3,
        "behind_usd": 5.82,
        "why": "waiting 6.70 dollars more (79.2 minutes to the first token instead of 10.2)",
    }
    lines = offer_lines(OFFER, DEADLINE, 40, 24, pretend=True, runners_up=[other])
    assert (
        "Runner-up: offer 7 for 0.3000 dollars per hour, behind by 5.82 dollars: waiting 6.70 "
        "dollars more (79.2 minutes to the first token instead of 10.2)" in lines
    )


def test_what_the_history_has_made_slower_is_said() -> None:
    learnt = {**OFFER, "first_token": {**OFFER["first_token"], "paces": {"ssh": 2.0}}}
    assert "; by the history: SSH x 2.00; assumed" in offer_lines(learnt, DEADLINE, 40, 24)[2]


#: A deploy that began at 1000, whose host let in at 1185 and had all at 1385.
SEEN = Deployed(
    endpoint={"url": "http://127.0.0.1:1/v1", "model": "a/b", "completion": 'it is "é"'},
    rental={"provider": "vastai", "id": "7", "price_usd_per_hour": 0.36, "started_at": 1005},
    offer=OFFER,
    deadline={"at": 8745, "enforced_by": "host", "clock_offset_seconds": 0},
    ready_seconds={"running": 150.0, "ssh": 30.0},
    checked_at=1000,
    connected_at=1185,
    installed_at=1385,
)
LATER = Now(1545, 1545)


def test_what_was_expected_is_told_beside_what_happened() -> None:
    told = deploy_report(SEEN, LATER)
    assert told["seconds"] == {
        "rent": 155.0,
        "ssh": 30.0,
        "install": 200.0,
        "launch": 160.0,
        "total": 545.0,
    }
    first = told["first_token"]
    assert first["line"] == (
        "First token: after 9.0 minutes, expected were 10.2 (SSH 3.0 of 3.8, install 3.3 of 3.5, "
        "launch 2.7 of 2.9)"
    )
    assert first["phases"]["ssh"] == {"expected_seconds": 229.2, "happened_seconds": 180.0}
    assert first["ratios"]["ssh"] == pytest.approx(180 / 229.2, abs=0.001)


def test_of_a_host_that_was_there_nothing_was_expected() -> None:
    found = replace(SEEN, offer={}, ready_seconds={}, installed_at=None)
    told = deploy_report(found, LATER)
    assert told["first_token"] == {}
    assert told["rental"]["offer"] == ""
    assert (told["seconds"]["install"], told["seconds"]["launch"]) == (0.0, 360.0)
    assert deploy_lines(found, told, LATER)[2] == (
        "First token: nothing was expected of a host that was there"
    )


def test_a_deploy_ends_with_what_it_bills_and_until_when() -> None:
    lines = deploy_lines(SEEN, deploy_report(SEEN, LATER), LATER)
    assert lines[0] == "Endpoint: http://127.0.0.1:1/v1 serves a/b"
    assert lines[1] == r'Completion: "it is \"\u00e9\""'
    assert lines[3:5] == [
        "Cost: 0.0540 dollars so far, 0.3600 dollars per hour until it is stopped",
        "Deadline: in 2.0 hours, enforced by host; playbook inferops.gpu.extend renews it",
    ]


def test_a_deadline_and_a_bill_go_by_the_providers_clock() -> None:
    ahead = replace(SEEN, deadline={**SEEN.deadline, "clock_offset_seconds": 3600})
    report = deploy_report(ahead, LATER)
    assert report["cost"] == 0.414
    assert "in 1.0 hours" in deploy_lines(ahead, report, LATER)[4]
    # A simulated market has a time of its own; what took long here did so by the clock here.
    report = deploy_report(SEEN, Now(1545, 5145))
    assert report["cost"] == 0.414
    assert report["seconds"]["total"] == 545.0


def test_what_is_not_told_or_not_billed_is_said_so() -> None:
    untold = replace(SEEN, rental={**SEEN.rental, "price_usd_per_hour": None}, deadline={"at": 0})
    lines = deploy_lines(untold, deploy_report(untold, LATER), LATER)
    assert "a price per hour that is not told until it is stopped" in lines[3]
    assert lines[4].startswith("Deadline: none; ")
    own = replace(untold, rental={**untold.rental, "own": True})
    lines = deploy_lines(own, deploy_report(own, LATER), LATER)
    assert lines[3:5] == ["Cost: none, for it is a host of your own", "Deadline: none"]


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
        ("", "auto", "no prebuilt image"),
    ],
)
def test_a_plan_says_what_is_installed_and_that_nothing_was_rented(
    image: str, python: str, said: str
) -> None:
    lines = plan_lines({**PLAN, "image": image}, "a/b", 8000, python)
    assert lines[0] == "Plan: vLLM 0.32.0 suits it, from vllm==0.32.0 and torch"
    assert lines[1] == f"Plan: {said}"
    assert "port 8000" in lines[2]
    assert lines[4].startswith("Nothing was rented")


def test_a_plan_names_the_image_that_would_be_taken() -> None:
    lines = plan_lines(PLAN, "a/b", 8000, "auto", "vastai/vllm:v0.32.0-cuda-13.0")
    assert lines[1] == (
        "Plan: take what the image vastai/vllm:v0.32.0-cuda-13.0 has, or install it where that "
        "fails a proof"
    )


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ({}, "by default: nobody knows what memory will hold of them"),
        (
            {"weights_gib": 15.3, "ram_gib": 64},
            "by default: memory holds them already, so there is nothing to read ahead",
        ),
        (
            {"weights_gib": 140, "ram_gib": 64},
            "by default: memory does not hold them, so what is read ahead is gone before it is "
            "needed",
        ),
        (
            {"weights_gib": 140, "ram_gib": 64, "arguments": {"load-format": "runai_streamer"}},
            "as you ask: load_format is set",
        ),
        ({"extra_args": ["--load-format", "dummy"]}, "as you ask: load_format is set"),
    ],
)
def test_a_plan_says_how_weights_are_read_and_why(told: dict[str, Any], said: str) -> None:
    lines = plan_lines(PLAN, "a/b", 8000, served=told)
    assert lines[3] == f"Plan: its weights are read {said}"


SERVING = {"model": "a/b", "port": 8000, "arguments": {"max_modle_len": 8192}}


@pytest.mark.parametrize(
    ("environment", "refused"),
    [
        ({"engine": "vllm"}, True),
        ({"engine": "vllm", "python": ""}, True),
        ({"engine": "vllm", "python": "/p"}, False),
        ({"engine": "vllm", "extra_requirements": ["a-plugin"]}, False),
        ({"engine": "llama_cpp"}, True),
    ],
)
def test_a_dry_run_refuses_options_only_where_the_release_is_sure(
    environment: dict[str, Any], refused: bool
) -> None:
    told = deploy_plan({"driver_version": "580.95.05"}, SERVING, environment)
    assert ("inferops_server_arguments: " in told["refusal"]) == refused
    assert bool(told["refusal"]) == refused
    assert told["lines"][2].startswith("Plan: serve a/b")


def test_a_dry_run_refuses_what_no_release_can_do_on_the_offer() -> None:
    new = {**SERVING, "least_release": "0.25.0"}
    with pytest.raises(AnsibleFilterError, match="driver"):
        deploy_plan({"driver_version": "535.1"}, new, {"engine": "vllm"})


def test_the_image_of_the_offer_is_in_the_plan() -> None:
    offer = {"driver_version": "580.95.05", "engine_image": {"name": "a/image"}}
    told = deploy_plan(offer, {"model": "a/b", "port": 1}, {"engine": "vllm"})
    assert told["lines"][1].startswith("Plan: take what the image a/image has")
