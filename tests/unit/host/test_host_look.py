# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One look tells that all is as asked, and never says so when something is not."""

from __future__ import annotations

import json
import os
import signal
import struct
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.inferops.gpu.plugins.module_utils.host.gpus import report as gpus
from ansible_collections.inferops.gpu.plugins.module_utils.host.gpus.report import Gpu, Report
from ansible_collections.inferops.gpu.plugins.module_utils.host.machine import facts
from ansible_collections.inferops.gpu.plugins.module_utils.host.models.store import Copy
from ansible_collections.inferops.gpu.plugins.module_utils.host.server.layout import Server
from ansible_collections.inferops.gpu.plugins.module_utils.host.stack import stack as stacks
from ansible_collections.inferops.gpu.plugins.module_utils.host.stack.stack import Stack
from ansible_collections.inferops.gpu.plugins.module_utils.hub.hub import File
from ansible_collections.inferops.gpu.plugins.modules import host_look
from ansible_collections.inferops.gpu.plugins.modules import proxy as proxy_module
from tests.unit.host.proxied import as_sent

Call = Callable[..., dict[str, Any]]
PARTS = ("torch", "numpy", "vllm")


def install(home: Path, **versions: str) -> None:
    """Let the environment of the stack hold these packages, as far as anybody looks."""
    packages = home / "stack" / "venv" / "lib" / "python3" / "site-packages"
    for name, version in versions.items():
        (packages / f"{name}-{version}.dist-info").mkdir(parents=True)


@pytest.fixture
def stack(home: Path) -> Stack:
    """A stack whose parts are there and proven."""
    python = home / "stack" / "venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.symlink_to(sys.executable)
    (home / "stack" / "lock.txt").write_text("".join(f"{name}==1.0\n" for name in PARTS))
    install(home, torch="1.0", numpy="1.0", vllm="1.0")
    made = Stack(str(home))
    for name in PARTS:
        made.prove(name, "print('{}')", {})
    return made


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A model as role model_cache leaves it."""
    folder = tmp_path / "models" / "tiny--model" / "0123abcd"
    folder.mkdir(parents=True)
    header = json.dumps({"w": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}).encode()
    (folder / "model.safetensors").write_bytes(struct.pack("<Q", len(header)) + header + b"1234")
    (folder / "config.json").write_text('{"model_type": "llama"}')
    files = [File(path.name, path.stat().st_size, None, None) for path in folder.iterdir()]
    Copy(folder).note(files, [[], []])
    return folder


@pytest.fixture
def deploy(start: Call, stack: Stack, model: Path) -> Call:
    """Start the server as the last step of a deploy does."""
    assert stack.lock_sha256()

    def call(**options: Any) -> dict[str, Any]:
        return start(**{"model": str(model), "wishes": "all of it", **options})

    return call


@pytest.fixture
def look(run_module: Call, home: Path, model: Path, monkeypatch: pytest.MonkeyPatch) -> Call:
    """Look as the next deploy does. Which Pythons this machine has takes seconds to find out."""
    monkeypatch.setattr(facts, "pythons", lambda home: [])

    def call(wishes: str = "all of it", check: bool = True, **more: Any) -> dict[str, Any]:
        asked = {"home": str(home), "server": "main", "model": str(model), "wishes": wishes}
        return run_module(host_look, check=check, **asked, **more)

    return call


def test_a_deploy_that_was_fulfilled_is_recognised_by_a_completion(
    deploy: Call, look: Call, home: Path, model: Path
) -> None:
    assert not look()["as_asked"]
    deploy()
    found, file = look(), model / "model.safetensors"
    assert found["as_asked"], found["differs"]
    assert found["completion"] == " the lazy dog."
    assert found["server"]["phase"] == "running"
    weights = found["model"].pop("weights")
    assert (weights["bytes"], weights["cached_share"]) == (file.stat().st_size, 1.0)
    described = {"config": '{"model_type": "llama"}', "quantization": None, "weights_bytes": None}
    assert found["model"] == described
    assert found["host"]["home"] == str(home)
    assert not found["gpu"]["present"]


def test_a_switch_that_is_not_there_is_told_where_one_has_to_be(look: Call) -> None:
    assert look()["switch_is_set"]
    assert not look(switch_seconds=3600)["switch_is_set"]


def test_another_wish_is_not_what_was_asked(deploy: Call, look: Call) -> None:
    deploy()
    assert (look(wishes="")["as_asked"], look(wishes="")["differs"]) == (False, [])
    assert look(wishes="something else")["differs"] == ["no deploy asked for just this before"]
    deploy(check=True, wishes="something else")
    assert look()["as_asked"]
    # The server runs as asked, so nothing changes, and the new wish is what counts from now on.
    assert not deploy(wishes="something else")["changed"]
    assert look(wishes="something else")["as_asked"]
    assert not look()["as_asked"]


@pytest.mark.long
def test_a_server_that_somebody_started_otherwise_or_stopped_is_seen(
    deploy: Call, stop: Call, look: Call
) -> None:
    deploy()
    deploy(wishes="", arguments={"max_model_len": 512})
    assert look()["differs"] == ["the server was started with another specification"]
    stop()
    assert look()["differs"][0] == "the server is stopped: requested"


@pytest.mark.long
def test_a_server_that_is_frozen_or_completes_no_more_is_seen(
    deploy: Call, look: Call, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deploy(fake={"FAKE_HANG_FILE": str(tmp_path / "hang")})
    assert look()["as_asked"]
    monkeypatch.setattr(host_look, "COMPLETION_SECONDS", 1.0)
    (tmp_path / "hang").touch()
    assert "gave no answer within" in look()["differs"][0]
    (tmp_path / "hang").unlink()
    frozen = server.processes()
    for process in frozen:
        os.kill(process.pid, signal.SIGSTOP)
    try:
        found = look()
    finally:
        for process in frozen:
            os.kill(process.pid, signal.SIGCONT)
    assert not found["as_asked"]
    assert "gave no answer within" in found["differs"][0]


def test_a_proxy_before_the_server_is_looked_at_with_it(
    deploy: Call, look: Call, run_module: Call, home: Path
) -> None:
    launched = deploy(port="auto", proxy_port="auto", api_key="key-of-the-engine")
    assert look(proxied=True)["differs"] == ["there is no proxy before the server"]
    before = {"name": "main", "home": str(home), "stop_timeout_seconds": 5}
    wanted = {
        **before,
        "listeners": [{"port": launched["proxy_port"]}],
        "servers": [{"name": "main", "port": launched["port"], "engine": "vllm"}],
        "server_key": "key-of-the-engine",
        "keys": {"inferops": "key-of-clients"},
        "supervisor": "supervisord",
        "supervisord_bin_dir": str(Path(sys.executable).parent),
        "wishes": "all of it",
    }
    try:
        kept = run_module(proxy_module, **as_sent(wanted))
        assert kept["done"] == "started", kept
        found = look(proxied=True)
        assert found["as_asked"], found["differs"]
        assert found["proxy"]["phase"] == "running"
        assert found["client_port"] == launched["proxy_port"]
        other = as_sent({**wanted, "keys": {"inferops": "another-key"}, "wishes": ""})
        run_module(proxy_module, **other)
        assert look(proxied=True)["differs"] == ["the keys of the proxy were changed"]
        found = look()
        assert found["differs"] == ["a proxy is there that is not asked for"]
        assert (found["proxy_is_in_the_way"], found["client_port"]) == (True, launched["port"])
    finally:
        ended = run_module(proxy_module, **before, state="absent")
    assert ended["processes_left"] == []
    assert look()["as_asked"]
    assert not look()["proxy_is_in_the_way"]


def replaced(file: Path, text: str) -> Iterator[None]:
    """Let a file hold something else for a moment; what it says of its time stays."""
    before, times = file.read_bytes(), (file.stat().st_atime_ns, file.stat().st_mtime_ns)
    file.write_text(text)
    yield
    file.write_bytes(before)
    os.utime(file, ns=times)


@pytest.mark.vllm
def test_whatever_changed_on_the_host_is_seen(
    deploy: Call,
    look: Call,
    home: Path,
    model: Path,
    server: Server,
    stack: Stack,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One difference after the other, on one server that serves all the time."""
    deploy()
    for name in PARTS:
        for damage in ("", "{}", '{"stands_while": {}, "result": {}}'):
            for _now in replaced(home / "stack" / "receipts" / f"{name}.json", damage):
                assert look()["differs"] == [f"{name} is not proven for this lock, driver and boot"]
    for what in ("_driver_version", "boot_id"):
        with monkeypatch.context() as patch:
            patch.setattr(stacks, what, lambda: "another")
            assert "vllm is not proven for this lock, driver and boot" in look()["differs"]
    packages = home / "stack" / "venv" / "lib" / "python3" / "site-packages"
    (packages / "torch-1.0.dist-info").rename(packages / "torch-2.0.dist-info")
    assert look()["differs"] == ["torch are not what the lock says"]
    (packages / "torch-2.0.dist-info").rename(packages / "torch-1.0.dist-info")
    environment = server.folder / "environment.json"
    other = json.dumps({**json.loads(environment.read_text()), "A": "3"})
    for _now in replaced(environment, other):
        assert look()["differs"] == ["the server was started with another specification"]
    for _now in replaced(server.asked, "["):
        assert look()["differs"] == ["no deploy asked for just this before"]
    for file in ("config.json", "model.safetensors"):
        for _now in replaced(model / file, "x" * (model / file).stat().st_size):
            assert f"{file} of the model was changed" in look()["differs"]
    # After all of that it is as it was.
    before = {path: path.read_bytes() for path in server.folder.rglob("*.json")}
    assert look()["as_asked"]
    assert {path: path.read_bytes() for path in server.folder.rglob("*.json")} == before
    # Another lock is another stack, though all of it was proven.
    lock = home / "stack" / "lock.txt"
    lock.write_text(lock.read_text() + "ray==1.0\n")
    install(home, ray="1.0")
    for name in PARTS:
        stack.prove(name, "print('{}')", {})
    assert look()["differs"] == ["the stack has another lock"]
    # The server still runs what was installed before, so it is started anew.
    assert deploy()["changed"]
    assert not deploy()["changed"]
    assert look()["as_asked"]


def test_other_gpus_are_seen(deploy: Call, look: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    def with_gpu(uuid: str) -> None:
        gpu = Gpu(0, "GPU", uuid, "8.9", 24564, 12, 24552, 41)
        found = Report(True, None, "580.95.05", "13.0", [gpu], "nvml")
        monkeypatch.setattr(gpus, "report", lambda: found)

    with_gpu("GPU-1")
    deploy()
    assert look()["as_asked"]
    with_gpu("GPU-2")
    assert look()["differs"] == ["the host has other GPUs"]
