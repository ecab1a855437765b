# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which pieces of a file have arrived, for another process that goes on with them.

A line is written for each, and nobody waits until the disk has it: a host that was restarted may
have lost a piece of which a line tells. So a line has the piece's CRC, and whoever goes on reads
the piece and compares.
"""

from __future__ import annotations

import json
import os
import re
import threading
from pathlib import Path

from ...common.private_files import open_private
from ...hub.hub import File

#: Of a fixed width, so that one that was not written to its end is none.
_LINE = re.compile(r"([0-9]{8}) ([0-9a-f]{8})")


class Journal:
    """The journal of a file that is cut into *count* pieces."""

    def __init__(self, path: Path, file: File, count: int) -> None:
        self._path, self._count = path, count
        self._about = {"size": file.size, "checksum": file.checksum, "count": count}
        self._begun = False
        self._guard = threading.Lock()

    def read(self) -> tuple[str | None, dict[int, int]]:
        """The version of the file that the pieces are of, and the CRC of each that is there.

        What cannot be read, or is about another file or other pieces, tells of none.
        """
        try:
            head, *lines = self._path.read_text().split("\n")
            about = dict(json.loads(head))
        except (OSError, ValueError, TypeError):
            return None, {}
        version = about.pop("version", None)
        if about != self._about or not isinstance(version, (str, type(None))):
            return None, {}
        self._begun = True
        found = [line for line in map(_LINE.fullmatch, lines) if line]
        noted = {int(line[1]): int(line[2], 16) for line in found}
        return version, {index: crc for index, crc in noted.items() if index < self._count}

    def add(self, index: int, crc: int, version: str | None) -> None:
        """Note that a piece has arrived. Raises OSError."""
        with self._guard:
            flags, text = os.O_APPEND, f"\n{index:08} {crc:08x}"
            if not self._begun:
                flags, text = os.O_TRUNC, json.dumps({**self._about, "version": version}) + text
            with os.fdopen(open_private(self._path, flags | os.O_WRONLY), "w") as stream:
                stream.write(text)
            self._begun = True

    def forget(self) -> None:
        """No piece is there any more, or all are."""
        self._begun = False
        self._path.unlink(missing_ok=True)
