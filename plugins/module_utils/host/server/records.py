# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The record of one server on the host, and the private files around it.

The record is the only memory that a later controller has. It is written whole or not at all,
readable by its owner alone, and never trusted without a look at the process table.
"""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from ..machine.files import read_json, write_json
from ..machine.processes import Identity, boot_id, host_start

PHASES = ("starting", "running", "stopping", "stopped", "error")


@dataclass(frozen=True)
class Record:
    """What is known about one server. Times are seconds since the epoch.

    `pid`, `start_time_ticks`, `boot_id` and `pgid` name the main process. `ready_at` is set once
    a completion was seen. `waiting_for` is the readiness check that fails now, `checks_since` tells
    when each was first asked in this start. `restarts` counts those since the server was asked for,
    or since it last served for long. `host_start` tells restarts of a container apart, which the
    boot id does not. `oom_kills` is how many processes the kernel killed for want of memory while
    the server ran, None when nobody counted.
    """

    name: str
    server_id: str
    phase: str = "starting"
    pid: int | None = None
    start_time_ticks: int | None = None
    boot_id: str | None = None
    host_start: int | None = None
    pgid: int | None = None
    port: int | None = None
    model: str | None = None
    spec_hash: str | None = None
    supervisor: str | None = None
    exit_code: int | None = None
    signal: str | None = None
    oom_kills: int | None = None
    reason: str | None = None
    waiting_for: str | None = None
    checks_since: dict[str, float] | None = None
    completion: str | None = None
    started_at: float | None = None
    ready_at: float | None = None
    ended_at: float | None = None
    updated_at: float | None = None
    restarts: int = 0
    shared_memory_removed: list[str] | None = None

    @property
    def identity(self) -> Identity | None:
        """The main process as it was recorded, or None when none was."""
        if self.pid is None or self.start_time_ticks is None or self.boot_id is None:
            return None
        return Identity(self.pid, self.start_time_ticks, self.boot_id)


def read(path: Path) -> Record | None:
    """The record in this file, or None when it is missing, damaged or of another shape."""
    content = read_json(path)
    known = {field.name for field in fields(Record)}
    if content is None or not {"name", "server_id", "phase"} <= set(content):
        return None
    if content["phase"] not in PHASES:
        return None
    try:
        return Record(**{key: value for key, value in content.items() if key in known})
    except TypeError:
        return None


def host_restarted(record: Record) -> bool:
    """Whether the machine, or the container that is the host, was started since."""
    if record.boot_id is None:
        return False
    return record.boot_id != boot_id() or record.host_start not in (None, host_start())


def waiting(record: Record, check: str) -> dict[str, Any]:
    """The changes to a record whose server waits for this check now. When it began to stays."""
    return {
        "waiting_for": check,
        "checks_since": {check: time.time(), **(record.checks_since or {})},
    }


def write(path: Path, record: Record, **changes: Any) -> Record:
    """Write the record with these changes; returns it as written."""
    written = replace(record, updated_at=time.time(), **changes)
    write_json(path, asdict(written))
    return written
