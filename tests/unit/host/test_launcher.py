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
from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.inferops.gpu.plugins.module_utils.host import (
    launcher,
    library,
    lifecycle,
    processes,
    records,
)
from ansible_collections.inferops.gpu.plugins.module_utils.host.servers import Layout, Server, Spec

Wait = Callable[..., Any]
MakeSpec = Callable[..., Spec]


@pytest.fixture
def launch(server: Server) -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Write the specification, start the launcher, and end it with the test."""
    started = []
    layout = Layout(server.folder.parent.parent)
    library.ship(layout.library)

    def run(spec: Spec | None = None) -> subprocess.Popen[bytes]:
        if spec is not None:
            server.write_spec(spec)
        process = subprocess.Popen(
            [sys.executable, "-m", "inferops_host.launcher", server.id],
            env={
                "PATH": os.environ["PATH"],
                "PYTHONPATH": str(layout.library),
                processes.LAUNCHER_MARKER: server.id,
            },
        )
        started.append(process)
        return process

    yield run
    for process in started:
        process.kill()
        process.wait()


def record_of(server: Server) -> records.Record:
    record = server.record()
    assert record is not None
    return record


def test_a_server_is_running_once_it_has_answered(
    launch: Wait, server: Server, spec: MakeSpec, wait_until: Wait
) -> None:
    launch(spec(VLLM_API_KEY="k"))
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
    assert process.wait(10) == launcher.EXIT_STOPPED
    assert server.processes() == []
    record = record_of(server)
    assert (record.phase, record.reason) == ("stopped", "requested")


def test_a_server_that_dies_while_starting_is_never_restarted(
    launch: Wait, server: Server, spec: MakeSpec
) -> None:
    assert launch(spec(FAKE_DIE_WITH="3")).wait(10) == launcher.EXIT_FINAL
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
    assert process.wait(10) == launcher.EXIT_RESTART
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
    assert launch(spec()).wait(10) == launcher.EXIT_FINAL
    record = record_of(server)
    assert record.phase == "error"
    assert "crash loop" in (record.reason or "")


def test_a_command_that_cannot_be_run_is_said_and_not_retried(
    launch: Wait, server: Server, spec: MakeSpec
) -> None:
    missing = replace(spec(), command=["/nowhere/python", "-m", "vllm"])
    assert launch(missing).wait(10) == launcher.EXIT_FINAL
    assert "/nowhere/python" in (record_of(server).reason or "")


def test_the_server_gets_what_keeps_its_marker_readable(server: Server) -> None:
    made = launcher.server_environment(
        server,
        own={"PYTHONPATH": "/lib", processes.LAUNCHER_MARKER: "x", "PATH": "/usr/bin"},
        asked={"HF_HOME": "/models", "SPT_NOENV": ""},
        command=["/opt/vllm/bin/python"],
    )
    assert made["SPT_NOENV"] == "1"
    assert made[processes.SERVER_MARKER] == server.id
    assert made["PATH"] == "/opt/vllm/bin:/usr/bin"
    assert made["HF_HOME"] == "/models"
    assert not {"PYTHONPATH", processes.LAUNCHER_MARKER} & set(made)


def test_a_dead_server_is_not_called_running_when_its_launcher_died_too(
    launch: Wait, server: Server, spec: MakeSpec, wait_until: Wait
) -> None:
    process = launch(spec())
    wait_until(lambda: server.record() and record_of(server).phase == "running")
    process.kill()
    process.wait()
    os.kill(record_of(server).pid or 0, signal.SIGKILL)
    wait_until(lambda: not processes.alive(record_of(server).identity))
    seen = lifecycle.observe(server)
    assert (seen["phase"], seen["reason"], seen["alive"]) == ("stopped", "crashed", False)
    assert seen["processes"] == 3
