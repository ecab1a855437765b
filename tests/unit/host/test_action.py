# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a person sees while a server starts or fails: real ansible-playbook, real processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.inferops.gpu.plugins.action.model_server import ActionModule
from ansible_collections.inferops.gpu.plugins.module_utils.host.server.layout import Server
from tests.diagnosis import FIXTURES, read
from tests.hanging import HANGS_AFTER_SECONDS

pytestmark = pytest.mark.vllm

ROOT = Path(__file__).parents[3]
BIN = Path(sys.executable).parent

Play = Callable[..., tuple[str, dict[str, Any]]]


@pytest.fixture
def play(tmp_path: Path, home: Path, fake_python: str, free_port: int) -> Play:
    """Run one model_server task; returns the output and the registered result."""

    def run(*flags: str, fake: dict[str, str], **options: Any) -> tuple[str, dict[str, Any]]:
        result = tmp_path / "result.json"
        task = {
            "name": "main",
            "home": str(home),
            "python": fake_python,
            "model": "tiny/model",
            "port": free_port,
            "environment": fake,
            "api_key": "key-of-clients",
            "supervisor": "supervisord",
            "supervisord_bin_dir": str(BIN),
            "stop_timeout_seconds": 5,
            **options,
        }
        tasks = [
            {"inferops.gpu.model_server": task, "register": "result", "ignore_errors": True},
            {
                "inferops.gpu.controller_file": {
                    "path": str(result),
                    "content": "{{ result | to_json }}",
                },
                "check_mode": False,
            },
        ]
        host = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
        playbook = tmp_path / "play.json"
        playbook.write_text(
            json.dumps([{"hosts": "gpu-1", "gather_facts": False, "vars": host, "tasks": tasks}])
        )
        done = subprocess.run(
            [str(BIN / "ansible-playbook"), "-i", "gpu-1,", str(playbook), *flags],
            cwd=ROOT,
            env={**os.environ, "ANSIBLE_NOCOLOR": "1", "ANSIBLE_HOME": str(tmp_path / "ansible")},
            capture_output=True,
            text=True,
            timeout=HANGS_AFTER_SECONDS,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr, json.loads(result.read_text())

    return run


@pytest.mark.long
def test_each_phase_is_shown_when_it_begins(play: Play, server: Server) -> None:
    output, result = play(fake={"FAKE_START_SECONDS": "6"})
    assert "gpu-1: loading weights 1/2 (" in output
    assert "gpu-1: running (" in output
    assert result["changed"]
    assert result["completion"] == " the lazy dog."
    shown = [phase["progress"] for phase in result["phases"]]
    assert "loading weights 1/2" in shown
    assert shown[-1] == "running"
    again, result = play(fake={"FAKE_START_SECONDS": "6"})
    assert not result["changed"]
    assert result["completion"] == " the lazy dog."
    assert "gpu-1: running" not in again


def test_a_failed_start_says_cause_remedy_and_where_the_log_is(
    play: Play, server: Server, tmp_path: Path
) -> None:
    log = tmp_path / "said.log"
    log.write_text(read(FIXTURES / "weights_truncated" / "run.log").log)
    output, result = play("-vvv", fake={"FAKE_DIE_WITH": "1", "FAKE_LOG_FILE": str(log)})
    assert result["failed"]
    assert "died during startup. A weight file is incomplete" in result["msg"]
    assert "download them again" in result["msg"]
    assert str(server.log) in result["msg"]
    assert result["failure"]["cause_id"] == "weights_truncated"
    assert result["failure"]["exit_code"] == 1
    assert "SafetensorError" in result["failure"]["evidence"][0]
    assert len(result["log_tail"]) <= 60
    assert "key-of-clients" not in output


def test_what_the_kernel_said_explains_a_death_that_the_log_does_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The host is a stand-in: nobody may write what a real kernel says."""
    killed = "Memory cgroup out of memory: Killed process 42 (VLLM::EngineCor) total-vm:9kB"
    server = {"name": "main", "log_path": "/log"}
    symptoms = {"log": "EngineDeadError", "kernel_log": killed, "exit_code": 0}

    def ask(self: ActionModule, arguments: Any, **extra: Any) -> dict[str, Any]:
        assert extra["symptoms"]
        return {**server, "symptoms": symptoms}

    monkeypatch.setattr(ActionModule, "ask", ask)
    result = ActionModule.__new__(ActionModule).explain({}, {}, "died")
    assert result["failure"]["cause_id"] == "host_out_of_memory"
    assert result["failure"]["evidence"] == [killed]
    assert result["server"] == server


@pytest.mark.long
def test_a_cause_at_the_begin_of_a_log_that_was_cut_is_found(
    play: Play, server: Server, tmp_path: Path
) -> None:
    log = tmp_path / "said.log"
    cause = read(FIXTURES / "weights_truncated" / "run.log").log
    # More than the end that is kept of a log, after which the launcher has cut it.
    log.write_text(cause + "a line of no interest\n" * 150_000)
    fake = {"FAKE_DIE_WITH": "1", "FAKE_LOG_FILE": str(log)}
    result = play(fake=fake, log_max_mib=2)[1]
    assert "SafetensorError" not in "\n".join(result["log_tail"])
    assert result["failure"]["cause_id"] == "weights_truncated"


@pytest.mark.long
def test_a_start_that_takes_too_long_is_stopped_and_explained(play: Play, server: Server) -> None:
    result = play(fake={"FAKE_START_SECONDS": "60"}, wait_timeout_seconds=1)[1]
    assert result["failed"]
    assert "not ready after 1 s (loading weights 1/2) and was stopped" in result["msg"]
    assert result["failure"]["change"] == "wait_timeout_seconds"
    assert result["wait_limit"] == {
        "seconds": 1,
        "why": "as asked",
        "checks_seconds": {"health": 120, "model": 60, "completion": 300},
    }
    assert result["stopped"] == "proven"
    assert server.processes() == []
    record = server.record()
    assert record is not None
    assert (record.phase, record.reason) == ("stopped", "not ready in time")


@pytest.mark.long
def test_a_server_that_answers_and_never_completes_has_a_time_of_its_own(
    play: Play, server: Server, tmp_path: Path
) -> None:
    hang = tmp_path / "hang"
    hang.touch()
    fake = {"FAKE_START_SECONDS": "0", "FAKE_HANG_FILE": str(hang)}
    result = play(fake=fake, check_timeouts_seconds={"completion": 2}, wait_timeout_seconds=300)[1]
    why = (
        "did not pass its check of completion within 2 s (waiting for the first completion answer)"
    )
    assert why in result["msg"]
    assert result["failure"]["change"] == "check_timeouts_seconds.completion"
    assert result["stopped"] == "proven"
    record = server.record()
    assert record is not None
    assert (record.phase, record.reason) == ("stopped", "hung at its start")


@pytest.mark.long
@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"complete": 5}, "complete: there are health, model, completion"),
        ({"health": "soon"}, "health: 'soon' is no number of seconds above 0"),
        ({"health": True}, "health: True is no number of seconds above 0"),
    ],
)
def test_a_time_for_a_check_that_is_none_is_refused(
    play: Play, server: Server, given: dict[str, Any], why: str
) -> None:
    result = play(fake={}, check_timeouts_seconds=given)[1]
    assert why in result["msg"]
    assert server.processes() == []


@pytest.mark.long
def test_without_a_timeout_the_time_comes_from_the_model(play: Play, tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"w" * 1_000_000)
    result = play(fake={"FAKE_START_SECONDS": "0"}, model=str(tmp_path))[1]
    assert result["wait_limit"]["seconds"] >= 600
    assert "reading 0.0 GB takes" in result["wait_limit"]["why"]


@pytest.mark.long
def test_a_start_that_another_run_stops_ends_at_once_and_says_so(
    play: Play, stop: Callable[..., Any], server: Server, wait_until: Callable[..., Any]
) -> None:
    with ThreadPoolExecutor() as threads:
        started = threads.submit(play, fake={"FAKE_START_SECONDS": "300", "FAKE_EXIT_CLEANLY": "1"})
        wait_until(lambda: len(server.processes()) == 4, HANGS_AFTER_SECONDS)
        assert stop()["stopped"] == "proven"
        result = started.result(timeout=HANGS_AFTER_SECONDS)[1]
    assert result["failed"]
    assert "was stopped while it started. Another run asked for its end" in result["msg"]
    assert (result["server"]["phase"], result["server"]["reason"]) == ("stopped", "requested")


def test_check_mode_waits_for_nothing(play: Play, home: Path) -> None:
    result = play("--check", fake={"FAKE_START_SECONDS": "60"})[1]
    assert result["changed"]
    assert "phases" not in result
    assert list(home.iterdir()) == []


def test_a_bad_timeout_is_refused(play: Play, server: Server) -> None:
    result = play(fake={}, wait_timeout_seconds="soon")[1]
    assert "'wait_timeout_seconds' is of type" in result["msg"]
    assert server.processes() == []
