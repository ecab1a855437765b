# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The dead-man switch as the host sees it: the real script, a real process, another folder."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.inferops.gpu.plugins.module_utils.host import deadline
from ansible_collections.inferops.gpu.plugins.module_utils.market.access import start_script
from ansible_collections.inferops.gpu.plugins.modules import deadline_switch
from tests.hanging import HANGS_AFTER_SECONDS
from tests.simulator import daemon

DAY = 86400
RELEASE = start_script.SelfRelease("DELETE", "GET", "http://127.0.0.1:9/$RENTAL_ID", "RENTAL_KEY")
Call = Callable[..., dict[str, Any]]


class Host:
    """One switch, and a process that stands for the first one of the container."""

    def __init__(self, root: Path, **environment: str) -> None:
        self.folder = root / "switch"
        self.root = root
        path = {"PATH": os.environ["PATH"]}
        self.first = subprocess.Popen(["sleep", "600"], env={**path, **environment})
        self.read = partial(deadline.read, self.folder, self.first.pid)
        self.arm = partial(deadline.arm, folder=self.folder, first_pid=self.first.pid)

    def start(self) -> int:
        """Run the start script of a rental request; returns its deadline."""
        now = int(time.time())
        script = start_script.start_script("ssh-ed25519 AAAA", None, now + DAY, RELEASE)
        script = script.replace(start_script.FOLDER, str(self.folder))
        script = script.replace("~root", str(self.root))
        subprocess.run(["sh", "-c", script], check=True, timeout=HANGS_AFTER_SECONDS)
        # It writes down its deadline once it has looked for its own row.
        written = self.folder / "deadline"
        assert daemon.wait(
            lambda: self.read().pid is not None and written.exists(), HANGS_AFTER_SECONDS
        )
        return now + DAY

    def kill_switch(self) -> None:
        pid = self.read().pid
        if pid:
            with suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGKILL)
        assert daemon.wait(lambda: self.read().pid is None, HANGS_AFTER_SECONDS)

    def end(self) -> None:
        self.kill_switch()
        self.first.kill()
        self.first.wait(HANGS_AFTER_SECONDS)


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    made = Host(tmp_path, RENTAL_KEY="key-of-this-rental-alone")
    yield made
    made.end()


@pytest.fixture
def switch(
    host: Host, run_module: Call, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., dict[str, Any]]:
    """Run module deadline_switch on this host."""
    monkeypatch.setattr(deadline, "read", host.read)
    monkeypatch.setattr(deadline, "arm", host.arm)
    return partial(run_module, deadline_switch)


def test_the_host_looks_where_the_start_script_puts_the_switch() -> None:
    assert str(deadline.FOLDER) == start_script.FOLDER


def test_a_switch_that_works_is_armed(host: Host, switch: Call) -> None:
    original = host.start()
    result = switch(state="armed")
    assert (result["changed"], result["armed"], result["problem"]) == (False, True, "")
    assert result["deadline"] == original
    assert int(original - time.time()) <= result["remaining_seconds"] <= DAY
    assert result["enforced_by"] == "host"


def test_a_host_without_a_switch_is_ended_by_nobody_and_says_why(switch: Call) -> None:
    result = switch(state="armed", remaining_seconds=DAY)
    assert (result["changed"], result["armed"]) == (False, False)
    assert result["enforced_by"] == "nobody"
    assert "the request brought none" in result["problem"]


def test_a_host_without_its_release_key_is_ended_by_nobody(
    tmp_path: Path,
) -> None:
    bare = Host(tmp_path)
    try:
        bare.start()
        found = bare.read()
        assert "RENTAL_KEY is in no environment" in found.problem
        assert (found.armed, found.can_be_armed) == (False, False)
    finally:
        bare.end()


def test_a_dead_switch_is_told_and_started_again(host: Host, switch: Call) -> None:
    original = host.start()
    host.kill_switch()
    assert "does not run" in switch(state="read")["problem"]
    again = switch(state="armed")
    assert (again["changed"], again["armed"], again["deadline"]) == (True, True, original)
    assert not switch(state="armed")["changed"]


def test_a_switch_that_is_started_again_carries_no_secret_of_the_task(
    host: Host, switch: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    host.start()
    host.kill_switch()
    monkeypatch.setenv("HF_TOKEN", "secret-of-the-task")
    pid = switch(state="armed")["pid"]
    assert b"secret-of-the-task" not in Path(f"/proc/{pid}/environ").read_bytes()


def test_a_pid_that_was_given_to_another_process_is_not_the_switch(host: Host) -> None:
    host.start()
    host.kill_switch()
    (host.folder / "pid").write_text(f"{os.getpid()}\n")
    assert host.read().pid is None


@pytest.mark.parametrize("text", ["", "soon", "0", "99999999999999999999"])
def test_a_damaged_deadline_is_told_and_repaired(host: Host, switch: Call, text: str) -> None:
    original = host.start()
    (host.folder / "deadline").write_text(text)
    found = switch(state="read")
    assert (found["armed"], found["deadline"]) == (False, original)
    assert "the original one counts" in found["problem"]
    assert switch(state="armed")["changed"]
    assert (host.folder / "deadline").read_text() == f"{original}\n"


def test_a_missing_deadline_counts_as_the_original_one(host: Host) -> None:
    original = host.start()
    (host.folder / "deadline").unlink()
    assert host.read().deadline == original


def test_the_deadline_moves_by_the_host_s_own_clock(host: Host, switch: Call) -> None:
    host.start()
    before = int(time.time())
    result = switch(state="armed", remaining_seconds=2 * DAY)
    assert (result["changed"], result["armed"]) == (True, True)
    assert before + 2 * DAY <= result["deadline"] <= time.time() + 2 * DAY
    assert (host.folder / "deadline").read_text() == f"{result['deadline']}\n"
    assert (host.folder / "deadline").stat().st_mode & 0o777 == 0o600


def test_a_deadline_can_be_given_as_a_time(host: Host, switch: Call) -> None:
    wanted = host.start() + 3600
    assert switch(state="armed", deadline=wanted)["deadline"] == wanted


def test_a_switch_is_set_for_a_deadline_when_it_is_armed_and_a_minute_apart_at_most(
    host: Host,
) -> None:
    now = host.start() - DAY
    assert host.read().is_set_for(DAY, now)
    assert host.read().is_set_for(DAY - 59, now)
    assert not host.read().is_set_for(DAY + 61, now)
    host.kill_switch()
    assert not host.read().is_set_for(DAY, now)


def test_less_than_a_minute_is_no_change(host: Host, switch: Call) -> None:
    original = host.start()
    result = switch(state="armed", deadline=original + 59)
    assert (result["changed"], result["deadline"]) == (False, original)


def test_a_deadline_in_the_past_is_refused(host: Host, switch: Call) -> None:
    original = host.start()
    result = switch(state="armed", remaining_seconds=-5)
    assert result["failed"]
    assert "would end at once" in result["msg"]
    assert host.read().deadline == original


def test_a_deadline_that_the_switch_could_not_read_is_never_written(host: Host) -> None:
    original = host.start()
    with pytest.raises(ValueError, match="epoch seconds"):
        host.arm(99999999999)
    assert host.read().deadline == original


def test_check_mode_shows_the_move_and_makes_none(host: Host, switch: Call) -> None:
    original = host.start()
    result = switch(check=True, state="armed", deadline=original + DAY)
    assert result["changed"]
    assert result["diff"]["before"]["deadline"] == original
    assert result["diff"]["after"]["deadline"] == original + DAY
    assert host.read().deadline == original


def test_reading_changes_nothing(host: Host, switch: Call) -> None:
    host.start()
    host.kill_switch()
    assert not switch(state="read", remaining_seconds=2 * DAY)["changed"]
    assert host.read().pid is None
