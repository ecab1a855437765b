# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What can be done with a server: look at it, wait for it, start it, end it."""

from __future__ import annotations

import time
from typing import Any, Callable

from . import library, phases, ports, vram
from .gpus import Report
from .processes import SERVER_MARKER, Process, alive, carrying, environment_of, stop_tree
from .records import Record, write
from .servers import Layout, Server, Spec
from .supervisors import Program, Supervisor, every

LAUNCHER_GRACE_SECONDS = 15.0
POLL_SECONDS = 0.3
LOG_BYTES_FOR_PHASE = 64 * 1024
LOG_BYTES = 1024 * 1024
FINAL_PHASES = ("running", "stopped", "error", "unknown")


def observe(server: Server) -> dict[str, Any]:
    """The server as it is now: its record, set right by a look at the process table.

    `phase` is starting, running, stopping, stopped, error, or unknown (alive without a record);
    `progress` is a line for a person; `processes` counts all living ones, orphans included.
    """
    # The record comes last: a launcher that is gone by now has written how its server ended.
    tree, launched = server.processes(), bool(server.launchers())
    record = server.record()
    shown = record or Record(name=server.name, server_id=server.id)
    phase, reason = _phase(record, tree, launched)
    listening = bool(shown.port and ports.listeners(shown.port, tree))
    return {
        "name": server.name,
        "phase": phase,
        "reason": reason,
        "progress": _progress(server, shown, phase, reason),
        "alive": alive(shown.identity),
        "processes": len(tree),
        "pid": shown.pid,
        "pgid": shown.pgid,
        "port": shown.port,
        "port_bound": listening,
        "model": shown.model,
        "supervisor": shown.supervisor,
        "exit_code": shown.exit_code,
        "signal": shown.signal,
        "restarts": shown.restarts,
        "completion": shown.completion,
        "started_at": shown.started_at,
        "ready_at": shown.ready_at,
        "ended_at": shown.ended_at,
        "seconds": round(_seconds(shown), 1),
        "spec_hash": shown.spec_hash,
        "log_path": str(server.log),
    }


def _phase(record: Record | None, tree: list[Process], launched: bool) -> tuple[str, str | None]:
    """The recorded phase where it can still be true, else what must have happened since."""
    if record is None:
        return ("unknown", "it is alive and its record is missing") if tree else ("stopped", None)
    age = time.time() - (record.started_at or 0)
    if record.phase == "starting":
        if launched or alive(record.identity):
            return "starting", None
        if record.pid is not None:
            return "error", "died during startup"
        if age > LAUNCHER_GRACE_SECONDS:
            return "error", "the supervisor did not start the launcher"
        return "starting", None
    if record.phase == "running" and not alive(record.identity):
        return "stopped", "crashed"
    if record.phase == "stopping" and not (launched or tree):
        return "stopped", "requested"
    return record.phase, record.reason


def _progress(server: Server, record: Record, phase: str, reason: str | None) -> str:
    if phase != "starting":
        return f"{phase}: {reason}" if reason else phase
    if record.waiting_for in ("health", "model", "completion"):
        return f"waiting for the first {record.waiting_for} answer"
    if record.pid is None:
        return f"waiting before restart {record.restarts}" if record.restarts else "launching"
    return phases.current(read_log(server, LOG_BYTES_FOR_PHASE)) or "importing vLLM"


def _seconds(record: Record) -> float:
    """How long the start took, or has taken until now."""
    if record.started_at is None:
        return 0.0
    return (record.ready_at or record.ended_at or time.time()) - record.started_at


def read_log(server: Server, max_bytes: int = LOG_BYTES) -> str:
    """The end of the log of the latest start; empty when there is none."""
    record = server.record()
    try:
        with server.log.open("rb") as stream:
            size = stream.seek(0, 2)
            stream.seek(max(record.log_offset if record else 0, size - max_bytes))
            return stream.read().decode(errors="replace")
    except OSError:
        return ""


def log_tail(server: Server, lines: int) -> list[str]:
    """The last lines of the log of the latest start."""
    return read_log(server).splitlines()[-lines:] if lines > 0 else []


def wait_for_change(
    server: Server,
    known_progress: str | None,
    seconds: float,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> dict[str, Any]:
    """Observe until the progress differs from what is known, the start ends, or time is up."""
    deadline = clock() + seconds
    while True:
        seen = observe(server)
        if seen["phase"] in FINAL_PHASES or seen["progress"] != known_progress:
            return seen
        if clock() >= deadline:
            return seen
        sleep(POLL_SECONDS)


def wait_until_settled(server: Server, seconds: float) -> dict[str, Any]:
    """Observe until the start has succeeded or failed, or time is up."""
    deadline = time.monotonic() + seconds
    seen = observe(server)
    while seen["phase"] not in FINAL_PHASES and time.monotonic() < deadline:
        left = deadline - time.monotonic()
        seen = wait_for_change(server, seen["progress"], min(left, 5.0))
    return seen


def others_alive(server: Server) -> bool:
    """Whether another server of ours lives on this host."""
    ids = {environment_of(process.pid).get(SERVER_MARKER) for process in carrying(SERVER_MARKER)}
    return bool(ids - {server.id, None})


def start(layout: Layout, spec: Spec, supervisor: Supervisor, report: Report) -> None:
    """Write down what is wanted and have the supervisor run it. The old tree must be gone."""
    server = layout.server(spec.name)
    library.ship(layout.library)
    server.write_spec(spec)
    vram.remember(layout.baseline, spec.name, report, others_alive(server))
    fresh = Record(
        name=spec.name,
        server_id=server.id,
        port=spec.port,
        model=spec.model,
        spec_hash=spec.hash,
        supervisor=supervisor.name,
        started_at=time.time(),
        log_offset=server.log.stat().st_size if server.log.exists() else 0,
    )
    write(server.record_path, fresh)
    supervisor.install(Program(server, layout, spec.stop_timeout_seconds))
    supervisor.start(server)


def is_present(layout: Layout, server: Server) -> bool:
    """Whether anything of the server is left to end: a process, or a program in a supervisor."""
    known = any(supervisor.installed(server) for supervisor in every(layout))
    return known or bool(server.processes() or server.launchers())


def end(layout: Layout, server: Server, timeout_seconds: float) -> list[Process]:
    """Take the server from its supervisor and end its whole tree. Returns what is still alive.

    Needs no record: the marker finds the processes. The supervisor goes first, or it would start
    the launcher again; the launcher ends the server, and what neither knows is swept after them.
    """
    for supervisor in every(layout):
        supervisor.stop_and_remove(server)
    left = stop_tree(lambda: [*server.launchers(), *server.processes()], timeout_seconds)
    record = server.record()
    if record is not None and not left and record.phase != "stopped":
        write(server.record_path, record, phase="stopped", reason=record.reason or "requested")
    return left
