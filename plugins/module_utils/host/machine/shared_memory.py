# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What processes leave behind in memory and on no disk: shared segments, semaphores, sockets.

A process that is killed cannot remove them. Only what belonged to the server goes: what its
processes held before their end, and what appeared since its start under a name that the engine's
libraries use, belongs to its user, and is open in no living process. Files are told apart by their
inodes: a semaphore is mapped under another name than it has.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from .processes import PROC, Process, snapshot

FOLDER = Path("/dev/shm")
KNOWN_PREFIXES = ("psm_", "nccl-", "sem.", "torch_")
"""Python's shared memory, NCCL, POSIX semaphores, torch."""

IPC_RMID = 0

Inode = tuple[int, int]
"""Device and number: what a file is, whatever its names are."""


class Held(NamedTuple):
    """What the processes of a server hold: files below /dev/shm, sockets, segments, and by whom."""

    files: frozenset[Inode]
    sockets: frozenset[str]
    segments: frozenset[int]
    uids: frozenset[int]


def held_by(tree: Iterable[Process]) -> Held:
    """To be asked before the processes are ended."""
    members = list(tree)
    pids = {process.pid for process in members}
    links = {target for pid in pids for _handle, target in _handles(pid)}
    bound = {path for inode, path in _bound_sockets() if f"socket:[{inode}]" in links}
    created = {number for number, creator in _segments() if creator in pids}
    return Held(
        files=frozenset(_in_use(pids)),
        sockets=frozenset(bound),
        segments=frozenset(created),
        uids=frozenset({process.uid for process in members} or {os.geteuid()}),
    )


def remove_left(held: Held, since: float | None, prefixes: tuple[str, ...] = ()) -> list[str]:
    """Remove what is left of it and say what that was. `since` is when the service was started.

    `prefixes` are how names begin that only this kind of service gives.
    """
    known = (*KNOWN_PREFIXES, *prefixes)
    # Before anybody is asked what is in use: what comes meanwhile is somebody else's.
    candidates = _candidates(held, since, known)
    in_use = _in_use(snapshot())
    removed = [str(path) for path, inode in candidates if inode not in in_use and _unlink(path)]
    bound = {path for inode, path in _bound_sockets()}
    for name in sorted(held.sockets - bound):
        if Path(name).is_socket() and _unlink(Path(name)):
            removed.append(name)
    for number, _creator in _segments():
        if number in held.segments and ctypes.CDLL(None).shmctl(number, IPC_RMID, None) == 0:
            removed.append(f"System V segment {number}")
    return removed


def _candidates(
    held: Held, since: float | None, prefixes: tuple[str, ...]
) -> list[tuple[Path, Inode]]:
    """The files that may be the server's, in use or not."""
    found = []
    for path in sorted(FOLDER.glob("*")):
        with contextlib.suppress(OSError):
            status = path.lstat()
            inode = (status.st_dev, status.st_ino)
            known = path.name.startswith(prefixes)
            # Weights that somebody put there before the start are mapped by the server and stay.
            fresh = since is not None and status.st_ctime >= since
            its_own = (known or fresh) if inode in held.files else (known and fresh)
            if its_own and stat.S_ISREG(status.st_mode) and status.st_uid in held.uids:
                found.append((path, inode))
    return found


def _unlink(path: Path) -> bool:
    try:
        path.unlink()
    except OSError:
        return False
    return True


def _in_use(pids: Iterable[int]) -> set[Inode]:
    """The files below /dev/shm that these processes have open or mapped.

    Handles come first: who maps a file closes its handle after that, never before.
    """
    found = set()
    for pid in pids:
        for handle, target in _handles(pid):
            if target.startswith(f"{FOLDER}/"):
                with contextlib.suppress(OSError):
                    status = handle.stat()
                    found.add((status.st_dev, status.st_ino))
        found.update(_mapped(pid))
    return found


def _mapped(pid: int) -> Iterator[Inode]:
    """From `address rights offset major:minor inode path`: proc(5)."""
    with contextlib.suppress(OSError):
        for line in (PROC / str(pid) / "maps").read_text(errors="replace").splitlines():
            fields = line.split(maxsplit=5)
            if fields[-1].startswith(f"{FOLDER}/"):
                major, minor = (int(number, 16) for number in fields[3].split(":"))
                yield os.makedev(major, minor), int(fields[4])


def _handles(pid: int) -> Iterator[tuple[Path, str]]:
    """Each open file of the process, and what it points to."""
    with contextlib.suppress(OSError):
        for handle in (PROC / str(pid) / "fd").iterdir():
            with contextlib.suppress(OSError):
                yield handle, os.readlink(handle)


def _bound_sockets() -> list[tuple[str, str]]:
    """Inode and path of each Unix socket that has a path in the file system: proc(5)."""
    with contextlib.suppress(OSError):
        rows = [line.split(maxsplit=7) for line in (PROC / "net/unix").read_text().splitlines()]
        return [(row[6], row[7]) for row in rows if len(row) == 8 and row[7].startswith("/")]
    return []


def _segments() -> list[tuple[int, int]]:
    """Number and creator of each System V segment: proc(5), /proc/sysvipc/shm."""
    with contextlib.suppress(OSError):
        rows = (PROC / "sysvipc/shm").read_text().splitlines()
        names = rows[0].split()
        number, creator = names.index("shmid"), names.index("cpid")
        return [(int(row.split()[number]), int(row.split()[creator])) for row in rows[1:]]
    return []
