# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The Python stack on the host: uv, one environment, one lock, receipts of what was proven.

Everything lies below ``<home>/stack``. The lock is resolved once; parts are installed from it
and proven by running them. A receipt stands while lock, proof, driver and boot are the same.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from .processes import boot_id
from .records import read_json, write_json, write_private

_LONGEST_COMMAND_SECONDS = 3600
_LOCK_LINE = re.compile(r"^([A-Za-z0-9._-]+)(?:\[[^\]]*\])?==([^\s;\\]+)")
_REQUIREMENT = re.compile(r"^Requires-Dist: ([A-Za-z0-9._-]+)[^;=]*\(?==\s*([^\s;,)+]+)")
_DRIVER_VERSION_FILE = Path("/sys/module/nvidia/version")


class StackError(Exception):
    """A step failed; the text says which, why and what to change."""


@dataclass(frozen=True)
class Sources:
    """Where packages come from. Empty values leave the choice to uv and its environment."""

    torch_backend: str = ""
    torch_index_url: str = ""
    index_url: str = ""
    extra_index_urls: list[str] = field(default_factory=list)
    find_links: list[str] = field(default_factory=list)
    #: Where wheels are kept on the host, for the next installation.
    cache_dir: str = ""

    def environment(self) -> dict[str, str]:
        """The sources as pip and uv read them: an address may hold a password, so never in argv.

        A mirror or a folder replaces uv's own choice of PyTorch's index.
        """
        variables = {}
        beside = [url for url in (self.torch_index_url, *self.extra_index_urls) if url]
        if self.cache_dir:
            variables["PIP_CACHE_DIR"] = variables["UV_CACHE_DIR"] = self.cache_dir
        if self.find_links:
            variables["PIP_FIND_LINKS"] = " ".join(self.find_links)
            variables["UV_FIND_LINKS"] = ",".join(self.find_links)
        if self.index_url:
            variables["PIP_INDEX_URL"] = variables["UV_DEFAULT_INDEX"] = self.index_url
        if beside:
            # Versions asked for end with their build (+cu129): the best match is the right one.
            variables["UV_INDEX"] = variables["PIP_EXTRA_INDEX_URL"] = " ".join(beside)
            variables["UV_INDEX_STRATEGY"] = "unsafe-best-match"
        if self.torch_backend and not self.torch_index_url and not self.find_links:
            variables["UV_TORCH_BACKEND"] = self.torch_backend
        return variables


@dataclass(frozen=True)
class Wanted:
    """What the lock is resolved from."""

    requirements: list[str]
    constraints: list[str]
    excluded: list[str]
    python: str
    sources: Sources
    #: Whether the lock pins the hash of each file, too.
    hashes: bool = False

    def fingerprint(self) -> str:
        """Changes whenever the lock would have to be resolved again."""
        return _sha256(json.dumps(asdict(self), sort_keys=True))


class Stack:
    """The stack below one home directory."""

    def __init__(self, home: str) -> None:
        root = Path(home).expanduser()
        self._bootstrap = root / "bootstrap"
        self._folder = root / "stack"
        self.uv = self._bootstrap / "bin" / "uv"
        self.python = self._folder / "venv" / "bin" / "python"
        self.lock_file = self._folder / "lock.txt"
        self._input_file = self._folder / "lock-input.json"
        self._overrides_file = self._folder / "overrides.in"

    def has_uv(self, version: str) -> bool:
        """Whether this version of uv is installed."""
        return any(self._bootstrap.glob(f"lib/python*/site-packages/uv-{version}.dist-info"))

    def install_uv(self, version: str, sources: Sources) -> None:
        """Make the small environment that holds uv, with the host's own Python and pip."""
        if not (self._bootstrap / "bin" / "pip").exists():
            _run(
                [_host_python(), "-m", "venv", str(self._bootstrap)],
                "Making an environment for uv",
                "On Debian and Ubuntu: apt-get install python3-venv.",
            )
        _run(
            [str(self._bootstrap / "bin" / "pip"), "install", "--quiet", f"uv=={version}"],
            f"Installing uv {version}",
            "Check the host's way to the package index, give a mirror as stack_index_url, or put "
            "uv's wheel into a folder named by stack_find_links.",
            sources.environment(),
        )

    def is_locked(self, wanted: Wanted, given: str = "") -> bool:
        """Whether the lock was resolved from exactly this, or is the one that was given."""
        recorded = read_json(self._input_file) or {}
        if given and _sha256(given) != self.lock_sha256():
            return False
        return (
            recorded.get("fingerprint") == wanted.fingerprint()
            and recorded.get("lock_sha256") == self.lock_sha256()
            and self.python.exists()
        )

    def resolve(self, wanted: Wanted, given: str = "") -> None:
        """Make the environment and resolve its lock, or take the *given* one. Installs nothing."""
        self._make_environment(wanted.python)
        self._write_inputs(wanted)
        if given:
            self._take(given, wanted)
        else:
            self._compile(wanted)
        write_json(
            self._input_file,
            {
                "fingerprint": wanted.fingerprint(),
                "lock_sha256": self.lock_sha256(),
                "python": wanted.python,
                "sources": asdict(wanted.sources),
                "superseded": self.installed(),
            },
        )

    def _make_environment(self, python: str) -> None:
        recorded = read_json(self._input_file) or {}
        if not self.python.exists() or recorded.get("python") != python:
            _run(
                [
                    str(self.uv),
                    "venv",
                    "--quiet",
                    "--clear",
                    "--python",
                    python,
                    str(self.python.parent.parent),
                ],
                f"Making an environment with Python {python}",
                "Install such a Python, or let the host reach uv's Python downloads.",
            )

    def _write_inputs(self, wanted: Wanted) -> None:
        files = {
            "requirements": wanted.requirements,
            "constraints": wanted.constraints,
            # A marker that is never true takes a package out of the resolution.
            "overrides": [f"{name}; sys_platform == 'never'" for name in wanted.excluded],
        }
        for name, lines in files.items():
            write_private(self._folder / f"{name}.in", "".join(f"{line}\n" for line in lines))

    def _compile(self, wanted: Wanted) -> None:
        _run(
            [
                str(self.uv),
                "pip",
                "compile",
                "--quiet",
                "--no-header",
                "--no-annotate",
                *(["--generate-hashes"] if wanted.hashes else []),
                "--python",
                str(self.python),
                "--constraint",
                str(self._folder / "constraints.in"),
                "--override",
                str(self._overrides_file),
                "--output-file",
                str(self.lock_file),
                str(self._folder / "requirements.in"),
            ],
            "Resolving the lock",
            "Ask for another vLLM version, check the package sources, put the missing wheel into a "
            "folder named by stack_find_links, or rent with the plan's container image.",
            wanted.sources.environment(),
        )

    def _take(self, given: str, wanted: Wanted) -> None:
        """Write a lock that was resolved before, when it fulfils what is wanted."""
        pinned = _pinned(given)
        builds = ("", wanted.sources.torch_backend)
        for requirement in wanted.requirements:
            found = _LOCK_LINE.match(requirement)
            held = pinned.get(_normalised(found[1]), "") if found else ""
            version, _plus, build = held.partition("+")
            if found and found[2] not in (held, version if build in builds else held):
                raise StackError(
                    f"The plan asks for {requirement} ({wanted.sources.torch_backend}), and the "
                    f"lock file given holds {held or 'none'}. Remove the file to resolve it anew, "
                    "or ask for the version that it holds."
                )
        if wanted.hashes and "--hash=" not in given:
            raise StackError("The lock file given has no hashes. Remove it to resolve it anew.")
        write_private(self.lock_file, given)

    def lock_sha256(self) -> str | None:
        """The lock's hash, or None when there is no lock."""
        return _sha256(self.lock_file.read_text()) if self.lock_file.exists() else None

    def locked(self) -> dict[str, str]:
        """Versions in the lock by normalised name."""
        return _pinned(self.lock_file.read_text()) if self.lock_file.exists() else {}

    def installed(self) -> dict[str, str]:
        """Versions in the environment by normalised name, read off its metadata folders."""
        found = {}
        for folder in self._metadata_folders():
            name, _dash, version = folder.name[: -len(".dist-info")].rpartition("-")
            found[_normalised(name)] = version
        return found

    def differences(self, packages: list[str]) -> dict[str, dict[str, str | None]]:
        """What *packages*, or without any the whole environment, have to become.

        Each name maps to ``before`` and ``after``, None for not installed.
        """
        locked, installed = self.locked(), self.installed()
        names = {_normalised(name) for name in packages} or set(locked) | set(installed)
        unknown = sorted(name for name in names if packages and name not in locked)
        if unknown:
            raise StackError(
                f"Not in the lock: {', '.join(unknown)}. Add it to the stack's requirements."
            )
        return {
            name: {"before": installed.get(name), "after": locked.get(name)}
            for name in sorted(names)
            if installed.get(name) != locked.get(name)
        }

    def replaced(self) -> list[str]:
        """What is installed in another version than the lock's, and which package brought it.

        What was there before the lock was resolved waits for its turn: nobody replaced it.
        """
        waiting = (read_json(self._input_file) or {}).get("superseded", {})
        locked = self.locked()
        return [
            f"{name} {locked[name]} was replaced by {version} while installing "
            f"{' and '.join(self._asking_for(name, version)) or 'something beside the lock'}"
            for name, version in sorted(self.installed().items())
            if name in locked and version not in (locked[name], waiting.get(name))
        ]

    def _asking_for(self, name: str, version: str) -> list[str]:
        return [
            f"{folder.name[: -len('.dist-info')].replace('-', ' ')}, which asks for it"
            for folder in self._metadata_folders()
            if _asks_for(folder, name, version)
        ]

    def _metadata_folders(self) -> list[Path]:
        return sorted(
            self.python.parent.parent.glob("lib/python*/site-packages/*.dist-info"),
            key=lambda folder: folder.name,
        )

    def install(self, packages: list[str]) -> None:
        """Install *packages* with what they need, or without any make all as the lock says."""
        sources = Sources(**(read_json(self._input_file) or {}).get("sources", {})).environment()
        common = ["--quiet", "--python", str(self.python)]
        limits = ["--constraint", str(self.lock_file), "--override", str(self._overrides_file)]
        hashed = ["--require-hashes"] if "--hash=" in self.lock_file.read_text() else []
        if packages and hashed:
            part = self._write_part(packages, [*common, *limits], sources)
            command = ["install", *common, *hashed, "--no-deps", "--requirement", str(part)]
        elif packages:
            command = ["install", *common, *limits, *packages]
        else:
            command = ["sync", *common, *hashed, str(self.lock_file)]
        # What was proven before is proven no more.
        shutil.rmtree(self._folder / "receipts", ignore_errors=True)
        _run(
            [str(self.uv), "pip", *command],
            f"Installing {', '.join(packages) or 'the locked packages'}",
            "Check disk space and the package sources, then run again: what is there is kept.",
            sources,
        )

    def _write_part(self, packages: list[str], limits: list[str], sources: dict[str, str]) -> Path:
        """Write the lock's own entries, hashes included, of *packages* and all that they need."""
        wanted = self._folder / "part.in"
        write_private(wanted, "".join(f"{name}\n" for name in packages))
        command = [str(self.uv), "pip", "compile", "--no-header", "--no-annotate", *limits]
        listed = _run(
            [*command, str(wanted)],
            f"Finding what {', '.join(packages)} needs",
            "Check the package sources.",
            sources,
        )
        entries = re.split(r"\n(?=\S)", self.lock_file.read_text())
        needed = _pinned(listed)
        part = self._folder / "part.txt"
        chosen = [entry for entry in entries if _pinned(entry).keys() & needed.keys()]
        write_private(part, "\n".join(chosen) + "\n")
        return part

    def prove(
        self, name: str, script: str, environment: dict[str, str]
    ) -> tuple[dict[str, Any], bool]:
        """Run *script* in the environment; returns its JSON result and whether it had to run.

        The script prints one JSON object as its last line and exits with 0.
        """
        receipt_file = self._folder / "receipts" / f"{name}.json"
        stands = {
            "lock_sha256": self.lock_sha256(),
            "proof_sha256": _sha256(script + json.dumps(environment, sort_keys=True)),
            "driver_version": _driver_version(),
            "boot_id": boot_id(),
        }
        receipt = read_json(receipt_file) or {}
        if receipt.get("stands_while") == stands and "result" in receipt:
            return receipt["result"], False
        output = _run(
            [str(self.python), "-c", script],
            f"Proving {name}",
            "The installation does not work on this host: see the message above.",
            environment,
        )
        try:
            result = json.loads(output.strip().splitlines()[-1])
        except (ValueError, IndexError) as error:
            raise StackError(f"Proving {name}: no JSON in the last line of: {output}") from error
        write_json(receipt_file, {"stands_while": stands, "result": result})
        return result, True


def _run(
    command: list[str], doing: str, remedy: str, environment: dict[str, str] | None = None
) -> str:
    """The standard output of *command*; raises StackError with the end of what it said."""
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_LONGEST_COMMAND_SECONDS,
            env={**os.environ, **(environment or {})},
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise StackError(f"{doing} failed: {error}. {remedy}") from error
    if done.returncode != 0:
        lines = (done.stderr or done.stdout).strip().splitlines()
        said = "\n".join([line for line in lines if not line.startswith("frame #")][-15:])
        raise StackError(f"{doing} failed (exit status {done.returncode}): {said}\n{remedy}")
    return done.stdout


def _host_python() -> str:
    """The interpreter that runs us, outside of any virtual environment."""
    return getattr(sys, "_base_executable", "") or sys.executable


def _driver_version() -> str | None:
    try:
        return _DRIVER_VERSION_FILE.read_text().strip()
    except OSError:
        return None


def _pinned(lock: str) -> dict[str, str]:
    """Versions in the text of a lock by normalised name."""
    matches = (_LOCK_LINE.match(line) for line in lock.splitlines())
    return {_normalised(found[1]): found[2] for found in matches if found}


def _asks_for(metadata_folder: Path, name: str, version: str) -> bool:
    """Whether an installed package requires exactly this version of *name*."""
    try:
        lines = (metadata_folder / "METADATA").read_text(errors="replace").splitlines()
    except OSError:
        return False
    for line in lines:
        found = _REQUIREMENT.match(line)
        if found and _normalised(found[1]) == name and found[2] == version.partition("+")[0]:
            return True
    return False


def _normalised(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
