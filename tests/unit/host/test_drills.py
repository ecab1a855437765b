# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The server drills as unit tests: real process trees, real signals, a stand-in for vLLM.

What lives is counted by the command line, which the product does not go by. `make mutants` sees to
it that these notice when the tree kill, the completion or the identity of a process is given up.
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.inferops.gpu.plugins.module_utils.host.engines.engine import Engine
from ansible_collections.inferops.gpu.plugins.module_utils.host.machine import processes
from ansible_collections.inferops.gpu.plugins.module_utils.host.server.layout import Server
from ansible_collections.inferops.gpu.plugins.module_utils.host.service import records
from ansible_collections.inferops.gpu.plugins.modules import model_server, model_server_info
from tests.hanging import HANGS_AFTER_SECONDS

Call = Callable[..., dict[str, Any]]
Wait = Callable[..., Any]
TREE = 4


@pytest.fixture
def living(free_port: int, the_engine: Engine) -> Iterator[Callable[[], set[int]]]:
    """The PIDs of the server on the port of this test. What a broken product leaves is ended."""
    words = [f"fake_{the_engine.name}.py", str(free_port)]

    def look() -> set[int]:
        lines = {pid: processes.command_line(pid) for pid in processes.snapshot()}
        return {pid for pid, line in lines.items() if all(word in line for word in words)}

    yield look
    for pid in look():
        os.kill(pid, signal.SIGKILL)


@pytest.fixture
def lose_supervision(home: Path, wait_until: Wait) -> Callable[[Server], None]:
    """Kill supervisor and launcher; the server lives on."""

    def lose(server: Server) -> None:
        daemon = int((home / "supervisor" / "supervisord.pid").read_text())
        for pid in (daemon, *(launcher.pid for launcher in server.launchers())):
            os.kill(pid, signal.SIGKILL)
        wait_until(lambda: not server.launchers())

    return lose


@pytest.fixture
def stranger() -> Iterator[subprocess.Popen[bytes]]:
    """A process that is none of ours."""
    process = subprocess.Popen(["sleep", "600"], start_new_session=True)
    yield process
    process.kill()
    process.wait()


@pytest.fixture
def reused(
    start: Call,
    server: Server,
    stranger: subprocess.Popen[bytes],
    living: Callable[[], set[int]],
    lose_supervision: Callable[[Server], None],
) -> int:
    """The PID of a server that is dead, which a stranger has got since."""
    start()
    lose_supervision(server)
    for pid in living():
        os.kill(pid, signal.SIGKILL)
    record = server.record()
    assert record is not None
    records.write(server.record_path, record, pid=stranger.pid)
    return stranger.pid


def info(run_module: Call, home: Path) -> dict[str, Any]:
    (seen,) = run_module(model_server_info, home=str(home))["servers"]
    return dict(seen)


# --- the whole tree, not a PID ---


def test_stop_forgotten(start: Call, stop: Call, server: Server, living: Wait) -> None:
    start()
    assert len(living()) == TREE
    for name in ("record.json", "spec.json", "environment.json"):
        (server.folder / name).unlink()
    assert stop()["stopped"] == "proven"
    assert not living()


def test_orphans_stopped(
    start: Call, stop: Call, server: Server, living: Wait, lose_supervision: Wait
) -> None:
    pid = start()["server"]["pid"]
    lose_supervision(server)
    os.kill(pid, signal.SIGKILL)
    assert len(living() - {pid}) == TREE - 1
    assert stop()["stopped"] == "proven"
    assert not living()


def test_stop_during_launch(start: Call, stop: Call, living: Wait, wait_until: Wait) -> None:
    start(wait=False, fake={"FAKE_START_SECONDS": "60"})
    wait_until(lambda: len(living()) == TREE)
    assert stop()["stopped"] == "proven"
    assert not living()


@pytest.mark.long
def test_killed_restarted(start: Call, living: Wait, wait_until: Wait) -> None:
    killed = start()["server"]["pid"]
    before = living()
    os.kill(killed, signal.SIGKILL)
    wait_until(lambda: len(living() - before) == TREE, HANGS_AFTER_SECONDS)
    assert not living() & before


# --- a completion, not /health ---


def test_sigill(start: Call, living: Wait) -> None:
    result = start(fake={"FAKE_DIE_AT_COMPLETION": "1"})
    assert result["failed"]
    assert result["server"]["signal"] == "SIGILL"
    assert not living()


@pytest.mark.long
def test_hung_worker(
    start: Call, tmp_path: Path, living: Wait, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model_server, "QUICK_COMPLETION_SECONDS", 1.0)
    hang = tmp_path / "hang"
    fake = {"FAKE_HANG_FILE": str(hang)}
    first = start(fake=fake)["server"]["pid"]
    hang.touch()
    # The new one hangs too, but the old one may not be taken for a server that serves.
    assert start(fake=fake, wait_timeout_seconds=1)["failed"]
    assert first not in living()


@pytest.mark.long
def test_hung_at_start(start: Call, tmp_path: Path, living: Wait) -> None:
    (tmp_path / "hang").touch()
    result = start(fake={"FAKE_HANG_FILE": str(tmp_path / "hang")}, wait_timeout_seconds=3)
    assert result["failed"]
    assert "first completion answer" in result["msg"]
    assert not living()


# --- that very process, not its PID ---


def test_pid_reused(run_module: Call, home: Path, reused: int) -> None:
    seen = info(run_module, home)
    assert (seen["phase"], seen["reason"], seen["alive"]) == ("stopped", "crashed", False)
    assert reused in processes.snapshot()


def test_stop_after_pid_reused(stop: Call, reused: int) -> None:
    assert stop()["stopped"] == "proven"
    assert reused in processes.snapshot()


@pytest.mark.long
def test_start_after_pid_reused(start: Call, reused: int, living: Wait) -> None:
    started = start()
    assert started["changed"]
    assert started["server"]["pid"] != reused
    assert len(living()) == TREE
    assert reused in processes.snapshot()


def test_pid_and_start_time_of_another_boot(
    stop: Call, server: Server, stranger: subprocess.Popen[bytes], reused: int
) -> None:
    ticks = processes.snapshot()[reused].start_time_ticks
    record = server.record()
    assert record is not None
    records.write(server.record_path, record, start_time_ticks=ticks, boot_id="another")
    assert stop()["stopped"] == "proven"
    assert stranger.poll() is None
