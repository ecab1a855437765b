# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What can be done with a server: start it, end it."""

from __future__ import annotations

import contextlib
import time

from ...common.reasons import REQUESTED
from ..gpus.report import Report
from ..machine import locks, ports
from ..machine.files import read_json, write_json
from ..machine.processes import carrying, environment_of, started_at
from ..supervisors.choice import every, is_installed
from ..supervisors.supervisor import Program, Supervisor
from . import library, readiness, vram
from .layout import Layout, Server
from .records import Record, write
from .spec import Spec
from .sweeping import Ended, sweep
from .tree import SERVER_MARKER


def others(server: Server) -> list[str]:
    """The other servers of ours that live on this host: each one's id, and since when it lives."""
    since: dict[str, int] = {}
    for process in carrying(SERVER_MARKER):
        other = environment_of(process.pid).get(SERVER_MARKER)
        if other not in (server.id, None):
            since[other] = min(process.start_time_ticks, since.get(other, process.start_time_ticks))
    return [f"{other} {ticks}" for other, ticks in sorted(since.items())]


CLAIM_SECONDS = 120
"""How long a port that was given out waits for its server, which may have to end an old one."""


def claim_port(layout: Layout, server: Server, host: str) -> int | None:
    """The port for `auto`, kept for this server until it is seen to start. Raises locks.Busy."""
    with locks.held(layout.home / "locks" / ".ports", CLAIM_SECONDS):
        port = choose_port(layout, server, host)
        claims = {name: claim for name, claim in _claims(layout).items() if name != server.name}
        if port is not None:
            claims[server.name] = port, time.time()
        with contextlib.suppress(OSError):  # on a full disk the start itself says so
            write_json(layout.port_claims, claims)
    return port


def choose_port(layout: Layout, server: Server, host: str) -> int | None:
    """The port that `auto` would mean now, None when there is none: see ports.choose."""
    others = [other.spec() for other in layout.servers() if other != server and _is_wanted(other)]
    claimed = {port for name, (port, _at) in _claims(layout).items() if name != server.name}
    own = server.spec()
    return ports.choose(
        readiness.loopback_for(host),
        own.port if own else None,
        server.processes(),
        {spec.port for spec in others if spec} | claimed,
    )


def _claims(layout: Layout) -> dict[str, tuple[int, float]]:
    """Port and time of claim by the name of the server. Its start, once recorded, ends a claim."""
    found = {}
    for name, (port, claimed_at) in (read_json(layout.port_claims) or {}).items():
        record = layout.server(name).record()
        since = max(time.time() - CLAIM_SECONDS, (record and record.started_at) or 0)
        if claimed_at > since:
            found[name] = port, claimed_at
    return found


def _is_wanted(server: Server) -> bool:
    """Whether it lives, or was started so lately that no process of it can be seen yet."""
    record = server.record()
    return bool(server.processes()) or (record is not None and record.phase == "starting")


def start(layout: Layout, spec: Spec, supervisor: Supervisor, report: Report) -> None:
    """Write down what is wanted and have the supervisor run it. The old tree must be gone."""
    server = layout.server(spec.name)
    library.ship(layout.library)
    server.write_spec(spec)
    vram.remember(layout.baseline, spec.name, report, others(server))
    write(server.record_path, server.new_record(spec))
    supervisor.install(Program(server, layout, spec.stop_timeout_seconds))
    supervisor.start(server)


def is_present(layout: Layout, server: Server) -> bool:
    """Whether anything of the server is left to end: a process, or a program in a supervisor."""
    known = is_installed(layout, server)
    return known or bool(server.processes() or server.launchers())


def end(layout: Layout, server: Server, timeout_seconds: float, reason: str = REQUESTED) -> Ended:
    """Take the server from its supervisor and end its whole tree. Says what is still alive.

    Needs no record: the marker finds the processes. The supervisor goes first, or it would start
    the launcher again; the launcher ends the server, and what neither knows is swept after them.
    """
    before = server.record()
    since = _started_at(server, before)
    for supervisor in every(layout):
        supervisor.stop_and_remove(server)
    if not server.launchers():
        # If this run is killed on its way, a later look knows that the end was asked for.
        _note(server, "stopping", None)
    ended = sweep(lambda: [*server.launchers(), *server.processes()], timeout_seconds, since)
    if not ended.left:
        server.clear_temporary()
        _note(server, "stopped", reason)
    removed, record = list(ended.shared_memory_removed), server.record()
    if before is not None and before.phase != "stopped" and record is not None:
        removed += record.shared_memory_removed or []  # by the launcher, when it was stopped
    return Ended(ended.left, removed)


def _note(server: Server, phase: str, reason: str | None) -> None:
    """Write down how far the end has come, also in place of a damaged record."""
    record = server.record()
    if record is None and server.record_path.exists():
        record = Record(name=server.name, server_id=server.id)
    if record is None or (record.phase == "stopped" and reason in (None, REQUESTED)):
        return
    # The launcher knows only that it was asked to stop.
    known = None if record.reason == REQUESTED else record.reason
    with contextlib.suppress(OSError):  # a full disk must not keep a server alive
        write(server.record_path, record, phase=phase, reason=known or reason)


def _started_at(server: Server, record: Record | None) -> float | None:
    """Since when the server may have left something, None when nobody knows."""
    known = [started_at(process) for process in server.processes()]
    if record is not None and record.started_at is not None:
        known.append(record.started_at)
    return min(known, default=None)
