# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A stand-in for the model hub: serves folders the way huggingface_hub's client asks for them."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Any

from tests.simulator.web import Reply, Request, Server, json_reply

NAME = r"(?P<name>[\w.-]+/[\w.-]+)"
BRANCH = "main"


class HubError(Exception):
    """An answer with the hub's own error code."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.reply = json_reply({"error": message}, status)
        self.reply.headers |= {"X-Error-Code": code, "X-Error-Message": message}


class Hub:
    """Serves ``models/<organisation>/<name>/``; ``gated`` names need a token that nobody has."""

    def __init__(self, models: Path, address: tuple[str, int], gated: tuple[str, ...] = ()) -> None:
        self.models, self.gated = models, gated
        self.server = Server(address, self.answer)

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return self.server.port

    def close(self) -> None:
        """Stop listening."""
        self.server.close()

    def answer(self, request: Request) -> Reply:
        """Answer one request of the client."""
        if request.method not in ("GET", "HEAD"):
            return json_reply({"error": "this hub is read-only"}, 405)
        try:
            for pattern, handler in (
                (f"/api/models/{NAME}", self.info),
                (f"/api/models/{NAME}/revision/(?P<revision>[^/]+)", self.info),
                (f"/api/models/{NAME}/tree/(?P<revision>[^/]+)(?:/.*)?", self.tree),
                (f"/{NAME}/resolve/(?P<revision>[^/]+)/(?P<file>.+)", self.file),
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
        if name in self.gated:
            message = f"Access to model {name} is restricted. You must be authenticated."
            raise HubError(401, "GatedRepo", message)
        if not folder.is_dir():
            # To those who may not see a repository, the hub says 401, also when there is none.
            raise HubError(401, "RepoNotFound", "Repository Not Found")
        if revision not in (BRANCH, commit(folder)):
            raise HubError(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        return folder

    def info(self, request: Request, folder: Path) -> Reply:
        """What the model is, with its files."""
        name = f"{folder.parent.name}/{folder.name}"
        siblings = [{"rfilename": file.name} for file in files(folder)]
        return json_reply(
            {
                "_id": commit(folder)[:24],
                "id": name,
                "modelId": name,
                "sha": commit(folder),
                "private": False,
                "gated": False,
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
        if path not in files(folder):
            raise HubError(404, "EntryNotFound", "Entry not found")
        content = path.read_bytes()
        headers = {
            "ETag": f'"{digest(path)}"',
            "X-Repo-Commit": commit(folder),
            "Accept-Ranges": "bytes",
            "Content-Type": "application/octet-stream",
            "Content-Disposition": f'inline; filename="{path.name}"',
        }
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", request.headers.get("range", ""))
        if not asked:
            return Reply(200, content, headers)
        first, last = int(asked[1]), min(int(asked[2] or len(content)), len(content) - 1)
        if first > last:
            return Reply(416, b"", {**headers, "Content-Range": f"bytes */{len(content)}"})
        headers["Content-Range"] = f"bytes {first}-{last}/{len(content)}"
        return Reply(206, content[first : last + 1], headers)


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


def tree_row(file: Path) -> dict[str, Any]:
    """Return a file as the hub's tree lists it."""
    return {
        "type": "file",
        "path": file.name,
        "size": file.stat().st_size,
        "oid": hashlib.sha1(file.read_bytes()).hexdigest(),
    }
