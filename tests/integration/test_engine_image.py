# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A rented image that has vLLM already: nothing is installed, all is proven, and it serves."""

from __future__ import annotations

import json

from tests.integration import engine_image
from tests.integration.plays import Controller
from tests.rig import engine
from tests.rig.podman import podman
from tests.simulator.hosts import container_names


def inside(controller: Controller, command: str) -> str:
    (name,) = container_names(controller.instance.name)
    return podman("exec", name, "sh", "-c", command).stdout


def test_what_an_image_has_is_proven_and_served_at_once(controller: Controller) -> None:
    engine_image.ensure()
    reports = controller.folder / "reports"
    reports.mkdir(mode=0o700)
    wish = {"rent_image": engine_image.NAME, "inferops_report_dir": str(reports)}
    run = controller.play("deploy", **wish)
    assert run.status == 0, run.output[-5000:]
    assert f"nothing is installed: it is served from {engine.PYTHON}" in run.message()
    assert "Completion:" in run.message()
    assert inside(controller, "ls /root/.inferops/stack").split() == [
        "lock-input.json",
        "lock.txt",
        "receipts",
    ]
    for part in ("torch", "numpy", "vllm"):
        receipt = json.loads(inside(controller, f"cat /root/.inferops/stack/receipts/{part}.json"))
        assert receipt["stands_while"]["python"] == engine.PYTHON
        assert receipt["result"]["version"]

    again = controller.play("deploy", **wish)
    assert again.status == 0, again.output[-5000:]
    assert "changed=0" in again.output.split("PLAY RECAP")[1]
    assert controller.play("teardown").status == 0
    assert controller.rentals() == []
