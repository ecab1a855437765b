# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an engine has compiled on this host: what it suits, and how it leaves and comes.

What comes was proven byte by byte before any of it lies where an engine looks, and it replaces
nothing that is there.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import re
import shutil
import stat
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from ...common.compiled_cache import (
    CacheError,
    Contents,
    File,
    Limit,
    is_path,
    pack,
    require_archive,
    unpack,
)
from ...common.private_files import open_private, place_of, private_folder
from ..engines.engine import Engine, Wish
from ..gpus.report import Report
from ..machine.files import write_json
from . import caches

FOLDER = "caches"
"""Below the home folder: what comes, what leaves, and that something came."""

#: What names say is still being written, or held by a process.
_IN_WORK = (".lock", ".tmp")
#: The widest instructions, which kernels for the processor are chosen by where a GPU does the work.
_WIDTHS = ("avx512f", "avx2", "sve", "asimd")


@dataclass(frozen=True)
class Caches:
    """What one engine has compiled here, and what of it travels."""

    home: Path
    engine: Engine
    environment: Mapping[str, str]

    @property
    def folders(self) -> dict[str, Path]:
        return self.engine.compiled(self.environment)

    @property
    def incoming(self) -> Path:
        return self.home / FOLDER / "incoming"

    @property
    def outgoing(self) -> Path:
        return self.home / FOLDER / "outgoing"

    @property
    def _mark(self) -> Path:
        return self.home / FOLDER / "given.json"

    def prepare(self) -> None:
        """Make the folder that archives come to and leave from. Raises NotOurs."""
        private_folder(self.home / FOLDER)

    def has_own(self) -> bool:
        """Whether an engine has compiled here, or a cache has come, before."""
        graphs = next(iter(self.folders.values()), None)
        return graphs is not None and any(path.is_file() for path in graphs.rglob("*"))

    def was_given(self) -> bool:
        """Whether something came from elsewhere: what is here then is not this host's own."""
        return self._mark.exists()

    def pack(self, limit: Limit) -> Contents:
        """Write all of it to `outgoing`. Raises CacheError, OSError."""
        handle = open_private(self.outgoing, os.O_WRONLY | os.O_TRUNC)
        with os.fdopen(handle, "wb") as archive:
            return pack(self._files(), archive, limit)

    def unpack(self, contents: Contents, limit: Limit) -> None:
        """Take what lies in `incoming` to where the engine looks. Raises CacheError, OSError.

        All of it is proven first. Then whole entries of each folder are moved, so that what is
        interrupted leaves some of them, and no half of one.
        """
        drafts: dict[str, Path] = {}
        try:
            drafts = {name: _draft_of(folder) for name, folder in self.folders.items()}
            with open(self.incoming, "rb") as archive:
                require_archive(archive, contents, limit)
                self._draft(archive, contents, drafts, limit)
            write_json(self._mark, {"archive_sha256": contents.archive_sha256})
            for name, draft in drafts.items():
                if draft.is_dir():
                    _move_entries(draft, self.folders[name])
        finally:
            for draft in drafts.values():
                shutil.rmtree(draft, ignore_errors=True)
            self.tidy()

    def tidy(self) -> None:
        """Remove the archives."""
        for archive in (self.incoming, self.outgoing):
            archive.unlink(missing_ok=True)

    def present(self) -> list[Path]:
        """All that is compiled here, and the mark of what came: together they may go."""
        found = [folder for folder in self.folders.values() if folder.is_dir()]
        return [*found, self._mark] if self.was_given() else found

    def clear(self) -> None:
        """Remove all of it."""
        for path in self.present():
            caches.remove(path)
        self.tidy()

    def _draft(
        self, archive: BinaryIO, contents: Contents, drafts: Mapping[str, Path], limit: Limit
    ) -> None:
        with ExitStack() as opened:
            current: list[BinaryIO] = []

            def take(file: File, chunk: bytes) -> None:
                if chunk:
                    current[-1].write(chunk)
                    return
                opened.close()
                current[:] = [opened.enter_context(_begin(file, drafts))]

            for name in {file.path.partition("/")[0] for file in contents.files}:
                if name not in drafts:
                    raise CacheError(f"This host's engine has no cache that is called {name}.")
                shutil.rmtree(drafts[name], ignore_errors=True)
                private_folder(drafts[name])
            unpack(archive, contents, limit, take)

    def _files(self) -> Iterator[tuple[str, BinaryIO]]:
        for name, folder in self.folders.items():
            for path in sorted(_plain_files(folder, self.engine.not_carried)):
                place = f"{name}/{path.relative_to(folder).as_posix()}"
                stream = _open(path) if is_path(place) else None
                if stream is not None:
                    with stream:
                        yield place, stream


def key(
    engine: Engine,
    wish: Wish,
    environment: Mapping[str, str],
    report: Report,
    packages: Mapping[str, str],
) -> dict[str, str]:
    """All that has to be the same where a cache is to fit.

    The folders stand in what is compiled, and so does the model's, which has its commit in it.
    """
    folders = {name: str(path) for name, path in engine.compiled(environment).items()}
    capabilities = {str(gpu.compute_capability) for gpu in report.gpus}
    facts = {
        "gpu": ", ".join(sorted({gpu.name for gpu in report.gpus})) or "none",
        "compute-capability": ", ".join(sorted(capabilities)) or "none",
        "driver": report.driver_version or "none",
        "processor": processor(exact=not report.present),
        "python": Path(os.path.realpath(wish.python)).name,
        "engine": engine.name,
        "model": wish.model,
        "options": _digest(engine.deciding(wish, environment)),
        "folders": _digest(folders),
        **{name: packages.get(name, "none") for name in engine.compilers},
    }
    return {name: re.sub(r"[^ -~]", "?", value)[:300] for name, value in facts.items()}


def processor(exact: bool, cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """What programs may be compiled for: all that this processor knows, or how wide it computes."""
    try:
        text = cpuinfo.read_text(errors="replace")
    except OSError:
        text = ""
    found = re.search(r"^(?:flags|Features)\s*:(.*)$", text, re.MULTILINE)
    flags = sorted(found[1].split()) if found else []
    known = _digest(flags) if exact else next((one for one in _WIDTHS if one in flags), "")
    return f"{platform.machine()} {known}".strip()


def _digest(told: Any) -> str:
    text = json.dumps(told, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _plain_files(folder: Path, left_out: frozenset[str]) -> Iterator[Path]:
    """Those below a folder that are not links, and that nothing writes any more."""
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if name not in left_out)
        for name in names:
            if name not in left_out and not name.endswith(_IN_WORK):
                yield Path(place) / name


def _open(path: Path) -> BinaryIO | None:
    """A plain file of ours to read; None where it is something else, or gone."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    status = os.fstat(handle)
    if not stat.S_ISREG(status.st_mode) or status.st_uid != os.geteuid():
        os.close(handle)
        return None
    return os.fdopen(handle, "rb")


def _draft_of(folder: Path) -> Path:
    """Beside where a folder lies, so that what is in it need only be renamed. Raises NotOurs."""
    place = place_of(folder)
    return place.parent / f".{place.name}.inferops"


def _begin(file: File, drafts: Mapping[str, Path]) -> BinaryIO:
    """A new file of a draft, which is for nobody else."""
    name, _slash, rest = file.path.partition("/")
    path = drafts[name] / rest
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    return os.fdopen(os.open(path, flags, 0o600), "wb")


def _move_entries(draft: Path, folder: Path) -> None:
    """Each entry that is not there yet, in one step."""
    place = private_folder(folder)
    for entry in sorted(draft.iterdir()):
        if not os.path.lexists(place / entry.name):
            entry.rename(place / entry.name)
