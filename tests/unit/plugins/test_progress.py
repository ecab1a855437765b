# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The progress callback, as a user sees it: a real playbook on two local hosts."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from ansible_collections.inferops.gpu.plugins.plugin_utils import bills
from tests.hanging import HANGS_AFTER_SECONDS

REPOSITORY = Path(__file__).resolve().parents[3]

PLAYBOOK = """
- hosts: all
  gather_facts: false
  tasks:
    - name: Rent
      inferops.gpu.rental:
      delegate_to: localhost
    - name: Ask a host that tells a price
      inferops.gpu.gpu_info:
    - name: Ask it as if it were the controller
      inferops.gpu.rental:
    - ansible.builtin.include_role:
        name: slow
    - name: Fail quickly
      ansible.builtin.fail:
"""
SLOW_ROLE = """
- name: Sleep
  ansible.builtin.command: sleep 2.6
"""
# 3600 dollars per hour is a dollar per second; a host that lies says thousands. The marketplace's
# clock is two hours ahead.
STAND_IN = """
import time
from ansible.plugins.action import ActionBase

class ActionModule(ActionBase):
    def run(self, tmp=None, task_vars=None):
        price = 3600 if self._task.delegate_to else 3600e4
        rental = {"price_usd_per_hour": price, "started_at": time.time() + 7200}
        deadline = {"clock_offset_seconds": 7200}
        offer = {"first_token": {"total_seconds": 90 if self._task.delegate_to else 9e9}}
        return {"changed": False, "rental": rental, "offer": offer, "deadline": deadline}
"""


def collection(folder: Path) -> Path:
    """This collection, with actions that know the price by themselves; its collections path."""
    ours = folder / "collections" / "ansible_collections" / "inferops" / "gpu"
    (ours / "plugins" / "action").mkdir(parents=True)
    for place, but in ((".", "plugins"), ("plugins", "action")):
        for entry in (REPOSITORY / place).iterdir():
            if entry.name not in (but, "collections", ".git", ".venv"):
                (ours / place / entry.name).symlink_to(entry)
    for name in ("rental", "gpu_info"):
        (ours / "plugins" / "action" / f"{name}.py").write_text(STAND_IN)
    return folder / "collections"


@pytest.fixture(scope="module")
def output(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What ansible-playbook prints, with the first line after 1 s and one each second after it."""
    folder = tmp_path_factory.mktemp("progress")
    for path, text in {
        "play.yml": PLAYBOOK,
        "roles/slow/tasks/main.yml": SLOW_ROLE,
    }.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    environment = {
        **os.environ,
        "ANSIBLE_CONFIG": str(REPOSITORY / "ansible.cfg"),
        "ANSIBLE_COLLECTIONS_PATH": str(collection(folder)),
        "ANSIBLE_HOME": str(folder / "home"),
        "INFEROPS_PROGRESS_FIRST_AFTER_SECONDS": "1",
        "INFEROPS_PROGRESS_REPEAT_EVERY_SECONDS": "1",
    }
    command = [sys.executable, "-m", "ansible", "playbook", "-i", "gpu-1,gpu-2,", "-c", "local"]
    command += ["-e", f"ansible_python_interpreter={sys.executable}", "play.yml"]
    return subprocess.run(
        command,
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=HANGS_AFTER_SECONDS,
        check=False,
    ).stdout


def test_a_long_task_says_who_waits_for_what_and_since_when(output: str) -> None:
    """One line per second, for both hosts together, with growing seconds."""
    lines = re.findall(r"^… gpu-1, gpu-2: slow : Sleep, (\d+) s", output, re.MULTILINE)
    assert [int(seconds) for seconds in lines][:2] == [1, 2], output


def test_a_long_task_says_what_its_hosts_have_cost_so_far(output: str) -> None:
    """Two hosts at a dollar per second each, from the start of the rental."""
    costs = [float(cost) for cost in re.findall(r", \$(\d+\.\d{4}) so far$", output, re.MULTILINE)]
    assert len(costs) >= 2, output
    assert 2.0 <= costs[0] < costs[1]


def test_a_long_task_says_how_far_it_is_to_the_first_token(output: str) -> None:
    """As the marketplace's side expects it, and no host that it asks."""
    said = re.findall(r", (\d+\.\d) of about (\d+\.\d) minutes to the first token, \$", output)
    assert said
    assert {expected for _gone, expected in said} == {"1.5"}


def test_a_host_that_tells_a_price_of_its_own_is_not_believed(output: str) -> None:
    """Neither by a module that looks at hosts, nor by one that is told to run there."""
    costs = [float(cost) for cost in re.findall(r", \$(\d+\.\d{4}) so far$", output, re.MULTILINE)]
    assert costs
    assert max(costs) < 3600


@pytest.mark.parametrize(
    "rental",
    [
        None,
        [],
        {},
        {"price_usd_per_hour": "9", "started_at": 1.0},
        {"price_usd_per_hour": True, "started_at": 1.0},
        {"price_usd_per_hour": float("nan"), "started_at": 1.0},
        {"price_usd_per_hour": -1.0, "started_at": 1.0},
        {"price_usd_per_hour": 1.0, "started_at": "yesterday"},
        {"price_usd_per_hour": 1.0, "mark": ["created_at"]},
        {"price_usd_per_hour": 1.0, "mark": {"created_at": [1]}},
    ],
)
def test_an_odd_price_is_none(rental: object) -> None:
    assert not bills.is_priced(rental)
    assert bills.is_priced({"price_usd_per_hour": 1.0, "mark": {"created_at": 1}})


@pytest.mark.parametrize(
    "offer", [None, [], {}, {"first_token": 3}, {"first_token": {"total_seconds": "90"}}]
)
def test_an_odd_expectation_is_none(offer: object) -> None:
    assert bills.expected_seconds(offer) == 0


def test_quick_tasks_print_nothing(output: str) -> None:
    """Only the sleeping task has lines."""
    assert {
        line.split(": ", 1)[1].split(",")[0] for line in output.splitlines() if "…" in line
    } == {"slow : Sleep"}


def test_each_role_ends_with_its_seconds(output: str) -> None:
    """The role slept 2.6 s, and not less."""
    (seconds,) = re.findall(r"^role slow: (\d+\.\d) s$", output, re.MULTILINE)
    assert float(seconds) >= 2.6
