# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Work that takes minutes goes on when the connection breaks, and is done once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.inferops.gpu.plugins.module_utils.host.machine.jobs import Job, JobError
from tests.tools.tree import REPOSITORY

ID = "0123456789abcdef"
Tell = Callable[[str], None]


def slow(folder: Path, until: str = "go") -> Callable[[Tell], dict[str, Any]]:
    """Work that ends once a file is there, and counts how often it was begun."""

    def work(tell: Tell) -> dict[str, Any]:
        with (folder / "begun").open("a") as stream:
            stream.write(f"{os.getpid()}\n")
        tell("waiting")
        while not (folder / until).exists():
            time.sleep(0.05)
        return {"changed": True}

    return work


def test_quick_work_is_done_at_once_and_leaves_nothing(tmp_path: Path) -> None:
    assert Job(tmp_path / "jobs", ID).run(lambda tell: {"a": 1}, 30) == {"a": 1}
    assert list((tmp_path / "jobs").iterdir()) == []


def test_a_later_call_finds_the_same_work_and_brings_its_result(tmp_path: Path) -> None:
    work = slow(tmp_path)
    assert Job(tmp_path / "jobs", ID).run(work, 0.5) is None
    assert Job(tmp_path / "jobs", ID).run(work, 0.1) is None
    assert Job(tmp_path / "jobs", ID).progress()["doing"] == "waiting"
    (tmp_path / "go").touch()
    assert Job(tmp_path / "jobs", ID).run(work, 30) == {"changed": True}
    assert len((tmp_path / "begun").read_text().split()) == 1


def test_the_work_outlives_the_call_that_began_it(
    tmp_path: Path, wait_until: Callable[..., Any]
) -> None:
    script = (
        "import pathlib, signal, sys\n"
        # Under nohup it would be ignored, and what depends on the session outlives it as well.
        "signal.signal(signal.SIGHUP, signal.SIG_DFL)\n"
        "from tests.unit.host.test_jobs import ID, Job, slow\n"
        "folder = pathlib.Path(sys.argv[1])\n"
        "Job(folder / 'jobs', ID).run(slow(folder), 60)\n"
    )
    call = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)],
        cwd=REPOSITORY,
        env={**os.environ, "PYTHONPATH": f"{REPOSITORY}:{REPOSITORY / 'collections'}"},
        stdin=subprocess.DEVNULL,
        start_new_session=True,
    )
    wait_until((tmp_path / "begun").exists)
    # As sshd does with what is left of a session.
    os.killpg(call.pid, signal.SIGHUP)
    call.kill()
    call.wait()
    (tmp_path / "go").touch()
    assert Job(tmp_path / "jobs", ID).run(slow(tmp_path), 30) == {"changed": True}
    assert len((tmp_path / "begun").read_text().split()) == 1


def test_work_that_was_killed_is_not_waited_for(
    tmp_path: Path, wait_until: Callable[..., Any]
) -> None:
    work = slow(tmp_path)
    assert Job(tmp_path / "jobs", ID).run(work, 0.5) is None
    wait_until((tmp_path / "begun").exists)
    os.kill(int((tmp_path / "begun").read_text()), signal.SIGKILL)
    with pytest.raises(JobError, match="ended without a result"):
        Job(tmp_path / "jobs", ID).run(work, 30)


def test_an_error_of_the_work_is_its_result(tmp_path: Path) -> None:
    def work(tell: Tell) -> dict[str, Any]:
        raise OSError("the disk is full")

    result = Job(tmp_path / "jobs", ID).run(work, 30)
    assert result == {"failed": True, "msg": "OSError: the disk is full"}


def test_an_id_that_leads_elsewhere_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="is no id of a job"):
        Job(tmp_path, "../../elsewhere")
