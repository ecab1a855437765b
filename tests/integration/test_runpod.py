# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real host of the simulated RunPod: reached, extended, ended by itself and by teardown."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from ansible_collections.inferops.gpu.plugins.module_utils.market.clock import Clock
from ansible_collections.inferops.gpu.plugins.module_utils.market.mark import Mark
from ansible_collections.inferops.gpu.plugins.module_utils.market.model import Order
from ansible_collections.inferops.gpu.plugins.module_utils.market.providers.pace import Pace
from ansible_collections.inferops.gpu.plugins.module_utils.market.providers.runpod import RunPod
from ansible_collections.inferops.gpu.plugins.module_utils.market.wish import Wish
from tests.drills.controller import rent_playbook
from tests.hanging import HANGS_AFTER_SECONDS
from tests.integration.plays import Controller
from tests.simulator import daemon
from tests.simulator.hosts import container_names
from tests.simulator.market import ACCOUNT_KEY
from tests.unit.market.conftest import PUBLIC_KEY

#: Nobody but a reaper is counted on to end a pod.
RUNPOD = {"inferops_provider": RunPod.name, "inferops_reaper": True}
LIFETIME_SECONDS = 20


@pytest.mark.long
@pytest.mark.parametrize("controller", [RunPod.name], indirect=True)
def test_a_pod_is_rented_extended_and_released(controller: Controller, tmp_path: Path) -> None:
    rent = rent_playbook(tmp_path)
    refused = controller.play(rent, **{**RUNPOD, "inferops_reaper": False})
    assert refused.status != 0
    assert "Nobody would end this rental at its deadline" in refused.message()
    assert controller.rentals() == []

    run = controller.play(rent, **RUNPOD)
    assert run.status == 0, run.output[-5000:]
    (pod,) = controller.rentals()
    assert pod["label"].startswith("inferops/main-job/gpu-1/")
    status = controller.play("status", **RUNPOD)
    assert status.status == 0, status.output[-5000:]
    assert "of runpod is running" in status.message(), status.message()
    assert "ends in 24.0 hours" in status.message()

    extend = controller.play("extend", extend_hours=48, **RUNPOD)
    assert extend.status == 0, extend.output[-5000:]
    (moved,) = controller.rentals()
    assert moved["id"] == pod["id"]
    assert moved["label"] != pod["label"]

    down = controller.play("teardown", **RUNPOD)
    assert down.status == 0, down.output[-5000:]
    assert "Released and proven gone" in down.message()
    assert controller.rentals() == []


@pytest.mark.long
@pytest.mark.parametrize("controller", [RunPod.name], indirect=True)
def test_what_an_image_opens_is_refused_before_anything_is_put_on_the_pod(
    controller: Controller,
) -> None:
    """And of what RunPod's own images open nothing is there: their nginx was not started."""
    image = "mine/pytorch:opens-9999"
    run = controller.play("deploy", **RUNPOD, inferops_proxy=True, rent_image=image)
    assert run.status != 0
    assert "on 0.0.0.0 port 9999. Stop it" in run.message()
    assert "set inferops_expected_ports: [9999]." in run.message()
    assert "port 8001" not in run.message()
    assert "Plan the stack" not in run.output
    assert controller.rentals() == []


@pytest.mark.parametrize("controller", [RunPod.name], indirect=True)
def test_a_pod_that_nobody_ever_connects_to_ends_itself_with_its_own_key(
    controller: Controller,
) -> None:
    clock = Clock()
    provider = RunPod({"api_key": ACCOUNT_KEY}, controller.url, Pace(None, {}, clock), clock)
    now = int(time.time())
    mark = Mark.new("test", "gpu-1", now + LIFETIME_SECONDS, LIFETIME_SECONDS, now)
    provider.rent(provider.search(Wish())[0], Order(mark, "any/image", 20, PUBLIC_KEY, now))
    while time.time() < mark.deadline - 1:
        assert controller.rentals(), "it ended before its deadline"
        time.sleep(0.5)
    assert daemon.wait(lambda: controller.rentals() == [], HANGS_AFTER_SECONDS), "it still bills"
    assert daemon.wait(lambda: container_names(controller.instance.name) == [], HANGS_AFTER_SECONDS)
