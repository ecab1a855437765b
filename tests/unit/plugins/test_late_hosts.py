# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A limit of the user's for every task takes no answer away: who is late is a line of it."""

from __future__ import annotations

import json
from pathlib import Path

from tests.simulator.app import Simulator
from tests.unit.plugins.pretended import Pretended
from tests.unit.plugins.test_text_in_plays import rented


def test_status_tells_what_bills_where_every_host_is_late(
    tmp_path: Path, simulator: Simulator
) -> None:
    rented(simulator, "gpu-1", "running")
    late = {"model_server_info": {"servers": [], "is_late": True}}
    done = Pretended(tmp_path, simulator, ("gpu-1",), late).run(
        "status",
        environment={"ANSIBLE_TASK_TIMEOUT": "600"},
        inferops_report_dir=str(tmp_path / "report"),
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "gpu-1: it does not answer: " in done.stdout
    assert "gpu-1: unreachable (it does not answer: " in done.stdout
    report = json.loads((tmp_path / "report" / "status.json").read_text())
    assert report["verdicts"]["gpu-1"]["verdict"] == "unreachable"
    assert (tmp_path / "report" / "status.html").exists()
