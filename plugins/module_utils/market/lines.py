# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A file of lines, each of them a JSON object, that the controller's processes append to."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from ..common.answers import parse
from ..common.private_files import lock, make_folders, open_private, place_of

_PATIENCE_SECONDS = 5.0


class Lines:
    """The lines of one file, for its owner alone; its folder is made when needed.

    Of a long file the last ``most_bytes`` count. A line that is no JSON object counts as none.
    """

    def __init__(self, path: str, most_bytes: int) -> None:
        self.path = os.path.expanduser(path)
        self._most_bytes = most_bytes

    def read(self) -> list[dict[str, Any]]:
        """What is there, oldest first; nothing of a file that is not there. Raises OSError."""
        try:
            with open(self.path, "rb") as file:
                return self._rows(file)
        except FileNotFoundError:
            return []

    @contextmanager
    def locked(self) -> Iterator[Locked]:
        """The file, while no other process changes it. Raises OSError, also for a file that others
        could change, and where another process keeps it."""
        path = place_of(Path(self.path))
        make_folders(path.parent)
        with os.fdopen(open_private(path, os.O_RDWR), "r+b") as file:
            try:
                lock(file.fileno(), _PATIENCE_SECONDS)
            except TimeoutError as error:
                raise OSError(f"it stays locked: {error}") from error
            yield Locked(file, self._rows)

    def _rows(self, file: IO[bytes]) -> list[dict[str, Any]]:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - self._most_bytes))
        # Where it is cut, a part of a line is no object.
        rows = map(_parsed, file.read(self._most_bytes).splitlines())
        return [row for row in rows if row is not None]


class Locked:
    """A file that nobody else changes meanwhile."""

    def __init__(self, file: IO[bytes], rows: Any) -> None:
        self._file, self._rows = file, rows

    def read(self) -> list[dict[str, Any]]:
        """What is there, oldest first."""
        found: list[dict[str, Any]] = self._rows(self._file)
        return found

    def add(self, row: Mapping[str, Any]) -> None:
        """Append a whole line; one that a crash has cut short before it stays a line of its own."""
        line = json.dumps(row).encode()
        size = self._file.seek(0, os.SEEK_END)
        if size:
            self._file.seek(size - 1)
            line = line if self._file.read(1) == b"\n" else b"\n" + line
        self._file.write(line + b"\n")
        self._file.flush()


def _parsed(line: bytes) -> dict[str, Any] | None:
    data = parse(line.decode(errors="replace"))
    return data if isinstance(data, dict) else None
