# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The controller's folder of what hosts have compiled: which of it a host gets, and what has to go.

Compiled code is run. So each cache says which machine has made it, by what the marketplace tells
and not the host, and a machine can replace no other's.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ansible_collections.inferops.gpu.plugins.module_utils.common import answers
from ansible_collections.inferops.gpu.plugins.module_utils.common.compiled_cache import (
    CacheError,
    Contents,
    Key,
    differing,
    read,
    read_key,
)
from ansible_collections.inferops.gpu.plugins.module_utils.common.private_files import (
    private_folder,
    replace,
)
from ansible_collections.inferops.gpu.plugins.module_utils.market.secret import derived

MACHINE, VERIFIED, SCOPE = "machine", "verified", "scope"
GIB = 2**30
ID = re.compile(r"[0-9a-f]{32}")
LIST, ARCHIVE, _INCOMING = ".json", ".cache", ".incoming"
#: Of 20,000 files with long names.
MOST_LIST_BYTES = 24 * 2**20
#: What a run that was killed has left is nobody's after that.
_FORGOTTEN_SECONDS = 24 * 3600


@dataclass(frozen=True)
class Origin:
    """Which machine has made a cache, and for whom."""

    scope: str
    provider: str
    machine_id: str
    verified: bool

    @classmethod
    def of(cls, scope: str, rental: Mapping[str, Any], offer: Mapping[str, Any]) -> Origin:
        """Of a rental as the marketplace tells it. An offer counts that is of the same machine."""
        machine = str(rental.get("machine_id") or "")
        same = bool(machine) and str(offer.get("machine_id") or "") == machine
        verified = same and offer.get("verified") is True
        return cls(scope, str(rental.get("provider") or ""), machine, verified)

    def may_give(self, other: Origin, trust: str) -> bool:
        """Whether what was made here may run there."""
        if self.scope != other.scope:
            return False
        return self.is_of(other) or trust == SCOPE or (trust == VERIFIED and self.verified)

    def is_of(self, other: Origin) -> bool:
        """Whether it is the very same machine."""
        same = (self.provider, self.machine_id) == (other.provider, other.machine_id)
        return bool(self.machine_id) and same


@dataclass(frozen=True)
class Kept:
    """One cache in the store."""

    key: Key
    origin: Origin
    contents: Contents
    used_at: float = 0.0

    @property
    def id(self) -> str:
        """One for each kind of host and each machine that has made it."""
        return id_of(self.key, self.origin)


@dataclass(frozen=True)
class Choice:
    """The cache that a host gets, and why it is none otherwise."""

    kept: Kept | None = None
    reason: str = ""


def id_of(key: Key, origin: Origin) -> str:
    """The name of the cache that this machine makes for hosts of this kind."""
    made = [dict(key), origin.scope, origin.provider, origin.machine_id]
    return hashlib.sha256(json.dumps(made, sort_keys=True).encode()).hexdigest()[:32]


def choose(every: Sequence[Kept], key: Key, here: Origin, trust: str) -> Choice:
    """What a host of this kind gets, the latest used first and its own before all others."""
    ours = [one for one in every if one.origin.scope == here.scope]
    if not ours:
        return Choice(reason="none is kept yet")
    fitting = [one for one in ours if one.key == key]
    if not fitting:
        nearest = min(ours, key=lambda one: len(differing(key, one.key)))
        return Choice(reason=f"none of {len(ours)} fits: {_difference(key, nearest.key)}")
    trusted = [one for one in fitting if one.origin.may_give(here, trust)]
    if not trusted:
        return Choice(
            reason=f"{len(fitting)} fit, made on machines whose code this one is not to run "
            f"(inferops_cache_trust is {trust})"
        )
    return Choice(max(trusted, key=lambda one: (one.origin.is_of(here), one.used_at)))


def _difference(here: Key, there: Key) -> str:
    """In words, how the cache that fits best does not."""
    told = []
    for name in differing(here, there):
        if name in ("options", "folders"):
            told.append(f"other {name}")
        else:
            told.append(f"{name} is {here.get(name)} here and {there.get(name)} there")
    return "; ".join(told)


@dataclass(frozen=True)
class Store:
    """The folder. Runs share it: each writes under a name of its own and then replaces.

    With the scope's ``secret`` lists are sealed, and one that is not is none.
    """

    folder: Path
    secret: str = field(default="", repr=False)

    def open(self) -> None:
        """Make it, for its owner alone. Raises NotOurs."""
        private_folder(self.folder)

    def every(self) -> list[Kept]:
        """What is in it. A list that is damaged, or that somebody has edited into none, is not."""
        found = []
        for file in self.folder.glob(f"*{LIST}"):
            try:
                kept = self._read(file)
            except (OSError, CacheError, TypeError, KeyError, UnicodeDecodeError):
                continue
            if kept.id == file.stem:
                found.append(kept)
        return found

    def archive(self, kept: Kept) -> Path:
        return self.folder / f"{kept.id}{ARCHIVE}"

    def has(self, cache_id: str) -> bool:
        """Whether it is kept, by a list that counts."""
        return any(one.id == cache_id for one in self.every())

    def incoming(self) -> Path:
        """Where something may be written that is not kept yet."""
        return self.folder / f"{_INCOMING}-{os.getpid()}"

    def add(self, archive: Path, kept: Kept, most_bytes: float, most: int) -> list[str]:
        """Keep it, and remove those that were used longest ago and for which no room is left.

        The ids of those that were removed.
        """
        if kept.contents.archive_bytes > most_bytes:
            raise CacheError("It alone is larger than inferops_cache_max_gib.")
        archive.chmod(0o600)
        archive.replace(self.archive(kept))
        told = {"key": dict(kept.key), "origin": asdict(kept.origin), **kept.contents.to_dict()}
        told["seal"] = self._seal(told)
        replace(self.folder / f"{kept.id}{LIST}", json.dumps(told) + "\n")
        return self._trim(most_bytes, most)

    def touch(self, cache_id: str) -> None:
        """Remember that it was used now."""
        os.utime(self.folder / f"{cache_id}{LIST}")

    def forget(self, cache_id: str) -> None:
        """Remove one, the list first: an archive without is nothing."""
        if ID.fullmatch(cache_id):
            for end in (LIST, ARCHIVE):
                (self.folder / f"{cache_id}{end}").unlink(missing_ok=True)

    def _read(self, file: Path) -> Kept:
        status = file.lstat()
        if status.st_size > MOST_LIST_BYTES:
            raise CacheError("Its list is too long.")
        told = answers.parse(file.read_text(encoding="utf-8"))
        if not isinstance(told, dict):
            raise CacheError("Its list is none.")
        seal = str(told.pop("seal", ""))
        if self.secret and not hmac.compare_digest(seal.encode(), self._seal(told).encode()):
            raise CacheError("Its list was not written by somebody who has the scope's secret.")
        key, origin = read_key(told.pop("key")), Origin(**told.pop("origin"))
        return Kept(key, origin, read(told), status.st_mtime)

    def _seal(self, told: Mapping[str, Any]) -> str:
        """What only somebody who has the secret can write; empty without one."""
        if not self.secret:
            return ""
        return derived(self.secret, f"inferops cache/{json.dumps(told, sort_keys=True)}").hex()

    def _trim(self, most_bytes: float, most: int) -> list[str]:
        left, gone = sorted(self.every(), key=lambda one: one.used_at), []
        while left and (len(left) > most or _size(left) > most_bytes):
            gone.append(left.pop(0).id)
            self.forget(gone[-1])
        names = {one.id for one in left}
        for file in self._leftovers(lambda stem: stem not in names):
            file.unlink(missing_ok=True)
        return gone

    def _leftovers(self, is_unknown: Callable[[str], bool]) -> Iterator[Path]:
        """What runs that were killed have left, and archives without a list that can be read."""
        old = time.time() - _FORGOTTEN_SECONDS
        for file in self.folder.iterdir():
            ours = file.name.startswith(_INCOMING) or (
                file.suffix in (LIST, ARCHIVE) and ID.fullmatch(file.stem)
            )
            if ours and is_unknown(file.stem) and file.lstat().st_mtime < old:
                yield file


def _size(every: Sequence[Kept]) -> int:
    return sum(one.contents.archive_bytes for one in every)
