# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Playbooks as a user runs them, with what they took."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.benchmarks.deploy.machine import BenchError, Market
from tests.tools.tree import REPOSITORY

INVENTORY = REPOSITORY / "inventories" / "simulated"
PLUGINS = Path(__file__).with_name("plugins")
MOST_SECONDS = 900
# The user's own settings and accounts stay out.
NOT_INHERITED = ("ANSIBLE_", "INFEROPS_CLOCK", "INFEROPS_SCOPE", "VAST")


@dataclass(frozen=True)
class Played:
    """A play that went well. CPU seconds are those of ansible-playbook and all that it waited for:
    the SSH connections that stay open afterwards are not among them."""

    seconds: float
    cpu_seconds: float
    tasks: list[dict[str, Any]]
    ran: dict[str, int]


@dataclass(frozen=True)
class Controller:
    """A controller with folders of its own and an inventory of groups, which plays name."""

    folder: Path
    market: Market

    @classmethod
    def fresh(cls, folder: Path, market: Market, **groups: list[str]) -> Controller:
        """One that has never rented anything. Its path must be short: sockets lie below it."""
        folder.mkdir(parents=True)
        content = {name: {"hosts": {host: {} for host in hosts}} for name, hosts in groups.items()}
        (folder / "hosts.json").write_text(json.dumps(content))
        return cls(folder, market)

    def play(self, playbook: str, group: str, *options: str, **more: Any) -> Played:
        """Run a playbook of ours over a group. Raises BenchError when it fails."""
        variables = {
            "inferops_group": group,
            "inferops_controller_dir": str(self.folder / "c"),
            "inferops_ssh_private_key_file": str(self.folder / "key" / "id"),
            "inferops_evidence_dir": str(self.folder / "evidence"),
            "inferops_report_dir": str(self.reports),
            **more,
        }
        self.reports.mkdir(mode=0o700, exist_ok=True)
        command = ["ansible-playbook", "-i", str(INVENTORY), "-i", str(self.folder / "hosts.json")]
        command += [f"playbooks/{playbook}.yml", *options, "-e", json.dumps(variables)]
        return self.measured(command)

    def measured(self, command: list[str]) -> Played:
        """Run a command to its end. Raises BenchError when it fails or takes too long."""
        output, times = self.folder / "output.log", self.folder / "times.json"
        times.unlink(missing_ok=True)
        began = time.monotonic()
        with output.open("wb") as stream:
            process = subprocess.Popen(
                command,
                cwd=REPOSITORY,
                env=self.environment(times),
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=stream,
            )
            alarm = threading.Timer(MOST_SECONDS, process.kill)
            alarm.start()
            try:
                _pid, status, usage = os.wait4(process.pid, 0)
                process.returncode = os.waitstatus_to_exitcode(status)
            finally:
                alarm.cancel()
                # Whoever ends the benchmark ends its play; one that has ended is left alone.
                process.terminate()
        seconds = time.monotonic() - began
        if process.returncode != 0 or not times.exists():
            said = output.read_text(errors="replace")[-5000:]
            raise BenchError(f"exit status {process.returncode} of {' '.join(command)}:\n{said}")
        told = json.loads(times.read_text())
        ran = {host: count for host, count in told["ran"].items() if host != "localhost"}
        return Played(seconds, usage.ru_utime + usage.ru_stime, told["tasks"], ran)

    def environment(self, times: Path) -> dict[str, str]:
        """What a user's shell would have, and where the stopwatch writes."""
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(NOT_INHERITED)}
        return {
            **inherited,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "LC_ALL": "C.UTF-8",
            "INFEROPS_SIMULATOR_URL": self.market.url,
            "INFEROPS_SIMULATOR_HUB_URL": self.market.hub_url,
            "INFEROPS_BENCH_TIMES": str(times),
            "ANSIBLE_STDOUT_CALLBACK": "default",  # every task is shown
            "ANSIBLE_CONFIG": str(REPOSITORY / "ansible.cfg"),
            "ANSIBLE_CALLBACK_PLUGINS": str(PLUGINS),
            "ANSIBLE_HOME": str(self.folder / "a"),
            "ANSIBLE_SSH_CONTROL_PATH_DIR": str(self.folder / "s"),
        }

    @property
    def reports(self) -> Path:
        return self.folder / "reports"

    def report(self, host: str) -> dict[str, Any]:
        """What the play reported of a host that serves."""
        content: dict[str, Any] = json.loads((self.reports / f"{host}.json").read_text())
        return content

    def reported_at(self, host: str) -> float:
        """When that was written, in epoch seconds."""
        return (self.reports / f"{host}.json").stat().st_mtime

    def close(self) -> None:
        """End the tunnels, and the connections that Ansible keeps open for ten minutes."""
        tunnels = self.folder / "c" / "tunnels"
        for socket in (*tunnels.glob("*.sock"), *(self.folder / "s").glob("*")):
            leave = ["ssh", "-S", socket.name, "-O", "exit", "any"]
            subprocess.run(leave, cwd=socket.parent, capture_output=True, timeout=30, check=False)
