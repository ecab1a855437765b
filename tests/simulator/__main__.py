# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``python -m tests.simulator``: start, stop, look at or run one marketplace simulator."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from tests.rig.podman import PodmanError
from tests.simulator import daemon
from tests.simulator.app import DEFAULT_PROVIDER

DEFAULT_INSTANCE, DEFAULT_PORT = "demo", 18788


def main() -> int:
    """Do what the command line says; the status is printed as one JSON object."""
    given = parser().parse_args()
    folder = given.state_dir or daemon.RIG / "simulator" / given.instance
    instance = daemon.Instance(given.instance, folder.resolve())
    hub_port = given.hub_port
    if hub_port is None:
        hub_port = given.port + 1 if given.port else 0
    listen = (given.port, hub_port, not given.no_containers, given.provider)
    try:
        if given.action == "serve":
            daemon.serve(instance, *listen)
        elif given.action == "start":
            print(json.dumps(daemon.start(instance, *listen)))
        elif given.action == "stop":
            print(json.dumps(daemon.stop(instance)))
        else:
            print(json.dumps(daemon.status(instance)))
    except (daemon.DaemonError, PodmanError, OSError) as failure:
        print(failure, file=sys.stderr)
        return 1
    return 0


def parser() -> argparse.ArgumentParser:
    """Return the command line's grammar."""
    made = argparse.ArgumentParser(prog="python -m tests.simulator", description=__doc__)
    made.add_argument("action", choices=("start", "stop", "status", "serve"))
    made.add_argument("--instance", default=DEFAULT_INSTANCE)
    made.add_argument("--state-dir", type=Path, help="default: .rig/simulator/INSTANCE")
    made.add_argument("--port", type=int, default=DEFAULT_PORT, help="0 takes a free one")
    made.add_argument("--hub-port", type=int, help="default: the next one after --port")
    made.add_argument("--provider", default=DEFAULT_PROVIDER, help="whose API it speaks")
    made.add_argument("--no-containers", action="store_true", help="pretend to run hosts")
    return made


if __name__ == "__main__":
    sys.exit(main())
