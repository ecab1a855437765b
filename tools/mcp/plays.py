# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Playbooks of this collection as a person would run them, for whoever has no terminal."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
#: Whoever asks gets the end of what a play said: there it says what it did, or why not.
MOST_LETTERS = 12_000
SCREEN = "inferops.gpu.phases"
#: So long Ansible may take to say what bills, once it is to end.
ENDS_AFTER_SECONDS = 30


class _Said(str):
    """What an agent said. It may hold what looks like a template; nobody renders it."""


class _Dumper(yaml.SafeDumper):
    """Marks it for Ansible."""


_Dumper.add_representer(_Said, lambda dumper, text: dumper.represent_scalar("!unsafe", str(text)))


def as_data(value: Any) -> Any:
    """The same with every text in it marked, names of variables aside."""
    if isinstance(value, str):
        return _Said(value)
    if isinstance(value, Mapping):
        return {str(key): as_data(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [as_data(inner) for inner in value]
    return value


@dataclass(frozen=True)
class Played:
    """A playbook that has ended: ``status`` 0 is success, None that its time was up.

    ``artifacts`` are what it keeps for the next job of a workflow, ``reports`` the files that it
    wrote, by name without ``.json``.
    """

    status: int | None
    text: str
    artifacts: Mapping[str, Any]
    reports: Mapping[str, Any]


@dataclass(frozen=True)
class Ansible:
    """How plays are run: beside the inventory of the person whose server this is."""

    inventory: Path

    async def play(self, name: str, *flags: str, most_seconds: float, **variables: Any) -> Played:
        """Run playbook inferops.gpu.*name* with these variables, for at most so long."""
        with tempfile.TemporaryDirectory(prefix="inferops-mcp-") as place:
            folder = Path(place)
            reports = folder / "reports"
            reports.mkdir()
            given = folder / "variables.yml"
            told = {**variables, "inferops_report_dir": str(reports)}
            given.write_text(yaml.dump(as_data(told), Dumper=_Dumper, sort_keys=False))
            command = ["ansible-playbook", "-i", str(self.inventory), f"inferops.gpu.{name}"]
            command += ["-e", f"@{given}", *flags]
            status, text = await self._run(command, folder, most_seconds)
            return Played(status, text, _json(folder / "artifacts.json") or {}, _reports(reports))

    async def _run(
        self, command: list[str], folder: Path, most_seconds: float
    ) -> tuple[int | None, str]:
        output = folder / "output.log"
        with output.open("wb") as stream:
            process = await asyncio.create_subprocess_exec(
                *command,
                cwd=self.inventory.parent,
                env=self._environment(folder),
                # The client speaks through ours.
                stdin=asyncio.subprocess.DEVNULL,
                stdout=stream,
                stderr=stream,
                start_new_session=True,
            )
            status: int | None = None
            try:
                status = await asyncio.wait_for(process.wait(), most_seconds)
            except TimeoutError:
                pass
            finally:
                # Also where the client has gone: a play that nobody waits for tells what bills.
                await asyncio.shield(_end(process))
        return status, output.read_text(errors="replace")[-MOST_LETTERS:]

    def _environment(self, folder: Path) -> dict[str, str]:
        callbacks = Path(__file__).with_name("callbacks")
        kept = os.environ.get("ANSIBLE_COLLECTIONS_PATH", "~/.ansible/collections")
        return {
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "ANSIBLE_COLLECTIONS_PATH": f"{ROOT / 'collections'}{os.pathsep}{kept}",
            "ANSIBLE_CALLBACK_PLUGINS": str(callbacks),
            "ANSIBLE_CALLBACKS_ENABLED": "artifacts",
            "ANSIBLE_STDOUT_CALLBACK": SCREEN,
            "ANSIBLE_NOCOLOR": "1",
            # What our plays ask of Ansible, where no ansible.cfg beside the inventory says so.
            "ANSIBLE_INJECT_FACT_VARS": "False",
            "ANSIBLE_PIPELINING": "True",
            "INFEROPS_MCP_ARTIFACTS": str(folder / "artifacts.json"),
        }


async def _end(process: asyncio.subprocess.Process) -> None:
    """Let it end as at Ctrl-C, then for good."""
    for number in (signal.SIGINT, signal.SIGKILL):
        if process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), ENDS_AFTER_SECONDS)


def _json(file: Path) -> Any:
    try:
        return json.loads(file.read_text())
    except (OSError, ValueError):
        return None


def _reports(folder: Path) -> dict[str, Any]:
    return {file.stem: _json(file) for file in sorted(folder.glob("*.json"))}
