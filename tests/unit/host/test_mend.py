# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an alert starts: playbook mend mends a server, so often and no more; the host counts."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.inferops.gpu.plugins.module_utils.host.machine import processes
from ansible_collections.inferops.gpu.plugins.module_utils.host.server import mends
from ansible_collections.inferops.gpu.plugins.module_utils.host.server.layout import Server
from ansible_collections.inferops.gpu.plugins.modules import mend_attempt
from tests.hanging import HANGS_AFTER_SECONDS
from tests.unit.host.own_host import link_tools, variables_of

ROOT = Path(__file__).parents[3]
#: A whole play, which starts a server anew.
PLAY_SECONDS = 5 * HANGS_AFTER_SECONDS
BIN = Path(sys.executable).parent
HOUR = 3600.0

Call = Callable[..., dict[str, Any]]


@pytest.mark.parametrize(
    ("noted", "counted"),
    [
        (None, 0),
        ([], 0),
        ([1_000.0], 0),
        ([90_000.0, 1_000.0, 95_000], 2),
        # A clock that was set back gives no attempt away.
        ([200_000.0], 1),
        ("95000", 0),
        ([True, "95000", None, {"at": 1}, float("nan"), float("inf")], 0),
    ],
)
def test_attempts_count_for_a_time_whatever_a_file_says(noted: Any, counted: int) -> None:
    verdict = mends.judged(noted, 100_000.0, 6 * HOUR, most=3)
    assert len(verdict.at) == counted
    assert verdict.allowed


def test_as_many_attempts_as_are_allowed_are_all() -> None:
    assert mends.judged([1.0, 2.0], 3.0, HOUR, most=3).allowed
    assert not mends.judged([1.0, 2.0, 2.5], 3.0, HOUR, most=3).allowed


@pytest.fixture
def count(run_module: Call, home: Path) -> Call:
    def call(check: bool = False, **options: Any) -> dict[str, Any]:
        return run_module(mend_attempt, check=check, name="main", home=str(home), **options)

    return call


def test_the_host_counts_and_a_dry_run_counts_nothing(count: Call, server: Server) -> None:
    assert count(check=True)["allowed"]
    assert not (server.folder / mends.FILE).exists()
    told = [count(most=2) for _ in range(3)]
    assert [(one["allowed"], one["attempts"], one["changed"]) for one in told] == [
        (True, 0, True),
        (True, 1, True),
        (False, 2, False),
    ]
    file = server.folder / mends.FILE
    assert len(json.loads(file.read_text())["at"]) == 2
    assert not file.stat().st_mode & 0o077
    # Hours later it counts anew.
    mends.note(server.folder, [time.time() - 7 * HOUR] * 2)
    assert count(most=2) == {**count(check=True, most=2), "attempts": 0, "changed": True}


def test_a_file_that_cannot_be_read_stops_nothing(count: Call, server: Server) -> None:
    server.folder.mkdir(parents=True, exist_ok=True)
    (server.folder / mends.FILE).write_text("{")
    assert count()["allowed"]


def test_a_name_that_leads_elsewhere_is_refused(run_module: Call, home: Path) -> None:
    told = run_module(mend_attempt, name="../main", home=str(home))
    assert "may hold only letters" in told["msg"]


class Mended:
    """One finished run of the playbook."""

    def __init__(self, status: int, output: str) -> None:
        self.status, self.output = status, " ".join(output.split())


@pytest.fixture
def mend(tmp_path: Path, home: Path) -> Callable[..., Mended]:
    """Run it for this machine, as a host of one's own."""
    link_tools(home)

    def run(*flags: str, **variables: Any) -> Mended:
        wanted = {
            **variables_of(home, tmp_path),
            "recover_canary_seconds": int(HANGS_AFTER_SECONDS),
            **variables,
        }
        command = [BIN / "ansible-playbook", "-i", "localhost,", "inferops.gpu.mend", *flags]
        done = subprocess.run(
            [*command, "-e", json.dumps({**wanted, "inferops_hosts": "gpu-1"})],
            cwd=ROOT,
            env={
                **os.environ,
                "ANSIBLE_NOCOLOR": "1",
                "ANSIBLE_HOME": str(tmp_path / "ansible"),
                "ANSIBLE_STDOUT_CALLBACK": "default",
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=PLAY_SECONDS,
            check=False,
        )
        return Mended(done.returncode, done.stdout)

    return run


def frozen(server: Server) -> set[Any]:
    """Freeze it, so that nobody starts it again but a mend; what it was."""
    old = {process.identity for process in server.processes()}
    for process in server.processes():
        processes.send_signal(process, signal.SIGSTOP)
    return old


@pytest.mark.vllm
@pytest.mark.long
def test_a_frozen_engine_is_mended_by_itself_and_given_up_after_the_limit(
    start: Call, mend: Callable[..., Mended], server: Server, tmp_path: Path
) -> None:
    start()
    healthy = mend()
    assert healthy.status == 0, healthy.output
    assert "is healthy" in healthy.output
    assert not (server.folder / mends.FILE).exists()
    old = frozen(server)
    run = mend(mend_most_attempts=1, recover_canary_seconds=2)
    assert run.status == 0, run.output
    assert not old & {process.identity for process in server.processes()}
    old = frozen(server)
    given_up = mend(mend_most_attempts=1, recover_canary_seconds=2)
    assert given_up.status != 0, given_up.output
    assert "was mended 1 times within 6 hours and does not serve" in given_up.output
    assert "It goes on billing" in given_up.output
    assert len([*(tmp_path / "evidence").glob("gpu-1-*/summary.md")]) == 2
    assert {process.identity for process in server.processes()} == old
