# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A file of lines, each of them a JSON object, that the controller's processes append to."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from ..common.answers import parse
from ..common.private_files import lock, make_folders, open_private, place_of

_PATIENCE_SECONDS = 5.0
#: What a path that cannot be one raises, beside what a file does that is not there or not ours.
UNUSABLE = (OSError, RuntimeError, ValueError)


def why(error: Exception) -> str:
    """What is wrong with a file, of one of UNUSABLE, without its path."""
    return str(getattr(error, "strerror", "") or error)


class Lines:
    """The lines of one file, for its owner alone; its folder is made when needed.

    Of a long file the last ``most_bytes`` count. A line that is no JSON object counts as none.
    Whoever could not have the file once does not wait for it again. What is raised for a file that
    cannot be used is one of UNUSABLE.
    """

    def __init__(self, path: str, most_bytes: int) -> None:
        self.path = os.path.expanduser(path)
        self._most_bytes = most_bytes
        self._was_kept = False

    def read(self) -> list[dict[str, Any]]:
        """What is there, oldest first; nothing of a file that is not there."""
        try:
            # Not to wait for whoever writes to a pipe.
            handle = os.open(self.path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except FileNotFoundError:
            return []
        with os.fdopen(handle, "rb") as file:
            if not stat.S_ISREG(os.fstat(handle).st_mode):
                raise OSError("it is no plain file")
            return _rows(file, self._most_bytes)

    @contextmanager
    def locked(self) -> Iterator[Locked]:
        """The file, while no other process changes it."""
        path = place_of(Path(self.path))
        make_folders(path.parent)
        with os.fdopen(open_private(path, os.O_RDWR), "r+b") as file:
            try:
                lock(file.fileno(), 0.0 if self._was_kept else _PATIENCE_SECONDS)
            except TimeoutError as error:
                self._was_kept = True
                raise OSError(f"it stays locked: {error}") from error
            yield Locked(file, self._most_bytes)


class Locked:
    """A file that nobody else changes meanwhile."""

    def __init__(self, file: IO[bytes], most_bytes: int) -> None:
        self._file, self._most_bytes = file, most_bytes

    def read(self) -> list[dict[str, Any]]:
        """What is there, oldest first."""
        return _rows(self._file, self._most_bytes)

    def add(self, row: Mapping[str, Any]) -> None:
        """Append a whole line; one that a crash has cut short before it stays a line of its own."""
        line = json.dumps(row).encode()
        size = self._file.seek(0, os.SEEK_END)
        if size:
            self._file.seek(size - 1)
            line = line if self._file.read(1) == b"\n" else b"\n" + line
        self._file.write(line + b"\n")
        self._file.flush()


def _rows(file: IO[bytes], most_bytes: int) -> list[dict[str, Any]]:
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - most_bytes))
    # Where it is cut, a part of a line is no object.
    rows = (parse(line.decode(errors="replace")) for line in file.read(most_bytes).splitlines())
    return [row for row in rows if isinstance(row, dict)]
