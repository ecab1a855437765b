# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A service as it is now: its record, set right by a look at the process table.

A record that the process table contradicts is corrected, one that is lost or damaged is written
anew from the living tree, and both are kept: a later look, after a restart of the host even, must
say the same. While a launcher lives, the record is its own to write.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any, NamedTuple

from ...common import reasons
from ..machine import locks
from ..machine.processes import Process, alive, command_line, started_at
from . import records, states
from .records import Record
from .service import Service
from .supervisors.choice import is_installed
from .supervisors.supervisord import Supervisord

LAUNCHER_GRACE_SECONDS = 15.0
REWRITE_SECONDS = 1.5
POLL_SECONDS = 0.3
LOST = "record and specification are lost, it cannot be told what runs: stop it"
DAMAGED = "its record is damaged and no process of it lives"
ORPHANS = "its record is lost and its main process is gone, others of it live: stop it"


class Seen(NamedTuple):
    """What is so. `phase` is one of the record's, or unknown: alive, and no record can be made."""

    phase: str
    reason: str | None
    record: Any
    tree: list[Process]
    supervised: bool


def look(service: Service[Any], keep: bool = True) -> Seen:
    """What is so. A corrected record is written unless `keep` is false (check mode)."""
    # The record comes last: a launcher that is gone by now has written how its service ended.
    tree, launchers = service.processes(), service.launchers()
    kept = _record(service, bool(launchers))
    record = kept or _adopted(service, tree)
    if record is None:
        phase, reason = _without_record(service, tree, launchers)
        return Seen(phase, reason, service.new_record(None), tree, bool(launchers))
    corrected = _righted(service, record, tree, bool(launchers))
    if keep and not launchers and corrected != kept:
        _store(service, kept, corrected)
    supervised = any(_is_kept(launcher, service, corrected) for launcher in launchers)
    return Seen(corrected.phase, corrected.reason, corrected, tree, supervised)


def _record(service: Service[Any], launched: bool) -> Any:
    """The record; a living launcher gets a moment to write one that is lost, or how it ended."""
    deadline = time.monotonic() + REWRITE_SECONDS
    while True:
        record = service.record()
        overdue = record is None or (
            record.phase == "running" and record.ended_at is None and not alive(record.identity)
        )
        if not (launched and overdue) or time.monotonic() >= deadline:
            return record
        time.sleep(POLL_SECONDS)


def _adopted(service: Service[Any], tree: list[Process]) -> Any:
    """A record made from the living tree and the specification, or None when that cannot be."""
    spec, main = service.spec(), main_process(tree)
    if spec is None or main is None:
        return None
    return replace(
        service.new_record(spec),
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
    service: Service[Any], tree: list[Process], launchers: list[Process]
) -> tuple[str, str | None]:
    if tree:
        return "unknown", LOST if service.spec() is None else ORPHANS
    if launchers:
        return "starting", None
    return "stopped", DAMAGED if service.record_path.exists() else None


def _righted(service: Service[Any], record: Record, tree: list[Process], launched: bool) -> Record:
    """The record where it can still be true, else what must have happened since."""
    lives = alive(record.identity)
    if record.phase == "stopped" and ended_with_host(service, record):
        return replace(record, reason=states.HOST_RESTARTED)
    if record.phase in states.ENDED or (launched and record.phase != "running"):
        return record
    if records.host_restarted(record) and not lives:
        asked = record.phase == "stopping" and not ended_with_host(service, record)
        return _ended(record, states.stopped(reasons.REQUESTED if asked else states.HOST_RESTARTED))
    if record.phase == "stopping":
        return record if tree else _ended(record, states.stopped(reasons.REQUESTED))
    if record.phase == "running":
        return record if lives else _ended(record, states.stopped(states.CRASHED))
    if lives:
        return _promoted(service, record, tree)
    if record.pid is not None:
        return _ended(record, states.failed(states.DIED_STARTING))
    if time.time() - (record.started_at or 0) > LAUNCHER_GRACE_SECONDS:
        return _ended(record, states.failed(states.NOT_LAUNCHED))
    return record


def ended_with_host(service: Service[Any], record: Record) -> bool:
    """Whether the host that went down asked for the end: our own stop takes the program away."""
    asked = record.phase == "stopping" or record.reason == reasons.REQUESTED
    return asked and records.host_restarted(record) and is_installed(service)


def _ended(record: Record, changes: states.Changes) -> Record:
    """The moment of the end is not known, only that of the look that found it."""
    return replace(record, ended_at=record.ended_at or time.time(), **changes)


def _promoted(service: Service[Any], record: Record, tree: list[Process]) -> Record:
    """A service that starts and has no launcher to watch it: does it serve by now?"""
    spec = service.spec()
    if spec is None:
        return record
    seen = service.probe(spec, tree, quick=True)
    if seen.waiting_for is not None:
        return replace(record, **states.waiting(record.checks_since, seen.waiting_for))
    return replace(record, **states.ready(**seen.proof))


def _store(service: Service[Any], before: Record | None, corrected: Record) -> None:
    """Write the corrected record, unless somebody else has a hand on the service just now."""
    try:
        with locks.held(service.lock, wait_seconds=0):
            if service.record() == before and not service.launchers():
                records.write(service.record_path, corrected)
    except (locks.Busy, OSError):
        pass  # what they write is newer, or the disk is full: the next look tries again


def _is_kept(launcher: Process, service: Service[Any], record: Record) -> bool:
    """Whether the launcher is still a child of our supervisord, which it outlives when need be."""
    ours = service.layout.supervisor
    return record.supervisor != Supervisord.name or str(ours) in command_line(launcher.ppid)
