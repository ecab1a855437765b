# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Work that takes minutes, and goes on when the connection that asked for it breaks.

A call starts the work in a process of its own and watches it for a while. The next call with the
same id finds it at work, or done, and brings its result.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from ...common.private_files import open_private, private_folder
from .files import read_json, write_json

LOOK_EVERY_SECONDS = 0.1
OLD_SECONDS = 24 * 3600
_ID = re.compile(r"[0-9a-z]{8,64}")

Work = Callable[[Callable[[str], None]], "dict[str, Any]"]


class JobError(Exception):
    """The work is gone without a result; the text says so and what to do."""


class Job:
    """One piece of work, in a folder of its own below *folder*. Raises ValueError for a bad id."""

    def __init__(self, folder: Path, job_id: str) -> None:
        if not _ID.fullmatch(job_id):
            raise ValueError(f"job: {job_id!r} is no id of a job.")
        self._folder = folder / job_id
        self._result = self._folder / "result.json"
        self._started = self._folder / "started.json"
        self._doing = self._folder / "doing.json"
        self._lock = self._folder / "lock"

    def run(self, work: Work, watch_seconds: float) -> dict[str, Any] | None:
        """The result of *work*, which is started unless it was; None when it is not done in time.

        *work* gets a function that tells what it is doing. Raises JobError.
        """
        _forget_old(self._folder.parent)
        private_folder(self._folder.parent)
        try:
            self._folder.mkdir(mode=0o700)
        except FileExistsError:
            private_folder(self._folder)  # an earlier call has started it
        else:
            self._start(work)
        deadline = time.monotonic() + watch_seconds
        while True:
            # In this order: what ends between the two looks has left its result.
            at_work = self._is_at_work()
            result = read_json(self._result)
            if result is not None:
                shutil.rmtree(self._folder, ignore_errors=True)
                return result
            if not at_work:
                raise JobError(
                    "What was at work here has ended without a result: it was killed, or the host "
                    "was restarted. Run again: what is there is kept."
                )
            if time.monotonic() >= deadline:
                return None
            time.sleep(LOOK_EVERY_SECONDS)

    def progress(self) -> dict[str, Any]:
        """What it is `doing`, for how many `seconds`, and how many MiB the disk has `grown_mib`."""
        told, started = read_json(self._doing) or {}, read_json(self._started) or {}
        grown = _used_mib(self._folder) - int(started.get("used_mib", _used_mib(self._folder)))
        return {
            "doing": str(told.get("doing", "starting")),
            "seconds": round(time.time() - float(started.get("at", time.time()))),
            "grown_mib": max(grown, 0),
        }

    def _start(self, work: Work) -> None:
        """The lock is held by the process at work alone: the kernel frees it however that ends."""
        write_json(self._started, {"at": time.time(), "used_mib": _used_mib(self._folder)})
        lock = open_private(self._lock, os.O_RDWR)
        fcntl.flock(lock, fcntl.LOCK_EX)
        if os.fork() == 0:
            self._work(work)
        os.close(lock)

    def _work(self, work: Work) -> NoReturn:
        """In the process that is left alone: no terminal, no pipe, no session of the connection."""
        try:
            os.setsid()
            nothing = os.open(os.devnull, os.O_RDWR)
            for stream in (0, 1, 2):
                os.dup2(nothing, stream)
            write_json(self._result, work(self._tell))
        except BaseException as error:
            write_json(self._result, {"failed": True, "msg": f"{type(error).__name__}: {error}"})
        finally:
            # Whatever the module has to clean up is the business of the process that watches.
            os._exit(0)

    def _tell(self, doing: str) -> None:
        write_json(self._doing, {"doing": doing})

    def _is_at_work(self) -> bool:
        with os.fdopen(open_private(self._lock, os.O_RDWR), "rb") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
        return False


def _used_mib(folder: Path) -> int:
    return shutil.disk_usage(folder).used // (1024 * 1024)


def _forget_old(folder: Path) -> None:
    """Results that nobody has fetched."""
    for old in folder.glob("*"):
        try:
            if time.time() - old.stat().st_mtime > OLD_SECONDS:
                shutil.rmtree(old, ignore_errors=True)
        except OSError:
            continue
