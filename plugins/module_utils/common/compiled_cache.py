# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an engine has compiled, as one archive that travels, and the grammar of the list beside it.

The archive is the bytes of files one after the other, compressed, and nothing else. Their names,
sizes and hashes stand in a list, which both sides read here. So whoever sends an archive has no say
in links, modes, owners or places, and the controller needs to unpack nothing to know what is in it.
"""

from __future__ import annotations

import hashlib
import re
import time
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO, Callable

#: A model with its kernels has some thousand files in some hundred MiB.
MOST_FILES, MOST_BYTES, MOST_ARCHIVE_BYTES = 20_000, 4 * 2**30, 2**30
MOST_PATH_LETTERS, MOST_FACTS = 1000, 24
#: Kernels shrink to a third; more effort costs more seconds than it saves on a usual line.
_LEVEL = 3
_CHUNK_BYTES = 2**20
#: The folder's name with the engine, then where the file lies in it.
_PATH = re.compile(r"[a-z_]{1,32}(?:/[A-Za-z0-9_.=+,@%~-]{1,255}){1,16}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_FACT = re.compile(r"[a-z][a-z_-]{0,31}")
#: No letter that a terminal or a person could take for something else.
_VALUE = re.compile(r"[ -~]{0,300}")

Key = Mapping[str, str]


class CacheError(ValueError):
    """A cache that is not taken; the text says why."""


class TooSlow(CacheError):
    """It may be a good one, and its time is up."""


@dataclass(frozen=True)
class File:
    """A file in an archive."""

    path: str
    size: int
    sha256: str


@dataclass(frozen=True)
class Contents:
    """What an archive holds, in this order."""

    archive_bytes: int
    archive_sha256: str
    files: tuple[File, ...]

    @property
    def bytes(self) -> int:
        """What it is unpacked."""
        return sum(file.size for file in self.files)

    def to_dict(self) -> dict[str, Any]:
        """It as plain data, for :func:`read`."""
        return {
            "archive_bytes": self.archive_bytes,
            "archive_sha256": self.archive_sha256,
            "files": [[file.path, file.size, file.sha256] for file in self.files],
        }


@dataclass(frozen=True)
class Limit:
    """How long one step may take."""

    seconds: float
    until: float

    @classmethod
    def of(cls, seconds: float) -> Limit:
        return cls(seconds, time.monotonic() + seconds)

    def check(self) -> None:
        """Raise TooSlow when the time is up."""
        if time.monotonic() > self.until:
            raise TooSlow(f"It takes longer than {self.seconds:g} s.")


def read(told: Any) -> Contents:
    """What *told* says of an archive. Raises CacheError for whatever is not as we write it."""
    if not isinstance(told, dict) or set(told) != {"archive_bytes", "archive_sha256", "files"}:
        raise CacheError("Its list is no list of this collection.")
    rows, size, sha256 = told["files"], told["archive_bytes"], told["archive_sha256"]
    if not isinstance(rows, list) or not 0 < len(rows) <= MOST_FILES:
        raise CacheError(f"It has no file, or more than {MOST_FILES}.")
    if not _is_size(size, MOST_ARCHIVE_BYTES) or not _is_sha256(sha256):
        raise CacheError(
            "The size or the hash of its archive is none, or the archive is too large."
        )
    contents = Contents(size, sha256, tuple(map(_file, rows)))
    if contents.bytes > MOST_BYTES:
        raise CacheError(f"It is more than {MOST_BYTES >> 30} GiB unpacked.")
    names = {file.path for file in contents.files}
    if len(names) < len(rows):
        raise CacheError("It has a file twice.")
    if not names.isdisjoint(_folders(names)):
        raise CacheError("It has a file that is a folder as well.")
    return contents


def read_key(told: Any) -> dict[str, str]:
    """The facts that a cache goes by. Raises CacheError for what cannot be some."""
    if not isinstance(told, dict) or not 0 < len(told) <= MOST_FACTS:
        raise CacheError("It does not say what it was made for.")
    for name, value in told.items():
        texts = isinstance(name, str) and isinstance(value, str)
        if not texts or not _FACT.fullmatch(name) or not _VALUE.fullmatch(value):
            raise CacheError("What it was made for is told in letters that no host uses.")
    return dict(told)


def differing(key: Key, other: Key) -> list[str]:
    """The names of facts that are not the same."""
    return [name for name in sorted({*key, *other}) if key.get(name) != other.get(name)]


def pack(files: Iterable[tuple[str, BinaryIO]], archive: BinaryIO, limit: Limit) -> Contents:
    """Write an archive of these, each with its path in it. Raises CacheError above a bound."""
    packer, digest = zlib.compressobj(_LEVEL), hashlib.sha256()
    listed: list[File] = []
    total, written = 0, 0

    def write(data: bytes) -> None:
        nonlocal written
        written += len(data)
        if written > MOST_ARCHIVE_BYTES:
            raise CacheError(f"It is more than {MOST_ARCHIVE_BYTES >> 20} MiB packed.")
        digest.update(data)
        archive.write(data)

    for path, stream in files:
        size, own = 0, hashlib.sha256()
        for chunk in _chunks(stream):
            limit.check()
            size += len(chunk)
            own.update(chunk)
            write(packer.compress(chunk))
        total += size
        listed.append(File(path, size, own.hexdigest()))
        if total > MOST_BYTES or len(listed) > MOST_FILES:
            raise CacheError(
                f"It is more than {MOST_BYTES >> 30} GiB, or more than {MOST_FILES} files."
            )
    write(packer.flush())
    # What this side writes the other has to take.
    return read(Contents(written, digest.hexdigest(), tuple(listed)).to_dict())


def unpack(
    archive: BinaryIO,
    contents: Contents,
    limit: Limit,
    take: Callable[[File, bytes], None] = lambda _file, _chunk: None,
) -> None:
    """Hand the bytes of each file to *take*, first none at all, which begins it.

    Raises CacheError as soon as something is not as the list says; *take* has had no byte more
    than listed then. What it has is proven only when this returns.
    """
    source = _Unpacked(archive)
    for file in contents.files:
        left, digest = file.size, hashlib.sha256()
        take(file, b"")
        while left:
            limit.check()
            chunk = source.read(min(left, _CHUNK_BYTES))
            if not chunk:
                raise CacheError("Its archive ends before its last file.")
            left -= len(chunk)
            digest.update(chunk)
            take(file, chunk)
        if digest.hexdigest() != file.sha256:
            raise CacheError(f"{file.path} in it is not what its list says.")
    if source.read(1) or not source.has_ended():
        raise CacheError("Its archive does not end with its last file.")


def require_archive(archive: BinaryIO, contents: Contents, limit: Limit) -> None:
    """Raise CacheError unless this is the archive of that list. Leaves it at its begin."""
    size, digest = 0, hashlib.sha256()
    for chunk in _chunks(archive):
        limit.check()
        size += len(chunk)
        digest.update(chunk)
    archive.seek(0)
    if (size, digest.hexdigest()) != (contents.archive_bytes, contents.archive_sha256):
        raise CacheError("Its archive is not the one that was listed: it was changed, or cut off.")


class _Unpacked:
    """What is in a packed stream, never more at once than is asked for."""

    def __init__(self, archive: BinaryIO) -> None:
        self._archive, self._unpacker = archive, zlib.decompressobj()

    def read(self, most: int) -> bytes:
        """Some bytes, none at its end."""
        while not self._unpacker.eof:
            data = self._unpacker.unconsumed_tail or self._archive.read(_CHUNK_BYTES)
            try:
                chunk = self._unpacker.decompress(data, most)
            except zlib.error:
                raise CacheError("Its archive is damaged.") from None
            if chunk or not data:
                return chunk
        return b""

    def has_ended(self) -> bool:
        """Whether nothing follows, and nothing is cut off."""
        ended = self._unpacker.eof and not self._unpacker.unused_data
        return ended and not self._archive.read(1)


def _chunks(stream: BinaryIO) -> Iterator[bytes]:
    return iter(lambda: stream.read(_CHUNK_BYTES), b"")


def _file(row: Any) -> File:
    if not isinstance(row, (list, tuple)) or len(row) != 3:
        raise CacheError("A line of its list is none.")
    path, size, sha256 = row
    if not isinstance(path, str) or not is_path(path):
        raise CacheError("A file in it has a name that leads elsewhere, or that nothing here has.")
    if not _is_size(size, MOST_BYTES) or not _is_sha256(sha256):
        raise CacheError("The size or the hash of a file in it is none.")
    return File(path, size, sha256)


def is_path(path: str) -> bool:
    """Whether a file can have this path in an archive."""
    fits = len(path) <= MOST_PATH_LETTERS and _PATH.fullmatch(path)
    return bool(fits) and not {".", ".."} & set(path.split("/"))


def _is_size(size: Any, most: int) -> bool:
    is_number = isinstance(size, int) and not isinstance(size, bool)
    return is_number and 0 <= size <= most


def _is_sha256(text: Any) -> bool:
    return isinstance(text, str) and bool(_SHA256.fullmatch(text))


def _folders(paths: Iterable[str]) -> Iterator[str]:
    for path in paths:
        parts = path.split("/")
        yield from ("/".join(parts[:number]) for number in range(1, len(parts)))
