# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The Python stack on the host: uv, one environment, one lock, receipts of what was proven.

Everything lies below ``<home>/stack``. The lock is resolved once; parts are installed from it
and proven by running them. A receipt stands while lock, proof, driver and boot are the same.
"""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any

from .installers import (
    LOCK_LINE,
    Pip,
    Sources,
    StackError,
    Uv,
    Wanted,
    install_tool,
    normalised,
    pinned,
    run,
    sha256,
)
from .processes import boot_id
from .records import read_json, write_json, write_private

_REQUIREMENT = re.compile(r"^Requires-Dist: ([A-Za-z0-9._-]+)[^;=]*\(?==\s*([^\s;,)+]+)")
_DRIVER_VERSION_FILE = Path("/sys/module/nvidia/version")


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

    def has_uv(self, version: str) -> bool:
        """Whether this version of uv is installed."""
        return any(self._bootstrap.glob(f"lib/python*/site-packages/uv-{version}.dist-info"))

    def install_uv(self, version: str, sources: Sources) -> None:
        """Make the small environment that holds uv, with the host's own Python and pip."""
        install_tool(self._bootstrap, f"uv=={version}", sources)

    def install_pip(self, sources: Sources) -> None:
        """Make the same environment with a pip that can work on another one, where uv is not."""
        install_tool(self._bootstrap, "pip>=23.1", sources)

    def installer(self) -> str | None:
        """What the lock was resolved with, uv or pip; None before the first one."""
        recorded = read_json(self._input_file) or {}
        return str(recorded["installer"]) if "installer" in recorded else None

    def is_locked(self, wanted: Wanted, given: str = "") -> bool:
        """Whether the lock was resolved from exactly this, or is the one that was given."""
        recorded = read_json(self._input_file) or {}
        if given and sha256(given) != self.lock_sha256():
            return False
        return (
            recorded.get("fingerprint") == wanted.fingerprint()
            and recorded.get("lock_sha256") == self.lock_sha256()
            and self.python.exists()
        )

    def resolve(self, wanted: Wanted, given: str = "") -> None:
        """Make the environment and resolve its lock, or take the *given* one. Installs nothing."""
        installer = self._installer(wanted.installer)
        recorded = read_json(self._input_file) or {}
        if not self.python.exists() or recorded.get("python") != wanted.python:
            installer.make_environment(wanted.python)
        self._write_inputs(wanted)
        if given:
            self._take(given, wanted)
        else:
            installer.resolve(wanted)
        write_json(
            self._input_file,
            {
                "fingerprint": wanted.fingerprint(),
                "lock_sha256": self.lock_sha256(),
                "python": wanted.python,
                "sources": asdict(wanted.sources),
                "installer": wanted.installer,
                "superseded": self.installed(),
            },
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

    def _take(self, given: str, wanted: Wanted) -> None:
        """Write a lock that was resolved before, when it fulfils what is wanted."""
        holds = pinned(given)
        builds = ("", wanted.sources.torch_backend)
        for requirement in wanted.requirements:
            found = LOCK_LINE.match(requirement)
            held = holds.get(normalised(found[1]), "") if found else ""
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
        return sha256(self.lock_file.read_text()) if self.lock_file.exists() else None

    def locked(self) -> dict[str, str]:
        """Versions in the lock by normalised name."""
        return pinned(self.lock_file.read_text()) if self.lock_file.exists() else {}

    def installed(self) -> dict[str, str]:
        """Versions in the environment by normalised name, read off its metadata folders."""
        found = {}
        for folder in self._metadata_folders():
            name, _dash, version = folder.name[: -len(".dist-info")].rpartition("-")
            found[normalised(name)] = version
        return found

    def differences(self, packages: list[str]) -> dict[str, dict[str, str | None]]:
        """What *packages*, or without any the whole environment, have to become.

        Each name maps to ``before`` and ``after``, None for not installed.
        """
        locked, installed = self.locked(), self.installed()
        names = {normalised(name) for name in packages} or set(locked) | set(installed)
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

    def install(self, packages: list[str], reinstall: bool = False) -> None:
        """Install *packages* with what they need, or without any make all as the lock says.

        With *reinstall* also what has the right version already.
        """
        recorded = read_json(self._input_file) or {}
        # What was proven before is proven no more.
        shutil.rmtree(self._folder / "receipts", ignore_errors=True)
        self._installer(recorded.get("installer", "uv")).install(
            packages, Sources(**recorded.get("sources", {})), reinstall
        )

    def _installer(self, name: str) -> Uv | Pip:
        return (Pip if name == "pip" else Uv)(self._bootstrap, self._folder)

    def prove(
        self, name: str, script: str, environment: dict[str, str]
    ) -> tuple[dict[str, Any], bool]:
        """Run *script* in the environment; returns its JSON result and whether it had to run.

        The script prints one JSON object as its last line and exits with 0.
        """
        receipt_file = self._folder / "receipts" / f"{name}.json"
        stands = {
            "lock_sha256": self.lock_sha256(),
            "proof_sha256": sha256(script + json.dumps(environment, sort_keys=True)),
            "driver_version": _driver_version(),
            "boot_id": boot_id(),
        }
        receipt = read_json(receipt_file) or {}
        if receipt.get("stands_while") == stands and "result" in receipt:
            return receipt["result"], False
        output = run(
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


def _driver_version() -> str | None:
    try:
        return _DRIVER_VERSION_FILE.read_text().strip()
    except OSError:
        return None


def _asks_for(metadata_folder: Path, name: str, version: str) -> bool:
    """Whether an installed package requires exactly this version of *name*."""
    try:
        lines = (metadata_folder / "METADATA").read_text(errors="replace").splitlines()
    except OSError:
        return False
    for line in lines:
        found = _REQUIREMENT.match(line)
        if found and normalised(found[1]) == name and found[2] == version.partition("+")[0]:
            return True
    return False
