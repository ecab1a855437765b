# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A store of caches that several controllers share: a folder over rsync, or a bucket of S3.

The controller's folder mirrors it. All lists are brought at once, for what is given is chosen by
them, and an archive only when it is given. An archive is put there before its list and removed
after it: whoever finds a list finds its archive, and an archive without a list is nothing.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

from ansible_collections.inferops.gpu.plugins.module_utils.common.compiled_cache import (
    MOST_ARCHIVE_BYTES,
    CacheError,
)
from ansible_collections.inferops.gpu.plugins.plugin_utils.cache_store import (
    ARCHIVE,
    ID,
    LIST,
    MOST_LIST_BYTES,
)

S3, RSYNC = "s3", "rsync"
_BUCKET = re.compile(r"s3://([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])((?:/[A-Za-z0-9_.=@+-]{1,255})*)/?")
#: A folder over SSH, or a module of a daemon. No blank, no quote, no dash that begins an option,
#: and no other scheme.
_REMOTE = re.compile(
    r"(?:rsync://[A-Za-z0-9_][A-Za-z0-9_.@:-]{0,255}/[A-Za-z0-9_.]"
    r"|(?![a-z]+://)[A-Za-z0-9_][A-Za-z0-9_.@-]{0,255}:[A-Za-z0-9_./~])"
    r"[A-Za-z0-9_.=@+~/-]{0,999}"
)
_TOLD_LETTERS = 300
_MOST_LISTS = 1000
_BOUNDS = {"connect_timeout": 20, "read_timeout": 60, "retries": {"max_attempts": 3}}
#: Stores that speak S3 and are not Amazon's refuse the checksums that boto3 sends by itself since
#: 1.36, or send none back. An archive is held against hashes of our own.
_NO_CHECKSUMS = {
    "request_checksum_calculation": "when_required",
    "response_checksum_validation": "when_required",
}
#: What rsync ends with when a part of what was asked for is not there.
_PARTIAL = 23


def kind_of(address: str) -> str:
    """S3 or RSYNC; empty for a folder on the controller. Raises CacheError for a wrong address."""
    if address.startswith("s3:"):
        if _BUCKET.fullmatch(address):
            return S3
        raise CacheError(f"{address!r} is no bucket: write s3://bucket/folder.")
    first = address.partition("/")[0]
    if ":" not in first:
        return ""
    if _REMOTE.fullmatch(address):
        return RSYNC
    raise CacheError(
        f"{address!r} is no target of rsync: write user@host:/folder or rsync://host/module/folder."
    )


class Shelf(ABC):
    """What is shared, by the names of its files. What goes wrong is a CacheError."""

    @abstractmethod
    def bring_lists(self, mirror: Path) -> None:
        """Make the lists in *mirror* those that are there, with the time of their last use."""

    @abstractmethod
    def bring_archive(self, cache_id: str, mirror: Path) -> None:
        """Copy an archive into *mirror*. Raises CacheError where it is not there."""

    @abstractmethod
    def put(self, names: Iterable[str], mirror: Path) -> None:
        """Copy these files of *mirror*, in this order."""

    @abstractmethod
    def remove(self, cache_ids: Iterable[str]) -> None:
        """Remove lists and archives; what is not there is fine."""


def shelf_of(address: str) -> Shelf | None:
    """What an address names; None for a folder on the controller. Raises CacheError."""
    kind = kind_of(address)
    if kind == S3:
        found = _BUCKET.fullmatch(address)
        return S3Shelf(found[1], found[2].strip("/")) if found else None
    return RsyncShelf(address) if kind == RSYNC else None


def files_of(cache_id: str) -> tuple[str, str]:
    """Its files, in the order in which they are put there."""
    return f"{cache_id}{ARCHIVE}", f"{cache_id}{LIST}"


class RsyncShelf(Shelf):
    """A folder behind rsync, reached as the user's own SSH and rsync reach it."""

    def __init__(self, address: str) -> None:
        self._folder = f"{address.rstrip('/')}/"

    def bring_lists(self, mirror: Path) -> None:
        """By one run, which takes files of the lists' names alone."""
        most = f"--max-size={MOST_LIST_BYTES}"
        names = [f"--include=/*{LIST}", "--exclude=*"]
        done = self._run("--dirs", "--delete", most, *names, self._folder, f"{mirror}/")
        if done.returncode == _PARTIAL and "No such file" in done.stderr:
            # Nobody has put anything there yet.
            for file in mirror.glob(f"*{LIST}"):
                file.unlink()
            return
        _require(done)

    def bring_archive(self, cache_id: str, mirror: Path) -> None:
        """By its name."""
        name = f"{cache_id}{ARCHIVE}"
        most = f"--max-size={MOST_ARCHIVE_BYTES}"
        _require(self._run(most, f"{self._folder}{name}", f"{mirror}/{name}"))

    def put(self, names: Iterable[str], mirror: Path) -> None:
        """Each by a run of its own, since one run chooses the order itself."""
        for name in names:
            _require(self._run("--mkpath", f"{mirror}/{name}", self._folder))

    def remove(self, cache_ids: Iterable[str]) -> None:
        """An empty folder takes the place of these files, and of no others."""
        files = [name for one in cache_ids for name in files_of(one)]
        if files:
            names = [*(f"--include=/{name}" for name in files), "--exclude=*"]
            with tempfile.TemporaryDirectory() as nothing:
                _require(self._run("--dirs", "--delete", *names, f"{nothing}/", self._folder))

    def _run(self, *options: str) -> subprocess.CompletedProcess[str]:
        """One run. It waits for nobody who could type a password."""
        command = ["rsync", "--times", "--chmod=F600", "--timeout=60", *options]
        batch = {"RSYNC_RSH": "ssh -o BatchMode=yes -o ConnectTimeout=20", **os.environ}
        try:
            return subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                env=batch,
                check=False,
            )
        except FileNotFoundError:
            raise CacheError("The program rsync is not in the PATH of the controller.") from None


def _require(done: subprocess.CompletedProcess[str]) -> None:
    if done.returncode:
        said = " ".join(done.stderr.split())[:_TOLD_LETTERS]
        raise CacheError(f"rsync failed ({done.returncode}): {said or 'it said nothing'}")


class S3Shelf(Shelf):
    """A bucket, by the account, region and endpoint that boto3 finds, as all its users know it."""

    def __init__(self, bucket: str, prefix: str) -> None:
        self._bucket, self._prefix = bucket, f"{prefix}/" if prefix else ""
        self._client: Any = None

    def bring_lists(self, mirror: Path) -> None:
        """Those that are newer than the mirror's."""
        there: set[str] = set()
        with self._asked() as s3:
            pages = s3.get_paginator("list_objects_v2").paginate(
                Bucket=self._bucket, Prefix=self._prefix
            )
            for row in (row for page in pages for row in page.get("Contents", ())):
                name = row["Key"].removeprefix(self._prefix)
                if not name.endswith(LIST) or not ID.fullmatch(name.removesuffix(LIST)):
                    continue
                if row["Size"] > MOST_LIST_BYTES or len(there) == _MOST_LISTS:
                    continue
                there.add(name)
                used_at = row["LastModified"].timestamp()
                self._bring(s3, name, mirror, used_at)
        for file in mirror.glob(f"*{LIST}"):
            if file.name not in there:
                file.unlink()

    def _bring(self, s3: Any, name: str, mirror: Path, used_at: float) -> None:
        file = mirror / name
        if file.exists() and file.stat().st_mtime == used_at:
            return
        s3.download_file(self._bucket, self._prefix + name, str(file))
        file.chmod(0o600)
        os.utime(file, (used_at, used_at))

    def bring_archive(self, cache_id: str, mirror: Path) -> None:
        """By its name, if it is no longer than any may be."""
        name = f"{cache_id}{ARCHIVE}"
        with self._asked() as s3:
            key = {"Bucket": self._bucket, "Key": self._prefix + name}
            if s3.head_object(**key)["ContentLength"] > MOST_ARCHIVE_BYTES:
                raise CacheError("The archive there is larger than any may be.")
            s3.download_file(self._bucket, self._prefix + name, str(mirror / name))
        (mirror / name).chmod(0o600)

    def put(self, names: Iterable[str], mirror: Path) -> None:
        """One after the other."""
        with self._asked() as s3:
            for name in names:
                s3.upload_file(str(mirror / name), self._bucket, self._prefix + name)

    def remove(self, cache_ids: Iterable[str]) -> None:
        """Lists first."""
        with self._asked() as s3:
            for name in (name for one in cache_ids for name in reversed(files_of(one))):
                s3.delete_object(Bucket=self._bucket, Key=self._prefix + name)

    @contextmanager
    def _asked(self) -> Iterator[Any]:
        """The client; whatever it raises becomes a CacheError."""
        try:
            boto3, botocore = import_module("boto3"), import_module("botocore.config")
            known = import_module("botocore.exceptions")
        except ImportError:
            raise CacheError(
                f"The Python library boto3 is missing for {sys.executable}, which runs Ansible."
            ) from None
        failures = (
            known.BotoCoreError,
            known.ClientError,
            import_module("boto3.exceptions").Boto3Error,
        )
        try:
            if self._client is None:
                self._client = boto3.client("s3", config=_settings(botocore.Config))
            yield self._client
        except failures as error:
            raise CacheError(f"S3: {' '.join(str(error).split())[:_TOLD_LETTERS]}") from error


def _settings(config: Any) -> Any:
    """How the client asks; an older boto3 sends no checksums, and knows no option for them."""
    try:
        return config(**_BOUNDS, **_NO_CHECKSUMS)
    except TypeError:
        return config(**_BOUNDS)
