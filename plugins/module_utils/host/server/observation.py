# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A server as it is now: its record, set right by a look at the process table.

A record that the process table contradicts is corrected, one that is lost or damaged is written
anew from the living tree, and both are kept: a later look, after a restart of the host even, must
say the same. While a launcher lives, the record is its own to write.
"""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any, Callable

from ...common import reasons
from ..engines.vllm import phases
from ..machine import locks, ports
from ..machine.processes import Process, alive, command_line, started_at
from ..supervisors.choice import is_installed
from ..supervisors.supervisord import Supervisord
from . import readiness, records
from .layout import Layout, Server
from .logs import Log
from .records import Record

LAUNCHER_GRACE_SECONDS = 15.0
REWRITE_SECONDS = 1.5
QUICK_COMPLETION_SECONDS = 10.0
POLL_SECONDS = 0.3
LOG_BYTES_FOR_PHASE = 64 * 1024
FINAL_PHASES = ("running", "stopped", "error", "unknown")
LOST = "record and specification are lost, it cannot be told what runs: stop it"
HOST_RESTARTED = "the host was restarted"
ORPHANS = "its record is lost and its main process is gone, others of it live: stop it"


def observe(server: Server, keep: bool = True) -> dict[str, Any]:
    """What is so. A corrected record is written unless `keep` is false (check mode).

    `phase` is starting, running, stopping, stopped, error, or unknown (alive, and no record can be
    made); `progress` is a line for a person; `processes` counts all living ones, orphans included.
    """
    # The record comes last: a launcher that is gone by now has written how its server ended.
    tree, launchers = server.processes(), server.launchers()
    kept = _record(server, bool(launchers))
    record = kept or _adopted(server, tree)
    if record is None:
        shown = Record(name=server.name, server_id=server.id)
        phase, reason = _without_record(server, tree, launchers)
    else:
        shown = _settled(server, record, tree, bool(launchers))
        phase, reason = shown.phase, shown.reason
        if keep and not launchers and shown != kept:
            _store(server, kept, shown)
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
        "port_bound": bool(shown.port and ports.listeners(shown.port, tree)),
        "model": shown.model,
        "supervisor": shown.supervisor,
        "supervised": any(_is_kept(launcher, shown) for launcher in launchers),
        "exit_code": shown.exit_code,
        "signal": shown.signal,
        "oom_kills": shown.oom_kills,
        "restarts": shown.restarts,
        "completion": shown.completion,
        **_waiting(shown, phase),
        "started_at": shown.started_at,
        "ready_at": shown.ready_at,
        "ended_at": shown.ended_at,
        "seconds": round(_seconds(shown), 1),
        "spec_hash": shown.spec_hash,
        "log_path": str(server.log),
    }


def _record(server: Server, launched: bool) -> Record | None:
    """The record; a living launcher gets a moment to write one that is lost, or how it ended."""
    deadline = time.monotonic() + REWRITE_SECONDS
    while True:
        record = server.record()
        overdue = record is None or (
            record.phase == "running" and record.ended_at is None and not alive(record.identity)
        )
        if not (launched and overdue) or time.monotonic() >= deadline:
            return record
        time.sleep(POLL_SECONDS)


def _adopted(server: Server, tree: list[Process]) -> Record | None:
    """A record made from the living tree and the specification, or None when that cannot be."""
    spec, main = server.spec(), main_process(tree)
    if spec is None or main is None:
        return None
    return replace(
        server.new_record(spec),
        pid=main.pid,
        start_time_ticks=main.start_time_ticks,
        pgid=main.pgid,
        started_at=started_at(main),
    )


def main_process(tree: list[Process]) -> Process | None:
    """The first of the tree: it leads a session, and its parent (the launcher) is outside of it."""
    members = {process.pid for process in tree}
    first = min((process.start_time_ticks for process in tree), default=0)
    for process in tree:
        leads = process.sid == process.pid and process.ppid not in members
        if leads and process.start_time_ticks == first:
            return process
    return None


def _without_record(
    server: Server, tree: list[Process], launchers: list[Process]
) -> tuple[str, str | None]:
    if tree:
        return "unknown", LOST if server.spec() is None else ORPHANS
    if launchers:
        return "starting", None
    damaged = "its record is damaged and no process of it lives"
    return "stopped", damaged if server.record_path.exists() else None


def _settled(server: Server, record: Record, tree: list[Process], launched: bool) -> Record:
    """The record where it can still be true, else what must have happened since."""
    lives = alive(record.identity)
    if record.phase == "stopped" and ended_with_host(server, record):
        return replace(record, reason=HOST_RESTARTED)
    if record.phase in ("stopped", "error") or (launched and record.phase != "running"):
        return record
    if records.host_restarted(record) and not lives:
        asked = record.phase == "stopping" and not ended_with_host(server, record)
        return _ended(record, "stopped", reasons.REQUESTED if asked else HOST_RESTARTED)
    if record.phase == "stopping":
        return record if tree else _ended(record, "stopped", reasons.REQUESTED)
    if record.phase == "running":
        return record if lives else _ended(record, "stopped", "crashed")
    if lives:
        return _promoted(server, record, tree)
    if record.pid is not None:
        return _ended(record, "error", "died during startup")
    if time.time() - (record.started_at or 0) > LAUNCHER_GRACE_SECONDS:
        return _ended(record, "error", "the supervisor did not start the launcher")
    return record


def ended_with_host(server: Server, record: Record) -> bool:
    """Whether the host that went down asked for the end: our own stop takes the program away."""
    asked = record.phase == "stopping" or record.reason == reasons.REQUESTED
    layout = Layout(server.folder.parent.parent)
    return asked and records.host_restarted(record) and is_installed(layout, server)


def _ended(record: Record, phase: str, reason: str) -> Record:
    """The moment of the end is not known, only that of the look that found it."""
    return replace(record, phase=phase, reason=reason, ended_at=record.ended_at or time.time())


def _promoted(server: Server, record: Record, tree: list[Process]) -> Record:
    """A server that starts and has no launcher to watch it: does it serve by now?"""
    spec = server.spec()
    if spec is None:
        return record
    answer = readiness.check(
        tree,
        spec.host,
        spec.port,
        spec.served_model_name,
        spec.environment.get("VLLM_API_KEY"),
        QUICK_COMPLETION_SECONDS,
    )
    if answer.waiting_for is not None:
        return replace(record, **records.waiting(record, answer.waiting_for))
    return replace(
        record,
        phase="running",
        ready_at=time.time(),
        waiting_for=None,
        completion=answer.completion,
    )


def _store(server: Server, before: Record | None, corrected: Record) -> None:
    """Write the corrected record, unless somebody else has a hand on the server just now."""
    try:
        with locks.held(server.lock, wait_seconds=0):
            if server.record() == before and not server.launchers():
                records.write(server.record_path, corrected)
    except (locks.Busy, OSError):
        pass  # what they write is newer, or the disk is full: the next look tries again


def _progress(server: Server, record: Record, phase: str, reason: str | None) -> str:
    if phase != "starting":
        return f"{phase}: {reason}" if reason else phase
    if record.waiting_for in ("health", "model", "completion"):
        return f"waiting for the first {record.waiting_for} answer"
    if record.pid is None:
        return f"waiting before restart {record.restarts}" if record.restarts else "launching"
    return phases.current(Log(server.log).tail(LOG_BYTES_FOR_PHASE)) or "importing vLLM"


def _is_kept(launcher: Process, record: Record) -> bool:
    """Whether the launcher is still a child of our supervisord, which it outlives when need be."""
    ours = Layout(Path(record.server_id).parent.parent).supervisor
    return record.supervisor != Supervisord.name or str(ours) in command_line(launcher.ppid)


def _waiting(record: Record, phase: str) -> dict[str, Any]:
    """The furthest check of a start and for how long it was asked in vain; none after the start.

    An answer that comes and goes counts from when it was first asked for.
    """
    asked = phase == "starting" and alive(record.identity)  # else they are of the start before
    since = (record.checks_since or {}) if asked else {}
    reached = [check for check in readiness.CHECKS if check in since]
    if not reached:
        return {"waiting_for": None, "waiting_seconds": None}
    seconds = round(time.time() - since[reached[-1]], 1)
    return {"waiting_for": reached[-1], "waiting_seconds": seconds}


def _seconds(record: Record) -> float:
    """How long the start took, or has taken until now."""
    if record.started_at is None:
        return 0.0
    return (record.ready_at or record.ended_at or time.time()) - record.started_at


def wait_for_change(
    server: Server,
    known_progress: str | None,
    seconds: float,
    keep: bool = True,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> dict[str, Any]:
    """Observe until the progress differs from what is known, the start ends, or time is up."""
    deadline = clock() + seconds
    while True:
        seen = observe(server, keep)
        if seen["phase"] in FINAL_PHASES or seen["progress"] != known_progress:
            return seen
        if clock() >= deadline:
            return seen
        sleep(POLL_SECONDS)
