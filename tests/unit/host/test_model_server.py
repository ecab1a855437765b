# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an operator gets from model_server and model_server_info, with real processes."""

from __future__ import annotations

import json
import os
import signal
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.inferops.gpu.plugins.module_utils.host import kernel_log, processes
from ansible_collections.inferops.gpu.plugins.module_utils.host.records import write_json
from ansible_collections.inferops.gpu.plugins.module_utils.host.servers import (
    Layout,
    Server,
    build_command,
    secret_values,
)
from ansible_collections.inferops.gpu.plugins.modules import gpu_info, model_server_info

Call = Callable[..., dict[str, Any]]


def snapshot(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_started_server_has_answered_and_a_second_call_changes_nothing(
    start: Call, server: Server
) -> None:
    first = start()
    assert first["changed"]
    assert first["completion"] == " the lazy dog."
    assert first["server"]["phase"] == "running"
    assert first["server"]["port_bound"]
    second = start()
    assert not second["changed"]
    assert second["server"]["pid"] == first["server"]["pid"]
    assert len(server.processes()) == 4


def test_other_options_replace_the_server_whole(start: Call, server: Server) -> None:
    first = start()
    old = {process.pid for process in server.processes()}
    second = start(arguments={"max_model_len": 512}, fake={"A": "2"})
    assert second["changed"]
    assert second["server"]["pid"] != first["server"]["pid"]
    assert not old & {process.pid for process in server.processes()}
    assert second["diff"]["after"]["command"][-2:] == ["--max-model-len", "512"]


def test_a_server_that_no_longer_completes_is_started_anew(start: Call, server: Server) -> None:
    first = start()
    for process in server.processes():
        processes.send_signal(process, signal.SIGKILL)
    second = start()
    assert second["changed"]
    assert second["server"]["pid"] != first["server"]["pid"]


def test_check_mode_changes_nothing(start: Call, stop: Call, home: Path, server: Server) -> None:
    assert start(check=True)["changed"]
    assert start(check=True, python="/not/installed/yet")["changed"]
    assert list(home.iterdir()) == []
    start()
    before, pids = snapshot(home / "servers"), [process.pid for process in server.processes()]
    assert not start(check=True)["changed"]
    assert start(check=True, model="other")["changed"]
    assert stop(check=True)["changed"]
    assert [process.pid for process in server.processes()] == pids
    assert snapshot(home / "servers") == before


def test_a_crash_during_startup_is_seen_at_once(start: Call) -> None:
    began = time.monotonic()
    result = start(fake={"FAKE_DIE_WITH": "1", "FAKE_LOG_FILE": "/proc/self/comm"})
    assert time.monotonic() - began < 10
    assert result["failed"]
    assert "died during startup" in result["msg"]
    assert "server.log" in result["msg"]
    assert result["server"]["exit_code"] == 1
    assert any("Resolved architecture" in line for line in result["log_tail"])


def test_a_server_that_dies_of_its_first_completion_has_failed(start: Call) -> None:
    result = start(fake={"FAKE_DIE_AT_COMPLETION": "1"})
    assert result["failed"]
    assert result["server"]["signal"] == "SIGILL"


def test_a_server_that_is_never_ready_is_stopped_whole(start: Call, server: Server) -> None:
    result = start(wait_timeout_seconds=2, fake={"FAKE_START_SECONDS": "60"})
    assert result["failed"]
    assert "not ready after 2 s (loading weights 1/2)" in result["msg"]
    assert server.processes() == []


def test_a_foreign_process_on_the_port_is_named(start: Call, free_port: int, home: Path) -> None:
    with socket.create_server(("127.0.0.1", free_port)):
        result = start()
    assert result["failed"]
    assert f"Port {free_port} is taken by process {os.getpid()}" in result["msg"]
    assert "set port" in result["msg"]
    assert not (home / "servers").exists()


def test_a_running_server_is_not_touched_when_its_new_port_is_taken(
    start: Call, server: Server
) -> None:
    first = start()
    with socket.create_server(("127.0.0.1", 0)) as stranger:
        result = start(port=stranger.getsockname()[1])
    assert result["failed"]
    assert first["server"]["pid"] in [process.pid for process in server.processes()]


def test_stop_is_proven_and_a_second_stop_changes_nothing(
    start: Call, stop: Call, server: Server, home: Path
) -> None:
    start()
    first, second = stop(), stop()
    assert (first["changed"], first["stopped"], first["processes_left"]) == (True, "proven", [])
    assert (second["changed"], second["stopped"]) == (False, "proven")
    assert first["vram"]["state"] == "no_gpu"
    assert first["server"]["reason"] == "requested"
    assert server.launchers() == []
    assert not (home / "supervisor" / "supervisor.sock").exists()


@pytest.mark.parametrize("damage", ["missing", "corrupt"])
def test_stop_needs_no_record(start: Call, stop: Call, server: Server, damage: str) -> None:
    start()
    if damage == "missing":
        server.record_path.unlink()
    else:
        server.record_path.write_text("{")
    result = stop()
    assert (result["changed"], result["stopped"]) == (True, "proven")
    assert server.processes() == []


def test_stop_finds_the_orphans_of_a_killed_server_that_nothing_supervises(
    start: Call, stop: Call, server: Server, home: Path
) -> None:
    started = start()
    daemon = int((home / "supervisor" / "supervisord.pid").read_text())
    for pid in (daemon, server.launchers()[0].pid, started["server"]["pid"]):
        os.kill(pid, signal.SIGKILL)
    server.record_path.unlink()
    assert len(server.processes()) == 3
    assert stop()["stopped"] == "proven"
    assert server.processes() == []


def test_stop_ends_a_launcher_whose_supervisor_was_killed(
    start: Call, stop: Call, server: Server, home: Path
) -> None:
    start()
    os.kill(int((home / "supervisor" / "supervisord.pid").read_text()), signal.SIGKILL)
    assert len(server.launchers()) == 1
    assert stop()["stopped"] == "proven"
    assert server.launchers() == []
    assert server.processes() == []


def test_stop_in_the_middle_of_a_start(start: Call, stop: Call, server: Server) -> None:
    begun = start(wait=False, fake={"FAKE_START_SECONDS": "60", "FAKE_SWALLOW_FIRST": "1"})
    assert begun["server"]["phase"] == "starting"
    assert stop()["stopped"] == "proven"
    assert server.processes() == []


def test_of_two_servers_one_is_stopped_and_the_other_untouched(
    start: Call, stop: Call, home: Path
) -> None:
    start()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    other = start(name="other", port=port)
    assert stop()["stopped"] == "proven"
    pids = [process.pid for process in Layout(home).server("other").processes()]
    assert other["server"]["pid"] in pids
    assert len(pids) == 4


def test_a_server_killed_after_it_served_comes_back_as_exactly_one(
    start: Call, server: Server, wait_until: Callable[..., Any]
) -> None:
    first = start()["server"]["pid"]
    os.kill(first, signal.SIGKILL)

    def back() -> bool:
        record = server.record()
        return bool(record and record.phase == "running" and record.pid != first)

    wait_until(back, 15)
    assert len(server.processes()) == 4


def test_secrets_stay_in_a_private_file(
    start: Call, server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    result = start(
        api_key="key-of-clients",
        fake={"HF_TOKEN": "hf_abcdefgh", "PLAIN": "notshownvalue"},
        environment={"HF_TOKEN": "hf_abcdefgh", "PLAIN": "notshownvalue"},
    )
    said = json.dumps(result)
    for secret in ("key-of-clients", "hf_abcdefgh", "notshownvalue"):
        assert secret not in said
        for process in [*server.processes(), *server.launchers()]:
            assert secret not in processes.command_line(process.pid)
    path = server.folder / "environment.json"
    assert path.stat().st_mode & 0o777 == 0o600
    assert server.folder.stat().st_mode & 0o777 == 0o700
    assert json.loads(path.read_text())["VLLM_API_KEY"] == "key-of-clients"
    readable = [p for p in server.folder.rglob("*") if p.is_file() and p.stat().st_mode & 0o077]
    assert readable == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"name": "../x"}, "name: '../x' may hold only"),
        ({"python": "/nowhere/python"}, "python: /nowhere/python is not there"),
        ({"port": 70000}, "port: 70000"),
        ({"model": "--help"}, "neither a repository id nor a folder"),
        ({"arguments": {"api_key": "x"}}, "set 'api_key' as an option"),
        ({"arguments": {"max len": 1}}, "not the name of an engine option"),
        ({"supervisord_bin_dir": "/nowhere"}, "/nowhere/supervisord is not there"),
        ({"engine": "other"}, "must be one of: vllm"),
    ],
)
def test_a_bad_option_is_refused_before_anything_starts(
    start: Call, server: Server, options: dict[str, Any], message: str
) -> None:
    result = start(**options)
    assert result["failed"]
    assert message in result["msg"]
    assert server.processes() == []


def test_info_reports_all_servers_and_returns_at_once_when_one_changes(
    start: Call, run_module: Call, home: Path, server: Server
) -> None:
    start(wait=False, fake={"FAKE_START_SECONDS": "1.5"})
    progress, seen = None, []
    while not seen or seen[-1] != "running":
        began = time.monotonic()
        result = run_module(
            model_server_info,
            home=str(home),
            name="main",
            wait_seconds=20,
            known_progress=progress,
        )
        assert time.monotonic() - began < 15
        progress = result["servers"][0]["progress"]
        seen.append(progress)
    assert "loading weights 1/2" in seen
    everything = run_module(model_server_info, home=str(home), log_lines=2)
    assert [entry["name"] for entry in everything["servers"]] == ["main"]
    assert len(everything["servers"][0]["log_tail"]) == 2
    assert "kernel_log" not in everything["servers"][0]


def test_info_tells_what_the_kernel_said_since_the_start(
    start: Call, run_module: Call, home: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The kernel is a stand-in: reading the real one needs rights that a test does not have."""
    start(wait=False)
    asked = []
    monkeypatch.setattr(kernel_log, "since", lambda started_at: asked.append(started_at) or ["x"])
    (seen,) = run_module(model_server_info, home=str(home), kernel_log=True)["servers"]
    assert seen["kernel_log"] == ["x"]
    assert asked == [seen["started_at"]]


def test_info_about_an_unknown_server_says_stopped(run_module: Call, home: Path) -> None:
    (seen,) = run_module(model_server_info, home=str(home), name="nobody")["servers"]
    assert (seen["phase"], seen["alive"], seen["processes"]) == ("stopped", False, 0)
    assert run_module(model_server_info, home=str(home))["servers"] == []


def test_info_finds_a_server_that_is_alive_without_a_record(
    start: Call, run_module: Call, home: Path, server: Server
) -> None:
    start()
    server.record_path.unlink()
    (seen,) = run_module(model_server_info, home=str(home), name="main")["servers"]
    assert seen["phase"] == "unknown"
    assert seen["processes"] == 4


def test_gpu_info_answers_on_a_host_without_a_gpu(run_module: Call, home: Path) -> None:
    result = run_module(gpu_info, home=str(home))
    assert result["gpu"]["present"] == bool(result["gpu"]["gpus"])
    assert result["gpu"]["present"] or result["gpu"]["reason"]
    assert result["host"]["home"] == str(home)


def test_the_command_line_follows_the_arguments() -> None:
    arguments = {
        "max_model_len": 512,
        "enforce-eager": True,
        "trust_remote_code": False,
        "dtype": None,
        "middleware": ["a", "b"],
        "compilation_config": {"level": 3},
    }
    command = build_command("/v/python", "m", "127.0.0.1", 8000, "name", arguments)
    assert command[:3] == ["/v/python", "-m", "vllm.entrypoints.openai.api_server"]
    assert " ".join(command[3:]) == (
        "--model m --host 127.0.0.1 --port 8000 --served-model-name name "
        '--compilation-config {"level": 3} --enforce-eager --max-model-len 512 --middleware a b'
    )


def test_values_are_secret_by_the_name_of_their_variable() -> None:
    environment = {"HF_TOKEN": "a", "VLLM_API_KEY": "b", "TOKENIZERS_PARALLELISM": "false"}
    assert secret_values(environment) == {"a", "b"}


def test_a_launcher_that_never_came_up_is_an_error(run_module: Call, home: Path) -> None:
    server = Layout(home).server("main")
    record = {"name": "main", "server_id": server.id, "phase": "starting"}
    write_json(server.record_path, {**record, "started_at": time.time()})
    (young,) = run_module(model_server_info, home=str(home), name="main")["servers"]
    assert young["phase"] == "starting"
    write_json(server.record_path, {**record, "started_at": time.time() - 60})
    (old,) = run_module(model_server_info, home=str(home), name="main")["servers"]
    assert (old["phase"], old["reason"]) == ("error", "the supervisor did not start the launcher")
