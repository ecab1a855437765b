# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Models on the host's disk: downloads that go on where they broke, and are proven by checksum.

A model lies in <home>/models/<organisation>--<name>/<commit>/, with a manifest of what was proven.
Beside the commits, refs/<revision> remembers which commit a branch was when it was downloaded.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, Executor, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...common.private_files import open_private, private_folder
from ...hub.hub import COMMIT, File, Hub, Listing
from ...hub.parts import RemoteFile
from ..machine.files import MANIFEST, read_json, write_json
from .errors import StoreError
from .files import size_of
from .pieces import CHUNK_BYTES, INCOMPLETE, Fetch, bytes_here
from .progress import Progress

MODELS = "models"
"""Their folder below the home folder."""

PROGRESS, LOCK = ".progress.json", ".lock"
TELL_SECONDS = 1.0

FILES, CONNECTIONS = 4, 8
"""So many files are checked at once, and so many connections bring their pieces."""


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
        """How far a download is, as `Progress` tells it."""
        return read_json(self.folder / PROGRESS)


@dataclass(frozen=True)
class Copy:
    """One commit of a model."""

    folder: Path

    @classmethod
    def holding(cls, model: Path) -> Copy:
        """The copy that a model's path belongs to, which is a folder or a file of it."""
        folders = [model, *model.parents]
        return cls(next((each for each in folders if (each / MANIFEST).is_file()), model))

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
        return sum(bytes_here(file, self._part(file)) for file in files)

    def disk_bytes(self, files: Sequence[File]) -> int:
        """What that takes of the disk already, halves of pieces included."""
        return sum(min(file.size, _used(self._part(file))) for file in files)

    def adopt(self, file: File) -> bool:
        """Prove a file that is here without a mark, such as one that was touched or copied."""
        path = self.folder / file.name
        alike = file.checksum and size_of(path) == file.size and path.is_file()
        return bool(alike) and _digest(path, file) == file.checksum

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

    def fetch(self, remote: RemoteFile, connections: Executor, progress: Progress) -> None:
        """Bring one file, and prove it. What goes wrong is told to *progress*.

        Raises HubError, StoreError, OSError or Stopped.
        """
        part = self._part(remote.file)
        with progress.watched():
            private_folder(part.parent)
            Fetch(remote, part, progress).run(connections)
            os.replace(part, self.folder / remote.file.name)


def download(hub: Hub, listing: Listing, files: Sequence[File], store: Store) -> None:
    """Bring a copy of these files up to date, several at once. Raises HubError or StoreError.

    Whoever calls holds the lock.
    """
    copy = store.copy(listing.commit)
    lacking = [file for file in copy.lacking(files) if not copy.adopt(file)]
    total = sum(file.size for file in lacking)
    progress = Progress(store.folder / PROGRESS, total, copy.bytes_here(lacking))
    # The largest first: one that begins last would keep all others waiting.
    remotes = [RemoteFile(hub, listing, file) for file in sorted(lacking, key=lambda f: -f.size)]
    try:
        with ThreadPoolExecutor(CONNECTIONS) as connections, ThreadPoolExecutor(FILES) as pool:
            jobs = [pool.submit(copy.fetch, remote, connections, progress) for remote in remotes]
            try:
                while jobs and not progress.cause:
                    progress.tell()
                    _ended, left = wait(jobs, TELL_SECONDS, FIRST_EXCEPTION)
                    jobs = list(left)
            except BaseException as error:
                progress.stop(error)
            for job in jobs:
                job.cancel()
        if progress.cause:
            raise progress.cause
    except OSError as error:
        raise StoreError(f"The disk does not take the model: {error}.") from error
    finally:
        progress.close()


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


def _digest(path: Path, file: File) -> str:
    """Of a file that has a checksum, what that would have to be."""
    digest = file.digest()
    with path.open("rb") as stream:
        for chunk in iter(lambda: stream.read(CHUNK_BYTES), b""):
            digest.update(chunk)
    return str(digest.hexdigest())


def _used(path: Path) -> int:
    try:
        return path.stat().st_blocks * 512
    except OSError:
        return 0
