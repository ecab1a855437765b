# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Models on the host's disk: downloads that go on where they broke, and are proven by checksum.

A model lies in <home>/models/<organisation>--<name>/<commit>/, with a manifest of what was proven.
Beside the commits, refs/<revision> remembers which commit a branch was when it was downloaded.
"""

from __future__ import annotations

import fcntl
import hashlib
import http.client
import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from ...common.private_files import open_private, private_folder
from ...hub.hub import COMMIT, File, Hub, HubError, Listing
from ..machine.files import read_json, write_json

MODELS = "models"
"""Their folder below the home folder."""

MANIFEST, PROGRESS, LOCK = ".inferops.json", ".progress.json", ".lock"
INCOMPLETE = ".incomplete"
CHUNK_BYTES = 1024 * 1024
PARALLEL_FILES = 4
ATTEMPTS = 5
FIRST_PAUSE_SECONDS = 1.0
TELL_SECONDS = 1.0


_Answer = TypeVar("_Answer")


class StoreError(Exception):
    """The model cannot be stored; the text says why and what to change."""


@dataclass(frozen=True)
class Store:
    """The copies of one model."""

    folder: Path

    @classmethod
    def of(cls, home: Path, model: str) -> Store:
        return cls(home / MODELS / model.replace("/", "--"))

    def commit_of(self, revision: str) -> str | None:
        """The commit that a revision was when its copy was completed; None without a copy."""
        known = (read_json(self.folder / "refs.json") or {}).get(revision, revision)
        is_one = isinstance(known, str) and COMMIT.fullmatch(known)
        return known if is_one and (self.folder / known / MANIFEST).is_file() else None

    def remember(self, revision: str, commit: str) -> None:
        refs = read_json(self.folder / "refs.json") or {}
        write_json(self.folder / "refs.json", {**refs, revision: commit})

    def copy(self, commit: str) -> Copy:
        return Copy(self.folder / commit)

    @contextmanager
    def locked(self) -> Iterator[bool]:
        """Hold the model for this process alone; gives False when another one holds it."""
        private_folder(self.folder.parent)
        folder = private_folder(self.folder)
        with os.fdopen(open_private(folder / LOCK, os.O_RDWR), "r+") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
                return
            yield True

    def progress(self) -> dict[str, Any] | None:
        """How far a download is: bytes_done, bytes_total, bytes_per_second."""
        return read_json(self.folder / PROGRESS)


@dataclass(frozen=True)
class Copy:
    """One commit of a model."""

    folder: Path

    def manifest(self) -> dict[str, Any]:
        """What was proven here: marks of files, by name."""
        known: dict[str, Any] = (read_json(self.folder / MANIFEST) or {}).get("files", {})
        return known

    def lacking(self, files: Sequence[File]) -> list[File]:
        """Those files that are not here as they were proven."""
        proven = self.manifest()
        return [file for file in files if self._mark(file.name) != proven.get(file.name, 0)]

    def intact(self, patterns: Sequence[Sequence[str]]) -> bool:
        """Whether all that these patterns chose was proven and is still here, untouched."""
        proven = self.manifest()
        known = (read_json(self.folder / MANIFEST) or {}).get("patterns")
        return known == [list(each) for each in patterns] and all(
            self._mark(name) == mark for name, mark in proven.items()
        )

    def altered(self) -> list[str]:
        """Files that were proven and are not here any more as they were."""
        return [name for name, mark in self.manifest().items() if self._mark(name) != mark]

    def unproven(self) -> list[str]:
        """Files of which the hub named no checksum: nothing but their size is known to be right."""
        return [str(name) for name in (read_json(self.folder / MANIFEST) or {}).get("unproven", [])]

    def size(self) -> int:
        return sum(mark["size"] for mark in self.manifest().values())

    def bytes_here(self, files: Sequence[File]) -> int:
        """What earlier attempts have left of these files."""
        return sum(min(file.size, _size(self._part(file))) for file in files)

    def adopt(self, file: File) -> bool:
        """Prove a file that is here without a mark, such as one that was touched or copied."""
        path = self.folder / file.name
        return bool(
            file.checksum and _size(path) == file.size and _is_genuine(file, _hashed(path, file))
        )

    def note(self, files: Sequence[File], patterns: Sequence[Sequence[str]]) -> None:
        """Write down that these files are here, which of them nothing proves but their size, and
        which patterns had chosen them.
        """
        marks = {file.name: self._mark(file.name) for file in files}
        write_json(
            self.folder / MANIFEST,
            {
                "files": marks,
                "unproven": without_checksum(files),
                "patterns": [list(each) for each in patterns],
            },
        )

    def _mark(self, name: str) -> dict[str, int] | None:
        try:
            status = (self.folder / name).stat()
        except OSError:
            return None
        return {"size": status.st_size, "mtime_ns": status.st_mtime_ns}

    def _part(self, file: File) -> Path:
        return self.folder / f"{file.name}{INCOMPLETE}"

    def fetch(self, hub: Hub, listing: Listing, file: File, count: Callable[[int], None]) -> None:
        """Download one file, from where an earlier attempt ended, and prove it.

        Raises HubError or StoreError after as many attempts that brought nothing.
        """
        part = self._part(file)
        private_folder(part.parent)
        failures, pause_seconds = 0, FIRST_PAUSE_SECONDS
        while True:
            before = _size(part)
            try:
                self._fetch_rest(hub, listing, file, part, count)
                break
            except HubError as error:
                grew = _size(part) > before
                failures = 0 if grew else failures + 1
                if error.kind != "unreachable" or failures >= ATTEMPTS:
                    raise
                pause_seconds = FIRST_PAUSE_SECONDS if grew else pause_seconds * 2
                time.sleep(pause_seconds)
        os.replace(part, self.folder / file.name)

    def _fetch_rest(
        self, hub: Hub, listing: Listing, file: File, part: Path, count: Callable[[int], None]
    ) -> None:
        """One attempt. A whole file with the wrong content is thrown away, and told."""
        here = _size(part)
        if here > file.size:
            part.unlink()
            here = 0
        if here < file.size or not here:
            with hub.read(listing.model, listing.commit, file.name, here) as (answer, first):
                if first != here:
                    count(first - here)
                with os.fdopen(open_private(part, os.O_RDWR), "r+b") as stream:
                    stream.truncate(first)
                    stream.seek(first)
                    _pour(hub, answer, stream, file.size - first, count)
        if not _is_genuine(file, _hashed(part, file)):
            size = _size(part)
            part.unlink()
            count(-size)
            raise StoreError(
                f"{file.name} of {listing.model} has another checksum than {hub.endpoint} says: "
                "what arrived was thrown away. Run again, and take another mirror if it stays."
            )


def download(hub: Hub, listing: Listing, files: Sequence[File], store: Store) -> None:
    """Bring a copy of these files up to date, several at once. Raises HubError or StoreError.

    Whoever calls holds the lock.
    """
    copy = store.copy(listing.commit)
    lacking = [file for file in copy.lacking(files) if not copy.adopt(file)]
    total = sum(file.size for file in lacking)
    progress = _Progress(store.folder / PROGRESS, total, copy.bytes_here(lacking))
    # The largest first: one that begins last would keep all others waiting.
    order = sorted(lacking, key=lambda file: -file.size)
    try:
        with ThreadPoolExecutor(PARALLEL_FILES) as pool:
            jobs = [pool.submit(copy.fetch, hub, listing, file, progress.count) for file in order]
            try:
                for job in jobs:
                    job.result()
            except BaseException:
                progress.stop()
                for job in jobs:
                    job.cancel()
                raise
    except OSError as error:
        raise StoreError(f"The disk does not take the model: {error}.") from error
    finally:
        progress.close()


def patiently(question: Callable[[], _Answer]) -> _Answer:
    """Ask a hub that may be away for a moment a few times. Raises HubError."""
    pause_seconds = FIRST_PAUSE_SECONDS
    for _attempt in range(ATTEMPTS - 1):
        try:
            return question()
        except HubError as error:
            if error.kind != "unreachable":
                raise
        time.sleep(pause_seconds)
        pause_seconds *= 2
    return question()


def require_space(
    folder: Path, missing_bytes: int, reserve_bytes: int, installing_bytes: int = 0
) -> None:
    """Raise StoreError when the disk cannot take so much, and what is installed meanwhile, and keep
    the reserve."""
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    free = shutil.disk_usage(existing).free
    if missing_bytes and free < missing_bytes + installing_bytes + reserve_bytes:
        beside = (
            f", {gib(installing_bytes)} GiB are installed beside it" if installing_bytes else ""
        )
        raise StoreError(
            f"{gib(missing_bytes)} GiB are to be downloaded to {folder}{beside}, and the disk has "
            f"{gib(free)} GiB free, of which {gib(reserve_bytes)} stay free. Rent a larger disk "
            "(rent_disk_gib), or put the model elsewhere (inferops_model_home)."
        )


def without_checksum(files: Sequence[File]) -> list[str]:
    """Those of which the hub tells nothing but the size."""
    return [file.name for file in files if not file.checksum]


def gib(size_bytes: float) -> float:
    """Bytes as GiB for people."""
    return round(size_bytes / 1024**3, 2)


class _Progress:
    """Counts bytes of several threads, and writes them down now and then."""

    def __init__(self, path: Path, total: int, done: int) -> None:
        self.path, self.total, self.done = path, total, done
        self.began, self.began_with = time.monotonic(), done
        self.told = 0.0
        self.stopped = False
        self.guard = threading.Lock()
        self.count(0)

    def stop(self) -> None:
        """Let the other threads end at their next bytes: one of them has failed."""
        self.stopped = True

    def count(self, size: int) -> None:
        if self.stopped:
            raise StoreError("Another file could not be downloaded.")
        with self.guard:
            self.done += size
            now = time.monotonic()
            if now - self.told >= TELL_SECONDS:
                self.told = now
                speed = (self.done - self.began_with) / max(now - self.began, 0.1)
                write_json(
                    self.path,
                    {
                        "bytes_done": self.done,
                        "bytes_total": self.total,
                        "bytes_per_second": round(max(speed, 0)),
                    },
                )

    def close(self) -> None:
        self.path.unlink()


def _pour(hub: Hub, answer: Any, stream: Any, expected: int, count: Callable[[int], None]) -> None:
    """Write what arrives. Raises HubError when the connection ends before the file does."""
    poured = 0
    while poured < expected:
        try:
            chunk = answer.read(min(CHUNK_BYTES, expected - poured))
        except (OSError, http.client.HTTPException) as error:
            raise hub.unreachable(f"the connection broke ({error})") from error
        if not chunk:
            raise hub.unreachable("the connection ended before the file did")
        try:
            stream.write(chunk)
        except OSError as error:
            raise StoreError(f"The disk does not take the model: {error}.") from error
        poured += len(chunk)
        count(len(chunk))


def _hashed(path: Path, file: File) -> str | None:
    """The file's digest of the kind that the hub names; None when it names none."""
    if file.sha256:
        digest = hashlib.sha256()
    elif file.git_id:
        digest = hashlib.sha1(f"blob {_size(path)}\0".encode(), usedforsecurity=False)
    else:
        return None
    with path.open("rb") as stream:
        for chunk in iter(lambda: stream.read(CHUNK_BYTES), b""):
            digest.update(chunk)
    return digest.hexdigest()


def _is_genuine(file: File, digest: str | None) -> bool:
    return digest == file.checksum


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
