# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Processes of one server: who belongs to it, who is still alive, and how to end them all.

A PID alone proves nothing, it is reused. A process is known by its PID, its start time and the
boot (`Identity`); a server's processes are known by a marker in their environment, which
children inherit whatever parent, session, group or name they take on later.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, NamedTuple

PROC = Path("/proc")
STOPPED = "T"
"""The state of a process after SIGSTOP: proc(5)."""

RESEND_SECONDS = 2.0
KILL_WAIT_SECONDS = 10.0


class Identity(NamedTuple):
    """What makes a process that very process: see proc(5), field `starttime` of stat."""

    pid: int
    start_time_ticks: int
    boot_id: str


@dataclass(frozen=True)
class Process:
    """One line of the process table."""

    pid: int
    start_time_ticks: int
    ppid: int
    pgid: int
    sid: int
    state: str
    comm: str
    uid: int

    @property
    def identity(self) -> Identity:
        return Identity(self.pid, self.start_time_ticks, boot_id())

    def describe(self) -> dict[str, object]:
        """The process for a person: pid, name, parent, state and the start of its command."""
        return {
            "pid": self.pid,
            "name": self.comm,
            "ppid": self.ppid,
            "state": self.state,
            "command": command_line(self.pid)[:200],
        }


def boot_id() -> str:
    """The kernel's random id of this boot."""
    return (PROC / "sys/kernel/random/boot_id").read_text().strip()


def host_start() -> int | None:
    """When process 1 began, in ticks since the boot: another one after a container's restart."""
    first = read_process(1)
    return first.start_time_ticks if first else None


def started_at(process: Process) -> float:
    """When the process began, in seconds since the epoch, a hundredth more or less."""
    # By btime of /proc/stat, which has whole seconds, a file from before would count as ours.
    boot = time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)
    return boot + process.start_time_ticks / os.sysconf("SC_CLK_TCK")


def read_process(pid: int) -> Process | None:
    """The process with this PID, or None when there is none or it is a zombie.

    A zombie holds no memory, no port and no GPU: it is gone for every purpose of ours.
    """
    try:
        # The name stands in brackets and may itself hold brackets and blanks: cut at the last one.
        head, tail = (PROC / str(pid) / "stat").read_text(errors="replace").rsplit(")", 1)
        uid = (PROC / str(pid)).stat().st_uid
    except (OSError, ValueError):
        return None
    fields = tail.split()
    if len(fields) < 20 or fields[0] in "ZX":
        return None
    return Process(
        pid=pid,
        state=fields[0],
        ppid=int(fields[1]),
        pgid=int(fields[2]),
        sid=int(fields[3]),
        start_time_ticks=int(fields[19]),
        comm=head.partition("(")[2],
        uid=uid,
    )


def snapshot() -> dict[int, Process]:
    """Every living process by PID."""
    found = (read_process(int(name)) for name in os.listdir(PROC) if name.isdigit())
    return {process.pid: process for process in found if process}


def command_line(pid: int) -> str:
    """The process's command line with blanks between the words; empty when unreadable."""
    try:
        raw = (PROC / str(pid) / "cmdline").read_bytes()
    except OSError:
        return ""
    return raw.replace(b"\0", b" ").decode(errors="replace").strip()


def environment_of(pid: int) -> dict[str, str]:
    """The environment that the process was started with; empty when it may not be read."""
    try:
        raw = (PROC / str(pid) / "environ").read_bytes()
    except OSError:
        return {}
    entries = (entry.decode(errors="replace") for entry in raw.split(b"\0") if b"=" in entry)
    return dict(entry.split("=", 1) for entry in entries)


def alive(identity: Identity | None) -> bool:
    """Whether that very process lives: same PID, same start time, same boot."""
    if identity is None:
        return False
    process = read_process(identity.pid)
    return process is not None and process.identity == identity


def carrying(variable: str, value: str | None = None) -> list[Process]:
    """The processes whose environment holds this variable (with this value, if one is given)."""
    found = []
    for process in snapshot().values():
        held = environment_of(process.pid).get(variable)
        if held is not None and (value is None or held == value):
            found.append(process)
    return found


def send_signal(process: Process, number: int) -> None:
    """Signal that very process, never a stranger that got its PID meanwhile."""
    try:
        handle = os.pidfd_open(process.pid)
    except ProcessLookupError:
        return
    except OSError:  # kernels and sandboxes without pidfd: the start time is the best guard
        handle = -1
    try:
        if not alive(process.identity):
            return
        if handle >= 0:
            signal.pidfd_send_signal(handle, number)
        else:
            os.kill(process.pid, number)
    except ProcessLookupError:
        pass
    finally:
        if handle >= 0:
            os.close(handle)


def stop_tree(
    find: Callable[[], Iterable[Process]],
    timeout_seconds: float,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> list[Process]:
    """End every process that `find` reports: SIGTERM, time to finish, SIGKILL. Returns the rest.

    SIGTERM is sent again every two seconds: some swallow one that comes while they start.
    A process that somebody has stopped is woken, or it could not end before it is killed.
    What is returned survived SIGKILL for ten seconds (a driver call that hangs in the kernel) or
    may not be signalled by this user; an empty list is the proof that nothing is left.
    """
    remaining = _signal_until_gone(find, signal.SIGTERM, timeout_seconds, clock, sleep)
    if remaining:
        remaining = _signal_until_gone(find, signal.SIGKILL, KILL_WAIT_SECONDS, clock, sleep)
    return remaining


def _signal_until_gone(
    find: Callable[[], Iterable[Process]],
    number: int,
    seconds: float,
    clock: Callable[[], float],
    sleep: Callable[[float], None],
) -> list[Process]:
    deadline = clock() + seconds
    next_signal = clock()
    while True:
        remaining = list(find())
        now = clock()
        if not remaining or now >= deadline:
            return remaining
        if now >= next_signal:
            for process in remaining:
                try:
                    send_signal(process, number)
                    if process.state == STOPPED:
                        send_signal(process, signal.SIGCONT)
                except PermissionError:
                    continue  # another user's: it will be among those returned
            next_signal = now + RESEND_SECONDS
        sleep(0.1)
