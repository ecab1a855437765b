# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plays as users run them, without a host: what they say before, or instead of, any connection."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import yaml

from tests.simulator.market import ACCOUNT_KEY, Market
from tests.tools.tree import REPOSITORY

SCALE = 30.0


def of_its_own(playbook: object) -> str:
    """What of an inventory one playbook asks for beside the fleet."""
    if isinstance(playbook, Path) and playbook.stem == "gateway":
        return "gpu_gateways: {hosts: {gpu-1: {}, gpu-2: {}}, vars: {inferops_gateway: main}}\n"
    return ""


def play(
    tmp_path: Path,
    playbook: Path | list[dict[str, Any]],
    *arguments: str,
    key: str = ACCOUNT_KEY,
    scope: str = "test",
    **variables: Any,
) -> tuple[int, str]:
    """Exit status and output, line breaks folded away, of a playbook with these variables.

    *key* is that of the account, as the environment has it. Without a *scope* the inventory has it.
    """
    file = playbook if isinstance(playbook, Path) else tmp_path / "play.yml"
    if not isinstance(playbook, Path):
        file.write_text(yaml.safe_dump(playbook))
    inventory = tmp_path / "hosts.yml"
    inventory.write_text("gpu_hosts: {hosts: {gpu-1: {}, gpu-2: {}}}\n" + of_its_own(playbook))
    folder = str(tmp_path / "controller")
    # Without a market of the test's own, nobody is asked for anything.
    nowhere = {"inferops_api_url": "http://127.0.0.1:9", "inferops_controller_dir": folder}
    given = {**({"inferops_scope": scope} if scope else {}), **nowhere, **variables}
    command = ["ansible-playbook", "-i", str(inventory), str(file), "-e", json.dumps(given)]
    done = subprocess.run(
        [Path(sys.executable).with_name(command[0]), *command[1:], *arguments],
        cwd=REPOSITORY,
        env={
            "HF_ENDPOINT": "http://127.0.0.1:9",  # no test asks the real hub
            **os.environ,
            "ANSIBLE_HOST_KEY_CHECKING": "False",
            "VAST_API_KEY": key,
        },
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    return done.returncode, " ".join((done.stdout + done.stderr).split())


def faster(market: Market) -> dict[str, str]:
    """Let a market's time run faster; return the environment in which plays share it.

    Nobody waits for its pace then, and for two looks at what is gone.
    """
    market.rescale(SCALE)
    return {"INFEROPS_CLOCK": f"{market.clock.now()} {time.time()} {SCALE}"}


def role(name: str, tasks_from: str) -> dict[str, Any]:
    return {
        "ansible.builtin.include_role": {"name": f"inferops.gpu.{name}", "tasks_from": tasks_from}
    }


def on_the_host(*tasks: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"hosts": "gpu-1", "gather_facts": False, "tasks": list(tasks)}]
