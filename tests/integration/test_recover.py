# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real server that does not serve: explained and mended by a controller that is new to it."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path
from typing import Any

import pytest

from tests.drills.controller import rent_playbook
from tests.integration import engine_image
from tests.integration.plays import Controller, Run
from tests.rig import engine
from tests.rig.podman import podman
from tests.simulator.hosts import container_name

LADDER = [{"model": "inferops/tiny-llama"}]


class Fresh:
    """A controller that has the account's key and the SSH key, and remembers nothing."""

    def __init__(self, first: Controller) -> None:
        folder = first.folder / "fresh"
        (folder / "reports").mkdir(parents=True)
        self.controller = Controller(folder, first.instance, first.url, first.hub_url)
        self.known = {
            "inferops_ssh_private_key_file": first.variables()["inferops_ssh_private_key_file"],
            "inferops_report_dir": str(folder / "reports"),
            "recover_canary_seconds": 15,
        }

    def play(self, playbook: str, *arguments: str, **variables: Any) -> Run:
        return self.controller.play(playbook, *arguments, **{**self.known, **variables})

    def report(self, name: str) -> dict[str, Any]:
        path = self.controller.folder / "reports" / f"{name}.json"
        report: dict[str, Any] = json.loads(path.read_text())
        return report


def tried(report: dict[str, Any]) -> list[tuple[str, bool]]:
    return [(step["id"], step["helped"]) for step in report["tried"]]


@pytest.mark.long
def test_recover_mends_a_broken_model_by_the_ladder_and_leaves_a_healthy_server_alone(
    controller: Controller,
) -> None:
    engine_image.ensure()
    failed = controller.play(
        "deploy",
        inferops_model="inferops/tiny-llama-truncated",
        rent_on_failure="keep",
        # How it came onto the host makes no difference to what mends it.
        rent_image=engine_image.NAME,
        # Its own check would find the damage before the server does.
        model_cache_enabled=False,
    )
    assert failed.status != 0
    assert f"nothing is installed: it is served from {engine.PYTHON}" in failed.message()
    assert len(controller.rentals()) == 1
    fresh = Fresh(controller)

    dry = fresh.play("recover", recover_ladder=LADDER)
    assert dry.status == 0, dry.output[-5000:]
    assert "1. download_again" in dry.message()
    assert "Model: inferops/tiny-llama." in dry.message()
    assert "Nothing was changed. Take the steps with -e recover_apply=true" in dry.message()
    assert "changed=0" in dry.output.rpartition("PLAY RECAP")[2]

    # The hub's own copy is broken: downloading it again cannot help, the ladder does.
    run = fresh.play("recover", recover_apply=True, recover_ladder=LADDER)
    assert run.status == 0, run.output[-5000:]
    report = fresh.report("recover-gpu-1")
    assert report["before"]["cause_id"] == "weights_truncated"
    assert tried(report) == [("download_again", False), ("smaller_model", True)]
    assert report["permanent"] == {"inferops_model": "inferops/tiny-llama"}
    (folder,) = fresh.controller.evidence()
    assert "SafetensorError" in (folder / "summary.md").read_text()

    status = fresh.play("status", status_health_check="canary")
    assert status.status == 0, status.output[-5000:]
    assert "gpu-1/vllm: running, serving (a completion came back)" in status.message()
    (server,) = fresh.report("status")["hosts"]["gpu-1"]["servers"]
    assert server["requests_running"] == 0
    assert server["uptime_seconds"] > 0

    healthy = fresh.play("recover", recover_apply=True)
    assert healthy.status == 0, healthy.output[-5000:]
    assert "Server vllm is healthy" in healthy.message()
    assert "changed=0" in healthy.output.rpartition("PLAY RECAP")[2]

    bundle = fresh.play("support_bundle")
    assert bundle.status == 0, bundle.output[-5000:]
    assert [path for path in (folder.parent).glob("gpu-1-*.tar.gz") if path.stat().st_size > 1000]
    assert fresh.play("teardown").status == 0
    assert controller.rentals() == []


@pytest.mark.long
def test_hosts_without_a_server_or_without_an_answer_are_said_and_nothing_fails_for_them(
    controller: Controller, tmp_path: Path
) -> None:
    fleet = {"inferops_group": "gpu_fleet"}
    run = controller.play(rent_playbook(tmp_path), **fleet)
    assert run.status == 0, run.output[-5000:]
    silent = max(controller.rentals(), key=lambda rental: str(rental["label"]))
    podman("kill", container_name(controller.instance.name, silent["id"]))

    status = controller.play("status", **fleet)
    assert status.status == 0, status.output[-5000:]
    assert "gpu-1: no server was started here" in status.message()
    assert "gpu-2: it does not answer" in status.message()
    assert status.message().count("dollars per hour") >= 2

    bundle = controller.play("support_bundle", **fleet)
    assert bundle.status == 0, bundle.output[-5000:]
    first, second = sorted((controller.folder / "evidence").glob("*.tar.gz"))
    assert not first.stat().st_mode & 0o077
    with tarfile.open(first) as archive:
        assert {"memory.txt", "summary.md", "gpu.json"} < {Path(n).name for n in archive.getnames()}
    with tarfile.open(second) as archive:
        name = next(name for name in archive.getnames() if name.endswith("summary.md"))
        summary = archive.extractfile(name)
        assert summary is not None
        assert "everything on the host: " in summary.read().decode()

    unheard = controller.play("recover", "--limit", "gpu-2", **fleet)
    assert unheard.status != 0
    assert "The host does not answer, so nothing on it can be mended" in unheard.message()
    assert "If it is rented it bills all the same" in unheard.message()

    refused = controller.play("recover")
    assert refused.status != 0
    assert "Nothing on this host says how server vllm was started" in refused.message()
