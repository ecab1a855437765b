# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Playbooks as users run them: a controller with its own folders, and a marketplace of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests

from tests.hanging import HANGS_AFTER_SECONDS
from tests.simulator import daemon

ROOT = Path(__file__).resolve().parents[2]
INVENTORY = ROOT / "inventories" / "simulated"
LONGEST_PLAY_SECONDS = 420


@dataclass
class Run:
    """One finished playbook."""

    status: int
    output: str = field(repr=False)

    def message(self) -> str:
        """The output with line breaks and indentation of YAML folded away."""
        return " ".join(self.output.split())


@dataclass
class Controller:
    """A controller with its own folders, and the marketplace that it uses."""

    folder: Path
    instance: daemon.Instance
    url: str
    hub_url: str

    def variables(self) -> dict[str, str]:
        return {
            "inferops_scope": "main-job",
            "inferops_controller_dir": str(self.folder / "c"),
            "inferops_ssh_private_key_file": str(self.folder / "ssh" / "key"),
            "inferops_evidence_dir": str(self.folder / "evidence"),
        }

    def play(
        self,
        playbook: str | Path,
        *arguments: str,
        watch: Any = None,
        secret: dict[str, str] | None = None,
        clock_scale: float | None = None,
        most_seconds: float = LONGEST_PLAY_SECONDS,
        **variables: Any,
    ) -> Run:
        """Run a playbook of ours by name, or a file; *watch* is called with each line as it comes.

        Variables in *secret* come by a private file, as a user would pass them. With a
        *clock_scale* the controller lives in the market's time, so many times as fast as ours.
        After *most_seconds* it is killed.
        """
        extra = {**self.variables(), **variables}
        command = [
            "ansible-playbook",
            "-i",
            str(INVENTORY),
            playbook if isinstance(playbook, Path) else f"playbooks/{playbook}.yml",
            *arguments,
        ]
        command += ["-e", json.dumps(extra)]
        if secret:
            file = self.folder / "secret.json"
            file.touch(mode=0o600)
            file.write_text(json.dumps(secret))
            command += ["-e", f"@{file}"]
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env={
                **os.environ,
                "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
                "INFEROPS_SIMULATOR_URL": self.url,
                "INFEROPS_SIMULATOR_HUB_URL": self.hub_url,
                # Who watches lines wants them as they are written.
                "PYTHONUNBUFFERED": "1",
                **self.clock(clock_scale),
            },
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        alarm = threading.Timer(most_seconds, process.kill)
        alarm.start()
        lines = []
        assert process.stdout is not None
        for line in process.stdout:
            lines.append(line)
            if watch:
                watch(line)
        alarm.cancel()
        return Run(process.wait(), "".join(lines))

    def clock(self, scale: float | None) -> dict[str, str]:
        """The variables that let a play live in the market's time."""
        if scale is None:
            return {}
        now = self.simulator("POST", "clock", {"scale": scale})["now"]
        return {"INFEROPS_CLOCK": f"{now} {time.time()} {scale}"}

    def rentals(self) -> list[dict[str, Any]]:
        """What exists and bills, in truth."""
        return list(self.simulator("GET", "state")["rentals"])

    def creates(self) -> list[dict[str, Any]]:
        """The creating calls so far."""
        return [
            entry
            for entry in self.simulator("GET", "requests")
            if entry["method"] != "GET" and "/asks/" in entry["path"]
        ]

    def simulator(self, method: str, path: str, body: Any = None) -> Any:
        reply = requests.request(
            method, f"{self.url}/simulator/{path}", json=body, timeout=HANGS_AFTER_SECONDS
        )
        assert reply.status_code == 200, reply.text
        return reply.json()

    def evidence(self) -> list[Path]:
        return sorted((self.folder / "evidence").glob("gpu-1-*"))
