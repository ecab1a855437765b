# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What role stack makes of a host's facts: its own tasks, on facts given here."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.inferops.gpu.plugins.modules import stack_lock
from tests.hanging import HANGS_AFTER_SECONDS
from tests.matrix.wheels import Wheel
from tests.tools.tree import REPOSITORY


def gpu(index: int, capability: str) -> dict[str, Any]:
    """A GPU as gpu_info returns it, as far as the plan reads it."""
    return {"index": index, "uuid": f"GPU-{index}", "compute_capability": capability}


def facts(*gpus: dict[str, Any], driver: str = "580.95.05") -> dict[str, Any]:
    """A host as gpu_info returns it, as far as the plan reads it."""
    pythons = [
        {"path": "/usr/bin/python3.10", "version": "3.10.12"},
        {"path": "/usr/bin/python3.12", "version": "3.12.4"},
    ]
    host = {"glibc_version": "2.39", "pythons": pythons, "disk_free_mib": 80 * 1024}
    return {"gpu": {"driver_version": driver, "gpus": list(gpus or [gpu(0, "9.0")])}, "host": host}


def planned(tmp_path: Path, host: dict[str, Any], option: str = "--check", **variables: Any) -> str:
    """What the role plans there, or how it fails; line breaks are folded away."""
    file = tmp_path / "play.yml"
    role = {"name": "inferops.gpu.stack", "tasks_from": "lock"}
    tasks = [{"ansible.builtin.include_role": role}]
    file.write_text(yaml.safe_dump([{"hosts": "localhost", "gather_facts": False, "tasks": tasks}]))
    given = {
        "ansible_python_interpreter": sys.executable,
        "ansible_async_dir": str(tmp_path / "async"),  # not where the user's home is said to be
        "stack_facts": host,
        "inferops_home": str(tmp_path / "home"),
        **variables,
    }
    command = ["ansible-playbook", option, "-i", "localhost,", "-c", "local", str(file)]
    done = subprocess.run(
        [Path(sys.executable).with_name(command[0]), *command[1:], "-e", json.dumps(given)],
        cwd=REPOSITORY,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=HANGS_AFTER_SECONDS,
        check=False,
    )
    return " ".join((done.stdout + done.stderr).split())


@pytest.mark.long
@pytest.mark.parametrize(
    ("python", "said"),
    [
        ("/usr/bin/python3.10", "vLLM 0.30.0 with torch"),
        ("3.10", "vLLM 0.30.0 with torch"),
        # One that the facts do not know limits nothing.
        ("/opt/python/bin/python", "vLLM 0.33.0 with torch"),
    ],
)
def test_the_python_that_is_asked_for_limits_the_plan(
    tmp_path: Path, python: str, said: str
) -> None:
    output = planned(tmp_path, facts(), stack_python=python)
    assert said in output
    assert "failed=0" in output


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        # No release has kernels for both but one of CUDA 12.
        ({}, "vLLM 0.19.1 with torch"),
        ({"inferops_server_environment": {"CUDA_VISIBLE_DEVICES": "1"}}, "vLLM 0.33.0 with torch"),
        ({"inferops_vllm_version": "0.11.0"}, "here is 7.0 and 12.0"),
    ],
)
def test_the_plan_suits_every_gpu_that_the_server_will_see(
    tmp_path: Path, variables: dict[str, Any], said: str
) -> None:
    assert said in planned(tmp_path, facts(gpu(0, "7.0"), gpu(1, "12.0")), **variables)


@pytest.fixture
def offline(tmp_path: Path) -> dict[str, Any]:
    """A home with the development environment's uv, and wheels that are all it takes."""
    (tmp_path / "home" / "bootstrap" / "bin").mkdir(parents=True)
    uv = tmp_path / "home" / "bootstrap" / "bin" / "uv"
    uv.symlink_to(Path(sys.executable).with_name("uv"))
    packages = tmp_path / "home" / "bootstrap" / "lib" / "python3" / "site-packages"
    version = yaml.safe_load(stack_lock.DOCUMENTATION)["options"]["uv_version"]["default"]
    (packages / f"uv-{version}.dist-info").mkdir(parents=True)
    folder = tmp_path / "wheels"
    folder.mkdir()
    for wheel in (Wheel("vllm", "0.33.0", requires=("torch==2.14.0",)), Wheel("torch", "2.14.0")):
        wheel.write(folder)
    return {"inferops_find_links": [str(folder)], "inferops_offline": True}


@pytest.mark.long
def test_a_disk_that_the_stack_does_not_fit_on_is_refused_before_the_download(
    tmp_path: Path, offline: dict[str, Any]
) -> None:
    host = facts()
    host["host"]["disk_free_mib"] = 5 * 1024
    refused = planned(tmp_path, host, "--diff", **offline)
    assert "The stack takes about 8.0 GiB, and the disk of" in refused
    assert "has 5.0 GiB free" in refused
    # Once it is there it takes no more; and whoever has the room is not stopped.
    (packages,) = (tmp_path / "home/stack/venv/lib").glob("python*/site-packages")
    (packages / "torch-2.14.0.dist-info").mkdir()
    assert "failed=0" in planned(tmp_path, host, "--diff", **offline)
    (packages / "torch-2.14.0.dist-info").rmdir()
    host["host"]["disk_free_mib"] = 8 * 1024
    assert "failed=0" in planned(tmp_path, host, "--diff", **offline)


@pytest.mark.long
def test_a_lock_file_is_written_once_and_an_edited_one_reaches_no_host(
    tmp_path: Path, offline: dict[str, Any]
) -> None:
    kept = tmp_path / "kept" / "lock.txt"
    wish = {**offline, "stack_lock_file": str(kept)}
    assert "failed=0" in planned(tmp_path, facts(), "--diff", **wish)
    text = kept.read_text()
    assert text.count("--hash=sha256:") == 2
    assert "changed=0" in planned(tmp_path, facts(), "--diff", **wish)
    assert kept.read_text() == text
    evil = f"{text}evil @ file:///tmp/evil.whl\n"
    kept.write_text(evil)
    refused = planned(tmp_path, facts(), "--diff", **wish)
    assert "The lock file is not given to any host. Line 5 of the lock has 'evil'" in refused
    assert kept.read_text() == evil
