# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What one server is: its files on the host, its specification and the command that starts it."""

from __future__ import annotations

import getpass
import hashlib
import json
import re
import shutil
import tempfile
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ..machine.processes import (
    LAUNCHER_MARKER,
    Process,
    boot_id,
    carrying,
    host_start,
    server_processes,
)
from .readiness import COMPLETION_SECONDS
from .records import Record, read, read_json, write_json

NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_-]{0,62}")
OWN_OPTIONS = {
    "model": "model",
    "host": "host",
    "port": "port",
    "served-model-name": "served_model_name",
    "api-key": "api_key",
}
"""Engine options that have an option of their own in the module."""

SECRET_NAME = re.compile(r"(KEY|TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIALS?)(_|$)", re.IGNORECASE)


@dataclass(frozen=True)
class Spec:
    """What is asked for. The environment is kept in a file of its own: it may hold secrets."""

    name: str
    command: list[str]
    model: str
    served_model_name: str
    host: str
    port: int
    supervisor: str
    stop_timeout_seconds: float
    environment: dict[str, str] = field(repr=False)
    asked: list[str] | None = None
    """The command without what was only suggested; None when nothing was."""
    log_max_mib: int = 64
    wait_timeout_seconds: int = 0
    completion_seconds: float = COMPLETION_SECONDS
    """How long one request for the first completion may take."""

    @property
    def hash(self) -> str:
        """Changes with everything that a running server is replaced for."""
        asked = self.command if self.asked is None else self.asked
        wanted = [
            asked[:3],
            parse_command(asked),
            self.environment,
            self.supervisor,
            self.log_max_mib,
        ]
        content = json.dumps(wanted, sort_keys=True)
        return hashlib.sha256(content.encode()).hexdigest()[:16]


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


def build_command(
    python: str,
    model: str,
    host: str,
    port: int,
    served_model_name: str | None,
    arguments: dict[str, Any],
    extra_args: list[str],
) -> list[str]:
    """The command line of vLLM's OpenAI server. Raises ValueError naming a bad argument.

    True gives a bare flag, False and None leave the option out, a list gives one flag with all
    its values, a mapping becomes JSON. Extra arguments follow as they are.
    """
    command = [python, "-m", "vllm.entrypoints.openai.api_server", "--model", model]
    command += ["--host", host, "--port", str(port)]
    if served_model_name:
        command += ["--served-model-name", served_model_name]
    for key in sorted(arguments):
        value = arguments[key]
        option = _option(key)
        if not re.fullmatch(r"[A-Za-z][A-Za-z0-9.-]*", option):
            raise ValueError(f"arguments: {key!r} is not the name of an engine option.")
        _refuse_own("arguments", option, key)
        if value is None or value is False:
            continue
        command.append(f"--{option}")
        if value is True:
            continue
        for part in value if isinstance(value, list) else [value]:
            command.append(json.dumps(part) if isinstance(part, dict) else str(part))
    for word in extra_args:
        _refuse_own("extra_args", word.partition("=")[0].strip("-").replace("_", "-"), word)
    return [*command, *extra_args]


def _refuse_own(where: str, option: str, given: str) -> None:
    if option == "hf-token":
        raise ValueError(
            f"{where}: {given!r} would show the token to everybody on the host. Set HF_TOKEN in "
            "'environment'."
        )
    if option in OWN_OPTIONS:
        raise ValueError(f"{where}: set {OWN_OPTIONS[option]!r} as an option, not {given!r}.")


def with_suggestions(arguments: dict[str, Any], suggested: dict[str, Any]) -> dict[str, Any]:
    """The arguments, and those suggestions of which they say nothing in any spelling."""
    named = {_option(key) for key in arguments}
    return {**{key: suggested[key] for key in suggested if _option(key) not in named}, **arguments}


def _option(key: str) -> str:
    return key.strip("-").replace("_", "-")


def parse_command(command: list[str]) -> dict[str, Any]:
    """The options that `build_command` made this command line from; values are texts.

    Given to it again they make a line that means the same. What a mapping cannot hold, short
    options and repeated ones, stays in `extra_args`.
    """
    options: dict[str, Any] = {"served_model_name": None}
    arguments: dict[str, Any] = {}
    extra_args: list[str] = []
    names = {"--" + option: name for option, name in OWN_OPTIONS.items()}
    groups: list[list[str]] = []
    for word in command[3:]:
        if re.match(r"--|-[A-Za-z]", word):
            groups.append([word])
        elif groups:
            groups[-1].append(word)
    for words in groups:
        option, *values = [*words[0].split("=", 1), *words[1:]]
        value: Any = values if len(values) > 1 else values[0] if values else True
        name = option[2:].replace("-", "_")
        if option in names:
            options[names[option]] = value
        elif not option.startswith("--") or name in arguments:
            extra_args += words
        else:
            arguments[name] = value
    return {**options, "python": command[0], "arguments": arguments, "extra_args": extra_args}


def inductor_cache() -> Path:
    """Where torch keeps compiled kernels, unless TORCHINDUCTOR_CACHE_DIR names a folder."""
    return Path(tempfile.gettempdir()) / f"torchinductor_{getpass.getuser()}"


def secret_values(environment: dict[str, str]) -> set[str]:
    """The values that must never be shown: those whose variable is named like a secret."""
    return {value for name, value in environment.items() if value and SECRET_NAME.search(name)}
