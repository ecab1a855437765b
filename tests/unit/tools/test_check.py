# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The runner of the checks, with steps of our own: what it reports, and what it cleans up."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.hanging import HANGS_AFTER_SECONDS
from tests.tools.check import select
from tests.tools.tree import REPOSITORY

# Runs the commands given as arguments as the steps; "beside: " or "alone: " may stand before one.
# The files of the checkout are left out, since whoever works in it may save one at any moment.
DRIVER = """
import sys
from tests.tools import check, leftovers
leftovers.changes = set
commands, sys.argv[1:] = sys.argv[1:], []
def step(number, text):
    how, colon, command = text.rpartition(": ")
    return check.Step("group", f"step-{number}", command, **{how: True} if colon else {})
check.STEPS = tuple(step(number, text) for number, text in enumerate(commands, 1))
sys.exit(check.main())
"""
ENVIRONMENT = {name: text for name, text in os.environ.items() if name != "INFEROPS_CHECK_RUN"}


def start_checks(*commands: str) -> subprocess.Popen[str]:
    """Start the runner with `commands` as its steps."""
    return subprocess.Popen(
        [sys.executable, "-c", DRIVER, *commands],
        cwd=REPOSITORY,
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        text=True,
    )


def result(output: str) -> dict[str, float]:
    """The object in the last line."""
    word, _space, text = output.splitlines()[-1].partition(" ")
    assert word == "RESULT"
    numbers: dict[str, float] = json.loads(text)
    return numbers


def wait_for_file(path: Path) -> str:
    """The text of a file that a step is about to write."""
    give_up_at = time.monotonic() + HANGS_AFTER_SECONDS
    while not path.exists() or not path.read_text().strip():
        assert time.monotonic() < give_up_at, f"{path} was never written"
        time.sleep(0.05)
    return path.read_text()


def is_alive(pid: int) -> bool:
    """Whether the process runs (one that has ended and was not yet collected does not)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def status_of(instance: str) -> dict[str, object]:
    """What a simulator says about itself."""
    command = [sys.executable, "-m", "tests.simulator", "status", "--instance", instance]
    status: dict[str, object] = json.loads(subprocess.check_output(command, cwd=REPOSITORY))
    return status


def script(folder: Path, text: str) -> str:
    """A command that runs `text` in bash."""
    path = folder / "step.sh"
    path.write_text(text)
    return f"bash {path}"


def test_a_failing_step_is_named_and_the_others_still_run() -> None:
    """Its exit status is 1, and the last line counts."""
    runner = start_checks("true", "false", "echo still-here")
    output = runner.communicate(timeout=HANGS_AFTER_SECONDS)[0]
    assert runner.returncode == 1
    assert "still-here" in output
    assert "FAILED: step-2\n" in output
    assert {**result(output), "seconds": 0} == {"steps": 3, "failed": 1, "seconds": 0}


def test_the_tests_that_failed_are_named_at_the_end(tmp_path: Path) -> None:
    """Half an hour of output may lie between a failure and the end."""
    path = tmp_path / "test_broken.py"
    path.write_text("def test_good(): pass\ndef test_bad(): assert 1 == 2, 'a reason'\n")
    runner = start_checks(f"pytest --quiet --rootdir {tmp_path} {path}", "echo a-later-step")
    end = runner.communicate(timeout=HANGS_AFTER_SECONDS)[0].partition("\na-later-step\n")[2]
    assert "FAILED: step-1\n" in end
    assert "test_broken::test_bad: AssertionError: a reason" in end
    assert "test_good" not in end


def test_a_step_beside_the_next_ones_shows_its_output_before_one_that_runs_alone(
    tmp_path: Path,
) -> None:
    """Its time is its own, and not that of the steps that it ran beside."""
    beside = script(tmp_path, "echo from-beside; exit 1")
    runner = start_checks("true", f"beside: {beside}", "sleep 2", "alone: echo from-alone")
    output = runner.communicate(timeout=HANGS_AFTER_SECONDS)[0]
    order = (
        "<== step-1: passed",
        "==> step-2",
        "<== step-3: passed",
        "from-beside",
        "<== step-2: FAILED, 0",
        "==> step-4",
    )
    assert sorted(order, key=output.index) == list(order)
    assert "FAILED: step-2\n" in output
    assert result(output)["failed"] == 1


def test_when_every_step_passes_so_does_the_run() -> None:
    """Each step says its name and seconds."""
    runner = start_checks("true")
    output = runner.communicate(timeout=HANGS_AFTER_SECONDS)[0]
    assert runner.returncode == 0
    assert "<== step-1: passed, 0." in output
    assert result(output)["failed"] == 0


def test_a_step_sees_neither_the_users_account_nor_the_users_ansible_settings(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A test that could rent for real would cost money."""
    monkeypatch.setitem(ENVIRONMENT, "VAST_API_KEY", "a-real-account")
    monkeypatch.setitem(ENVIRONMENT, "ANSIBLE_FORKS", "99")
    output = start_checks("env").communicate(timeout=HANGS_AFTER_SECONDS)[0]
    assert "ANSIBLE_CONFIG=" in output
    assert "a-real-account" not in output
    assert "ANSIBLE_FORKS" not in output


def test_a_process_that_a_step_leaves_behind_fails_the_run_and_is_ended(tmp_path: Path) -> None:
    """Also when it has left the step's session and process group."""
    pid_file = tmp_path / "pid"
    step = script(tmp_path, f"setsid sleep 300 >/dev/null & echo $! > {pid_file}\nsleep 0.3")
    runner = start_checks(step)
    output = runner.communicate(timeout=HANGS_AFTER_SECONDS)[0]
    assert runner.returncode == 1
    assert "FAILED: leftovers\n" in output
    assert "sleep 300" in output
    assert not is_alive(int(pid_file.read_text()))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_ends_what_it_started(tmp_path: Path, number: signal.Signals) -> None:
    """The steps, what they started, and the steps that were still to come."""
    pid_file, late = tmp_path / "pid", tmp_path / "late"
    step = script(tmp_path, f"setsid sleep 300 >/dev/null & echo $! > {pid_file}\nsleep 300")
    runner = start_checks("beside: sleep 300", step, f"touch {late}")
    pid = int(wait_for_file(pid_file))
    runner.send_signal(number)
    output = runner.communicate(timeout=HANGS_AFTER_SECONDS)[0]
    assert runner.returncode == 1
    assert f"step-1: ended by {number.name}" in output
    assert f"step-2: ended by {number.name}" in output
    assert result(output)["failed"] >= 1
    assert not is_alive(pid)
    assert not late.exists()


def test_an_unknown_check_is_refused_with_the_names_that_exist() -> None:
    """Before anything runs."""
    with pytest.raises(
        SystemExit, match=r"no such check: lnit\. There are: molecule, .*lint, .*integration"
    ):
        select("lnit")


def test_a_group_selects_all_of_its_steps() -> None:
    """As `make lint` does."""
    assert {step.group for step in select("lint,unit")} == {"lint", "unit"}
    assert len(select("lint")) > 5


def test_a_simulator_that_a_step_leaves_behind_is_stopped_and_one_of_somebody_else_is_not() -> None:
    """Two people may work with one checkout."""
    left, other = f"test-left-{os.getpid()}", f"test-other-{os.getpid()}"
    command = f"{sys.executable} -m tests.simulator"
    start = "start --port 0 --no-containers --instance"
    runner = start_checks(
        f"{command} {start} {left}", f"env -u INFEROPS_CHECK_RUN {command} {start} {other}"
    )
    output = runner.communicate(timeout=HANGS_AFTER_SECONDS)[0]
    try:
        assert f"  simulator {left}\n" in output
        assert f"simulator {other}" not in output.partition("left behind")[2]
        assert not status_of(left)["running"]
        assert status_of(other)["running"]
    finally:
        subprocess.run([*command.split(), "stop", "--instance", other], cwd=REPOSITORY, check=True)
        for name in (left, other):
            shutil.rmtree(REPOSITORY / ".rig" / "simulator" / name)
