# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The record of one supervised service: how its latest start goes, or how it ended.

The record is the only memory that a later controller has. It is written whole or not at all,
readable by its owner alone, and never trusted without a look at the process table.
"""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, TypeVar

from ..machine.files import read_json, write_json
from ..machine.processes import Identity, boot_id, host_start
from .states import PHASES


@dataclass(frozen=True)
class Record:
    """What is known about one service. Times are seconds since the epoch.

    `pid`, `start_time_ticks`, `boot_id` and `pgid` name the main process. `ready_at` is set once
    its probe passed. `waiting_for` is the check that fails now, `checks_since` tells when each was
    first asked in this start. `restarts` counts those since the service was asked for, or since it
    last served for long. `host_start` tells restarts of a container apart, which the boot id does
    not. `oom_kills` is how many processes the kernel killed for want of memory while the service
    ran, None when nobody counted.
    """

    name: str
    service_id: str
    phase: str = "starting"
    pid: int | None = None
    start_time_ticks: int | None = None
    boot_id: str | None = None
    host_start: int | None = None
    pgid: int | None = None
    spec_hash: str | None = None
    supervisor: str | None = None
    exit_code: int | None = None
    signal: str | None = None
    oom_kills: int | None = None
    reason: str | None = None
    waiting_for: str | None = None
    checks_since: dict[str, float] | None = None
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


AnyRecord = TypeVar("AnyRecord", bound=Record)


def read(path: Path, shape: type[AnyRecord]) -> AnyRecord | None:
    """The record in this file, or None when it is missing, damaged or of another shape."""
    content = read_json(path)
    known = {field.name for field in fields(shape)}
    if content is None or not {"name", "service_id", "phase"} <= set(content):
        return None
    if content["phase"] not in PHASES:
        return None
    try:
        return shape(**{key: value for key, value in content.items() if key in known})
    except TypeError:
        return None


def host_restarted(record: Record) -> bool:
    """Whether the machine, or the container that is the host, was started since."""
    if record.boot_id is None:
        return False
    return record.boot_id != boot_id() or record.host_start not in (None, host_start())


def write(path: Path, record: AnyRecord, **changes: Any) -> AnyRecord:
    """Write the record with these changes; returns it as written."""
    written = replace(record, updated_at=time.time(), **changes)
    write_json(path, asdict(written))
    return written
