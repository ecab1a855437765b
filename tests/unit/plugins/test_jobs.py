# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What people see while a host works, and how long a host may say that it does."""

from __future__ import annotations

from typing import Any
from unittest.mock import MagicMock

import pytest
from ansible.errors import AnsibleActionFail, AnsibleConnectionFailure
from ansible.playbook.task import Task

from ansible_collections.inferops.gpu.plugins.plugin_utils import guarded_action, jobs

WORKING = {"running": {"doing": "installing vllm", "seconds": 12, "grown_mib": 412}}
DONE = {"changed": True}


def follow(answers: list[Any], monkeypatch: pytest.MonkeyPatch) -> tuple[Any, list[str], list[Any]]:
    """What comes of these answers, what was shown, and with which jobs the host was called."""
    shown: list[str] = []
    called: list[Any] = []
    monkeypatch.setattr(
        guarded_action.Display, "display", lambda _, line, **_how: shown.append(line)
    )
    monkeypatch.setattr(jobs, "PAUSE_SECONDS", 0)
    task = Task()
    task.args, task.check_mode = {"name": "vllm"}, False

    class Action(jobs.JobAction):
        def _execute_module(self, **call: Any) -> Any:  # type: ignore[override]
            called.append(call["module_args"]["job"])
            answer = answers.pop(0) if len(answers) > 1 else answers[0]
            if isinstance(answer, Exception):
                raise answer
            return dict(answer)

    action = Action(task, MagicMock(), None, None, None, None)
    return action.run(task_vars={"inventory_hostname": "gpu-1"}), shown, called


def test_what_is_awaited_says_how_far_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    result, shown, called = follow([WORKING, WORKING, DONE], monkeypatch)
    assert result == DONE
    assert shown == ["gpu-1: installing vllm: 412 MiB written, 12 s"] * 2
    assert len(set(called)) == 1


def test_a_connection_that_breaks_asks_for_the_same_work_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    broken = AnsibleConnectionFailure("the line is dead")
    result, shown, called = follow([WORKING, broken, broken, DONE], monkeypatch)
    assert result == DONE
    assert "the connection broke, the work goes on: the line is dead" in shown[1]
    assert len(set(called)) == 1


def test_a_host_that_stays_away_or_never_ends_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(jobs, "MOST_SILENT_SECONDS", 0)
    with pytest.raises(AnsibleConnectionFailure):
        follow([AnsibleConnectionFailure("gone")], monkeypatch)
    monkeypatch.setattr(jobs, "MOST_SECONDS", 0.05)
    with pytest.raises(AnsibleActionFail, match="has not done it within"):
        follow([WORKING], monkeypatch)


def test_what_a_host_says_of_its_work_is_not_believed() -> None:
    odd = {"doing": "\x1b[2Jwiping" + "x" * 500, "seconds": "many", "grown_mib": "9"}
    assert jobs.line(odd) == f"wiping{'x' * 74}: ? s"
    assert jobs.line({}) == "None: ? s"
