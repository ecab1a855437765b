# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One file, fetched in pieces over several connections and checked in order while they arrive.

A piece is read back as soon as it and all before it are there: it is still in the page cache then,
unless memory is short. No more of it is held than the block that is at work.
"""

from __future__ import annotations

import http.client
import os
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...common.private_files import open_private
from ...hub.hub import File
from ...hub.parts import RemoteFile
from .errors import StoreError
from .files import size_of
from .journal import Journal
from .patience import ATTEMPTS, patiently
from .progress import Progress

INCOMPLETE = ".incomplete"
JOURNAL = ".pieces"

PIECE_BYTES = 64 * 2**20
"""What a process that was killed has to fetch again, for each connection."""

PIECE_SECONDS = 300.0
"""How long one connection may take for a piece: another one may be faster."""

CHUNK_BYTES = 2**17
"""How often a connection is looked at, however slow it is."""


@dataclass
class Piece:
    """A stretch of a file, of which the first bytes are here."""

    index: int
    first: int
    size: int
    here: int = 0
    crc: int = 0

    @property
    def end(self) -> int:
        """The first byte behind it."""
        return self.first + self.size

    @property
    def next(self) -> int:
        """The first byte that is not here."""
        return self.first + self.here

    @property
    def whole(self) -> bool:
        """Whether all of it is here."""
        return self.here == self.size

    def lose(self) -> None:
        """Nothing of it counts any more."""
        self.here = self.crc = 0


class OneAnswerOnly(Exception):
    """What several answers bring is no one file: the server knows no ranges, or nothing shows that
    it sends the same content each time.
    """


def bytes_here(file: File, part: Path) -> int:
    """What earlier attempts have left of a file in its *part* that need not be fetched again."""
    here = size_of(part)
    if not 0 < here <= file.size:
        return 0
    if file.size > PIECE_BYTES:
        _version, noted = _journal(file, part).read()
        return sum(_piece(file, index).size for index in noted)
    # In order, and so as long as what is here. Without a checksum nothing would prove it.
    return here if file.checksum else 0


class Fetch:
    """Brings one file to its *part*."""

    def __init__(self, remote: RemoteFile, part: Path, progress: Progress) -> None:
        self.remote, self.file, self.part, self.progress = remote, remote.file, part, progress
        self.pieces = [_piece(self.file, index) for index in range(_count(self.file))]
        self.journal = _journal(self.file, part)
        #: What the server calls the content of which there are pieces, and all that it ever said.
        self.version: str | None = None
        self.versions: set[str | None] = set()
        #: Whether several answers may make one file.
        self.joins = True
        self.checked = 0
        self.guard = threading.Lock()
        self.handle = -1

    def run(self, connections: Executor) -> None:
        """Bring what is not here, and prove the whole. What was proven wrong is thrown away, and
        told. Raises HubError, StoreError, OSError or Stopped.
        """
        self.handle = open_private(self.part, os.O_RDWR)
        try:
            self._take_up()
            try:
                digest = self._in_pieces(connections)
            except OneAnswerOnly:
                digest = self._in_one_go()
        finally:
            os.close(self.handle)
        self.journal.forget()
        if digest and digest.hexdigest() != self.file.checksum:
            self.part.unlink()
            self.progress.count(-self.file.size)
            changed = ", and it changed on the way" if len(self.versions - {None}) > 1 else ""
            raise StoreError(
                f"{self.file.name} of {self.remote.listing.model} has another checksum than "
                f"{self.remote.hub.endpoint} says{changed}: what arrived was thrown away. Run "
                "again, and take another mirror if it stays."
            )

    def _take_up(self) -> None:
        """Find out what an earlier attempt has left, as `bytes_here` does."""
        here = bytes_here(self.file, self.part)
        if not here:
            os.ftruncate(self.handle, 0)
        if len(self.pieces) == 1:
            self.pieces[0].here = here
            self.pieces[0].crc = self._crc(self.pieces[0])
        elif here:
            self.version, noted = self.journal.read()
            for index, crc in noted.items():
                self.pieces[index].here, self.pieces[index].crc = self.pieces[index].size, crc

    def _in_pieces(self, connections: Executor) -> Any:
        """The digest of the file, each piece of which any connection may bring."""
        digest = self.file.digest()
        jobs = [connections.submit(self._bring, piece) for piece in self.pieces]
        try:
            with self.progress.watched(OneAnswerOnly):
                for piece, job in zip(self.pieces, jobs):
                    job.result()
                    digest = self._checked(piece, digest, self._bring)
        finally:
            wait([job for job in jobs if not job.cancel()])
        return digest

    def _in_one_go(self) -> Any:
        """The digest of the file, of which each answer begins at the first byte."""

        def stream(_piece: Piece) -> None:
            patiently(self._stream, self._here)

        self.progress.count(0, checked=-self.checked)
        digest = self.file.digest()
        stream(self.pieces[0])
        for piece in self.pieces:
            digest = self._checked(piece, digest, stream)
        return digest

    def _here(self) -> int:
        return sum(piece.here for piece in self.pieces)

    def _bring(self, piece: Piece) -> None:
        def attempt() -> None:
            self._attempt(piece)

        with self.progress.watched(OneAnswerOnly):
            while not piece.whole:
                patiently(attempt, lambda: piece.here, lambda: self.progress.arrived)

    def _attempt(self, piece: Piece) -> None:
        """Ask for what is not here of a piece; the server may give less."""
        self.progress.count(0)
        if not self.joins:
            raise OneAnswerOnly
        first = piece.next
        # The end of the file is left open: of a longer one the answer says so.
        last = None if piece.end == self.file.size else piece.end - 1
        with self.remote.part(first, last, self.version) as part:
            if part.first != first or not self._fits(part.version):
                self.joins = False
                raise OneAnswerOnly
            limit = time.monotonic() + PIECE_SECONDS
            self._pour(part.body, first, piece, min(part.end, piece.end), limit)

    def _fits(self, version: str | None) -> bool:
        """Whether an answer is of the file that the other pieces are of. A checksum will tell."""
        self.versions.add(version)
        if self.file.checksum:
            return True
        with self.guard:
            self.version = self.version or version
        return version is not None and version == self.version

    def _stream(self) -> None:
        """Ask for the whole file, and read over what is here of it."""
        with self.remote.part() as part:
            if not self._fits(part.version):
                self._lose(*self.pieces)
                self.journal.forget()
                self.version = part.version
            for piece in self.pieces:
                self._pour(part.body, piece.first, piece, piece.end)

    def _pour(
        self,
        body: http.client.HTTPResponse,
        position: int,
        piece: Piece,
        end: int,
        limit: float = float("inf"),
    ) -> None:
        """Take what arrives, from the file's byte at *position* on. Raises HubError when it ends
        before its *end*, or takes too long.
        """
        buffer = memoryview(bytearray(CHUNK_BYTES))
        while position < end:
            try:
                size = body.readinto(buffer[: min(CHUNK_BYTES, end - position)])
            except (OSError, http.client.HTTPException) as error:
                raise self.remote.hub.unreachable(f"the connection broke ({error})") from error
            if not size:
                raise self.remote.hub.unreachable("the connection ended before the file did")
            position += size
            new = position - piece.next
            if new > 0:
                self._keep(piece, buffer[size - new : size])
            if position < end and time.monotonic() > limit:
                raise self.remote.hub.unreachable("a connection was too slow")

    def _keep(self, piece: Piece, content: memoryview) -> None:
        crc, size = zlib.crc32(content, piece.crc), len(content)
        offset = piece.next
        while content:
            written = os.pwrite(self.handle, content, offset)
            content, offset = content[written:], offset + written
        piece.crc, piece.here = crc, piece.here + size
        # What has no name cannot be told from what another process finds later.
        if piece.whole and len(self.pieces) > 1 and (self.file.checksum or self.version):
            self.journal.add(piece.index, piece.crc, self.version)
        self.progress.count(size)

    def _checked(self, piece: Piece, digest: Any, bring: Callable[[Piece], None]) -> Any:
        """The digest with this piece in it, after that was seen to be on the disk as it arrived.

        One that a restart of the host has lost is fetched again. Raises StoreError.
        """
        for _attempt in range(ATTEMPTS):
            with_it = digest and digest.copy()
            if self._crc(piece, with_it) == piece.crc:
                self.checked += piece.size
                self.progress.count(0, checked=piece.size)
                return with_it
            self._lose(piece)
            bring(piece)
        raise StoreError(
            f"{self.part} is read otherwise than it was written: the disk of this host is damaged. "
            "Take another host."
        )

    def _crc(self, piece: Piece, digest: Any = None) -> int:
        """What the disk has of a piece, which the digest takes in."""
        crc = 0
        for block in self._blocks(piece):
            crc = zlib.crc32(block, crc)
            if digest:
                digest.update(block)
        return crc

    def _blocks(self, piece: Piece) -> Iterator[memoryview]:
        buffer, position = memoryview(bytearray(CHUNK_BYTES)), piece.first
        while position < piece.next:
            size = os.preadv(
                self.handle, [buffer[: min(CHUNK_BYTES, piece.next - position)]], position
            )
            if not size:
                return
            yield buffer[:size]
            position += size

    def _lose(self, *pieces: Piece) -> None:
        self.progress.count(-sum(piece.here for piece in pieces))
        for piece in pieces:
            piece.lose()


def _count(file: File) -> int:
    return max(1, -(-file.size // PIECE_BYTES))


def _piece(file: File, index: int) -> Piece:
    first = index * PIECE_BYTES
    return Piece(index, first, min(PIECE_BYTES, file.size - first))


def _journal(file: File, part: Path) -> Journal:
    return Journal(part.with_name(part.name + JOURNAL), file, _count(file))
