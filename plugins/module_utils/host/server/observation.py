# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A model server as it is now, for a result: what a look says of it, and how its start goes."""

from __future__ import annotations

import time
from typing import Any, Callable

from ..machine import ports
from ..machine.processes import alive
from ..service.logs import Log
from ..service.observation import look
from . import readiness
from .layout import Server
from .record import ServerRecord

POLL_SECONDS = 0.3
LOG_BYTES_FOR_PHASE = 64 * 1024
FINAL_PHASES = ("running", "stopped", "error", "unknown")


def observe(server: Server, keep: bool = True) -> dict[str, Any]:
    """What is so. A corrected record is written unless `keep` is false (check mode).

    `phase` is starting, running, stopping, stopped, error, or unknown (alive, and no record can be
    made); `progress` is a line for a person; `processes` counts all living ones, orphans included.
    """
    phase, reason, shown, tree, supervised = look(server, keep)
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
        "supervised": supervised,
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


def _progress(server: Server, record: ServerRecord, phase: str, reason: str | None) -> str:
    if phase != "starting":
        return f"{phase}: {reason}" if reason else phase
    if record.waiting_for in ("health", "model", "completion"):
        return f"waiting for the first {record.waiting_for} answer"
    if record.pid is None:
        return f"waiting before restart {record.restarts}" if record.restarts else "launching"
    return server.engine().progress(Log(server.log).tail(LOG_BYTES_FOR_PHASE))


def _waiting(record: ServerRecord, phase: str) -> dict[str, Any]:
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


def _seconds(record: ServerRecord) -> float:
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
