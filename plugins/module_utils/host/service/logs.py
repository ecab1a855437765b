# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The log of one service, here a model server's: bounded on the disk, and read in bounded pieces.

    server.log         what the service writes now
    server.log.1       what came before it: the older generation
    server.log.head    how the latest start began, there once that start's log was cut

The service holds its log open for appending, so the file can be cut below it: what it writes next
lands at the new end. Nothing stands between service and log that could die.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import BinaryIO

from ...common.private_files import open_private

HEAD_BYTES = 256 * 1024
TAIL_BYTES = 1024 * 1024
CHUNK_BYTES = 1024 * 1024
SAME_BYTES = 4096
LEFT_OUT = "... what lies between is left out here ..."


class Log:
    """The files of one service's log."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.older = path.with_name(f"{path.name}.1")
        self.kept_head = path.with_name(f"{path.name}.head")

    def begin(self) -> int:
        """A new start: its log begins empty, the one before it is kept. Returns the open file."""
        with contextlib.suppress(FileNotFoundError):
            self.path.replace(self.older)
        self.kept_head.unlink(missing_ok=True)
        return open_private(self.path, os.O_WRONLY | os.O_APPEND)

    def keep_below(self, limit_bytes: int) -> None:
        """Hold both generations together below the limit; the oldest output goes first.

        What the service writes between the last read and the cut, a moment, is lost.
        """
        half = limit_bytes // 2
        with self.path.open("r+b") as log:
            size = os.fstat(log.fileno()).st_size
            if size <= half:
                return
            try:
                if not self.kept_head.exists():
                    self._write(self.kept_head, log.read(HEAD_BYTES))
                self.older.unlink(missing_ok=True)
                # A quarter is left free for what is written while this reads.
                log.seek(max(0, size - half + half // 4))
                with os.fdopen(_create(self.older), "wb") as older:
                    _copy(log, older, half)
            except OSError:
                # The disk is full. The service goes on only if its log makes room.
                self.older.unlink(missing_ok=True)
            os.ftruncate(log.fileno(), 0)

    def tail(self, max_bytes: int = TAIL_BYTES) -> str:
        """The end of the log of the latest start; empty when there is none."""
        text = _end(self.path, max_bytes)
        if self.kept_head.exists():
            text = _end(self.older, max_bytes - len(text)) + text
        return text.decode(errors="replace")

    def head(self, max_bytes: int = HEAD_BYTES) -> str:
        """The begin of the log of the latest start, also when it was cut since."""
        for path in (self.kept_head, self.path):
            with contextlib.suppress(OSError), path.open("rb") as stream:
                return stream.read(max_bytes).decode(errors="replace")
        return ""

    def excerpt(self, head_bytes: int, tail_bytes: int) -> str:
        """Begin and end of the log of the latest start, what is in both once; a gap is said."""
        was_cut = self.kept_head.exists()
        if not was_cut and self._size() <= head_bytes + tail_bytes:
            return self.tail(head_bytes + tail_bytes)
        head, tail = self.head(head_bytes), self.tail(tail_bytes)
        # Of a log that was cut, the older generation may begin before the kept head ends.
        both = head.rfind(tail[:SAME_BYTES]) if was_cut else -1
        if tail and both >= 0 and tail.startswith(head[both:]):
            return head[:both] + tail
        return "\n".join([head, LEFT_OUT, tail])

    def _size(self) -> int:
        return self.path.stat().st_size if self.path.exists() else 0

    @staticmethod
    def _write(path: Path, content: bytes) -> None:
        with os.fdopen(_create(path), "wb") as stream:
            stream.write(content)


def _copy(source: BinaryIO, target: BinaryIO, most_bytes: int) -> None:
    """Bounded: a server may write faster than this reads."""
    while most_bytes > 0:
        chunk = source.read(min(CHUNK_BYTES, most_bytes))
        if not chunk:
            return
        target.write(chunk)
        most_bytes -= len(chunk)


def _create(path: Path) -> int:
    return open_private(path, os.O_WRONLY | os.O_TRUNC)


def _end(path: Path, max_bytes: int) -> bytes:
    try:
        with path.open("rb") as stream:
            size = stream.seek(0, os.SEEK_END)
            stream.seek(max(0, size - max_bytes))
            return stream.read(max_bytes)
    except OSError:
        return b""
