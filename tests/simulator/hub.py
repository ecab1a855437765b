# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A stand-in for the model hub: serves folders the way huggingface_hub's client asks for them.

Weights are large files, as on the real hub: they have a SHA-256, and may lie on another server at
an address that is good for a time. What can go wrong is played on command: see ``Trouble``.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.simulator.web import DropConnection, Reply, Request, Server, http_date, json_reply

NAME = r"(?P<name>[\w.-]+/[\w.-]+)"
BRANCH = "main"


class HubError(Exception):
    """An answer with the hub's own error code."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.reply = json_reply({"error": message}, status)
        self.reply.headers |= {"X-Error-Code": code, "X-Error-Message": message}


@dataclass
class Trouble:
    """What goes wrong, much of it by file name. A number is of the next so many answers."""

    #: They break off in the middle, fail with a status, hold half of the range that was asked for
    #: and say so, or hold another range and say so.
    breaks: Counter[str] = field(default_factory=Counter)
    fails: Counter[str] = field(default_factory=Counter)
    status: int = 503
    shortens: Counter[str] = field(default_factory=Counter)
    shifts: Counter[str] = field(default_factory=Counter)
    #: Its bytes are always others than the listing says, are others after so many answers, or are
    #: so many more, or less.
    corrupt: set[str] = field(default_factory=set)
    changes: dict[str, int] = field(default_factory=dict)
    resized: dict[str, int] = field(default_factory=dict)
    #: Large files lie at this origin, at addresses that are good for so many requests; 0 for any.
    elsewhere: str = ""
    good_for: int = 0
    #: Models that have another name now.
    moved: dict[str, str] = field(default_factory=dict)
    ignores_ranges: bool = False
    #: How answers name the content: ETag, weak ETag, Last-Modified or not at all.
    version_by: str = "ETag"
    silent: bool = False
    #: Status, code and message of every answer.
    refusal: tuple[int, str, str] | None = None
    #: What of a gated model is for everybody.
    open_files: frozenset[str] = frozenset()
    #: So many requests get no answer.
    away: int = 0


class Hub:
    """Serves ``models/<organisation>/<name>/``. Files of ``gated`` names need the ``token``."""

    def __init__(
        self,
        models: Path,
        address: tuple[str, int],
        gated: tuple[str, ...] = (),
        token: str = "",
    ) -> None:
        self.models, self.gated, self.token = models, gated, token
        self.trouble = Trouble()
        self.seen: list[Request] = []
        self.answers: Counter[str] = Counter()
        self.signatures: Counter[str] = Counter()
        self.servers = [Server(address, self.answer)]

    def open_to_hosts(self, address: str) -> None:
        """Listen at one more address, on the same port."""
        self.servers.append(Server((address, self.port), self.answer))

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return self.servers[0].port

    def close(self) -> None:
        """Stop listening."""
        for server in self.servers:
            server.close()

    def answer(self, request: Request) -> Reply:
        """Answer one request of the client."""
        self.seen.append(request)
        if self.trouble.silent or self.trouble.away > 0:
            self.trouble.away -= 1
            raise DropConnection
        for old, new in self.trouble.moved.items():
            if f"/{old}/" in request.path:
                target = request.path.replace(f"/{old}/", f"/{new}/")
                query = "?blobs=true" if "blobs" in request.query else ""
                return Reply(307, b"", {"Location": f"{target}{query}"})
        if self.trouble.refusal:
            return HubError(*self.trouble.refusal).reply
        if request.method not in ("GET", "HEAD"):
            return json_reply({"error": "this hub is read-only"}, 405)
        try:
            for pattern, handler in (
                (f"/api/models/{NAME}", self.info),
                (f"/api/models/{NAME}/revision/(?P<revision>[^/]+)", self.info),
                (f"/api/models/{NAME}/tree/(?P<revision>[^/]+)(?:/.*)?", self.tree),
                (f"/{NAME}/resolve/(?P<revision>[^/]+)/(?P<file>.+)", self.file),
                (f"/xet-bridge/{NAME}/(?P<revision>[^/]+)/(?P<file>.+)", self.bridge),
            ):
                found = re.fullmatch(pattern, request.path)
                if found:
                    given = found.groupdict()
                    folder = self.folder(given.pop("name"), given.pop("revision", BRANCH))
                    return handler(request, folder, **given)
            raise HubError(404, "RepoNotFound", "Repository not found")
        except HubError as error:
            return error.reply

    def folder(self, name: str, revision: str) -> Path:
        """Return a model's folder. Raises HubError as the real hub answers."""
        folder = self.models / name
        if not folder.is_dir():
            # To those who may not see a repository, the hub says 401, also when there is none.
            raise HubError(401, "RepoNotFound", "Repository Not Found")
        if revision not in (BRANCH, commit(folder)):
            raise HubError(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        return folder

    def info(self, request: Request, folder: Path) -> Reply:
        """What the model is, with its files."""
        name = self.name(folder)
        blobs = request.query.get("blobs") == "true"
        siblings = [sibling(file, blobs) for file in files(folder)]
        return json_reply(
            {
                "_id": commit(folder)[:24],
                "id": name,
                "modelId": name,
                "sha": commit(folder),
                "private": False,
                # Everybody may see what a gated model is made of.
                "gated": "manual" if name in self.gated else False,
                "disabled": False,
                "tags": ["transformers", "safetensors", "llama", "text-generation"],
                "pipeline_tag": "text-generation",
                "library_name": "transformers",
                "siblings": siblings,
            }
        )

    def tree(self, request: Request, folder: Path) -> Reply:
        """The model's files with their sizes."""
        return json_reply([tree_row(file) for file in files(folder)])

    def file(self, request: Request, folder: Path, file: str) -> Reply:
        """One file, whole or from a byte on, with the headers that the client's cache needs."""
        path = folder / file
        if file not in self.trouble.open_files:
            self.require_access(request, self.name(folder))
        if path not in files(folder):
            raise HubError(404, "EntryNotFound", "Entry not found")
        if self.trouble.elsewhere and is_large(path):
            return self.redirect(path, folder)
        return self.content(request, folder, path, digest(path))

    def redirect(self, path: Path, folder: Path) -> Reply:
        """To where the bytes lie. The real one has ids for names there; a range changes nothing."""
        self.signatures["given"] += 1
        place = f"xet-bridge/{self.name(folder)}/{commit(folder)}/{path.name}"
        query = f"Expires=1781098782&Signature={self.signatures['given']}"
        headers = {
            "Location": f"{self.trouble.elsewhere}/{place}?{query}",
            "X-Linked-Size": str(path.stat().st_size),
            "X-Linked-ETag": f'"{digest(path)}"',
            "X-Repo-Commit": commit(folder),
            "Accept-Ranges": "bytes",
        }
        return Reply(302, b"Found", headers)

    def bridge(self, request: Request, folder: Path, file: str) -> Reply:
        """What lies elsewhere, for whoever has an address that is still good. Its ETag looks like
        the checksum and is none.
        """
        signature = request.query.get("Signature", "")
        self.signatures[signature] += 1
        if not signature or 0 < self.trouble.good_for < self.signatures[signature]:
            return Reply(403, b"<Error><Code>AccessDenied</Code></Error>")
        path = folder / file
        if path not in files(folder):
            return Reply(404, b"<Error><Code>NoSuchKey</Code></Error>")
        return self.content(request, folder, path, digest(path)[::-1])

    def content(self, request: Request, folder: Path, path: Path, tag: str) -> Reply:
        """The bytes of a file, or what goes wrong with them."""
        trouble, file = self.trouble, path.name
        if trouble.fails[file] > 0:
            trouble.fails[file] -= 1
            return json_reply({"error": "try later"}, trouble.status)
        self.answers[file] += 1
        content = path.read_bytes()
        if file in trouble.corrupt:
            content = bytes(len(content))
        if self.answers[file] > trouble.changes.get(file, self.answers[file]):
            # A file that can still be read: its header stays.
            content, tag = content[:1000] + content[1000:][::-1], f"{tag[:-1]}x"
        content = (content + b"more")[: len(content) + trouble.resized.get(file, 0)]
        reply = self.part(request, path, folder, content, tag)
        if trouble.breaks[file] > 0:
            trouble.breaks[file] -= 1
            promised = {"Content-Length": str(len(reply.body)), "Connection": "close"}
            half = reply.body[: len(reply.body) // 2]
            return Reply(reply.status, half, {**reply.headers, **promised})
        return reply

    def name(self, folder: Path) -> str:
        """Return the model's name."""
        return f"{folder.parent.name}/{folder.name}"

    def require_access(self, request: Request, name: str) -> None:
        """Raise HubError as the real hub answers for a gated model."""
        if name not in self.gated:
            return
        given = request.headers.get("authorization", "")
        if not given:
            message = f"Access to model {name} is restricted. You must be authenticated."
            raise HubError(401, "GatedRepo", message)
        if not self.token or given != f"Bearer {self.token}":
            raise HubError(403, "GatedRepo", f"Access to model {name} is restricted.")

    def part(self, request: Request, path: Path, folder: Path, content: bytes, tag: str) -> Reply:
        """Return the bytes that were asked for, with the headers that the client's cache needs."""
        headers = {
            **self.version(tag),
            "X-Repo-Commit": commit(folder),
            "Accept-Ranges": "bytes",
            "Content-Type": "application/octet-stream",
            "Content-Disposition": f'inline; filename="{path.name}"',
        }
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", request.headers.get("range", ""))
        known = request.headers.get("if-range")
        other = known is not None and known not in self.version(tag).values()
        if not asked or other or self.trouble.ignores_ranges:
            return Reply(200, content, headers)
        first, last = int(asked[1]), min(int(asked[2] or len(content)), len(content) - 1)
        if first > last:
            return Reply(416, b"", {**headers, "Content-Range": f"bytes */{len(content)}"})
        first, last = self.misread(path.name, first, last)
        headers["Content-Range"] = f"bytes {first}-{last}/{len(content)}"
        return Reply(206, content[first : last + 1], headers)

    def version(self, tag: str) -> dict[str, str]:
        """The headers that name the content."""
        seconds = int(hashlib.sha1(tag.encode()).hexdigest()[:7], 16)
        return {
            "ETag": {"ETag": f'"{tag}"'},
            "weak ETag": {"ETag": f'W/"{tag}"'},
            "Last-Modified": {"Last-Modified": http_date(seconds)},
        }.get(self.trouble.version_by, {})

    def misread(self, file: str, first: int, last: int) -> tuple[int, int]:
        """Which range is answered, where another one was asked for."""
        if first < last and self.trouble.shortens[file] > 0:
            self.trouble.shortens[file] -= 1
            last = (first + last) // 2
        if first < last and self.trouble.shifts[file] > 0:
            self.trouble.shifts[file] -= 1
            first += 1
        return first, last


def files(folder: Path) -> list[Path]:
    """Return the files of a model; ours have no sub-folders."""
    return sorted(path for path in folder.iterdir() if path.is_file())


def digest(path: Path) -> str:
    """Return what the hub uses as ETag: any fixed name of the content."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def commit(folder: Path) -> str:
    """Return a commit id that changes when any file does."""
    names = "".join(f"{path.name}{digest(path)}" for path in files(folder))
    return hashlib.sha1(names.encode()).hexdigest()


def is_large(file: Path) -> bool:
    """Tell whether the hub keeps a file outside of git."""
    return file.suffix in (".safetensors", ".bin", ".gguf")


def git_id(content: bytes) -> str:
    """Return git's name of a file with this content."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


def large(file: Path) -> dict[str, Any]:
    """Return how the hub lists a file outside of git."""
    return {"sha256": digest(file), "size": file.stat().st_size, "pointerSize": 134}


def sibling(file: Path, blobs: bool) -> dict[str, Any]:
    """Return a file as the hub lists it with its model, with size and names when asked for."""
    row: dict[str, Any] = {"rfilename": file.name}
    if blobs:
        row |= {"size": file.stat().st_size, "blobId": git_id(file.read_bytes())}
        if is_large(file):
            row |= {"blobId": git_id(b"a pointer"), "lfs": large(file)}
    return row


def tree_row(file: Path) -> dict[str, Any]:
    """Return a file as the hub's tree lists it."""
    return {
        "type": "file",
        "path": file.name,
        "size": file.stat().st_size,
        "oid": git_id(file.read_bytes()),
    }
