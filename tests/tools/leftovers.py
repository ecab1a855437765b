# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run of the checks may leave behind, and how it is found and removed.

Everything that a step starts inherits the variable `MARK`: a process that still carries it
after the run was left behind, and so was a container that has it as a label. Simulators and files
are compared with what was there before the run; simulators that somebody else has started
meanwhile are left alone.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from tests.rig.podman import podman
from tests.simulator import daemon
from tests.tools.tree import REPOSITORY

MARK = "INFEROPS_CHECK_RUN"
# Tests give their simulators names with this prefix.
TEST_INSTANCE = "test-"
CHECK_LABEL = "inferops.check"
END_SECONDS = 2
# Rootless podman keeps one such process per user, for good.
LONG_LIVED = ("catatonit", "podman pause")


def simulators() -> set[str]:
    """Names of the test simulators that have not been stopped."""
    folder = REPOSITORY / ".rig" / "simulator"
    return {path.parent.name for path in folder.glob(f"{TEST_INSTANCE}*/process.json")}


def containers(run_id: str) -> set[str]:
    """Names of the containers that this run has started."""
    labelled = ("--filter", f"label={CHECK_LABEL}={run_id}")
    return set(podman("ps", "--all", *labelled, "--format", "{{.Names}}").stdout.split())


def changes() -> set[str]:
    """What git sees as changed or new in the checkout."""
    status = ("git", "status", "--porcelain")
    return set(subprocess.check_output(status, cwd=REPOSITORY, text=True).splitlines())


def processes(run_id: str) -> dict[int, str]:
    """Command lines, by process id, of everything alive that this run has started."""
    mark = f"{MARK}={run_id}".encode()
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        # A process may end, or belong to somebody else, while we look at it.
        with contextlib.suppress(OSError):
            if mark in (folder / "environ").read_bytes().split(b"\0"):
                command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode().strip()
                if command and not command.startswith(LONG_LIVED):
                    found[int(folder.name)] = command
    return found


class Before:
    """The state before a run, and what is there in addition after it."""

    def __init__(self, run_id: str) -> None:
        self.run_id = run_id
        self.simulators = simulators()
        self.changes = changes()

    def left_behind(self) -> list[str]:
        """One line per thing that was not there before the run."""
        _wait_for_the_end(self.run_id)
        return [
            *(f"simulator {name}" for name in sorted(self._new_simulators())),
            *(f"container {name}" for name in sorted(containers(self.run_id))),
            *(f"file {line}" for line in sorted(changes() - self.changes)),
            *(f"process {pid}: {text}" for pid, text in processes(self.run_id).items()),
        ]

    def remove(self) -> None:
        """Stop and remove all of it, except files: what those hold may be wanted."""
        for name in self._new_simulators():
            stop = (sys.executable, "-m", "tests.simulator", "stop", "--instance", name)
            subprocess.run(stop, cwd=REPOSITORY, check=False)
        for name in containers(self.run_id):
            podman("rm", "--force", "--ignore", "--volumes", "--time", "0", name)
        for number in (signal.SIGTERM, signal.SIGKILL):
            _send(number, processes(self.run_id))
            _wait_for_the_end(self.run_id)

    def _new_simulators(self) -> set[str]:
        return simulators() - self.simulators - self._somebody_elses()

    def _somebody_elses(self) -> set[str]:
        """Names of the test simulators that run without having been started by this run."""
        ours = processes(self.run_id).keys()
        return {name for name in simulators() if set(daemon.processes(name)) - ours}


def _wait_for_the_end(run_id: str) -> None:
    """Give processes that are ending the time to do so."""
    give_up_at = time.monotonic() + END_SECONDS
    while processes(run_id) and time.monotonic() < give_up_at:
        time.sleep(0.1)


def _send(number: int, pids: dict[int, str]) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
