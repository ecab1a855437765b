# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Our launcher: runs under the host's supervisor, one per service, and owns the service's tree.

    python3 -m inferops_host.host.server.launcher FOLDER

Each kind of service has such a module; it calls `main` here. The launcher sweeps what is left of an
earlier tree, starts the service in its own session, probes it until it serves, waits for its end,
sweeps again and writes down how it ended. Its exit status tells the supervisor what to do next:
only a service that once served is started again, unless its kind never gives up.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import signal
import subprocess
import sys
import threading
import time
from types import FrameType
from typing import Any

from ...common import reasons
from ..machine import memory_events
from ..machine.processes import boot_id, host_start, read_process
from ..machine.tools import search_path
from . import records, states
from .exits import EXIT_FINAL, EXIT_RESTART, EXIT_STOPPED
from .logs import Log
from .service import Service, Spec
from .sweeping import Ended, sweep
from .tree import LAUNCHER_MARKER

MAX_RESTARTS = 5
HEALTHY_SECONDS = 600.0
"""After serving this long an end counts as the first again."""

FIRST_PAUSE_SECONDS = 2.0
MOST_DOUBLED = 10
POLL_SECONDS = 0.5
NOT_INHERITED = ("PYTHONPATH", LAUNCHER_MARKER)
MIB = 1024 * 1024


class StopRequested(BaseException):
    """The supervisor wants the service stopped. Not an Exception: no check may swallow it."""


def environment(service: Service[Any], spec: Spec) -> dict[str, str]:
    """What the service is run with: our own variables left out, its marker last."""
    own = {key: value for key, value in os.environ.items() if key not in NOT_INHERITED}
    own.setdefault("HOME", pwd.getpwuid(os.getuid()).pw_dir)
    own["PATH"] = search_path(own.get("PATH", ""))
    return {**service.environment_for(spec, own), service.marker: service.id}


class Launch:
    """One start of one service, from the sweep before it to the sweep after it."""

    def __init__(self, service: Service[Any], spec: Spec) -> None:
        self.service, self.spec, self.log = service, spec, Log(service.log)
        self.record = service.record() or service.new_record(spec)
        if records.host_restarted(self.record):
            # It did not crash: it is started because the host is back. Had it been stopped for
            # good before that, no supervisor would know it any more.
            self.record = service.new_record(spec)
        # The module writes a record without a PID before it asks the supervisor to start.
        self.is_restart = self.record.pid is not None
        self.process: subprocess.Popen[bytes] | None = None
        self.oom_kills_before: int | None = None

    def note(self, **changes: Any) -> None:
        self.record = records.write(self.service.record_path, self.record, **changes)

    def sweep(self) -> Ended:
        timeout_seconds = self.spec.stop_timeout_seconds
        prefixes = self.service.shared_memory
        ended = sweep(self.service.processes, timeout_seconds, self.record.started_at, prefixes)
        if not ended.left:
            self.service.clear_temporary()
        return ended

    def run(self) -> int:
        """Everything; returns the exit status for the supervisor."""
        try:
            self.sweep()
            if self.record.phase == "stopping":
                # The launcher before this one was killed on its way to the end.
                return self.stop()
            if self.is_restart and not self.prepare_restart():
                return EXIT_FINAL
            self.watch(self.start())
            self.note_end()
            self.sweep()
            return self.write_exit()
        except StopRequested:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            return self.stop()
        except Exception as error:
            # The command cannot be run, the disk is full, or anything else that the next try would
            # meet too, for ever: no service without a launcher.
            self.sweep()
            return self.unable(f"it cannot be run here: {error}")

    def unable(self, why: str) -> int:
        """It was not even started: that is no end of a run, and not counted as one."""
        with contextlib.suppress(OSError):
            gives_up = self.service.gives_up
            self.note(**(states.failed(why) if gives_up else states.stopped(why)))
        if self.service.gives_up:
            return EXIT_FINAL
        time.sleep(self.service.longest_pause_seconds)
        return EXIT_RESTART

    def next_restart(self) -> int:
        """Which restart the next one is: a long healthy run makes it the first again."""
        served_seconds = 0.0
        if self.record.ready_at is not None:
            served_seconds = (self.record.ended_at or time.time()) - self.record.ready_at
        return 1 if served_seconds >= HEALTHY_SECONDS else self.record.restarts + 1

    def prepare_restart(self) -> bool:
        """Count and slow down restarts. False when there were too many."""
        restarts = self.next_restart()
        if self.service.gives_up and restarts > MAX_RESTARTS:
            self.note(**states.failed(_crash_loop(restarts)))
            return False
        self.note(**states.restarting(restarts))
        pause_seconds = FIRST_PAUSE_SECONDS * 2 ** min(restarts - 1, MOST_DOUBLED)
        time.sleep(min(pause_seconds, self.service.longest_pause_seconds))
        return True

    def start(self) -> subprocess.Popen[bytes]:
        handle = self.log.begin()
        self.oom_kills_before = memory_events.oom_kills()
        try:
            self.process = subprocess.Popen(
                self.service.command(self.spec),
                stdin=subprocess.DEVNULL,
                stdout=handle,
                stderr=subprocess.STDOUT,
                cwd=self.service.folder,
                env=environment(self.service, self.spec),
                start_new_session=True,
            )
        finally:
            os.close(handle)
        seen = read_process(self.process.pid)
        self.note(
            pid=self.process.pid,
            pgid=self.process.pid,
            start_time_ticks=seen.start_time_ticks if seen else None,
            boot_id=boot_id(),
            host_start=host_start(),
            **states.started(self.service.first_check),
        )
        # Not in the loop below: an answer that is waited for must not let the log grow.
        threading.Thread(target=self.keep_log, daemon=True).start()
        return self.process

    def keep_log(self) -> None:
        while True:
            with contextlib.suppress(OSError):
                self.log.keep_below(self.spec.log_max_mib * MIB)
            time.sleep(POLL_SECONDS)

    def keep_record(self) -> None:
        """Write the record again when it vanished, was damaged, or says what is not so."""
        seen = self.service.record()
        same = seen is not None and seen.identity == self.record.identity
        if not same or (seen and seen.phase not in (self.record.phase, "stopping")):
            with contextlib.suppress(OSError):  # a full disk must not end a healthy service
                self.note()

    def watch(self, process: subprocess.Popen[bytes]) -> None:
        """Until the service ends; meanwhile find out when it serves."""
        began, most_seconds = time.monotonic(), self.service.most_start_seconds
        while process.poll() is None:
            self.keep_record()
            if self.record.ready_at is None:
                self.probe()
                if most_seconds is not None and time.monotonic() - began >= most_seconds:
                    self.sweep_unready()
            time.sleep(POLL_SECONDS)

    def sweep_unready(self) -> None:
        """It hangs on its way; a probe may just have passed."""
        if self.record.ready_at is None:
            self.sweep()

    def probe(self) -> None:
        tree = self.service.processes()
        seen = self.service.probe(self.spec, tree, tell=self.note_waiting)
        if seen.waiting_for is None:
            self.note(**states.ready(**seen.proof))
        else:
            self.note_waiting(seen.waiting_for)

    def note_waiting(self, check: str) -> None:
        if check != self.record.waiting_for:
            self.note(**states.waiting(self.record.checks_since, check))

    def stop(self) -> int:
        with contextlib.suppress(OSError):  # a full disk must not keep a service alive
            self.note(**states.stopping())
        removed = self.sweep().shared_memory_removed
        with contextlib.suppress(OSError):
            self.note_end(shared_memory_removed=removed, **states.stopped(reasons.REQUESTED))
        return EXIT_STOPPED

    def note_end(self, **changes: Any) -> None:
        exit_code, signal_name = self.exit_status()
        self.note(
            exit_code=exit_code,
            signal=signal_name,
            oom_kills=self.oom_kills(),
            ended_at=time.time(),
            **changes,
        )

    def write_exit(self) -> int:
        # Some end with status 0 after they broke: only a request makes an end a good one.
        failure = self.failure() if self.service.gives_up else None
        self.note(**(states.failed(failure) if failure else states.stopped(states.CRASHED)))
        return EXIT_FINAL if failure else EXIT_RESTART

    def failure(self) -> str | None:
        """Why it is not started again, None where it is."""
        if self.record.ready_at is None and self.record.restarts == 0:
            return states.DIED_STARTING
        if self.next_restart() > MAX_RESTARTS:
            return _crash_loop(self.next_restart())
        return None

    def oom_kills(self) -> int | None:
        """How many processes of this host the kernel killed for want of memory since the start."""
        now = memory_events.oom_kills()
        if now is None or self.oom_kills_before is None:
            return None
        return max(0, now - self.oom_kills_before)

    def exit_status(self) -> tuple[int | None, str | None]:
        """Exit code and signal name of the main process; both None when it never started."""
        if self.process is None:
            return None, None
        try:
            code = self.process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            return None, None
        return (code, None) if code >= 0 else (None, signal.Signals(-code).name)


def _crash_loop(ends: int) -> str:
    minutes = HEALTHY_SECONDS / 60
    return f"crash loop: it ended {ends} times without serving for {minutes:g} minutes in between"


def _request_stop(number: int, frame: FrameType | None) -> None:
    raise StopRequested


def main(service: Service[Any]) -> int:
    """Run the service in its folder; returns the exit status for the supervisor."""
    spec = service.spec()
    if spec is None:
        sys.stderr.write(f"{service.folder} holds no readable spec.json: start it anew.\n")
        return EXIT_FINAL
    signal.signal(signal.SIGTERM, _request_stop)
    # What it compiles and downloads is run again: nobody else may write there.
    os.umask(0o077)
    return Launch(service, spec).run()
