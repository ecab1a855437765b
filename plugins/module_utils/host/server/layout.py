# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the files of this collection and of its servers lie on the host."""

from __future__ import annotations

import re
import shutil
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..machine.files import read_json, write_json
from ..machine.processes import Process, boot_id, carrying, host_start
from .records import Record, read
from .spec import Spec
from .tree import LAUNCHER_MARKER, server_processes

NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_-]{0,62}")


@dataclass(frozen=True)
class Layout:
    """Where things lie below the home folder of this collection on the host."""

    home: Path

    @property
    def library(self) -> Path:
        return self.home / "lib"

    @property
    def supervisor(self) -> Path:
        return self.home / "supervisor"

    @property
    def baseline(self) -> Path:
        return self.home / "baseline.json"

    @property
    def port_claims(self) -> Path:
        """Which ports were lately given out, before anything was bound to them."""
        return self.home / "ports.json"

    def server(self, name: str) -> Server:
        return Server(self.home / "servers" / name)

    def servers(self) -> list[Server]:
        """Those that have a folder here, by name."""
        folder = self.home / "servers"
        found = sorted(folder.iterdir()) if folder.is_dir() else []
        return [Server(path) for path in found if path.is_dir() and NAME.fullmatch(path.name)]


@dataclass(frozen=True)
class Server:
    """One server's folder. Its path is the server's id, so the id outlives every record."""

    folder: Path

    @property
    def name(self) -> str:
        return self.folder.name

    @property
    def id(self) -> str:
        return str(self.folder)

    @property
    def log(self) -> Path:
        return self.folder / "server.log"

    @property
    def lock(self) -> Path:
        """Held by whoever starts or stops the server; beside the folders of the servers."""
        return self.folder.parent.parent / "locks" / self.name

    @property
    def accepted(self) -> Path:
        """Which command line the engine's parser accepted last."""
        return self.folder / "accepted.json"

    @property
    def asked(self) -> Path:
        """What the last deploy asked of the host as a whole."""
        return self.folder / "asked.json"

    @property
    def record_path(self) -> Path:
        return self.folder / "record.json"

    @property
    def temporary(self) -> Path:
        """The server's own TMPDIR: vLLM leaves sockets and files there that nobody removes."""
        return self.folder / "tmp"

    def clear_temporary(self) -> None:
        """Once no process of the server lives."""
        shutil.rmtree(self.temporary, ignore_errors=True)

    def record(self) -> Record | None:
        return read(self.record_path)

    def new_record(self, spec: Spec) -> Record:
        """Of a server that was just asked for: nothing runs yet."""
        return Record(
            name=self.name,
            server_id=self.id,
            port=spec.port,
            model=spec.model,
            spec_hash=spec.hash,
            supervisor=spec.supervisor,
            boot_id=boot_id(),
            host_start=host_start(),
            started_at=time.time(),
        )

    def processes(self) -> list[Process]:
        """Every living process of the server, the launcher not counted."""
        record = self.record()
        return server_processes(self.id, record.identity if record else None)

    def launchers(self) -> list[Process]:
        return carrying(LAUNCHER_MARKER, self.id)

    def environment(self) -> dict[str, str]:
        """What the server was given; empty when it was never started here."""
        content = read_json(self.folder / "environment.json") or {}
        return {str(key): str(value) for key, value in content.items()}

    def spec(self) -> Spec | None:
        """The specification last written, or None when missing or damaged."""
        content = read_json(self.folder / "spec.json")
        if content is None:
            return None
        try:
            return Spec(**content, environment=self.environment())
        except TypeError:
            return None

    def write_spec(self, spec: Spec) -> None:
        content: dict[str, Any] = asdict(spec)
        write_json(self.folder / "environment.json", content.pop("environment"))
        write_json(self.folder / "spec.json", content)
