# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What playbook stop lets stand still, and what status and extend say of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.simulator.app import Simulator
from tests.tools.tree import REPOSITORY
from tests.unit.plays import play
from tests.unit.plugins.test_extend import EXTEND, hours_left, rented

STOP = REPOSITORY / "playbooks" / "stop.yml"
STATUS = REPOSITORY / "playbooks" / "status.yml"


def stop(tmp_path: Path, simulator: Simulator, *arguments: str) -> tuple[int, str]:
    """Playbook stop for one host, where a reaper ends what is left."""
    return play(
        tmp_path,
        STOP,
        "--limit",
        "gpu-1,localhost",
        *arguments,
        inferops_api_url=simulator.url,
        inferops_reaper=True,
    )


def test_a_rental_stands_still_and_who_looks_is_told_so(
    tmp_path: Path, simulator: Simulator
) -> None:
    rental = rented(simulator)
    status, output = stop(tmp_path, simulator)
    assert status == 0, output
    assert f"Rental {rental.id} of vastai stands still: its disk bills 0.0" in output
    assert (rental.status, rental.intended) == ("stopped", "stopped")

    status, output = stop(tmp_path, simulator)
    assert "changed=0" in output, output

    status, output = play(tmp_path, STATUS, inferops_api_url=simulator.url)
    assert status == 0, output
    assert f"gpu-1: rental {rental.id} of vastai is stopped" in output
    assert "gpu-1: its rental stands still: playbook inferops.gpu.deploy starts it again" in output


@pytest.mark.long
def test_check_mode_says_what_would_stand_still(tmp_path: Path, simulator: Simulator) -> None:
    rental = rented(simulator)
    status, output = stop(tmp_path, simulator, "--check")
    assert status == 0, output
    assert f"Rental {rental.id} of vastai would stand still" in output
    assert rental.intended == "running"


@pytest.mark.long
def test_where_nothing_is_rented_nothing_is_changed(tmp_path: Path, simulator: Simulator) -> None:
    status, output = stop(tmp_path, simulator)
    assert status == 0, output
    assert "Nothing is rented under the name gpu-1 in scope test." in output
    assert "changed=0" in output


@pytest.mark.long
@pytest.mark.parametrize("accepted", [True, False])
def test_it_is_refused_where_nobody_would_end_it(
    tmp_path: Path, simulator: Simulator, accepted: bool
) -> None:
    rental = rented(simulator)
    status, output = play(
        tmp_path,
        STOP,
        "--limit",
        "gpu-1,localhost",
        inferops_api_url=simulator.url,
        inferops_allow_unenforced_deadline=accepted,
    )
    assert (status == 0) is accepted, output
    assert ("Nobody would end this rental at its deadline" in output) is not accepted
    assert rental.intended == ("stopped" if accepted else "running")


@pytest.mark.long
def test_the_deadline_of_what_stands_still_moves_without_its_host(
    tmp_path: Path, simulator: Simulator
) -> None:
    rental = rented(simulator)
    stop(tmp_path, simulator)
    status, output = play(
        tmp_path,
        EXTEND,
        "--limit",
        "gpu-1,localhost",
        inferops_api_url=simulator.url,
        inferops_reaper=True,
        extend_hours=5,
    )
    assert status == 0, output
    assert hours_left(simulator, rental) == pytest.approx(5, abs=0.5)
    assert "enforced by reaper" in output
    assert "Its host was not told" not in output
