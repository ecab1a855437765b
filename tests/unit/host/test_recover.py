# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Role recover, as a play runs it, on a stand-in for the server: what is said, tried and mended."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.inferops.gpu.plugins.module_utils.host.machine import processes
from ansible_collections.inferops.gpu.plugins.module_utils.host.server.layout import Server
from tests.hanging import HANGS_AFTER_SECONDS

pytestmark = pytest.mark.vllm

ROOT = Path(__file__).parents[3]
BIN = Path(sys.executable).parent
SECRET = "key-of-clients-1234"

Call = Callable[..., dict[str, Any]]


class Run:
    """One finished play: its output, and the report if it wrote one."""

    def __init__(self, status: int, output: str, report: Path) -> None:
        self.status, self.output = status, " ".join(output.split())
        self.report = json.loads(report.read_text()) if report.exists() else {}
        report.unlink(missing_ok=True)


@pytest.fixture
def recover(tmp_path: Path, home: Path) -> Callable[..., Run]:
    """Run the role against this machine, with its variables."""
    # Role launch installs supervisord there; here it is the development environment's own.
    bin_dir = home / "supervisor" / "venv" / "bin"
    bin_dir.parent.mkdir(parents=True)
    bin_dir.symlink_to(BIN)

    def run(*flags: str, **variables: Any) -> Run:
        wanted = {
            "ansible_connection": "local",
            "ansible_python_interpreter": sys.executable,
            "inferops_known_hosts_file": "/dev/null",
            "inferops_rental": {"id": "7", "price_usd_per_hour": 0.36, "started_at": 0},
            "inferops_evidence_dir": str(tmp_path / "evidence"),
            "inferops_report_dir": str(tmp_path),
            "inferops_home": str(home),
            "inferops_server": "main",
            "recover_canary_seconds": int(HANGS_AFTER_SECONDS),
            "inferops_stop_timeout_seconds": 5,
            "recover_start_timeout_seconds": int(HANGS_AFTER_SECONDS),
            **variables,
        }
        play = [{"hosts": "gpu-1", "gather_facts": False, "roles": ["inferops.gpu.recover"]}]
        playbook = tmp_path / "play.json"
        playbook.write_text(json.dumps(play))
        done = subprocess.run(
            [BIN / "ansible-playbook", "-i", "gpu-1,", playbook, "-e", json.dumps(wanted), *flags],
            cwd=ROOT,
            env={**os.environ, "ANSIBLE_NOCOLOR": "1", "ANSIBLE_HOME": str(tmp_path / "ansible")},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=HANGS_AFTER_SECONDS,
            check=False,
        )
        return Run(done.returncode, done.stdout, tmp_path / "recover-gpu-1.json")

    return run


@pytest.mark.long
def test_a_healthy_server_is_left_alone(start: Call, recover: Call, server: Server) -> None:
    start()
    before = [process.identity for process in server.processes()]
    run = recover(recover_apply=True)
    assert run.status == 0, run.output
    assert "Server main is healthy" in run.output
    assert "changed=0" in run.output
    assert [process.identity for process in server.processes()] == before


@pytest.mark.long
def test_a_dry_run_names_cause_steps_and_price_and_changes_nothing(
    start: Call, recover: Call, server: Server, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    log.write_text("torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 1.71 GiB.")
    assert start(fake={"FAKE_DIE_WITH": "1", "FAKE_LOG_FILE": str(log)})["failed"]
    before = {path: path.read_bytes() for path in server.folder.iterdir()}
    run = recover(recover_ladder=[{"model": "tiny/smaller"}], recover_allow=["stack"])
    assert run.status == 0, run.output
    assert "The GPU ran out of memory" in run.output
    assert "1. fit_gpu_memory_utilization" in run.output
    assert 'New arguments: {"gpu_memory_utilization": 0.8}' in run.output
    assert "Model: tiny/smaller. Left out, it needs: model in recover_allow." in run.output
    assert "complete_reset" in run.output
    assert "It bills 0.3600 dollars per hour" in run.output
    assert "Take the steps with -e recover_apply=true" in run.output
    assert "changed=0" in run.output
    assert {path: path.read_bytes() for path in server.folder.iterdir()} == before
    assert not (tmp_path / "evidence").exists()
    assert not run.report["mended"]
    checked = recover("--check", recover_apply=True)
    assert "Nothing was changed" in checked.output
    assert {path: path.read_bytes() for path in server.folder.iterdir()} == before


@pytest.fixture
def gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A GPU of 24 GiB, by the rig's stand-in for nvidia-smi."""
    known = {"name": "RTX 4090", "uuid": "GPU-1", "memory.total": 24564, "memory.used": 450}
    known = {**known, "compute_cap": "8.9", "memory.free": 24114}
    facts, smi = tmp_path / "gpus.json", tmp_path / "bin" / "nvidia-smi"
    facts.write_text(json.dumps({"driver_version": "580.95.05", "gpus": [known]}))
    smi.parent.mkdir()
    smi.write_text(f'#!/bin/sh\nexec {sys.executable} {ROOT}/tests/rig/nvidia_smi.py "$@"\n')
    smi.chmod(0o755)
    monkeypatch.setenv("PATH", f"{smi.parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("INFEROPS_SIM_GPUS", str(facts))


@pytest.mark.usefixtures("gpu")
def test_a_context_that_is_too_long_is_cut_to_what_fits_the_gpu(
    start: Call, recover: Call, tmp_path: Path
) -> None:
    known = json.loads((ROOT / "tests/unit/serving/fixtures/models.json").read_text())
    llama = {**known[0]["config"], "max_position_embeddings": 131072}
    model, log = tmp_path / "model", tmp_path / "log"
    model.mkdir()
    (model / "config.json").write_text(json.dumps(llama))
    log.write_text("torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 1.71 GiB.")
    dies = {"FAKE_DIE_WITH": "1", "FAKE_LOG_FILE": str(log)}
    asked = {"max_model_len": 120_000}
    assert start(fake=dies, model=str(model), arguments=asked)["failed"]
    run = recover(recover_max_steps=9)
    assert run.status == 0, run.output
    (length,) = re.findall(r'lower_max_model_len: .*?"max_model_len": (\d+)', run.output)
    assert 20_000 < int(length) < 50_000, run.output
    assert "fit_gpu_memory_utilization" not in run.output
    # The files of a model that cannot be read are no reason to leave its server broken.
    (model / "config.json").unlink()
    (model / "config.json").symlink_to(tmp_path / "nowhere")
    run = recover()
    assert run.status == 0, run.output
    assert "Fit: unknown, its config.json is neither on the host" in run.output
    assert (
        "lower_max_model_len: A shorter context needs less memory for its cache. New" in run.output
    )
    assert '"max_model_len": 60000' in run.output


@pytest.mark.long
def test_a_hung_server_is_ended_whole_and_started_with_the_keys_that_it_has(
    start: Call, recover: Call, server: Server, tmp_path: Path
) -> None:
    hang = tmp_path / "hang"
    start(fake={"FAKE_HANG_FILE": str(hang)}, api_key=SECRET, arguments={"max_model_len": 512})
    old = {process.identity for process in server.processes()}
    hang.touch()
    dry = recover(recover_canary_seconds=2)
    assert "Server main is hung" in dry.output
    hang.unlink()
    for process in server.processes():
        processes.send_signal(process, signal.SIGSTOP)
    run = recover("-vvv", recover_apply=True, recover_canary_seconds=2)
    assert run.status == 0, run.output
    (step,) = run.report["tried"]
    assert (step["id"], step["helped"]) == ("restart", True)
    assert run.report["mended"]
    assert run.report["permanent"] == {}
    assert not old & {process.identity for process in server.processes()}
    assert server.environment()["VLLM_API_KEY"] == SECRET
    assert SECRET not in run.output
    summary = next((tmp_path / "evidence").glob("gpu-1-*/summary.md")).read_text()
    assert "server main is not answering" in summary


@pytest.mark.long
def test_a_stranger_keeps_its_port_and_the_change_for_the_inventory_is_named(
    start: Call, stop: Call, recover: Call, server: Server, free_port: int
) -> None:
    start()
    stop()
    with socket.create_server(("127.0.0.1", free_port)):
        run = recover(recover_apply=True)
    assert run.status == 0, run.output
    assert [step["id"] for step in run.report["tried"]] == ["next_free_port"]
    assert run.report["permanent"] == {"inferops_server_port": run.report["port"]}
    assert run.report["port"] != free_port
    assert "Put this into the inventory" in run.output


@pytest.mark.long
def test_steps_are_taken_in_turn_until_one_helps_and_the_ladder_starts_afresh(
    start: Call, recover: Call, tmp_path: Path, fake_python: str
) -> None:
    """The stand-in dies as long as it is asked for the large model."""
    script = Path(fake_python)
    well = 'case "$*" in *tiny/smaller*) unset FAKE_DIE_WITH;; esac'
    script.write_text(script.read_text().replace("#!/bin/sh\n", f"#!/bin/sh\n{well}\n"))
    log = tmp_path / "log"
    log.write_text("No available memory for the cache blocks")
    options = {"max_model_len": 4096, "gpu_memory_utilization": 0.9}
    dies = {"FAKE_DIE_WITH": "1", "FAKE_LOG_FILE": str(log)}
    assert start(fake=dies, arguments=options)["failed"]
    run = recover(
        recover_apply=True,
        recover_ladder=[{"model": "tiny/smaller", "arguments": {"dtype": "half"}}],
    )
    assert run.status == 0, run.output
    tried = [(step["id"], step["helped"]) for step in run.report["tried"]]
    assert tried == [
        ("raise_gpu_memory_utilization", False),
        ("lower_max_num_seqs", False),
        ("smaller_model", True),
    ]
    assert run.report["permanent"] == {
        "inferops_model": "tiny/smaller",
        "inferops_server_arguments": {"dtype": "half"},
    }


@pytest.mark.long
def test_an_end_without_success_says_what_is_left_and_what_it_bills(
    start: Call, recover: Call, tmp_path: Path
) -> None:
    assert start(fake={"FAKE_DIE_WITH": "3"}, arguments={"seed": 1})["failed"]
    run = recover(recover_apply=True, recover_max_steps=2, recover_allow=[])
    assert run.status != 0
    assert [step["id"] for step in run.report["tried"]] == ["restart", "complete_reset"]
    assert "still does not serve after 2 steps" in run.output
    assert "dollars per hour; playbook inferops.gpu.teardown ends that" in run.output
    assert run.report["permanent"] == {}
