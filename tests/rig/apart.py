# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Shared memory of one's own, where the kernel lets this user: what a whole machine shares.

A test whose files lie in /dev/shm is disturbed by every other test that stops a server, in this
checkout or in another one: a stop sweeps what seems to be its server's. Where the kernel does not
let this user, names tell whose a file is: `a_name` is one of this checkout's, and of one test's.
"""

from __future__ import annotations

import ctypes
import os
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager

from tests.hanging import HANGS_AFTER_SECONDS
from tests.rig.checkout import TOKEN

CLONE_NEWNS, CLONE_NEWIPC = 0x00020000, 0x08000000
MS_REC, MS_SLAVE = 16384, 1 << 19
SPACES = {"mnt": CLONE_NEWNS, "ipc": CLONE_NEWIPC}

libc = ctypes.CDLL(None, use_errno=True)


def call(name: str, *arguments: object) -> None:
    """Call the C library. Raises OSError with its reason."""
    if getattr(libc, name)(*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")


def a_name() -> str:
    """Part of the names of what one test shares, which no other checkout's test has."""
    return f"inferopstest{TOKEN}{secrets.token_hex(4)}"


@contextmanager
def own_shared_memory() -> Iterator[bool]:
    """An empty /dev/shm and no System V segments, for this thread and all that it starts.

    Gives whether they are its own: without the right to it everything stays as it is.
    """
    folder = os.getcwd()
    before = {name: os.open(f"/proc/thread-self/ns/{name}", os.O_RDONLY) for name in SPACES}
    try:
        try:
            call("unshare", CLONE_NEWNS | CLONE_NEWIPC)
        except PermissionError:
            yield False
            return
        try:
            call("mount", b"none", b"/", None, MS_REC | MS_SLAVE, None)
            call("mount", b"tmpfs", b"/dev/shm", b"tmpfs", 0, b"mode=1777")
            yield True
        finally:
            for name, kind in SPACES.items():
                go_back(before[name], kind)
            os.chdir(folder)
    finally:
        for space in before.values():
            os.close(space)


def go_back(space: int, kind: int) -> None:
    """Enter a namespace again, once the threads that were started meanwhile have ended.

    Only a process without threads of its own may go back; those of a test are about to end.
    """
    give_up_at = time.monotonic() + HANGS_AFTER_SECONDS
    while True:
        try:
            return call("setns", space, kind)
        except OSError:
            if time.monotonic() > give_up_at:
                raise
            time.sleep(0.05)
