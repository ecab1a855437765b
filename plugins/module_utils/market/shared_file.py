# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A JSON object in a file that the processes of one controller share.

Parallel hosts are parallel processes. What they share here may be lost at any time: it saves
calls and keeps hosts out of each other's way, safety never rests on it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..common.answers import parse
from ..common.private_files import lock, open_private, private_folder

#: Whoever holds the lock longer is stuck: the others go on without the file. Real seconds.
PATIENCE_SECONDS, MOMENTS_SECONDS = 30.0, 5.0
#: Of listings of thousands of rentals; whatever is longer is not ours.
_MOST_BYTES = 32 * 2**20


class SharedFile:
    """One JSON object in one file, readable by its owner only; its folder is made when needed.

    One that is odd, or held for ever, is given up: from then on this process goes without it.
    """

    def __init__(self, path: str, patience_seconds: float = PATIENCE_SECONDS) -> None:
        self._path = os.path.expanduser(path)
        self._patience_seconds = patience_seconds
        self._given_up = ""

    @contextmanager
    def locked(self) -> Iterator[dict[str, Any]]:
        """The object, for change; it is written back when the block ends without an error.

        Other processes wait, but not for ever. What cannot be read counts as empty. Raises
        OSError, also after the block when it cannot be written back.
        """
        if self._given_up:
            raise OSError(self._given_up)
        # What a crash has left may be no text at all.
        with os.fdopen(self._opened(), "r+", encoding="utf-8", errors="replace") as file:
            self._lock(file.fileno())
            data = parse(file.read(_MOST_BYTES))
            data = data if isinstance(data, dict) else {}
            yield data
            file.seek(0)
            file.truncate()
            json.dump(data, file)

    def _opened(self) -> int:
        """A descriptor of the file itself, wherever somebody has put something else."""
        path = Path(self._path)
        return open_private(private_folder(path.parent) / path.name, os.O_RDWR)

    def _lock(self, descriptor: int) -> None:
        try:
            lock(descriptor, self._patience_seconds)
        except TimeoutError as error:
            self._given_up = f"{self._path} stays locked"
            raise TimeoutError(self._given_up) from error
