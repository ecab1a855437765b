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

from ansible_collections.inferops.gpu.plugins.module_utils.host.engines.engine import Engine, Wish
from ansible_collections.inferops.gpu.plugins.module_utils.host.engines.vllm.command import (
    build_command,
)
from ansible_collections.inferops.gpu.plugins.module_utils.host.gpus import report as gpus
from ansible_collections.inferops.gpu.plugins.module_utils.host.gpus.report import Gpu, Report
from ansible_collections.inferops.gpu.plugins.module_utils.host.machine import (
    kernel_log,
    ports,
    processes,
)
from ansible_collections.inferops.gpu.plugins.module_utils.host.machine.files import write_json
from ansible_collections.inferops.gpu.plugins.module_utils.host.server import lifecycle, observation
from ansible_collections.inferops.gpu.plugins.module_utils.host.server.layout import Layout, Server
from ansible_collections.inferops.gpu.plugins.module_utils.host.server.spec import (
    as_variable,
    secret_values,
)
from ansible_collections.inferops.gpu.plugins.modules import (
    gpu_info,
    model_server_info,
    server_cleanup,
)
from tests.hanging import HANGS_AFTER_SECONDS

Call = Callable[..., dict[str, Any]]
Wait = Callable[..., Any]
Monkey = pytest.MonkeyPatch


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


@pytest.mark.vllm
def test_other_options_replace_the_server_whole(start: Call, server: Server) -> None:
    first = start()
    old = {process.pid for process in server.processes()}
    second = start(arguments={"max_model_len": 512}, fake={"A": "2"})
    assert second["changed"]
    assert second["server"]["pid"] != first["server"]["pid"]
    assert not old & {process.pid for process in server.processes()}
    assert second["diff"]["after"]["command"][-2:] == ["--max-model-len", "512"]


@pytest.mark.vllm
def test_suggestions_are_followed_but_never_replace_a_server_that_runs(
    start: Call, server: Server
) -> None:
    given, measured = {"dtype": "half"}, {"gpu_memory_utilization": 0.9, "max_model_len": 4096}
    first = start(arguments=given, suggested_arguments=measured)
    assert first["diff"]["after"]["command"][-4:] == [
        *("--gpu-memory-utilization", "0.9"),
        *("--max-model-len", "4096"),
    ]
    for other in ({"gpu_memory_utilization": 0.4}, {}):
        again = start(arguments=given, suggested_arguments=other)
        assert not again["changed"]
        assert again["server"]["pid"] == first["server"]["pid"]
    wished = start(
        arguments={**given, "max-model-len": 512}, suggested_arguments={"max_model_len": 4096}
    )
    assert wished["changed"]
    assert wished["diff"]["after"]["command"][-2:] == ["--max-model-len", "512"]


def test_what_the_gpus_hold_without_a_server_is_told_while_it_lives(
    start: Call, home: Path, run_module: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = Gpu(0, "RTX 4090", "GPU-0", "8.9", 24564, 450, 24114, None)
    report = Report(True, None, "580", "13.0", [found], "nvml")
    monkeypatch.setattr(gpus, "report", lambda: report)
    # Nor do servers in containers of other tests, which come and go, count here.
    monkeypatch.setattr(lifecycle, "others", lambda server: [])

    def before() -> Any:
        seen = run_module(model_server_info, name="main", home=str(home))
        return seen["servers"][0]["memory_before_mib"]

    assert before() == {}
    start()
    assert before() == {"GPU-0": 450}


@pytest.mark.long
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


def test_what_the_engine_is_told_of_its_model_is_told_in_its_own_words(
    start: Call, run_module: Call, home: Path, tmp_path: Path, the_engine: Engine
) -> None:
    """Where the files lie decides how long a start may take, and what a cleanup looks at."""
    names = {"vllm": ("revision", "download_dir"), "stand_in": ("edition", "shelf")}
    revision, folder = names[the_engine.name]
    weights = tmp_path / "models--tiny--model" / "snapshots" / "1" / "model.safetensors"
    part = tmp_path / "models--tiny--model" / "blobs" / "x.incomplete"
    weights.parent.mkdir(parents=True)
    weights.write_bytes(b"w" * 1_000_000)
    given = {"arguments": {revision: "v1", folder: str(tmp_path)}, "wait_timeout_seconds": None}
    began = start(**given, api_key="key-of-clients")
    assert "reading 0.0 GB takes" in began["wait_limit"]["why"]
    (found,) = run_module(model_server_info, home=str(home), name="main")["servers"]
    told = {name: found["spec"][name] for name in ("needs_key", "revision", "weights_dir")}
    assert told == {"needs_key": True, "revision": "v1", "weights_dir": str(tmp_path)}
    part.parent.mkdir()
    part.touch()
    run_module(server_cleanup, home=str(home), name="main", what=["unfinished"])
    assert not part.exists()
    assert weights.exists()


def test_a_crash_during_startup_is_seen_without_waiting_for_the_time_to_be_up(start: Call) -> None:
    dying = {"FAKE_DIE_WITH": "1", "FAKE_LOG_FILE": "/proc/self/comm"}
    result = start(fake=dying, wait_timeout_seconds=300)
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


@pytest.mark.long
def test_an_automatic_port_is_the_next_free_one_and_is_kept(
    start: Call, stop: Call, server: Server, home: Path, free_port: int, monkeypatch: Monkey
) -> None:
    monkeypatch.setattr(ports, "FIRST_AUTOMATIC", free_port)
    assert start(check=True, port="auto")["port"] == free_port
    with socket.create_server(("127.0.0.1", free_port)):
        first = start(port="auto")
        assert first["port"] == first["server"]["port"] > free_port
    second = start(port="auto")
    assert (second["changed"], second["port"]) == (False, first["port"])
    starting = start(port="auto", name="other", wait=False, fake={"FAKE_START_SECONDS": "60"})
    assert starting["port"] == free_port
    third = start(port="auto", name="third", wait=False, fake={"FAKE_START_SECONDS": "60"})
    assert third["port"] not in (first["port"], free_port)
    stop()
    with socket.create_server(("127.0.0.1", first["port"])):
        moved = start(port="auto")
    assert moved["port"] not in (first["port"], free_port, third["port"])


def test_two_servers_that_ask_at_once_get_two_ports(
    home: Path, free_port: int, monkeypatch: Monkey
) -> None:
    monkeypatch.setattr(ports, "FIRST_AUTOMATIC", free_port)
    layout = Layout(home)
    first, _none = lifecycle.claim_ports(layout, layout.server("first"), "127.0.0.1", None)
    second = lifecycle.claim_ports(layout, layout.server("second"), "127.0.0.1", None)[0]
    assert second != first
    again = lifecycle.claim_ports(layout, layout.server("first"), "127.0.0.1", None)
    assert again == (first, None)
    monkeypatch.setattr(lifecycle, "CLAIM_SECONDS", 0)
    assert lifecycle.choose_port(layout, layout.server("third"), "127.0.0.1") == first


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
    assert result["server"]["reason"] == "requested"
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
    assert start()["server"]["supervised"]
    os.kill(int((home / "supervisor" / "supervisord.pid").read_text()), signal.SIGKILL)
    assert len(server.launchers()) == 1
    assert not observation.observe(server)["supervised"]
    assert stop()["stopped"] == "proven"
    assert server.launchers() == []
    assert server.processes() == []


def test_stop_in_the_middle_of_a_start(start: Call, stop: Call, server: Server) -> None:
    begun = start(wait=False, fake={"FAKE_START_SECONDS": "60", "FAKE_SWALLOW_FIRST": "1"})
    assert begun["server"]["phase"] == "starting"
    assert stop()["stopped"] == "proven"
    assert server.processes() == []


def test_of_two_servers_one_is_stopped_and_the_other_untouched(
    start: Call, stop: Call, home: Path, another_port: int
) -> None:
    start()
    other = start(name="other", port=another_port)
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

    wait_until(back, HANGS_AFTER_SECONDS)
    assert len(server.processes()) == 4


def test_secrets_stay_in_a_private_file(
    start: Call, server: Server, key_variable: str, capsys: pytest.CaptureFixture[str]
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
    assert json.loads(path.read_text())[key_variable] == "key-of-clients"
    readable = [p for p in server.folder.rglob("*") if p.is_file() and p.stat().st_mode & 0o077]
    assert readable == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"name": "../x"}, "name: '../x' may hold only"),
        ({"python": "/nowhere/python"}, "python: /nowhere/python is not there"),
        ({"port": 70000}, "port: 70000 is neither a number from 1 to 65535 nor auto"),
        ({"port": "next"}, "port: next is neither"),
        pytest.param(
            {"extra_args": ["--api_key=x"]},
            "extra_args: set option 'api_key', not",
            marks=pytest.mark.vllm,
        ),
        ({"log_max_mib": 0}, "log_max_mib: 0 is too small"),
        ({"model": "--help"}, "neither a repository id nor a folder"),
        pytest.param(
            {"arguments": {"api_key": "x"}}, "set option 'api_key', not", marks=pytest.mark.vllm
        ),
        pytest.param(
            {"arguments": {"hf_token": "x"}},
            "Set HF_TOKEN in 'environment'",
            marks=pytest.mark.vllm,
        ),
        ({"arguments": {"max len": 1}}, "not the name of an engine option"),
        ({"start_at_boot": True}, "start_at_boot needs systemd as PID 1"),
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
        # Who waits for the time to be up comes back with nothing new.
        result = run_module(
            model_server_info,
            home=str(home),
            name="main",
            wait_seconds=300,
            known_progress=progress,
        )
        assert result["servers"][0]["progress"] != progress
        progress = result["servers"][0]["progress"]
        seen.append(progress)
    assert "loading weights 1/2" in seen
    everything = run_module(model_server_info, home=str(home), log_lines=2)
    assert [entry["name"] for entry in everything["servers"]] == ["main"]
    assert len(everything["servers"][0]["log_tail"]) == 2
    assert "symptoms" not in everything["servers"][0]


@pytest.mark.vllm
def test_the_workers_of_a_server_listen_on_the_loopback(
    start: Call, run_module: Call, home: Path, another_port: int
) -> None:
    result = start(fake={"FAKE_WORKER_PORT": str(another_port)})
    assert result["server"]["exposed"] == []
    assert not result.get("warnings")
    assert not run_module(model_server_info, home=str(home)).get("warnings")


@pytest.mark.vllm
def test_a_worker_that_listens_beyond_the_loopback_is_told(
    start: Call, run_module: Call, home: Path, another_port: int
) -> None:
    result = start(fake={"FAKE_WORKER_PORT": str(another_port), "VLLM_HOST_IP": "0.0.0.0"})
    looked = run_module(model_server_info, home=str(home))
    for warnings in (result["warnings"], looked["warnings"]):
        (told,) = map(str, warnings)
        assert f"of server main listens on 0.0.0.0 port {another_port}" in told
    (found,) = looked["servers"][0]["exposed"]
    assert (found["address"], found["port"]) == ("0.0.0.0", another_port)


def test_info_tells_what_the_kernel_said_since_the_start(
    start: Call, run_module: Call, home: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The kernel is a stand-in: reading the real one needs rights that a test does not have."""
    start(wait=False)
    asked = []

    def since(started_at: float, oom_kills: int | None) -> list[str]:
        asked.append(started_at)
        return ["x"]

    monkeypatch.setattr(kernel_log, "since", since)
    (seen,) = run_module(model_server_info, home=str(home), symptoms=True)["servers"]
    assert seen["symptoms"]["kernel_log"] == "x"
    assert asked == [seen["started_at"]]


def test_what_explains_a_failure_leaves_the_host_without_secrets(
    start: Call, run_module: Call, home: Path, tmp_path: Path
) -> None:
    """Ansible masks the values that the module knows; what only looks like a token is ours."""
    log = tmp_path / "said.log"
    log.write_text("a client sent Authorization: Bearer another-key-5678\n")
    dies = {"FAKE_DIE_WITH": "1", "FAKE_LOG_FILE": str(log)}
    failed = start(api_key="key-of-clients-1234", fake=dies)
    assert "Bearer (redacted)" in "\n".join(failed["log_tail"])
    options = {"home": str(home), "log_lines": 100, "symptoms": True}
    (seen,) = run_module(model_server_info, **options)["servers"]
    assert "Bearer (redacted)" in seen["symptoms"]["log"]
    said = json.dumps([failed, seen])
    assert "another-key-5678" not in said
    assert "key-of-clients-1234" not in said


def test_a_server_that_runs_well_has_no_symptoms(start: Call, run_module: Call, home: Path) -> None:
    start()
    (seen,) = run_module(model_server_info, home=str(home), symptoms=True)["servers"]
    assert seen["symptoms"] is None


def test_info_about_an_unknown_server_says_stopped(run_module: Call, home: Path) -> None:
    (seen,) = run_module(model_server_info, home=str(home), name="nobody")["servers"]
    assert (seen["phase"], seen["alive"], seen["processes"]) == ("stopped", False, 0)
    assert run_module(model_server_info, home=str(home))["servers"] == []


def kill_supervision(server: Server, home: Path) -> None:
    daemon = int((home / "supervisor" / "supervisord.pid").read_text())
    for pid in (daemon, server.launchers()[0].pid):
        os.kill(pid, signal.SIGKILL)


@pytest.mark.parametrize("damage", ["missing", "corrupt"])
def test_a_server_whose_record_is_lost_is_adopted(
    start: Call, run_module: Call, home: Path, server: Server, wait_until: Wait, damage: str
) -> None:
    first = start()["server"]
    kill_supervision(server, home)
    if damage == "missing":
        server.record_path.unlink()
    else:
        server.record_path.write_text("{")

    def as_it_serves(**how: Any) -> dict[str, Any] | None:
        """A look asks it to serve for a moment only: on a busy machine it may say starting."""
        (one,) = run_module(model_server_info, home=str(home), name="main", **how)["servers"]
        return one if one["phase"] == "running" else None

    shown = wait_until(lambda: as_it_serves(check=True))
    assert server.record() is None
    seen = wait_until(as_it_serves)
    kept = server.record()
    assert kept is not None
    assert (kept.phase, kept.identity and kept.identity.pid) == ("running", first["pid"])
    for each in (shown, seen):
        same = ("phase", "pid", "pgid", "port", "model", "spec_hash", "supervisor", "completion")
        assert {key: each[key] for key in same} == {key: first[key] for key in same}
        assert abs(each["started_at"] - first["started_at"]) < 5
    again = start()
    assert (again["changed"], again["server"]["pid"]) == (False, first["pid"])
    assert (first["supervised"], again["server"]["supervised"]) == (True, False)


def test_without_record_and_specification_it_is_unknown_and_stop_still_works(
    start: Call, stop: Call, run_module: Call, home: Path, server: Server
) -> None:
    start()
    kill_supervision(server, home)
    server.record_path.write_text("{")
    (server.folder / "spec.json").write_text("[")
    (seen,) = run_module(model_server_info, home=str(home), name="main")["servers"]
    assert (seen["phase"], seen["processes"]) == ("unknown", 4)
    assert "stop it" in seen["reason"]
    result = stop()
    assert (result["stopped"], result["server"]["reason"]) == ("proven", "requested")
    assert server.processes() == []


def test_orphans_are_not_taken_for_the_server(
    start: Call, run_module: Call, home: Path, server: Server
) -> None:
    first = start()["server"]
    kill_supervision(server, home)
    os.kill(first["pid"], signal.SIGKILL)
    server.record_path.unlink()
    (seen,) = run_module(model_server_info, home=str(home), name="main")["servers"]
    assert (seen["phase"], seen["alive"]) == ("unknown", False)
    assert "main process is gone" in seen["reason"]


def test_what_a_look_corrected_is_said_again_after_the_host_was_restarted(
    start: Call, run_module: Call, home: Path, server: Server
) -> None:
    first = start()["server"]
    kill_supervision(server, home)
    os.kill(first["pid"], signal.SIGKILL)
    look = {"home": str(home), "name": "main"}
    (shown,) = run_module(model_server_info, check=True, **look)["servers"]
    before = server.record()
    assert before is not None
    assert before.phase == "running"
    (seen,) = run_module(model_server_info, **look)["servers"]
    kept = server.record()
    assert kept is not None
    for each in (shown, seen, vars(kept)):
        assert (each["phase"], each["reason"]) == ("stopped", "crashed")
    write_json(server.record_path, {**vars(kept), "boot_id": "another"})
    (later,) = run_module(model_server_info, **look)["servers"]
    assert (later["phase"], later["reason"]) == ("stopped", "crashed")
    assert later["ended_at"] == seen["ended_at"]


@pytest.mark.parametrize("change", [{"boot_id": "another"}, {"host_start": -1}])
def test_a_server_that_ran_before_the_host_was_restarted_is_called_stopped(
    run_module: Call, home: Path, change: dict[str, Any]
) -> None:
    server = Layout(home).server("main")
    stranger = processes.read_process(os.getpid())
    assert stranger is not None
    record = {
        "name": "main",
        "service_id": server.id,
        "phase": "running",
        "pid": stranger.pid,
        "start_time_ticks": stranger.start_time_ticks - 1,
        "boot_id": processes.boot_id(),
        "host_start": processes.host_start(),
    }
    write_json(server.record_path, {**record, **change})
    (seen,) = run_module(model_server_info, home=str(home), name="main")["servers"]
    assert (seen["phase"], seen["reason"]) == ("stopped", "the host was restarted")


@pytest.mark.parametrize(("phase", "ended"), [("stopped", True), ("stopping", False)])
@pytest.mark.parametrize(
    ("known", "reason"), [(True, "the host was restarted"), (False, "requested")]
)
def test_a_host_that_goes_down_in_good_order_is_told_from_a_stop_of_ours(
    run_module: Call, home: Path, phase: str, ended: bool, known: bool, reason: str
) -> None:
    """Both ask the launcher for the end, but ours takes the server from its supervisor."""
    server = Layout(home).server("main")
    record = {"name": "main", "service_id": server.id, "phase": phase, "boot_id": "another"}
    write_json(server.record_path, {**record, "reason": "requested" if ended else None, "pid": 7})
    program = home / "supervisor" / "programs" / "main.conf"
    program.parent.mkdir(parents=True)
    if known:
        program.touch()
    for _look in range(2):
        (seen,) = run_module(model_server_info, home=str(home), name="main")["servers"]
        assert (seen["phase"], seen["reason"]) == ("stopped", reason)


def test_gpu_info_answers_on_a_host_without_a_gpu(run_module: Call, home: Path) -> None:
    result = run_module(gpu_info, home=str(home))
    assert result["gpu"]["present"] == bool(result["gpu"]["gpus"])
    assert result["gpu"]["present"] or result["gpu"]["reason"]
    assert result["host"]["home"] == str(home)


def test_the_command_line_follows_the_arguments(tmp_path: Path) -> None:
    arguments = {
        "max_model_len": 512,
        "enforce-eager": True,
        "trust_remote_code": False,
        "dtype": None,
        "middleware": ["a", "b"],
        "compilation_config": {"level": 3},
        "hf_overrides.rope_theta": 1000,
    }
    extra = ("--seed", "7")
    python = tmp_path / "bin" / "python"
    wish = Wish(str(python), "m", ("name", "alias"), "127.0.0.1", 8000, arguments, extra)
    command = build_command(wish)
    assert command[:3] == [str(python), "-m", "vllm.entrypoints.openai.api_server"]
    told = (
        "--model m --host 127.0.0.1 --port 8000 --served-model-name name alias "
        '--compilation-config {"level": 3} --enforce-eager --hf-overrides.rope_theta 1000 '
        "--max-model-len 512 --middleware a --middleware b --no-trust-remote-code --seed 7"
    )
    assert " ".join(command[3:]) == told
    # This release has no way to turn a flag off again.
    (tmp_path / "lib/python3.12/site-packages/vllm-0.7.3.dist-info").mkdir(parents=True)
    assert " ".join(build_command(wish)[3:]) == told.replace("--no-trust-remote-code ", "")


def test_a_boolean_reaches_the_environment_as_engines_read_it() -> None:
    assert [as_variable(value) for value in (True, False, 4, "true")] == ["1", "0", "4", "true"]


def test_values_are_secret_by_the_name_of_their_variable() -> None:
    environment = {"HF_TOKEN": "a", "VLLM_API_KEY": "b", "TOKENIZERS_PARALLELISM": "false"}
    assert secret_values(environment) == {"a", "b"}


def test_a_launcher_that_never_came_up_is_an_error(run_module: Call, home: Path) -> None:
    server = Layout(home).server("main")
    record = {"name": "main", "service_id": server.id, "phase": "starting"}
    write_json(server.record_path, {**record, "started_at": time.time()})
    (young,) = run_module(model_server_info, home=str(home), name="main")["servers"]
    assert young["phase"] == "starting"
    write_json(server.record_path, {**record, "started_at": time.time() - 60})
    (old,) = run_module(model_server_info, home=str(home), name="main")["servers"]
    assert (old["phase"], old["reason"]) == ("error", "the supervisor did not start the launcher")
