# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The launcher, run as the supervisor runs it, from the sources shipped to the host."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.inferops.gpu.plugins.module_utils.host.engines.engine import Wish
from ansible_collections.inferops.gpu.plugins.module_utils.host.engines.vllm import environment
from ansible_collections.inferops.gpu.plugins.module_utils.host.engines.vllm.environment import (
    WITHIN_THE_HOST,
    server_environment,
)
from ansible_collections.inferops.gpu.plugins.module_utils.host.machine import processes
from ansible_collections.inferops.gpu.plugins.module_utils.host.server import observation
from ansible_collections.inferops.gpu.plugins.module_utils.host.server.layout import Layout, Server
from ansible_collections.inferops.gpu.plugins.module_utils.host.server.record import ServerRecord
from ansible_collections.inferops.gpu.plugins.module_utils.host.server.spec import Spec
from ansible_collections.inferops.gpu.plugins.module_utils.host.server.tree import SERVER_MARKER
from ansible_collections.inferops.gpu.plugins.module_utils.host.service import (
    launcher,
    library,
    records,
)
from ansible_collections.inferops.gpu.plugins.module_utils.host.service.logs import HEAD_BYTES, Log
from ansible_collections.inferops.gpu.plugins.module_utils.host.service.tree import LAUNCHER_MARKER
from tests.hanging import HANGS_AFTER_SECONDS
from tests.strangers import Strangers

Wait = Callable[..., Any]
MakeSpec = Callable[..., Spec]
ALONE = Wish("/opt/vllm/bin/python", "tiny", (), "127.0.0.1", 8000, {})


@pytest.fixture
def launch(server: Server) -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Write the specification, start the launcher, and end it with the test."""
    started = []
    layout = Layout(server.folder.parent.parent)
    library.ship(server)

    def run(spec: Spec | None = None) -> subprocess.Popen[bytes]:
        if spec is not None:
            server.write_spec(spec)
        process = subprocess.Popen(
            [sys.executable, "-m", library.launcher_of(server), server.id],
            env={
                "PATH": os.environ["PATH"],
                "PYTHONPATH": str(layout.library),
                LAUNCHER_MARKER: server.id,
            },
        )
        started.append(process)
        return process

    yield run
    for process in started:
        process.kill()
        process.wait()


def record_of(server: Server) -> ServerRecord:
    record: ServerRecord | None = server.record()
    assert record is not None
    return record


def test_a_server_is_running_once_it_has_answered(
    launch: Wait, server: Server, spec: MakeSpec, wait_until: Wait, key_variable: str
) -> None:
    launch(spec(**{key_variable: "k"}))
    wait_until(lambda: record_of(server).phase == "running" if server.record() else False)
    record = record_of(server)
    assert record.completion == " the lazy dog."
    assert processes.alive(record.identity)
    assert len(server.processes()) == 4
    assert server.log.stat().st_mode & 0o777 == 0o600


def test_sigterm_ends_the_whole_tree_and_is_recorded_as_asked_for(
    launch: Wait, server: Server, spec: MakeSpec, wait_until: Wait
) -> None:
    process = launch(spec(FAKE_START_SECONDS="60"))
    wait_until(lambda: len(server.processes()) == 4)
    process.terminate()
    assert process.wait(HANGS_AFTER_SECONDS) == launcher.EXIT_STOPPED
    assert server.processes() == []
    record = record_of(server)
    assert (record.phase, record.reason) == ("stopped", "requested")


def test_a_server_that_dies_while_starting_is_never_restarted(
    launch: Wait, server: Server, spec: MakeSpec
) -> None:
    assert launch(spec(FAKE_DIE_WITH="3")).wait(HANGS_AFTER_SECONDS) == launcher.EXIT_FINAL
    record = record_of(server)
    assert (record.phase, record.reason) == ("error", "died during startup")
    assert (record.exit_code, record.signal) == (3, None)
    assert server.processes() == []


def test_a_server_killed_after_it_served_leaves_no_orphans_and_is_restarted(
    launch: Wait, server: Server, spec: MakeSpec, wait_until: Wait
) -> None:
    process = launch(spec())
    wait_until(lambda: server.record() and record_of(server).phase == "running")
    os.kill(record_of(server).pid or 0, signal.SIGKILL)
    assert process.wait(HANGS_AFTER_SECONDS) == launcher.EXIT_RESTART
    assert server.processes() == []
    record = record_of(server)
    assert (record.phase, record.reason, record.signal) == ("stopped", "crashed", "SIGKILL")

    launch()
    wait_until(lambda: record_of(server).phase == "running")
    assert record_of(server).restarts == 1
    assert len(server.processes()) == 4


def test_what_is_left_of_an_earlier_tree_is_swept_before_a_start(
    launch: Wait, tree: Wait, server: Server, spec: MakeSpec, wait_until: Wait
) -> None:
    main = tree(server.id)
    main.kill()
    main.wait()
    orphans = {process.pid for process in server.processes()}
    assert len(orphans) == 3
    launch(spec())
    wait_until(lambda: server.record() and record_of(server).phase == "running")
    living = {process.pid for process in server.processes()}
    assert len(living) == 4
    assert not living & orphans


def test_a_crash_loop_ends(launch: Wait, server: Server, spec: MakeSpec) -> None:
    worn = records.Record("main", server.id, pid=1, restarts=launcher.MAX_RESTARTS)
    records.write(server.record_path, worn)
    assert launch(spec()).wait(HANGS_AFTER_SECONDS) == launcher.EXIT_FINAL
    record = record_of(server)
    assert record.phase == "error"
    assert "crash loop: it ended 6 times" in (record.reason or "")


def test_the_last_end_of_a_crash_loop_is_known_as_one_at_once(
    launch: Wait, server: Server, spec: MakeSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(launcher, "FIRST_PAUSE_SECONDS", 0.0)
    worn = records.Record("main", server.id, pid=1, restarts=launcher.MAX_RESTARTS - 1)
    records.write(server.record_path, worn)
    server.write_spec(spec(FAKE_DIE_WITH="1"))
    asked = server.spec()
    assert asked is not None
    assert launcher.Launch(server, asked).run() == launcher.EXIT_FINAL
    record = record_of(server)
    assert (record.phase, record.exit_code) == ("error", 1)
    assert "crash loop" in (record.reason or "")


@pytest.mark.parametrize("restarts", [0, launcher.MAX_RESTARTS, 5000])
def test_what_waits_for_another_machine_is_started_again_for_ever(
    server: Server, spec: MakeSpec, monkeypatch: pytest.MonkeyPatch, restarts: int
) -> None:
    monkeypatch.setattr(Server, "gives_up", False)
    monkeypatch.setattr(Server, "longest_pause_seconds", 0.0)
    worn = records.Record("main", server.id, pid=1 if restarts else None, restarts=restarts)
    records.write(server.record_path, worn)
    server.write_spec(spec(FAKE_DIE_WITH="1"))
    asked = server.spec()
    assert asked is not None
    assert launcher.Launch(server, asked).run() == launcher.EXIT_RESTART
    record = record_of(server)
    assert (record.phase, record.restarts) == ("stopped", restarts + bool(restarts))
    # It was run, and ended by itself.
    assert (record.reason, record.exit_code) == ("crashed", 1)


def test_what_cannot_be_run_now_is_tried_again_later(
    server: Server, spec: MakeSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a tunnel on a disk that is full for an hour."""
    monkeypatch.setattr(Server, "gives_up", False)
    monkeypatch.setattr(Server, "longest_pause_seconds", 0.0)
    monkeypatch.setattr(Server, "command", lambda _self, _spec: ["/no/such/program"])
    server.write_spec(spec())
    asked = server.spec()
    assert asked is not None
    assert launcher.Launch(server, asked).run() == launcher.EXIT_RESTART
    record = record_of(server)
    assert record.phase == "stopped"
    assert "it cannot be run here" in (record.reason or "")


def test_what_hangs_on_its_way_is_ended_and_tried_again(
    server: Server, spec: MakeSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Server, "gives_up", False)
    monkeypatch.setattr(Server, "most_start_seconds", 1.0)
    monkeypatch.setattr(Server, "command", lambda _self, _spec: ["sleep", "30"])
    server.write_spec(spec())
    asked = server.spec()
    assert asked is not None
    assert launcher.Launch(server, asked).run() == launcher.EXIT_RESTART
    record = record_of(server)
    assert (record.reason, record.signal) == ("crashed", "SIGTERM")


@pytest.mark.parametrize(("served_seconds", "restart"), [(30, 5), (601, 1)])
def test_a_long_healthy_run_forgives_earlier_restarts(
    server: Server, spec: MakeSpec, served_seconds: float, restart: int
) -> None:
    served = records.Record(
        "main", server.id, pid=1, restarts=4, ready_at=1000.0, ended_at=1000.0 + served_seconds
    )
    records.write(server.record_path, served)
    assert launcher.Launch(server, spec()).next_restart() == restart


@pytest.mark.parametrize("change", [{"boot_id": "another"}, {"host_start": -1}])
def test_a_start_after_the_host_was_restarted_is_no_crash(
    launch: Wait, server: Server, spec: MakeSpec, wait_until: Wait, change: dict[str, Any]
) -> None:
    worn = replace(server.new_record(spec()), pid=7, restarts=5, ready_at=1.0, phase="running")
    records.write(server.record_path, worn, **change)
    launch(spec())
    wait_until(lambda: record_of(server).completion)
    record = record_of(server)
    assert (record.phase, record.restarts) == ("running", 0)
    assert record.started_at
    assert record.started_at > 1.0


def test_a_launcher_without_a_record_writes_a_whole_one(
    launch: Wait, server: Server, spec: MakeSpec, wait_until: Wait
) -> None:
    asked = spec()
    launch(asked)
    wait_until(lambda: server.record() and record_of(server).phase == "running")
    record = record_of(server)
    assert (record.port, record.model, record.spec_hash) == (asked.port, "tiny", asked.hash)


@pytest.mark.parametrize("damage", ["missing", "corrupt", "false"])
def test_a_launcher_that_lives_writes_a_lost_record_again(
    launch: Wait, server: Server, spec: MakeSpec, wait_until: Wait, damage: str
) -> None:
    launch(spec())
    wait_until(lambda: server.record() and record_of(server).phase == "running")
    before = record_of(server)
    if damage == "missing":
        server.record_path.unlink()
    elif damage == "corrupt":
        server.record_path.write_text("{")
    else:
        records.write(server.record_path, before, phase="error", reason="a wrong word")
    seen = observation.observe(server)
    assert damage == "false" or (seen["phase"], seen["pid"]) == ("running", before.pid)
    wait_until(lambda: server.record() and record_of(server).phase == "running")
    assert record_of(server).identity == before.identity
    assert record_of(server).completion == before.completion


def test_a_launcher_that_takes_over_a_stop_ends_it_and_starts_nothing(
    launch: Wait, tree: Wait, server: Server, spec: MakeSpec
) -> None:
    tree(server.id)
    records.write(server.record_path, records.Record("main", server.id, phase="stopping", pid=1))
    assert launch(spec()).wait(HANGS_AFTER_SECONDS) == launcher.EXIT_STOPPED
    assert server.processes() == []
    assert (record_of(server).phase, record_of(server).reason) == ("stopped", "requested")


def test_a_launcher_that_starts_with_the_host_starts_what_the_host_s_end_was_stopping(
    launch: Wait, server: Server, spec: MakeSpec, wait_until: Wait
) -> None:
    """Had a stop of ours come so far, no supervisor would start the launcher any more."""
    stopping = records.Record("main", server.id, phase="stopping", pid=1)
    records.write(server.record_path, stopping, boot_id="another")
    launch(spec())
    wait_until(lambda: record_of(server).phase == "running")


def test_what_no_launcher_can_do_is_said_and_not_retried(server: Server, spec: MakeSpec) -> None:
    asked = spec(**{"NOT=A_NAME": "x"})
    server.write_spec(asked)
    assert launcher.Launch(server, asked).run() == launcher.EXIT_FINAL
    assert "illegal environment variable name" in (record_of(server).reason or "")


def test_kills_for_want_of_memory_are_counted_from_the_start_on(
    server: Server, spec: MakeSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted = iter((3, 5))
    monkeypatch.setattr(launcher.memory_events, "oom_kills", lambda: next(counted))
    asked = spec(FAKE_DIE_WITH="1")
    server.write_spec(asked)
    assert launcher.Launch(server, asked).run() == launcher.EXIT_FINAL
    assert record_of(server).oom_kills == 2


def test_a_log_that_grows_without_end_stays_below_its_limit(
    launch: Wait, server: Server, spec: MakeSpec, wait_until: Wait
) -> None:
    launch(replace(spec(FAKE_FLOOD_MIB="24", FAKE_NO_CHILDREN="1"), log_max_mib=4))
    log = Log(server.log)
    wait_until(lambda: "the flood is over" in log.tail(), HANGS_AFTER_SECONDS)

    def written() -> list[os.stat_result]:
        """Its log, and those before it, of which the oldest goes at any time."""
        found = []
        for path in server.folder.glob("server.log*"):
            with suppress(FileNotFoundError):
                found.append(path.stat())
        return found

    assert {file.st_mode & 0o777 for file in written()} == {0o600}
    limit = 4 * 1024 * 1024 + HEAD_BYTES
    wait_until(lambda: sum(file.st_size for file in written()) <= limit)
    assert "non-default args" in log.head()
    assert "Resolved architecture" in log.head()
    assert "line     393215" in log.tail()
    # The flood may be over before the launcher looks again, which it does twice a second.
    wait_until(lambda: record_of(server).phase == "running")


def test_a_command_that_cannot_be_run_is_said_and_not_retried(
    launch: Wait, server: Server, spec: MakeSpec
) -> None:
    missing = replace(spec(), python="/nowhere/python")
    assert launch(missing).wait(HANGS_AFTER_SECONDS) == launcher.EXIT_FINAL
    assert "/nowhere/python" in (record_of(server).reason or "")


@pytest.mark.vllm
def test_the_server_gets_what_keeps_its_marker_readable(
    server: Server, spec: MakeSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = {"PYTHONPATH": "/lib", "VLLM_PORT": "tcp://10.0.0.1:8000", LAUNCHER_MARKER: "x"}
    for name, value in {**own, "PATH": "/usr/bin"}.items():
        monkeypatch.setenv(name, value)
    asked = replace(spec(HF_HOME="/models", SPT_NOENV=""), python="/opt/vllm/bin/python")
    made = launcher.environment(server, asked)
    assert made["SPT_NOENV"] == "1"
    assert made[SERVER_MARKER] == server.id
    assert made["PATH"].startswith("/opt/vllm/bin:/usr/bin:")
    assert "/usr/sbin" in made["PATH"].split(":")
    assert made["HF_HOME"] == "/models"
    assert made["PYTHONFAULTHANDLER"] == "1"
    assert not {"PYTHONPATH", "VLLM_PORT", LAUNCHER_MARKER} & set(made)


@pytest.mark.parametrize(("seconds", "given"), [(60, None), (5000, "5000")])
def test_the_engine_may_load_as_long_as_the_start_may_take(seconds: int, given: str | None) -> None:
    path = {"PATH": "/usr/bin"}
    made = server_environment(path, {}, ALONE, seconds)
    assert made.get("VLLM_ENGINE_READY_TIMEOUT_S") == given
    own = {"VLLM_ENGINE_READY_TIMEOUT_S": "7"}
    made = server_environment(path, own, ALONE, seconds)
    assert made["VLLM_ENGINE_READY_TIMEOUT_S"] == "7"


def test_the_processes_of_a_server_meet_on_the_loopback_unless_the_user_says_otherwise() -> None:
    of_the_image = {"PATH": "/usr/bin", "NCCL_SOCKET_IFNAME": "eth0", "VLLM_HOST_IP": "10.0.0.7"}
    made = server_environment(of_the_image, {}, ALONE)
    assert WITHIN_THE_HOST.items() <= made.items()
    assert made["VLLM_HOST_IP"] == "127.0.0.1"
    asked = {"GLOO_SOCKET_IFNAME": "eth1", "VLLM_HOST_IP": "10.0.0.9"}
    made = server_environment(of_the_image, asked, ALONE)
    assert asked.items() <= made.items()
    assert made["NCCL_SOCKET_IFNAME"] == "lo"


@pytest.mark.parametrize(
    ("arguments", "extra_args"),
    [
        ({"distributed_executor_backend": "ray"}, ()),
        ({"data-parallel-backend": "ray"}, ()),
        ({"nnodes": 2}, ()),
        ({"--master-addr": "10.0.0.7"}, ()),
        ({"kv_transfer_config": {"kv_connector": "NixlConnector"}}, ()),
        ({}, ("--nnodes", "2")),
        ({}, ("--data_parallel_address=10.0.0.7",)),
        ({}, ("--distributed-executor-backend=ray",)),
        ({}, ("--distributed-executor-backend", "ray")),
    ],
)
def test_a_server_on_several_hosts_keeps_its_address(
    arguments: dict[str, Any], extra_args: tuple[str, ...]
) -> None:
    spread = replace(ALONE, arguments=arguments, extra_args=extra_args)
    own = {"PATH": "/usr/bin", "VLLM_HOST_IP": "10.0.0.7"}
    made = server_environment(own, {}, spread)
    assert made["VLLM_HOST_IP"] == "10.0.0.7"
    assert "GLOO_SOCKET_IFNAME" not in made


def test_an_option_that_is_left_out_sends_no_server_abroad() -> None:
    wish = replace(ALONE, arguments={"nnodes": None, "kv_transfer_config": False, "seed": 1})
    assert server_environment({"PATH": "/usr/bin"}, {}, wish)["VLLM_HOST_IP"] == "127.0.0.1"


def test_a_dead_server_is_not_called_running_when_its_launcher_died_too(
    launch: Wait, server: Server, spec: MakeSpec, wait_until: Wait
) -> None:
    process = launch(spec())
    wait_until(lambda: server.record() and record_of(server).phase == "running")
    process.kill()
    process.wait()
    os.kill(record_of(server).pid or 0, signal.SIGKILL)
    wait_until(lambda: not processes.alive(record_of(server).identity))
    seen = observation.observe(server)
    assert (seen["phase"], seen["reason"], seen["alive"]) == ("stopped", "crashed", False)
    assert seen["processes"] == 3


def test_what_torch_compiles_lies_in_no_folder_of_a_stranger(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiled = tmp_path / "torchinductor"
    monkeypatch.setattr(environment, "inductor_cache", lambda: compiled)
    monkeypatch.delenv("TORCHINDUCTOR_CACHE_DIR", raising=False)
    made = environment.temporary_variables(server.temporary)
    assert made["TORCHINDUCTOR_CACHE_DIR"] == str(compiled)
    assert compiled.stat().st_mode & 0o777 == 0o700
    Strangers(monkeypatch).give(compiled)
    made = environment.temporary_variables(server.temporary)
    assert made["TORCHINDUCTOR_CACHE_DIR"] == str(server.temporary / "inductor")
