# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A sample of the drills; make targets of their names do all."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
# Each takes a few minutes at most, also on two busy cores.
DRILL_SECONDS = 600


def drill(name: str, *arguments: str) -> dict[str, Any]:
    """Run so much of a drill; return the result in its last line."""
    finished = subprocess.run(
        [sys.executable, "-m", f"tests.drills.{name}", *arguments],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=DRILL_SECONDS,
        check=False,
    )
    assert finished.returncode == 0, finished.stdout[-8000:]
    word, _blank, content = finished.stdout.splitlines()[-1].partition(" ")
    assert word == "RESULT"
    result: dict[str, Any] = json.loads(content)
    return result


def test_a_controller_that_dies_anywhere_leaves_nothing_that_the_next_step_cannot_settle() -> None:
    figures = ("missing", "double_rented", "leaked", "wrong_verdicts", "not_converged")
    assert drill("crashpoints", "--sample", "2") == {"points": 2, **dict.fromkeys(figures, 0)}


def test_two_controllers_that_deploy_the_same_host_at_once_rent_it_once() -> None:
    result = drill("races", "--sample", "1")
    assert result == {"races": 1, "rentals_left_wrong": 0, "unexplained": 0}


def test_a_hostile_market_leaks_nothing_and_every_failure_is_explained() -> None:
    figures = ("missing", "double_rented", "leaked", "wrong_verdicts", "unexplained")
    result = drill("faults", "--sample", "12", "--combinations", "10")
    assert result == {"faults": 12, "combinations": 10, "pairs": 2, **dict.fromkeys(figures, 0)}


def test_a_broken_safety_rule_is_noticed() -> None:
    assert drill("mutants", "--only", "any-404-is-gone") == {"mutants": 1, "survived": 0}


@pytest.mark.long
def test_the_orphans_of_a_real_server_are_really_stopped() -> None:
    result = drill("servers", "--host", "supervisord", "--only", "orphans-stopped")
    assert result == {"drills": 1, "missing": 0, "failed": 0}
