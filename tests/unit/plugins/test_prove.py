# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Playbook prove: from any controller, and never a success without a completion."""

from __future__ import annotations

from pathlib import Path

from tests.simulator.app import Simulator
from tests.tools.tree import REPOSITORY
from tests.unit.plays import play

PROVE = REPOSITORY / "playbooks" / "prove.yml"


def test_a_name_that_nothing_is_rented_under_proves_nothing(
    tmp_path: Path, simulator: Simulator
) -> None:
    given = {"inferops_model": "a/b", "inferops_api_url": simulator.url}
    status, output = play(tmp_path, PROVE, "--limit", "gpu-1", **given)
    assert status != 0
    assert "Nothing that can be reached is rented under the name gpu-1 in scope test" in output
    assert {entry["method"] for entry in simulator.journal.entries()} == {"GET"}


def test_it_does_not_begin_without_a_model(tmp_path: Path) -> None:
    status, output = play(tmp_path, PROVE, "--limit", "gpu-1")
    assert status != 0
    assert "inferops_model is not set: it is the model that it serves" in output
