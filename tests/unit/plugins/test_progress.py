# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The progress callback, as a user sees it: a real playbook on two local hosts."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest

from ansible_collections.inferops.gpu.plugins.callback import progress
from ansible_collections.inferops.gpu.plugins.callback.progress import CallbackModule
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
#: It ends when the test has seen what it waits for.
SLOW_ROLE = """
- name: Sleep
  ansible.builtin.wait_for:
    path: "{{ playbook_dir }}/seen"
    sleep: 1
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
    """What ansible-playbook prints, whose long task ends after the third line about it."""
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
    run = subprocess.Popen(
        command,
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    hangs = threading.Timer(HANGS_AFTER_SECONDS, run.kill)
    hangs.start()
    lines = []
    for line in run.stdout or ():
        lines.append(line)
        if sum("slow : Sleep, " in one for one in lines) >= 3:
            (folder / "seen").touch()
    hangs.cancel()
    assert run.wait() == 2, lines
    return "".join(lines)


def test_a_long_task_says_who_waits_for_what_and_since_when(output: str) -> None:
    """One line for both hosts together, with growing seconds."""
    lines = re.findall(r"^… gpu-1, gpu-2: slow : Sleep, (\d+) s", output, re.MULTILINE)
    seconds = [int(one) for one in lines]
    assert len(seconds) >= 3, output
    assert 1 <= seconds[0] <= seconds[1] <= seconds[2]
    assert seconds[0] < seconds[2]


@pytest.fixture
def callback(monkeypatch: pytest.MonkeyPatch) -> CallbackModule:
    """With the first line after 20 s and one each 30 s after it, and a time that the test sets."""
    made = CallbackModule()
    options = {"first_after_seconds": 20, "repeat_every_seconds": 30}
    monkeypatch.setattr(made, "get_option", options.__getitem__)
    # No thread looks at what is due: the test does.
    monkeypatch.setattr(made, "_thread", threading.current_thread())
    return made


def test_a_line_is_due_after_some_seconds_and_again_and_none_of_a_quick_task(
    callback: CallbackModule, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [1000.0]
    monkeypatch.setattr(progress, "time", SimpleNamespace(monotonic=lambda: now[0]))
    host, result = SimpleNamespace(get_name=lambda: "gpu-1"), SimpleNamespace
    quick, slow = (
        SimpleNamespace(_uuid=name, get_name=lambda name=name: name, action="", args={})
        for name in ("quick", "slow")
    )
    for task in (quick, slow):
        monkeypatch.setattr(callback._bills, "begin", lambda *_asked: None)
        callback.v2_runner_on_start(host, task)
    now[0] += 19.9
    assert callback._due_lines(now[0]) == []
    monkeypatch.setattr(callback._bills, "hear", lambda _result: None)
    callback.v2_runner_on_ok(result(host=host, task=quick))
    said = {}
    for seconds in range(20, 90):
        for line in callback._due_lines(1000.0 + seconds):
            said[seconds] = line
    assert said == {
        20: "… gpu-1: slow, 20 s",
        50: "… gpu-1: slow, 50 s",
        80: "… gpu-1: slow, 80 s",
    }


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


def test_each_role_ends_with_its_seconds(output: str) -> None:
    """No fewer than its task had taken so far when that was said last."""
    (seconds,) = re.findall(r"^role slow: (\d+\.\d) s$", output, re.MULTILINE)
    said = re.findall(r"slow : Sleep, (\d+) s", output)
    assert float(seconds) >= int(said[-1]) - 0.5
