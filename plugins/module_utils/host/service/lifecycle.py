# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What can be done with a service of any kind: start it, end it."""

from __future__ import annotations

import contextlib
from typing import Any

from ...common.reasons import REQUESTED
from ..machine.processes import started_at
from . import library, states
from .records import Record, write
from .service import Service, Spec
from .supervisors.choice import every, is_installed
from .supervisors.supervisor import Program, Supervisor
from .sweeping import Ended, sweep


def start(service: Service[Any], spec: Spec, supervisor: Supervisor) -> None:
    """Write down what is wanted and have the supervisor run it. The old tree must be gone."""
    library.ship(service)
    service.write_spec(spec)
    write(service.record_path, service.new_record(spec))
    supervisor.install(Program(service, spec.stop_timeout_seconds))
    supervisor.start(service)


def is_present(service: Service[Any]) -> bool:
    """Whether anything of the service is left to end: a process, or a program in a supervisor."""
    return is_installed(service) or bool(service.processes() or service.launchers())


def end(service: Service[Any], timeout_seconds: float, reason: str = REQUESTED) -> Ended:
    """Take the service from its supervisor and end its whole tree. Says what is still alive.

    Needs no record: the marker finds the processes. The supervisor goes first, or it would start
    the launcher again; the launcher ends the service, and what neither knows is swept after them.
    """
    before = service.record()
    since = _started_at(service, before)
    for supervisor in every(service.layout):
        supervisor.stop_and_remove(service)
    if not service.launchers():
        # If this run is killed on its way, a later look knows that the end was asked for.
        _note(service, None)
    ended = sweep(
        lambda: [*service.launchers(), *service.processes()],
        timeout_seconds,
        since,
        service.shared_memory,
    )
    if not ended.left:
        service.clear_temporary()
        _note(service, reason)
    removed, record = list(ended.shared_memory_removed), service.record()
    if before is not None and before.phase != "stopped" and record is not None:
        removed += record.shared_memory_removed or []  # by the launcher, when it was stopped
    return Ended(ended.left, removed)


def _note(service: Service[Any], ended: str | None) -> None:
    """Write down that it is stopping, or why it ended, also in place of a damaged record."""
    record = service.record()
    if record is None and service.record_path.exists():
        record = service.new_record(None)
    if record is None or (record.phase == "stopped" and ended in (None, REQUESTED)):
        return
    # The launcher knows only that it was asked to stop.
    known = None if record.reason == REQUESTED else record.reason
    changes = states.stopped(known or ended) if ended else {**states.stopping(), "reason": known}
    with contextlib.suppress(OSError):  # a full disk must not keep a service alive
        write(service.record_path, record, **changes)


def _started_at(service: Service[Any], record: Record | None) -> float | None:
    """Since when the service may have left something, None when nobody knows."""
    known = [started_at(process) for process in service.processes()]
    if record is not None and record.started_at is not None:
        known.append(record.started_at)
    return min(known, default=None)
