# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One lock file per server, so that two runs that start or stop it come one after the other."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path

from ...common.private_files import open_private, private_folder

POLL_SECONDS = 0.2


class Busy(Exception):
    """Another run holds the lock and does not let go in time."""


@contextlib.contextmanager
def held(path: Path, wait_seconds: float) -> Iterator[None]:
    """Hold the lock meanwhile. The kernel frees it when its holder dies, however that happens.

    On a full disk no file can be made, so there is no lock: a server must end there too.
    """
    try:
        private_folder(path.parent)
        handle = open_private(path, os.O_RDWR)
    except OSError:
        yield
        return
    try:
        _acquire(handle, path, time.monotonic() + wait_seconds)
        with contextlib.suppress(OSError):
            os.ftruncate(handle, 0)
            os.pwrite(handle, str(os.getpid()).encode(), 0)
        yield
    finally:
        os.close(handle)


def _acquire(handle: int, path: Path, deadline: float) -> None:
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() >= deadline:
                holder = os.pread(handle, 20, 0).decode(errors="replace") or "unknown"
                raise Busy(f"process {holder} holds {path}") from None
        time.sleep(POLL_SECONDS)
