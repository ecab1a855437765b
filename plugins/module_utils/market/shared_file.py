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
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class SharedFile:
    """One JSON object in one file, readable by its owner only; its folder is made when needed."""

    def __init__(self, path: str) -> None:
        self._path = os.path.expanduser(path)

    @contextmanager
    def locked(self) -> Iterator[dict[str, Any]]:
        """The object, for change; it is written back when the block ends without an error.

        Other processes wait. What cannot be read counts as empty. Raises OSError.
        """
        os.makedirs(os.path.dirname(self._path), mode=0o700, exist_ok=True)
        with os.fdopen(os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600), "r+") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            data = _parsed(file.read())
            yield data
            file.seek(0)
            file.truncate()
            json.dump(data, file)


def _parsed(text: str) -> dict[str, Any]:
    try:
        data = json.loads(text)
    except ValueError:
        return {}
    return data if isinstance(data, dict) else {}
