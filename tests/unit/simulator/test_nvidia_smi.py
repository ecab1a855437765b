# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The stand-in answers as nvidia-smi does."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.hanging import HANGS_AFTER_SECONDS
from tests.simulator.hosts import NVIDIA_SMI

GPU = {"name": "NVIDIA L4", "uuid": "GPU-1", "memory.total": 23034, "compute_cap": "8.9"}
FACTS = {"driver_version": "550.144.03", "gpus": [GPU, {**GPU, "uuid": "GPU-2"}]}


def ask(tmp_path: Path, facts: dict[str, Any], *arguments: str) -> tuple[int, str]:
    file = tmp_path / "gpus.json"
    file.write_text(json.dumps(facts))
    done = subprocess.run(
        [sys.executable, NVIDIA_SMI, *arguments],
        env={"INFEROPS_SIM_GPUS": str(file)},
        capture_output=True,
        text=True,
        timeout=HANGS_AFTER_SECONDS,
        check=False,
    )
    return done.returncode, done.stdout


@pytest.mark.parametrize(
    ("form", "lines"),
    [
        ("csv,noheader,nounits", ["0, GPU-1, 23034, 550.144.03", "1, GPU-2, 23034, 550.144.03"]),
        ("csv,noheader", ["0, GPU-1, 23034 MiB, 550.144.03", "1, GPU-2, 23034 MiB, 550.144.03"]),
    ],
)
def test_a_query_has_one_line_per_gpu(tmp_path: Path, form: str, lines: list[str]) -> None:
    query = "--query-gpu=index,uuid,memory.total,driver_version"
    code, out = ask(tmp_path, FACTS, query, f"--format={form}")
    assert (code, out.splitlines()) == (0, lines)


def test_processes_are_what_the_file_says(tmp_path: Path) -> None:
    process = {"pid": 42, "gpu_uuid": "GPU-1", "used_memory": 900}
    query = ("--query-compute-apps=pid,gpu_uuid,used_memory", "--format=csv,noheader,nounits")
    assert ask(tmp_path, FACTS, *query)[1].strip() == ""
    assert ask(tmp_path, {**FACTS, "processes": [process]}, *query)[1] == "42, GPU-1, 900\n"


def test_a_broken_driver_can_be_played(tmp_path: Path) -> None:
    broken = {**FACTS, "failure": "NVIDIA-SMI has failed"}
    assert ask(tmp_path, broken, "-L") == (9, "NVIDIA-SMI has failed\n")


def test_it_does_not_pretend_to_have_a_banner(tmp_path: Path) -> None:
    code, out = ask(tmp_path, FACTS)
    assert code == 2
    assert "stand-in" in out
