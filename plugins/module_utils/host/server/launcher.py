# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Our launcher: runs under the host's supervisor, one per server, and owns the server's tree.

    python3 -m inferops_host.host.server.launcher SERVER_FOLDER

It sweeps what is left of an earlier tree, starts the server in its own session, asks it for a
completion until one comes, waits for its end, sweeps again and writes down how it ended. Its exit
status tells the supervisor what to do next: only a server that once answered is started again.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from types import FrameType
from typing import Any

from ...common import reasons
from ..engines.vllm.caches import inductor_cache
from ..machine import memory_events
from ..machine.processes import boot_id, host_start, read_process
from . import readiness, records
from .layout import Server
from .logs import Log
from .spec import Spec
from .sweeping import Ended, sweep
from .tree import LAUNCHER_MARKER, SERVER_MARKER

EXIT_STOPPED = 0
EXIT_RESTART = 75
EXIT_FINAL = 78
EXIT_BROKEN = 1
"""Exit statuses: stopped on request; start it again; never start it again (sysexits.h), neither
when Python itself gives up, as it does where the launcher's own files are damaged."""

MAX_RESTARTS = 5
HEALTHY_SECONDS = 600.0
"""After serving this long an end counts as the first again."""

FIRST_PAUSE_SECONDS = 2.0
LONGEST_PAUSE_SECONDS = 60.0
POLL_SECONDS = 0.5
ENGINE_READY_SECONDS = 600
"""How long vLLM waits for its engine when VLLM_ENGINE_READY_TIMEOUT_S does not say it."""

SOCKET_NAME_LENGTH = 36
"""vLLM names its sockets by UUIDs. The whole path may have 107 bytes, unix(7)."""

NOT_INHERITED = ("PYTHONPATH", LAUNCHER_MARKER, "VLLM_PORT")
"""Ours, or of a cluster: Kubernetes sets VLLM_PORT to an address beside a service named vllm."""

MIB = 1024 * 1024


class StopRequested(BaseException):
    """The supervisor wants the server stopped. Not an Exception: no check may swallow it."""


def server_environment(
    server: Server,
    own: Mapping[str, str],
    asked: Mapping[str, str],
    command: list[str],
    wait_timeout_seconds: int = 0,
) -> dict[str, str]:
    """The environment of the server: ours without our own variables, then what was asked for.

    The engine gets as much time to load as the start as a whole.

    SPT_NOENV keeps setproctitle, which vLLM uses to rename its processes, from writing the new
    title over the environment that /proc shows: the marker would be lost with it.
    """
    environment = {key: value for key, value in own.items() if key not in NOT_INHERITED}
    environment.setdefault("HOME", pwd.getpwuid(os.getuid()).pw_dir)
    environment.setdefault("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
    # Compilers and tools of the virtual environment (ninja) are looked up by name.
    environment["PATH"] = f"{Path(command[0]).parent}:{environment['PATH']}"
    environment["NO_COLOR"] = "1"
    # A worker that dies of a fault says so itself: vLLM often finds no exit code for it.
    environment["PYTHONFAULTHANDLER"] = "1"
    if wait_timeout_seconds > ENGINE_READY_SECONDS:
        environment["VLLM_ENGINE_READY_TIMEOUT_S"] = str(wait_timeout_seconds)
    environment.update(asked)
    environment["SPT_NOENV"] = "1"
    environment[SERVER_MARKER] = server.id
    return environment


def temporary_folder(server: Server) -> dict[str, str]:
    """Variables that keep the server's temporary files together: vLLM leaves some of them behind.

    None where the folder cannot be made, or cannot hold sockets with the names that vLLM gives.
    What torch compiles would lie there too: it stays where the next start finds it. So do Ray's
    sockets, whose paths are longer.
    """
    probe = server.temporary / ("x" * SOCKET_NAME_LENGTH)
    try:
        server.temporary.mkdir(mode=0o700, exist_ok=True)
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(probe))
        probe.unlink()
    except OSError:
        return {}
    usual = tempfile.gettempdir()
    return {
        "RAY_TMPDIR": os.environ.get("RAY_TMPDIR", usual),
        "TORCHINDUCTOR_CACHE_DIR": os.environ.get("TORCHINDUCTOR_CACHE_DIR", str(inductor_cache())),
        "TMPDIR": str(server.temporary),
    }


class Launch:
    """One start of one server, from the sweep before it to the sweep after it."""

    def __init__(self, server: Server, spec: Spec) -> None:
        self.server, self.spec, self.log = server, spec, Log(server.log)
        self.record = server.record() or server.new_record(spec)
        if records.host_restarted(self.record):
            # It did not crash: it is started because the host is back. Had it been stopped for
            # good before that, no supervisor would know it any more.
            self.record = server.new_record(spec)
        # The module writes a record without a PID before it asks the supervisor to start.
        self.is_restart = self.record.pid is not None
        self.process: subprocess.Popen[bytes] | None = None
        self.oom_kills_before: int | None = None

    def note(self, **changes: Any) -> None:
        self.record = records.write(self.server.record_path, self.record, **changes)

    def sweep(self) -> Ended:
        timeout_seconds = self.spec.stop_timeout_seconds
        ended = sweep(self.server.processes, timeout_seconds, self.record.started_at)
        if not ended.left:
            self.server.clear_temporary()
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
            # meet too, for ever: no server without a launcher.
            self.sweep()
            with contextlib.suppress(OSError):
                self.note(phase="error", reason=f"it cannot be run here: {error}")
            return EXIT_FINAL

    def next_restart(self) -> int:
        """Which restart the next one is: a long healthy run makes it the first again."""
        served_seconds = 0.0
        if self.record.ready_at is not None:
            served_seconds = (self.record.ended_at or time.time()) - self.record.ready_at
        return 1 if served_seconds >= HEALTHY_SECONDS else self.record.restarts + 1

    def prepare_restart(self) -> bool:
        """Count and slow down restarts. False when there were too many."""
        restarts = self.next_restart()
        if restarts > MAX_RESTARTS:
            self.note(phase="error", reason=_crash_loop(restarts))
            return False
        self.note(
            phase="starting",
            restarts=restarts,
            pid=None,
            ready_at=None,
            reason=None,
            waiting_for=None,
            checks_since=None,
        )
        time.sleep(min(FIRST_PAUSE_SECONDS * 2 ** (restarts - 1), LONGEST_PAUSE_SECONDS))
        return True

    def start(self) -> subprocess.Popen[bytes]:
        handle = self.log.begin()
        self.oom_kills_before = memory_events.oom_kills()
        environment = server_environment(
            self.server,
            {**os.environ, **temporary_folder(self.server)},
            self.spec.environment,
            self.spec.command,
            self.spec.wait_timeout_seconds,
        )
        try:
            self.process = subprocess.Popen(
                self.spec.command,
                stdin=subprocess.DEVNULL,
                stdout=handle,
                stderr=subprocess.STDOUT,
                cwd=self.server.folder,
                env=environment,
                start_new_session=True,
            )
        finally:
            os.close(handle)
        seen = read_process(self.process.pid)
        self.note(
            phase="starting",
            pid=self.process.pid,
            pgid=self.process.pid,
            start_time_ticks=seen.start_time_ticks if seen else None,
            boot_id=boot_id(),
            host_start=host_start(),
            exit_code=None,
            signal=None,
            oom_kills=None,
            ended_at=None,
            waiting_for="port",
            checks_since={"port": time.time()},
        )
        # Not in the loop below: a completion that is waited for must not let the log grow.
        threading.Thread(target=self.keep_log, daemon=True).start()
        return self.process

    def keep_log(self) -> None:
        while True:
            with contextlib.suppress(OSError):
                self.log.keep_below(self.spec.log_max_mib * MIB)
            time.sleep(POLL_SECONDS)

    def keep_record(self) -> None:
        """Write the record again when it vanished, was damaged, or says what is not so."""
        seen = self.server.record()
        same = seen is not None and seen.identity == self.record.identity
        if not same or (seen and seen.phase not in (self.record.phase, "stopping")):
            with contextlib.suppress(OSError):  # a full disk must not end a healthy server
                self.note()

    def watch(self, process: subprocess.Popen[bytes]) -> None:
        """Until the server ends; meanwhile find out when it serves."""
        while process.poll() is None:
            self.keep_record()
            if self.record.ready_at is None:
                self.probe()
            time.sleep(POLL_SECONDS)

    def probe(self) -> None:
        seen = readiness.check(
            self.server.processes(),
            self.spec.host,
            self.spec.port,
            self.spec.served_model_name,
            self.spec.environment.get("VLLM_API_KEY"),
            self.spec.completion_seconds,
            tell=self.note_waiting,
        )
        if seen.waiting_for is None:
            self.note(
                phase="running",
                ready_at=time.time(),
                completion=seen.completion,
                waiting_for=None,
            )
        else:
            self.note_waiting(seen.waiting_for)

    def note_waiting(self, check: str) -> None:
        if check != self.record.waiting_for:
            self.note(**records.waiting(self.record, check))

    def stop(self) -> int:
        with contextlib.suppress(OSError):  # a full disk must not keep a server alive
            self.note(phase="stopping")
        removed = self.sweep().shared_memory_removed
        with contextlib.suppress(OSError):
            self.note_end(phase="stopped", reason=reasons.REQUESTED, shared_memory_removed=removed)
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
        # vLLM ends with status 0 after its engine died: only a request makes an end a good one.
        if self.record.ready_at is None and self.record.restarts == 0:
            phase, reason, status = "error", "died during startup", EXIT_FINAL
        elif self.next_restart() > MAX_RESTARTS:
            phase, reason, status = "error", _crash_loop(self.next_restart()), EXIT_FINAL
        else:
            phase, reason, status = "stopped", "crashed", EXIT_RESTART
        self.note(phase=phase, reason=reason)
        return status

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


def main(arguments: list[str]) -> int:
    """Run the server in the folder given as the only argument."""
    server = Server(Path(arguments[0]))
    spec = server.spec()
    if spec is None:
        sys.stderr.write(f"{server.folder} holds no readable spec.json: start the server anew.\n")
        return EXIT_FINAL
    signal.signal(signal.SIGTERM, _request_stop)
    return Launch(server, spec).run()


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
