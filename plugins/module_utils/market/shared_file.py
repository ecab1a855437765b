# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A JSON object in a file that the processes of one controller share.

Parallel hosts are parallel processes. What they share here may be lost at any time: it saves
calls and keeps hosts out of each other's way, safety never rests on it.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

#: Whoever holds the lock longer is stuck: the others go on without the file. Real seconds.
_PATIENCE_SECONDS = 30.0
_LOOK_EVERY_SECONDS = 0.05


class SharedFile:
    """One JSON object in one file, readable by its owner only; its folder is made when needed."""

    def __init__(self, path: str, patience_seconds: float = _PATIENCE_SECONDS) -> None:
        self._path = os.path.expanduser(path)
        self._patience_seconds = patience_seconds

    @contextmanager
    def locked(self) -> Iterator[dict[str, Any]]:
        """The object, for change; it is written back when the block ends without an error.

        Other processes wait, but not for ever. What cannot be read counts as empty. Raises
        OSError, also after the block when it cannot be written back.
        """
        os.makedirs(os.path.dirname(self._path), mode=0o700, exist_ok=True)
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        # What a crash has left may be no text at all.
        with os.fdopen(descriptor, "r+", encoding="utf-8", errors="replace") as file:
            self._lock(file.fileno())
            data = _parsed(file.read())
            yield data
            file.seek(0)
            file.truncate()
            json.dump(data, file)

    def _lock(self, descriptor: int) -> None:
        limit = time.monotonic() + self._patience_seconds
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except BlockingIOError as error:
                if time.monotonic() >= limit:
                    raise TimeoutError(f"{self._path} stays locked") from error
                time.sleep(_LOOK_EVERY_SECONDS)


def _parsed(text: str) -> dict[str, Any]:
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return data if isinstance(data, dict) else {}
