# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The roles stack, torch, numpy and vllm in a playbook, on a host with a scripted driver."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.matrix import rig
from tests.matrix.rig import Host, gpu
from tests.tools.tree import REPOSITORY

Play = Callable[..., str]


@pytest.fixture
def play(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Play:
    """Run roles on a host with this driver and an Ampere GPU; returns the output."""
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "uv-cache"))

    def run(host: Host, *roles: str, status: int = 0, check: bool = False, **extra: str) -> str:
        playbook = tmp_path / "play.yml"
        names = [f"inferops.gpu.{name}" for name in ("stack", *roles)]
        playbook.write_text(
            json.dumps([{"hosts": "localhost", "gather_facts": False, "roles": names}])
        )
        variables = {
            "ansible_connection": "local",
            "ansible_python_interpreter": sys.executable,
            "inferops_home": str(host.home),
            "inferops_index_url": f"{host.index}/simple",
            "stack_torch_index_url": host.index + "/whl/{backend}",
            "stack_vllm_index_url": f"{host.index}/vllm",
            "stack_python": sys.executable,
            **extra,
        }
        command = [str(Path(sys.executable).with_name("ansible-playbook")), "-i", "localhost,"]
        command += [str(playbook), "-e", json.dumps(variables), *(["--check"] if check else [])]
        done = subprocess.run(
            command,
            cwd=REPOSITORY,
            env=host.environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert done.returncode == status, done.stdout
        return done.stdout

    return run


def frozen(host: Host) -> str:
    python = str(host.home / "stack" / "venv" / "bin" / "python")
    uv = str(host.home / "bootstrap" / "bin" / "uv")
    command = [uv, "pip", "freeze", "--python", python]
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout


def test_the_roles_install_in_any_order_again_and_from_a_kept_lock(
    tmp_path: Path, play: Play
) -> None:
    with rig.index(tmp_path / "index") as url:
        first, second = (
            Host(tmp_path / name, "535.183.06", gpu("Ampere"), url) for name in ("one", "two")
        )
        lock = tmp_path / "kept" / "lock.txt"
        lock.parent.mkdir()
        wish = {"stack_vllm_version": "0.25.1", "stack_lock_file": str(lock)}
        for host in (first, second):
            host.prepare()

        play(first, "torch", "numpy", "vllm", check=True, **wish)
        assert not (first.home / "stack").exists()
        assert not lock.exists()

        said = play(first, "torch", "numpy", "vllm", **wish)
        assert "vLLM 0.25.1+cu129 is not on the package index" in " ".join(said.split())
        assert "vllm==0.25.1+cu129" in lock.read_text()
        assert "--hash=sha256:" in lock.read_text()
        assert "changed=0" in play(first, "torch", "numpy", "vllm", **wish)

        kept = lock.read_text()
        play(second, "vllm", "numpy", "torch", **wish)
        assert lock.read_text() == kept
        assert frozen(second) == frozen(first)


def test_a_host_that_nothing_suits_is_refused_with_what_would_help(
    tmp_path: Path, play: Play
) -> None:
    host = Host(tmp_path / "host", "470.256.02", gpu("Ampere"), "http://127.0.0.1:9")
    host.prepare()
    said = " ".join(play(host, "torch", status=2).split())
    assert "needs a driver >= 525, here is 470.256.02" in said
    assert "What would help: a driver >= 525" in said
    assert not (host.home / "stack").exists()
