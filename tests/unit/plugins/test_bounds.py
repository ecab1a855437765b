# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A rented host that never ends: it may neither hold the controller nor fill it."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import pytest
import yaml
from ansible.errors import AnsibleActionFail
from ansible.playbook.task import Task

from ansible_collections.inferops.gpu.plugins.action import model_cache, model_server
from ansible_collections.inferops.gpu.plugins.module_utils.serving import limits
from ansible_collections.inferops.gpu.plugins.plugin_utils import bounds, guarded_action
from tests.tools.tree import REPOSITORY
from tests.unit.plugins.test_guarded_actions import ansible

#: Modules of Ansible's own that ask a host nothing, or have a limit of their own.
ASK_NOBODY = (
    "add_host",
    "assert",
    "debug",
    "fail",
    "import_",
    "include_",
    "meta",
    "set_fact",
    "set_stats",
)
LIMITED = ("reboot",)
#: Of one that is not interrupted.
HANGS_SECONDS = 60


def flooded(folder: Path, prints: str, tasks: list[dict[str, Any]]) -> str:
    """What a play says whose host prints so whatever it is asked."""
    ssh, hosts, play = folder / "ssh", folder / "hosts.yml", folder / "play.yml"
    ssh.write_text(f'#!/bin/sh\ncase "$*" in *-O\\ *) exit 1;; esac\ncat >/dev/null\n{prints}\n')
    ssh.chmod(0o755)
    host = {
        "ansible_host": "127.0.0.1",
        "ansible_ssh_executable": str(ssh),
        "ansible_python_interpreter": sys.executable,
    }
    hosts.write_text(yaml.safe_dump({"all": {"hosts": {"gpu-1": host}}}))
    play.write_text(yaml.safe_dump([{"hosts": "all", "gather_facts": False, "tasks": tasks}]))
    return ansible(play, hosts, defaults=False).stdout


def test_an_answer_that_is_too_long_is_refused_and_not_shown(tmp_path: Path) -> None:
    flood = "head -c 20000000 /dev/zero | tr '\\0' x"
    said = flooded(tmp_path, flood, [{"inferops.gpu.gpu_info": {}}])
    assert "The host answered with more than 16 MiB" in " ".join(said.split())
    assert len(said) < 5000


def test_an_answer_of_more_values_than_any_is_refused_before_it_is_read(tmp_path: Path) -> None:
    """Each of them takes twenty times the room of its letters."""
    flood = "yes '[],' | head -n 1500000 | tr -d '\\n'"
    said = flooded(tmp_path, flood, [{"inferops.gpu.gpu_info": {}}])
    assert "The host answered with more values than any module has" in " ".join(said.split())


def test_an_answer_that_is_no_result_is_shown_in_short_and_without_secrets(tmp_path: Path) -> None:
    token = "hf_abcdefghijklmnopqrstuvwxyz"
    noise = f"head -c 100000 /dev/zero | tr '\\0' x; echo; echo HF_TOKEN={token}"
    said = flooded(tmp_path, noise, [{"inferops.gpu.gpu_info": {}}])
    assert "deserialization failed" in said
    assert token not in said
    assert len(said) < 10_000


def test_a_host_that_answers_without_end_does_not_fill_the_controller(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(bounds, "ROOM_MIB", 32)
    held: list[bytes] = []

    def flood() -> None:
        for _mib in range(4096):
            held.append(bytes(range(256)) * 4096)

    with pytest.raises(AnsibleActionFail, match="more than the controller has room for"):
        bounds.bounded(HANGS_SECONDS, flood)
    assert len(held) < 4096


def test_a_host_whose_answer_is_work_without_end_is_given_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(bounds, "MOST_COMPUTING_SECONDS", 0.3)

    def work() -> None:
        limit = time.process_time() + 10
        while time.process_time() < limit:
            pass

    with pytest.raises(AnsibleActionFail, match="more than the controller can read"):
        bounds.bounded(HANGS_SECONDS, work)


def test_a_host_that_never_answers_is_given_up_also_where_ansible_tries_again() -> None:
    def silent() -> None:
        for _try in range(3):
            try:
                time.sleep(HANGS_SECONDS)
            except Exception:
                continue

    with pytest.raises(AnsibleActionFail, match="not answered within"):
        bounds.bounded(1, silent)
    assert signal.getsignal(signal.SIGALRM) is signal.SIG_DFL


def test_a_time_limit_of_the_task_stays_what_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    before = signal.signal(signal.SIGALRM, lambda *_: None)
    try:
        signal.setitimer(signal.ITIMER_REAL, 1000)
        assert bounds.bounded(1, lambda: signal.getitimer(signal.ITIMER_REAL)[0]) > 900
        assert signal.getitimer(signal.ITIMER_REAL)[0] > 900
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def test_a_host_is_asked_no_more_often_than_the_controller_wants(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(bounds, "LEAST_TURN_SECONDS", 0.05)
    assert len(list(bounds.turns(0.2))) <= 4


def action(kind: Any, arguments: dict[str, Any], answer: Any) -> Any:
    """An action of this *kind* whose host gives such an answer to each call."""
    task = Task()
    task.args, task.check_mode, task.async_val = arguments, False, 0

    class Action(kind):  # type: ignore[misc]
        def _execute_module(self, **call: Any) -> Any:
            told: dict[str, Any] = answer(call)
            return told

    return Action(task, MagicMock(), None, None, None, None)


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    lines: list[str] = []
    monkeypatch.setattr(
        guarded_action.Display, "display", lambda _, line, **_how: lines.append(line)
    )
    monkeypatch.setattr(bounds, "LEAST_TURN_SECONDS", 0.001)
    return lines


@pytest.mark.parametrize("limit", [{"seconds": 1e15, "checks_seconds": {}}, {}, None, "long"])
def test_a_start_takes_no_longer_than_the_controller_allows_whatever_the_host_says(
    shown: list[str], monkeypatch: pytest.MonkeyPatch, limit: Any
) -> None:
    monkeypatch.setattr(limits, "MOST_START_SECONDS", 0.2)
    monkeypatch.setattr(model_server, "MOST_PHASES", 5)
    asked = 0

    def answer(call: dict[str, Any]) -> dict[str, Any]:
        nonlocal asked
        asked += 1
        assert asked < 2000
        server = {
            "name": "main",
            "phase": "starting",
            "progress": f"step {asked}",
            "waiting_for": None,
            "waiting_seconds": None,
            "log_path": "/log",
            "symptoms": {"log": "", "kernel_log": ""},
        }
        if call["module_name"] == model_server.INFO_MODULE:
            return {"servers": [server]}
        return {"changed": True, "server": server, "wait_limit": limit}

    result = action(model_server.ActionModule, {"name": "main"}, answer).run(task_vars={})
    assert result["failed"]
    assert "is not ready after" in result["msg"]
    assert len(result["phases"]) == len(shown) == 5


def test_what_was_asked_for_is_how_long_a_start_may_take() -> None:
    told = {"seconds": 1e15, "checks_seconds": {"health": 5, "model": "long", "completion": True}}
    assert limits.allowed(told, 60) == (60, {"health": 5})
    assert limits.allowed({"seconds": 610}, None) == (610, {})


def test_a_download_that_never_ends_is_given_up(shown: list[str]) -> None:
    def answer(_call: dict[str, Any]) -> dict[str, Any]:
        return {"complete": False, "progress": {"bytes_done": "many"}}

    waiting = action(model_cache.ActionModule, {"model": "a/b"}, answer)
    waiting.most_seconds = 0.05
    with pytest.raises(AnsibleActionFail, match="The model is not complete within"):
        waiting.run(task_vars={})
    assert shown == []


def tasks_of(found: Any) -> Iterator[dict[str, Any]]:
    """Each task in what a file of tasks holds, those of its blocks too."""
    for task in found or ():
        yield task
        for part in ("block", "rescue", "always"):
            yield from tasks_of(task.get(part))


def test_no_task_of_ansibles_own_waits_for_a_host_without_end() -> None:
    """Ours are guarded; those have a time of their own."""
    endless = []
    for file in REPOSITORY.glob("roles/*/tasks/*.yml"):
        for task in tasks_of(yaml.safe_load(file.read_text())):
            module = next((key for key in task if key.startswith("ansible.builtin.")), "")
            name = module.rpartition(".")[2]
            asks = name and not name.startswith((*ASK_NOBODY, *LIMITED))
            if asks and task.get("delegate_to") != "localhost" and "timeout" not in task:
                endless.append(f"{file.parent.parent.name}: {task['name']}")
    assert endless == []
