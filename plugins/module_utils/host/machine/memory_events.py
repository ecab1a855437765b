# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How often the kernel killed a process for want of memory in the control groups of this process.

The kernel's log belongs to the machine and is closed to containers; these counters are theirs.
Linux: admin-guide/cgroup-v2.rst, memory.events; cgroup-v1/memory.rst, memory.oom_control.
"""

from __future__ import annotations

from pathlib import Path

from .processes import PROC

CONTROL_GROUPS = Path("/sys/fs/cgroup")


def oom_kills(root: Path = CONTROL_GROUPS, proc: Path = PROC) -> int | None:
    """The kills so far, for a comparison with a later reading; None where nothing counts them.

    Below a container's root the group's own path may not exist, and the container's limit counts
    at its root: both are read, and what both count is counted twice.
    """
    counted = [_counter(file) for file in sorted(_files(root, proc))]
    known = [number for number in counted if number is not None]
    return sum(known) if known else None


def _files(root: Path, proc: Path) -> set[Path]:
    try:
        lines = (proc / "self/cgroup").read_text().splitlines()
    except OSError:
        return set()
    found = set()
    for line in lines:
        _number, controllers, own = line.split(":", 2)
        if not controllers:
            found |= {folder / "memory.events" for folder in (root, root / own.lstrip("/"))}
        elif "memory" in controllers.split(","):
            top = root / "memory"
            found |= {folder / "memory.oom_control" for folder in (top, top / own.lstrip("/"))}
    return found


def _counter(file: Path) -> int | None:
    try:
        rows = [line.split() for line in file.read_text().splitlines()]
    except OSError:
        return None
    return next((int(row[1]) for row in rows if len(row) == 2 and row[0] == "oom_kill"), None)
