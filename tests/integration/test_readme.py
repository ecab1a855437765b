# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The README's commands do what it says, tried as dry runs against the simulated marketplace."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.simulator.app import Simulator
from tests.simulator.hosts import PretendHosts
from tests.simulator.market import ACCOUNT_KEY, Market

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text()
COMMANDS = re.findall(r"^ansible-playbook .*$", README, flags=re.MULTILINE)
EXAMPLE = next(
    block
    for block in re.findall(r"```yaml\n(.*?)```", README, flags=re.DOTALL)
    if "hosts:" in block
)


#: What says that a command has done its job where nothing is rented yet.
SAID = {
    "deploy.yml": "Would rent offer",
    "teardown.yml": "Nothing is rented",
    "status.yml": "Scope readme: 0 rentals",
    "reap.yml": "counts:",
    "extend.yml": "Nothing is rented under the name gpu-1",
    "recover.yml": "Nothing that can be reached is rented under the name gpu-1",
    "support_bundle.yml": ".tar.gz; read its summary.md first",
}
#: Those that need a rental fail without one.
NEED_A_RENTAL = ("extend.yml", "recover.yml")


def dry_run(arguments: list[str], folder: Path, status: int = 0) -> str:
    """The output of a command of the README in check mode; it creates nothing."""
    simulator = Simulator(Market(PretendHosts()))
    try:
        finished = subprocess.run(
            [*arguments, *([] if "--check" in arguments else ["--check"])],
            cwd=ROOT,
            env={
                **os.environ,
                "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
                "HOME": str(folder),
                "PWD": str(folder),  # where evidence is kept
                "VAST_URL": simulator.url,
                "VAST_API_KEY": ACCOUNT_KEY,
                "INFEROPS_SCOPE": "readme",
                "HF_ENDPOINT": "http://127.0.0.1:9",  # no test asks the real hub
            },
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=120,
            check=False,
        )
        calls = [(entry["method"], entry["path"]) for entry in simulator.journal.entries()]
    finally:
        simulator.close()
    assert finished.returncode == status, finished.stdout
    assert calls, finished.stdout
    assert {method for method, path in calls if "/bundles" not in path} == {"GET"}
    return finished.stdout


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_of_the_readme_works(command: str, tmp_path: Path) -> None:
    playbook = Path(shlex.split(command)[3]).name
    output = dry_run(shlex.split(command), tmp_path, status=2 if playbook in NEED_A_RENTAL else 0)
    # A long path makes Ansible break the line, anywhere.
    assert SAID[playbook] in " ".join(output.split())


def test_the_inventory_of_the_readme_plans_both_hosts(tmp_path: Path) -> None:
    inventory = tmp_path / "hosts.yml"
    inventory.write_text(EXAMPLE)
    assert set(yaml.safe_load(EXAMPLE)["gpu_hosts"]["hosts"]) == {"gpu-1", "gpu-2"}
    output = dry_run(["ansible-playbook", "-i", str(inventory), "playbooks/deploy.yml"], tmp_path)
    assert output.count("Would rent offer") == 2


def as_text(value: Any) -> str:
    """A value of the inventory as an answer to a survey gives it."""
    if isinstance(value, dict):
        return json.dumps(value)
    return ",".join(value) if isinstance(value, list) else str(value)


def test_every_variable_of_the_readme_works_as_text_too(tmp_path: Path) -> None:
    fleet = yaml.safe_load(EXAMPLE)["gpu_hosts"]
    given = {**fleet["vars"], **fleet["hosts"]["gpu-2"], "inferops_hosts": ["gpu-1", "gpu-2"]}
    words = [word for name, value in given.items() for word in ("-e", f"{name}='{as_text(value)}'")]
    output = dry_run(["ansible-playbook", "playbooks/deploy.yml", *words], tmp_path)
    assert output.count("Would rent offer") == 2
    assert re.search(r"in (SE|DE|NL),", output)


def test_every_target_that_the_readme_names_exists() -> None:
    targets = set(re.findall(r"make ([a-z-]+)", README))
    defined = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    assert targets
    assert targets <= defined
