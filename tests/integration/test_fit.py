# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Roles rent and launch ask whether the model fits, before money is spent or a server is started.

The tasks run for real on this machine. Its GPU is the rig's stand-in for nvidia-smi, the hub is the
simulator's.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.inferops.gpu.plugins.module_utils.host.server.layout import Layout
from ansible_collections.inferops.gpu.plugins.module_utils.host.service import lifecycle
from tests.hanging import HANGS_AFTER_SECONDS
from tests.integration.plays import ROOT, Run
from tests.rig.ports import free_port
from tests.simulator.hub import Hub

MODELS = json.loads((ROOT / "tests/unit/serving/fixtures/models.json").read_text())
LLAMA = {**MODELS[0]["config"], "max_position_embeddings": 131072}
NAME = "meta-llama/Llama-3.1-8B-Instruct"
GPU = {"name": "RTX 4090", "uuid": "GPU-1", "compute_cap": "8.9", "memory.total": 24564}
TOKEN = "hf_neither_argument_nor_log"

Play = Callable[..., Run]


@pytest.fixture
def apart() -> Iterator[list[str]]:
    """What runs a command among processes of its own, where the kernel lets this user.

    A server of another test that comes or goes makes what was known of the GPU's memory worthless.
    """
    unshare = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child"]
    first = ["sh", "-c", "echo ready && exec sleep 600"]
    with subprocess.Popen([*unshare, *first], stdout=subprocess.PIPE, text=True) as space:
        assert space.stdout is not None
        may = space.stdout.readline() == "ready\n"
        own = f"/proc/{space.pid}/ns"
        enter = ["nsenter", f"--wd={ROOT}", f"--pid={own}/pid_for_children", f"--mount={own}/mnt"]
        yield [*enter, "--"] if may else []
        space.kill()


@pytest.fixture
def play(tmp_path: Path, apart: list[str]) -> Play:
    """Run files of tasks of a role on this machine, with one GPU of 24 GiB."""
    facts = tmp_path / "gpus.json"
    smi = tmp_path / "bin" / "nvidia-smi"
    smi.parent.mkdir()
    smi.write_text(f'#!/bin/sh\nexec {sys.executable} {ROOT}/tests/rig/nvidia_smi.py "$@"\n')
    smi.chmod(0o755)
    environment = {
        "PATH": f"{smi.parent}{os.pathsep}{os.environ['PATH']}",
        "INFEROPS_SIM_GPUS": str(facts),
    }

    def run(role: str, tasks: str, used_mib: int = 450, *options: str, **variables: Any) -> Run:
        gpu = {**GPU, "memory.used": used_mib, "memory.free": 24564 - used_mib}
        facts.write_text(json.dumps({"driver_version": "580.95.05", "gpus": [gpu]}))
        includes = [
            {"ansible.builtin.include_role": {"name": f"inferops.gpu.{role}", "tasks_from": file}}
            for file in tasks.split()
        ]
        shown = {"msg": "chosen {{ launch_fit | default(rent_fit) | to_json }}"}
        book = tmp_path / "play.yml"
        book.write_text(
            json.dumps(
                [
                    {
                        "hosts": "localhost",
                        "connection": "local",
                        "gather_facts": False,
                        "environment": environment,
                        "vars": {
                            "ansible_python_interpreter": sys.executable,
                            "inferops_stack": {"accelerator": "cuda", "environment": {}},
                            "inferops_home": str(tmp_path / "home"),
                            "launch_hub_dir": str(tmp_path / "hub"),
                        },
                        "tasks": [*includes, {"ansible.builtin.debug": shown}],
                    }
                ]
            )
        )
        command = [*apart, "ansible-playbook", "-i", "localhost,", str(book), *options]
        done = subprocess.run(
            [*command, "-e", json.dumps({"inferops_model": NAME, **variables})],
            cwd=ROOT,
            env={**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=HANGS_AFTER_SECONDS,
            check=False,
        )
        return Run(done.returncode, done.stdout + done.stderr)

    return run


@pytest.fixture
def cached(tmp_path: Path) -> Path:
    """The model as the hub's client keeps it: a snapshot of links to blobs."""
    blobs = tmp_path / "hub" / f"models--{NAME.replace('/', '--')}" / "blobs"
    snapshot = blobs.parent / "snapshots" / "0123abcd"
    for folder in (blobs, snapshot):
        folder.mkdir(parents=True)
    for name, content in (
        ("config.json", LLAMA),
        ("model.safetensors.index.json", {"metadata": {"total_size": 16060522496}}),
    ):
        (blobs / name).write_text(json.dumps(content, indent=2))
        (snapshot / name).symlink_to(blobs / name)
    return snapshot


@pytest.fixture
def deployed(tmp_path: Path) -> Iterator[dict[str, Any]]:
    """Variables of a host with a stack: a stand-in for vLLM, and supervisord from this machine."""
    home = Path(tempfile.mkdtemp(prefix="inferops-test-"))
    environment = home / "supervisor" / "venv"
    known = environment / "lib" / "python3" / "site-packages" / "supervisor-4.3.0.dist-info"
    known.mkdir(parents=True)
    (environment / "bin").symlink_to(Path(sys.executable).parent)
    python = tmp_path / "python"
    stand_in = ROOT / "tests" / "unit" / "host" / "fake_vllm.py"
    python.write_text(
        "#!/bin/sh\n"
        f'[ "$1" = -c ] && exec {sys.executable} "$@"\n'
        f'exec {sys.executable} {stand_in} "$@"\n'
    )
    python.chmod(0o755)
    port = free_port()
    yield {
        "inferops_home": str(home),
        "inferops_server_port": port,
        "launch_supervisor": "supervisord",
        "inferops_server_environment": {"FAKE_START_SECONDS": "0"},
        "inferops_hub_token": "",
        "inferops_python": str(python),
    }
    layout = Layout(home)
    for server in layout.servers():
        assert not lifecycle.end(server, timeout_seconds=1).left
    shutil.rmtree(home)


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    folder = tmp_path / "models" / NAME
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(LLAMA))
    served = Hub(tmp_path / "models", ("127.0.0.1", 0), gated=("meta-llama/gated",))
    yield served
    served.close()


@pytest.mark.usefixtures("cached")
def test_launch_reads_the_model_where_the_hub_left_it_and_chooses(play: Play) -> None:
    run = play("launch", "fit")
    assert run.status == 0, run.output
    assert "14.96 GiB of weights (published)" in run.message()
    assert '"gpu_memory_utilization": 0.9, "max_model_len": 2' in run.message()


def test_launch_refuses_before_the_start_with_the_numbers(play: Play, cached: Path) -> None:
    wish = {"inferops_model": str(cached), "inferops_server_arguments": {"max_model_len": 131072}}
    run = play("launch", "fit", **wish)
    assert run.status != 0
    assert "does not fit on this host: max_model_len 131072 makes 32.33" in run.message()
    assert "tokens fit. Lower it" in run.message()
    assert play("launch", "fit", launch_ignore_fit=True, **wish).status == 0


@pytest.mark.usefixtures("cached")
def test_launch_counts_what_is_free_not_what_there_is(play: Play) -> None:
    run = play("launch", "fit", 12000)
    assert run.status != 0
    assert "12.27 of 23.99 GiB are free" in run.message()


def test_launch_says_when_it_cannot_know(play: Play) -> None:
    run = play("launch", "fit")
    assert run.status == 0, run.output
    assert "Fit: unknown, its config.json is neither on the host yet nor given" in run.message()


@pytest.mark.usefixtures("cached")
def test_a_second_deploy_leaves_the_server_alone_though_it_fills_the_gpu(
    play: Play, deployed: dict[str, Any]
) -> None:
    first = play("launch", "main", 450, **deployed)
    assert first.status == 0, first.output
    server = Layout(Path(deployed["inferops_home"])).server("vllm")
    spec, before = server.spec(), {process.pid for process in server.processes()}
    assert spec is not None
    assert spec.command[-4:-2] == ["--gpu-memory-utilization", "0.9"]
    again = play("launch", "main", 22900, **deployed)
    assert again.status == 0, again.output
    assert "changed=0 " in again.message()
    assert server.spec() == spec
    assert {process.pid for process in server.processes()} == before
    # Another wish is judged by what the GPU holds without the server, and replaces it.
    wish = {**deployed, "inferops_server_arguments": {"max_model_len": 4096}}
    other = play("launch", "main", 22900, **wish)
    assert other.status == 0, other.output
    assert "Fit: yes" in other.message()
    assert not before & {process.pid for process in server.processes()}


def test_rent_asks_the_hub_and_the_token_stays_hidden(play: Play, hub: Hub) -> None:
    address = f"http://127.0.0.1:{hub.port}/"
    run = play(
        "rent",
        "model needs",
        0,
        "-vvv",
        inferops_controller_hub_endpoint=address,
        inferops_hub_token=TOKEN,
    )
    assert run.status == 0, run.output
    assert '"vram_gib": 21.3' in run.message()
    # The variables of the play are shown by -vvv neither; the module's arguments would be.
    assert TOKEN not in run.output


def test_rent_takes_what_it_is_told_when_the_hub_does_not_tell(play: Play, hub: Hub) -> None:
    address = f"http://127.0.0.1:{hub.port}"
    told = {"inferops_controller_hub_endpoint": address, "rent_vram_gib": 24}
    run = play("rent", "model needs", inferops_model="meta-llama/gated", **told)
    assert run.status == 0, run.output
    why = "its memory is not computed, because its config.json is not known"
    assert f"{why} ({address} has no model meta-llama/gated" in run.message()
    hub.close()
    run = play("rent", "model needs", **told)
    assert run.status == 0, run.output
    assert f"{why} ({address} cannot be read" in run.message()
    run = play("rent", "model needs", inferops_controller_hub_endpoint=address)
    assert run.status != 0
    assert f"Nothing says which GPU {NAME} needs" in run.message()


def test_rent_refuses_fewer_gpus_than_the_server_is_told_to_use(play: Play) -> None:
    wish = {
        "inferops_server_arguments": {"tensor_parallel_size": 2},
        "inferops_model_config": LLAMA,
    }
    run = play("rent", "model needs", **wish)
    assert run.status != 0
    assert "inferops_server_extra_args ask for 2 GPUs and rent_gpu_count is 1" in run.message()
    assert play("rent", "model needs", rent_gpu_count=2, **wish).status == 0
