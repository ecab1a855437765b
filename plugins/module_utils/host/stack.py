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
_DRIVER_VERSION_FILE = Path("/sys/module/nvidia/version")


class StackError(Exception):
    """A step failed; the text says which, why and what to change."""


@dataclass(frozen=True)
class Sources:
    """Where packages come from. Empty values leave the choice to uv and its environment."""

    torch_backend: str = ""
    torch_index_url: str = ""
    index_url: str = ""
    find_links: list[str] = field(default_factory=list)

    def environment(self) -> dict[str, str]:
        """The sources as pip and uv read them: an address may hold a password, so never in argv.

        A mirror or a folder replaces uv's own choice of PyTorch's index.
        """
        variables = {}
        if self.find_links:
            variables["PIP_FIND_LINKS"] = " ".join(self.find_links)
            variables["UV_FIND_LINKS"] = ",".join(self.find_links)
        if self.index_url:
            variables["PIP_INDEX_URL"] = variables["UV_DEFAULT_INDEX"] = self.index_url
        if self.torch_index_url:
            variables["UV_INDEX"] = self.torch_index_url
            variables["UV_INDEX_STRATEGY"] = "unsafe-best-match"
        elif self.torch_backend and not self.find_links:
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
            "Check the host's way to the package index, or give a mirror as index_url.",
            sources.environment(),
        )

    def is_locked(self, wanted: Wanted) -> bool:
        """Whether the lock was resolved from exactly this."""
        recorded = read_json(self._input_file) or {}
        return (
            recorded.get("fingerprint") == wanted.fingerprint()
            and recorded.get("lock_sha256") == self.lock_sha256()
            and self.python.exists()
        )

    def resolve(self, wanted: Wanted) -> None:
        """Make the environment and resolve its lock; nothing is installed yet."""
        recorded = read_json(self._input_file) or {}
        if not self.python.exists() or recorded.get("python") != wanted.python:
            _run(
                [
                    str(self.uv),
                    "venv",
                    "--quiet",
                    "--clear",
                    "--python",
                    wanted.python,
                    str(self.python.parent.parent),
                ],
                f"Making an environment with Python {wanted.python}",
                "Install such a Python, or let the host reach uv's Python downloads.",
            )
        files = {
            "requirements": wanted.requirements,
            "constraints": wanted.constraints,
            # A marker that is never true takes a package out of the resolution.
            "overrides": [f"{name}; sys_platform == 'never'" for name in wanted.excluded],
        }
        for name, lines in files.items():
            write_private(self._folder / f"{name}.in", "".join(f"{line}\n" for line in lines))
        _run(
            [
                str(self.uv),
                "pip",
                "compile",
                "--quiet",
                "--no-header",
                "--no-annotate",
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
            "Ask for another vLLM version, or check the package sources.",
            wanted.sources.environment(),
        )
        write_json(
            self._input_file,
            {
                "fingerprint": wanted.fingerprint(),
                "lock_sha256": self.lock_sha256(),
                "python": wanted.python,
                "sources": asdict(wanted.sources),
            },
        )

    def lock_sha256(self) -> str | None:
        """The lock's hash, or None when there is no lock."""
        return _sha256(self.lock_file.read_text()) if self.lock_file.exists() else None

    def locked(self) -> dict[str, str]:
        """Versions in the lock by normalised name."""
        if not self.lock_file.exists():
            return {}
        lines = self.lock_file.read_text().splitlines()
        matches = (_LOCK_LINE.match(line) for line in lines)
        return {_normalised(found[1]): found[2] for found in matches if found}

    def installed(self) -> dict[str, str]:
        """Versions in the environment by normalised name, read off its metadata folders."""
        found = {}
        site_packages = self.python.parent.parent.glob("lib/python*/site-packages/*.dist-info")
        for folder in site_packages:
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

    def install(self, packages: list[str], reinstall: bool = False) -> None:
        """Install *packages* with what they need, or without any make all as the lock says.

        With *reinstall* also what has the right version already.
        """
        sources = Sources(**(read_json(self._input_file) or {}).get("sources", {}))
        common = ["--quiet", "--python", str(self.python), *(["--reinstall"] if reinstall else [])]
        if packages:
            limits = ["--constraint", str(self.lock_file), "--override", str(self._overrides_file)]
            command = ["install", *common, *limits, *packages]
        else:
            command = ["sync", *common, str(self.lock_file)]
        # What was proven before is proven no more.
        shutil.rmtree(self._folder / "receipts", ignore_errors=True)
        _run(
            [str(self.uv), "pip", *command],
            f"Installing {', '.join(packages) or 'the locked packages'}",
            "Check disk space and the package sources, then run again: what is there is kept.",
            sources.environment(),
        )

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


def _normalised(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
