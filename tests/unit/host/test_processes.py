# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which processes belong to a server, and how all of them are ended."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable
from typing import Any

import pytest

from ansible_collections.inferops.gpu.plugins.module_utils.host.machine import processes
from ansible_collections.inferops.gpu.plugins.module_utils.host.machine.processes import Identity
from ansible_collections.inferops.gpu.plugins.module_utils.host.server.tree import (
    SERVER_MARKER,
    server_processes,
)
from tests.hanging import HANGS_AFTER_SECONDS

Wait = Callable[..., Any]
# Another run of these tests, of another checkout perhaps, must not meet its processes.
ID = f"/inferops-test-{os.getpid()}/servers/processes"


def names(found: list[processes.Process]) -> list[str]:
    return sorted(process.comm for process in found)


@pytest.mark.vllm
def test_children_that_changed_name_parent_and_session_belong_to_the_server(
    tree: Wait, wait_until: Wait
) -> None:
    main = tree(ID)
    renamed = ["VLLM::EngineCor", "VLLM::Worker_TP", "VLLM::Worker_TP"]
    wait_until(lambda: names(server_processes(ID))[:3] == renamed)
    found = server_processes(ID)
    assert len(found) == 4
    away = [process for process in found if process.sid != main.pid]
    assert [process.ppid != main.pid for process in away] == [True]


def test_orphans_are_found_after_the_main_process_was_killed(tree: Wait, wait_until: Wait) -> None:
    main = tree(ID)
    main.kill()
    main.wait()
    assert len(server_processes(ID)) == 3
    assert processes.stop_tree(lambda: server_processes(ID), 5) == []


def test_a_child_that_dropped_its_environment_is_found_by_its_session(wait_until: Wait) -> None:
    shell = subprocess.Popen(
        ["sh", "-c", "(env -i sleep 60 &); (env -i sleep 60 &); exec sleep 60"],
        env={"PATH": os.environ["PATH"], SERVER_MARKER: ID},
        start_new_session=True,
    )
    try:
        wait_until(lambda: names(server_processes(ID)) == ["sleep"] * 3)
        assert processes.stop_tree(lambda: server_processes(ID), 5) == []
        assert shell.wait(HANGS_AFTER_SECONDS) == -signal.SIGTERM
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(shell.pid, signal.SIGKILL)


def test_a_stranger_with_the_recorded_pid_is_not_touched() -> None:
    stranger = subprocess.Popen(["sleep", "60"], start_new_session=True)
    real = processes.read_process(stranger.pid)
    assert real is not None
    recorded = Identity(stranger.pid, real.start_time_ticks - 1, processes.boot_id())
    other_boot = real.identity._replace(boot_id="another")
    try:
        assert processes.alive(real.identity)
        assert not processes.alive(recorded)
        assert not processes.alive(other_boot)
        assert server_processes(ID, recorded) == []
        assert [p.pid for p in server_processes(ID, real.identity)] == [stranger.pid]
    finally:
        stranger.kill()
        stranger.wait()


def test_a_signal_does_not_hit_the_process_that_took_over_the_pid() -> None:
    stranger = subprocess.Popen(["sleep", "60"])
    real = processes.read_process(stranger.pid)
    assert real is not None
    earlier = processes.Process(**{**vars(real), "start_time_ticks": real.start_time_ticks - 1})
    processes.send_signal(earlier, signal.SIGKILL)
    assert stranger.poll() is None
    processes.send_signal(real, signal.SIGKILL)
    assert stranger.wait(HANGS_AFTER_SECONDS) == -signal.SIGKILL


def test_a_zombie_counts_as_gone() -> None:
    child = subprocess.Popen(["true"])
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert processes.read_process(child.pid) is None
    child.wait()


def test_another_server_and_the_caller_are_left_alone(tree: Wait) -> None:
    tree(ID)
    other = subprocess.Popen(
        ["sleep", "60"],
        env={SERVER_MARKER: f"{ID}-2"},
        executable="/bin/sleep",
        start_new_session=True,
    )
    try:
        assert processes.stop_tree(lambda: server_processes(ID), 5) == []
        assert other.poll() is None
    finally:
        other.kill()
        other.wait()


def test_a_server_that_swallows_the_first_sigterm_gets_another(tree: Wait) -> None:
    main = tree(ID, size=1, FAKE_SWALLOW_FIRST="1", FAKE_NO_CHILDREN="1")
    assert processes.stop_tree(lambda: server_processes(ID), 20) == []
    assert main.wait(HANGS_AFTER_SECONDS) == -signal.SIGTERM


def test_a_server_that_ignores_sigterm_is_killed(tree: Wait) -> None:
    main = tree(ID, FAKE_SWALLOW_SIGTERM="1")
    assert processes.stop_tree(lambda: server_processes(ID), 0.5) == []
    assert main.wait(HANGS_AFTER_SECONDS) == -signal.SIGKILL


def test_a_stopped_process_is_woken_and_ends_by_itself(tree: Wait) -> None:
    main = tree(ID)
    for process in server_processes(ID):
        processes.send_signal(process, signal.SIGSTOP)
    assert processes.stop_tree(lambda: server_processes(ID), 20) == []
    assert main.wait(HANGS_AFTER_SECONDS) == -signal.SIGTERM


def test_what_cannot_be_ended_is_returned() -> None:
    immortal = processes.Process(2**22 + 1, 1, 1, 1, 1, "D", "nvidia", 0)
    now = iter(range(1000))
    left = processes.stop_tree(
        lambda: [immortal], 5, clock=lambda: float(next(now)), sleep=lambda seconds: None
    )
    assert left == [immortal]


def test_the_start_of_a_process_is_known_to_the_tick() -> None:
    """What lies in shared memory from just before it is not the server's."""
    before = time.time()
    with subprocess.Popen(["sleep", "60"]) as process:
        after = time.time()
        seen = processes.read_process(process.pid)
        assert seen is not None
        assert before - 0.02 <= processes.started_at(seen) <= after + 0.02
        process.kill()
