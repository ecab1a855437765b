# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``python -m tests.demo up|down``: the main job on the embedded default, and its end.

The last line is one JSON object behind the word RESULT. ``down`` counts again what is left.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.simulator import daemon
from tests.simulator.__main__ import DEFAULT_INSTANCE

ROOT = Path(__file__).resolve().parents[2]
INVENTORY = ROOT / "inventories" / "simulated"


@dataclass(frozen=True)
class Demo:
    """One demo: its simulator, and its folders on this controller."""

    instance: daemon.Instance
    folder: Path

    @classmethod
    def named(cls, name: str) -> Demo:
        """The embedded default, or for tests another one that does not get in its way."""
        is_default = name == DEFAULT_INSTANCE
        return cls(
            daemon.Instance(name, daemon.RIG / "simulator" / name),
            daemon.RIG if is_default else daemon.RIG / name,
        )

    @property
    def tunnels(self) -> Path:
        return self.folder / "controller" / "tunnels"

    def up(self) -> int:
        """Start the simulator and deploy; the result is the play's own report."""
        # Whatever ports are free: another checkout may run its demo beside this one.
        started = daemon.start(self.instance, 0, 0, True)
        print(f"The simulated marketplace answers at {started['url']}", flush=True)
        reports = self.folder / "reports"
        reports.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = self.play("deploy.yml", inferops_report_dir=str(reports))
        if status != 0:
            print("The demo failed: the message above says why.", file=sys.stderr)
            return status
        print("Stop the demo: make demo-down")
        print_result(json.loads((reports / "gpu-1.json").read_text()))
        return 0

    def down(self) -> int:
        """Tear the fleet down, stop the simulator, and count what is left of either."""
        status = 0
        if daemon.status(self.instance)["running"]:
            status = self.play("teardown.yml", inferops_group="gpu_fleet")
        rentals = daemon.status(self.instance)["rentals"]
        stopped = daemon.stop(self.instance)
        left = {
            "rentals": rentals,
            "containers": stopped["containers"],
            "processes": stopped["processes"],
            "tunnels": len(tunnels(self.tunnels)),
        }
        print_result(left)
        return status or int(any(left.values()))

    def play(self, playbook: str, **variables: str) -> int:
        """Run one playbook as a user would, live; its exit status."""
        command = ["ansible-playbook", "-i", str(INVENTORY), f"playbooks/{playbook}"]
        variables["inferops_controller_dir"] = str(self.folder / "controller")
        simulator = daemon.status(self.instance)
        environment = {
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "INFEROPS_SIMULATOR_URL": simulator["url"],
            "INFEROPS_SIMULATOR_HUB_URL": simulator["hub_url"],
        }
        return subprocess.run(
            [*command, "-e", json.dumps(variables)], cwd=ROOT, env=environment, check=False
        ).returncode


def tunnels(folder: Path) -> list[int]:
    """SSH tunnels whose control sockets are in *folder*, from the process table."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            is_tunnel = b"ControlMaster" in (process / "cmdline").read_bytes()
            if is_tunnel and (process / "cwd").resolve() == folder.resolve():
                found.append(int(process.name))
        except OSError:
            continue
    return found


def print_result(content: dict[str, Any]) -> None:
    """Print the last line."""
    print(f"RESULT {json.dumps(content)}", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tests.demo", description=__doc__)
    parser.add_argument("action", choices=("up", "down"))
    parser.add_argument("--instance", default=DEFAULT_INSTANCE)
    given = parser.parse_args()
    demo = Demo.named(given.instance)
    sys.exit(demo.up() if given.action == "up" else demo.down())
