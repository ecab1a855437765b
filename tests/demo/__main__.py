# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``python -m tests.demo up|down``: the main job on the embedded default, and its end.

The last line is one JSON object behind the word RESULT. ``down`` counts afresh what is left.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.simulator import daemon
from tests.simulator.__main__ import DEFAULT_INSTANCE, DEFAULT_PORT

ROOT = Path(__file__).resolve().parents[2]
INVENTORY = ROOT / "inventories" / "simulated"
TUNNELS = ROOT / ".rig" / "controller" / "tunnels"
REPORTS = ROOT / ".rig" / "demo"
INSTANCE = daemon.Instance(DEFAULT_INSTANCE, daemon.RIG / "simulator" / DEFAULT_INSTANCE)


def up() -> int:
    """Start the simulator and deploy; the result is the play's own report."""
    started = daemon.start(INSTANCE, DEFAULT_PORT, DEFAULT_PORT + 1, True)
    print(f"The simulated marketplace answers at {started['url']}", flush=True)
    REPORTS.mkdir(mode=0o700, parents=True, exist_ok=True)
    status = play("deploy.yml", f"inferops_report_dir={REPORTS}")
    if status != 0:
        print("The demo failed: the message above says why.", file=sys.stderr)
        return status
    print("Stop the demo: make demo-down")
    print_result(json.loads((REPORTS / "gpu-1.json").read_text()))
    return 0


def down() -> int:
    """Tear the fleet down, stop the simulator, and count what is left of either."""
    status = play("teardown.yml", "inferops_group=gpu_fleet") if is_running() else 0
    rentals = daemon.status(INSTANCE)["rentals"]
    stopped = daemon.stop(INSTANCE)
    left = {
        "rentals": rentals,
        "containers": stopped["containers"],
        "processes": stopped["processes"],
        "tunnels": len(tunnels(TUNNELS)),
    }
    print_result(left)
    return status or int(any(left.values()))


def is_running() -> bool:
    """Whether the demo's simulator is up."""
    return bool(daemon.status(INSTANCE)["running"])


def play(playbook: str, extra_variable: str) -> int:
    """Run one playbook as a user would, live; its exit status."""
    command = ["ansible-playbook", "-i", str(INVENTORY), f"playbooks/{playbook}"]
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        [*command, "-e", extra_variable], cwd=ROOT, env={**os.environ, "PATH": path}, check=False
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
    sys.exit(up() if parser.parse_args().action == "up" else down())
