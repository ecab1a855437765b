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

REPOSITORY = Path(__file__).resolve().parents[3]

PLAYBOOK = """
- hosts: all
  gather_facts: false
  tasks:
    - name: Rent
      rental:
    - ansible.builtin.include_role:
        name: slow
    - name: Fail quickly
      ansible.builtin.fail:
"""
SLOW_ROLE = """
- name: Sleep
  ansible.builtin.command: sleep 2.6
"""
# 3600 dollars per hour is a dollar per second.
RENTAL_MODULE = """
import json, time
rental = {"price_usd_per_hour": 3600, "started_at": time.time()}
print(json.dumps({"changed": False, "rental": rental}))
"""


@pytest.fixture(scope="module")
def output(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What ansible-playbook prints, with the first line after 1 s and one each second after it."""
    folder = tmp_path_factory.mktemp("progress")
    for path, text in {
        "play.yml": PLAYBOOK,
        "roles/slow/tasks/main.yml": SLOW_ROLE,
        "library/rental.py": "#!/usr/bin/python" + RENTAL_MODULE,
    }.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    environment = {
        **os.environ,
        "ANSIBLE_CONFIG": str(REPOSITORY / "ansible.cfg"),
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
        timeout=60,
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


def test_quick_tasks_print_nothing(output: str) -> None:
    """Only the sleeping task has lines."""
    assert {
        line.split(": ", 1)[1].split(",")[0] for line in output.splitlines() if "…" in line
    } == {"slow : Sleep"}


def test_each_role_ends_with_its_seconds(output: str) -> None:
    """The role slept 2.6 s, and not less."""
    (seconds,) = re.findall(r"^role slow: (\d+\.\d) s$", output, re.MULTILINE)
    assert float(seconds) >= 2.6
