# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The machine around the GPUs: what a server needs of it besides them."""

from __future__ import annotations

import os
import platform
import re
import resource
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .kind import c_compiler, sees_all_processes, systemd_is_running
from .processes import boot_id

MIB = 1024 * 1024
UNLIMITED = -1
INTERPRETER = re.compile(r"python3(\.\d+)?")
UV_PYTHONS = ".local/share/uv/python"
CONTAINER_FILES = {"/run/.containerenv": "podman", "/.dockerenv": "docker"}
MACHINE_NAMES = ("/sys/class/dmi/id/sys_vendor", "/sys/class/dmi/id/product_name")


def host_facts(home: Path) -> dict[str, Any]:
    """The machine around the GPUs. Sizes in MiB, free at this moment; limits -1 for unlimited."""
    open_files = resource.getrlimit(resource.RLIMIT_NOFILE)
    locked_memory = resource.getrlimit(resource.RLIMIT_MEMLOCK)
    core = resource.getrlimit(resource.RLIMIT_CORE)
    memory = _meminfo()
    limit_mib, used_mib = _memory_group()
    disk = shutil.disk_usage(_existing(home))
    kind, kind_detail = machine_kind()
    release = _os_release()
    return {
        "architecture": platform.machine(),
        "cpu_count": len(os.sched_getaffinity(0)),
        "memory_total_mib": memory.get("MemTotal"),
        "memory_available_mib": memory.get("MemAvailable"),
        "memory_limit_mib": limit_mib,
        "memory_usable_mib": _usable(memory.get("MemAvailable"), limit_mib, used_mib),
        "home": str(home),
        "disk_free_mib": disk.free // MIB,
        "disk_total_mib": disk.total // MIB,
        "tmp_free_mib": shutil.disk_usage("/tmp").free // MIB,
        "shared_memory_mib": _size_mib(Path("/dev/shm")),
        "glibc_version": platform.libc_ver()[1] or None,
        "kernel_version": platform.release(),
        "distribution": release.get("ID"),
        "distribution_version": release.get("VERSION_ID"),
        "distribution_codename": release.get("VERSION_CODENAME"),
        "machine_kind": kind,
        "machine_kind_detail": kind_detail,
        "hostname": platform.node(),
        "boot_id": boot_id(),
        "is_root": os.geteuid() == 0,
        "python": sys.executable,
        "python_version": platform.python_version(),
        "pythons": pythons(home),
        "c_compiler": c_compiler(),
        "open_files_soft_limit": open_files[0],
        "open_files_hard_limit": open_files[1],
        "locked_memory_soft_limit_kib": _kib(locked_memory[0]),
        "locked_memory_hard_limit_kib": _kib(locked_memory[1]),
        "core_size_soft_limit_kib": _kib(core[0]),
        "init_system": "systemd" if systemd_is_running() else "none",
    }


def machine_kind() -> tuple[str, str | None]:
    """container, virtual_machine or bare_metal, and of what make when that can be told."""
    for path, make in CONTAINER_FILES.items():
        if Path(path).exists():
            return "container", make
    told = _text(Path("/run/systemd/container"))
    if told or not sees_all_processes():
        return "container", told or None
    names = " ".join(filter(None, map(_text, map(Path, MACHINE_NAMES)))) or None
    flags = re.search(r"^flags\s*:(.*)$", _text(Path("/proc/cpuinfo")), re.MULTILINE)
    if flags and "hypervisor" in flags[1].split():
        return "virtual_machine", names
    return "bare_metal", names


def pythons(home: Path) -> list[dict[str, str]]:
    """Interpreters that run, with their versions, each file once."""
    found: dict[str, dict[str, str]] = {}
    for path in _interpreters(home):
        real = os.path.realpath(path)
        version = None if real in found else _version(path)
        if version:
            found[real] = {"path": str(path), "version": version}
    return list(found.values())


def _interpreters(home: Path) -> Iterator[Path]:
    """Those of the search path and of the usual folders, and those that uv has installed."""
    folders = [Path(sys.executable).parent, Path("/usr/bin"), Path("/usr/local/bin")]
    folders += [Path(folder) for folder in os.get_exec_path()]
    folders += sorted((Path.home() / UV_PYTHONS).glob("*/bin"))
    for folder in dict.fromkeys(folders):
        try:
            names = sorted(path.name for path in folder.iterdir())
        except OSError:
            continue
        yield from (folder / name for name in names if INTERPRETER.fullmatch(name))


def _version(python: Path) -> str | None:
    try:
        done = subprocess.run(
            [str(python), "-I", "-S", "-c", "import platform; print(platform.python_version())"],
            capture_output=True,
            text=True,
            check=False,
            timeout=10,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() or None if done.returncode == 0 else None


def _meminfo() -> dict[str, int]:
    lines = Path("/proc/meminfo").read_text().splitlines()
    pairs = (line.split(":", 1) for line in lines)
    return {key: int(rest.split()[0]) // 1024 for key, rest in pairs}


def _memory_group() -> tuple[int | None, int | None]:
    """Limit and use of the control group that binds first, version 2 then 1; None without one."""
    tightest: tuple[int | None, int | None] = (None, None)
    for limit_file, used_file in _memory_files():
        try:
            limit = int(limit_file.read_text())
        except (OSError, ValueError):  # no such file, or "max"
            continue
        if limit < 2**60 and (tightest[0] is None or limit // MIB < tightest[0]):
            tightest = (limit // MIB, _number_mib(used_file))
    return tightest


def _memory_files() -> Iterator[tuple[Path, Path]]:
    """Where limits may stand: our own group and all groups above it."""
    version_2 = Path("/sys/fs/cgroup")
    own = re.search(r"^0::/(.*)$", _text(Path("/proc/self/cgroup")), re.MULTILINE)
    group = version_2 / (own[1] if own else "")
    for folder in (group, *group.parents):
        if folder == version_2 or version_2 in folder.parents:
            yield folder / "memory.max", folder / "memory.current"
    version_1 = version_2 / "memory"
    yield version_1 / "memory.limit_in_bytes", version_1 / "memory.usage_in_bytes"


def _usable(available: int | None, limit: int | None, used: int | None) -> int | None:
    """What a process can still get: the machine's free memory, or less by the group's limit."""
    if available is None or limit is None:
        return available
    return min(available, max(0, limit - (used or 0)))


def _os_release() -> dict[str, str]:
    try:
        return platform.freedesktop_os_release()
    except (AttributeError, OSError):  # Python 3.9 has no such function
        lines = _text(Path("/etc/os-release")).splitlines()
        pairs = (line.split("=", 1) for line in lines if "=" in line)
        return {key: value.strip("\"'") for key, value in pairs}


def _kib(limit: int) -> int:
    return UNLIMITED if limit == resource.RLIM_INFINITY else limit // 1024


def _number_mib(path: Path) -> int | None:
    try:
        return int(path.read_text()) // MIB
    except (OSError, ValueError):
        return None


def _text(path: Path) -> str:
    try:
        return path.read_text().strip()
    except (OSError, UnicodeDecodeError):
        return ""


def _existing(path: Path) -> Path:
    return next(candidate for candidate in (path, *path.parents) if candidate.exists())


def _size_mib(path: Path) -> int | None:
    return shutil.disk_usage(path).total // MIB if path.is_dir() else None
