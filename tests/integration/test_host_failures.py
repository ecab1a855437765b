# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts that do not keep their promises, at once or hours later, on real containers."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.drills.controller import rent_playbook
from tests.integration.plays import Controller

CREATE = {"method": "PUT", "path": "^/api/v0/asks/"}


@pytest.fixture
def rent(tmp_path: Path) -> Path:
    """What deploy does until a host can be reached and was verified."""
    folder = tmp_path / "playbooks"
    folder.mkdir()
    return rent_playbook(folder)


@pytest.mark.long
def test_hosts_that_fail_make_room_for_the_next_and_each_costs_are_told(
    controller: Controller, rent: Path
) -> None:
    faults = [
        {"kind": "lies", "driver_version": "470.256.02"},
        {"kind": "never_ssh", "skip": 1},
    ]
    controller.simulator("POST", "faults", [{**fault, "times": 1} for fault in faults])
    history = controller.folder / "history.jsonl"
    run = controller.play(
        rent,
        clock_scale=10,
        rent_ready_timeout_seconds=120,
        inferops_history_path=str(history),
    )
    assert run.status == 0, run.output[-5000:]
    message = run.message()
    assert "Attempt 1 of 5 failed at driver" in message
    assert "driver 470.256.02 instead of" in message
    assert "Attempt 2 of 5 failed at ssh" in message
    assert len(re.findall(r"released and proven gone, for \d\.\d+ dollars", message)) == 2
    assert len(controller.rentals()) == 1
    remembered = [json.loads(line) for line in history.read_text().splitlines()]
    assert [one["outcome"] for one in remembered] == ["failed", "failed", "served"]
    machines = [one["machine_id"] for one in remembered]
    assert len(set(machines)) == 3
    assert machines[-1] == str(controller.rentals()[0]["machine_id"])
    assert len(controller.evidence()) == 2

    again = controller.play(rent, clock_scale=10)
    assert again.status == 0, again.output[-5000:]
    assert len(controller.creates()) == 3


@pytest.mark.long
def test_attempts_are_bounded_and_the_last_one_is_released_too(
    controller: Controller, rent: Path
) -> None:
    body = {"success": False, "error": "no_such_ask", "msg": "error 410/3907"}
    gone = {"kind": "reply", "method": "PUT", "path": "/asks/", "status": 410, "body": body}
    lies = {"kind": "lies", "vram_factor": 0.5, "times": 9}
    controller.simulator("POST", "faults", [{**gone, "times": 1}, lies])
    run = controller.play(rent, clock_scale=10, rent_max_attempts=3)
    assert run.status != 0
    message = run.message()
    assert "vram_gib" in message
    assert "was released and proven gone; it cost" in message
    assert "1 earlier attempts cost" in message
    assert len(controller.creates()) == 3
    assert controller.rentals() == []


def test_a_key_that_was_wiped_hours_later_is_attached_again(
    controller: Controller, rent: Path
) -> None:
    fault = {"kind": "wipe_keys", "after_seconds": 3600, "keep_attached": False}
    controller.simulator("POST", "faults", [{**fault, "times": 1}])
    assert controller.play(rent).status == 0
    before = controller.rentals()
    controller.simulator("POST", "clock", {"advance_seconds": 3700})
    run = controller.play(rent, clock_scale=20)
    assert run.status == 0, run.output[-5000:]
    assert [one["id"] for one in controller.rentals()] == [one["id"] for one in before]


@pytest.mark.long
def test_another_host_key_at_the_same_address_is_refused_with_an_explanation(
    controller: Controller, rent: Path
) -> None:
    fault = {"kind": "host_key_changes", "after_seconds": 3600, "times": 1}
    controller.simulator("POST", "faults", [fault])
    assert controller.play(rent).status == 0
    controller.simulator("POST", "clock", {"advance_seconds": 3700})
    run = controller.play(rent, clock_scale=20)
    assert run.status != 0
    assert "the address went to another machine" in run.message(), run.output[-5000:]
    assert "is older than this run, so it was kept" in run.message()
    assert len(controller.rentals()) == 1


@pytest.mark.long
def test_status_tells_the_deadline_and_extend_moves_it_also_after_the_key_was_wiped(
    controller: Controller, rent: Path
) -> None:
    fault = {"kind": "wipe_keys", "after_seconds": 3600, "keep_attached": False}
    controller.simulator("POST", "faults", [{**fault, "times": 1}])
    assert controller.play(rent, rent_duration_hours=50).status == 0
    controller.simulator("POST", "clock", {"advance_seconds": 3700})
    told = controller.play("status", clock_scale=10)
    assert told.status == 0, told.output[-5000:]
    assert "ends in 23.0 hours, by the switch that was sent along" in told.message(), told.output[
        -6000:
    ]

    run = controller.play("extend", clock_scale=10, extend_hours=40)
    assert run.status == 0, run.output[-5000:]
    assert "ends in 40.00 hours, enforced by host" in run.message()
    assert "ends in 40.0 hours" in controller.play("status", clock_scale=10).message()
    warned = controller.play("status", clock_scale=10, status_warn_hours=48)
    assert "Playbook inferops.gpu.extend renews it" in warned.message()
