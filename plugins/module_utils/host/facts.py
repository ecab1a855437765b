# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The machine around the GPUs: what a server needs of it besides them."""

from __future__ import annotations

import os
import platform
import resource
import shutil
import sys
from pathlib import Path
from typing import Any

MIB = 1024 * 1024


def systemd_is_running() -> bool:
    """Whether systemd is PID 1: the test that sd_booted(3) documents."""
    return Path("/run/systemd/system").is_dir()


def host_facts(home: Path) -> dict[str, Any]:
    """The machine around the GPUs. Memory, disk and shared memory in MiB, free at this moment."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    memory = _meminfo()
    return {
        "architecture": platform.machine(),
        "cpu_count": len(os.sched_getaffinity(0)),
        "memory_total_mib": memory.get("MemTotal"),
        "memory_available_mib": memory.get("MemAvailable"),
        "memory_limit_mib": _memory_limit_mib(),
        "home": str(home),
        "disk_free_mib": shutil.disk_usage(_existing(home)).free // MIB,
        "shared_memory_mib": _size_mib(Path("/dev/shm")),
        "glibc_version": platform.libc_ver()[1] or None,
        "python": sys.executable,
        "python_version": platform.python_version(),
        "open_files_soft_limit": soft,
        "open_files_hard_limit": hard,
        "init_system": "systemd" if systemd_is_running() else "none",
    }


def _meminfo() -> dict[str, int]:
    lines = Path("/proc/meminfo").read_text().splitlines()
    pairs = (line.split(":", 1) for line in lines)
    return {key: int(rest.split()[0]) // 1024 for key, rest in pairs}


def _memory_limit_mib() -> int | None:
    """The control group's memory limit, version 2 then 1; None when there is none."""
    for path in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        try:
            limit = int(Path(path).read_text())
        except (OSError, ValueError):
            continue
        return limit // MIB if limit < 2**60 else None
    return None


def _existing(path: Path) -> Path:
    return next(candidate for candidate in (path, *path.parents) if candidate.exists())


def _size_mib(path: Path) -> int | None:
    return shutil.disk_usage(path).total // MIB if path.is_dir() else None
