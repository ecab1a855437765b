# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What playbook teardown ends, whatever a marketplace shows of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.inferops.gpu.plugins.module_utils.market.mark import Mark
from tests.simulator.app import Simulator
from tests.simulator.market import Traits
from tests.tools.tree import REPOSITORY
from tests.unit.market.conftest import fault
from tests.unit.plays import play

TEARDOWN = REPOSITORY / "playbooks" / "teardown.yml"


def test_a_rental_of_which_only_the_id_can_be_read_is_torn_down(
    tmp_path: Path, simulator: Simulator
) -> None:
    """One odd price, and looking it up fails: its end needs no more than its id."""
    wish = {"label": Mark.new("test", "gpu-1", 0, 0).encode(), "image": "any"}
    offer = simulator.market.search()[0]["id"]
    rental = simulator.market.create(offer, wish, Traits(boot_seconds=0))
    odd = {"dph_total": -1}
    simulator.control.plan_faults([fault("row_is", fields=odd, times=999)])
    status, output = play(tmp_path, TEARDOWN, "--limit", "gpu-1", inferops_api_url=simulator.url)
    assert status == 0, output
    why = "-1.0 is not a price"
    assert f"row of rental {rental.id} cannot be understood: {why}. What" in output
    assert f"Released and proven gone: rental {rental.id} of vastai" in output
    assert simulator.control.state()["rentals"] == []


@pytest.mark.long
def test_a_key_that_is_refused_is_told_once_and_ends_nothing_well(
    tmp_path: Path, simulator: Simulator
) -> None:
    status, output = play(
        tmp_path, TEARDOWN, "--limit", "gpu-1", key="wrong", inferops_api_url=simulator.url
    )
    assert status != 0
    assert output.count("fatal: ") == 1
    assert "What is rented, and so what bills, is unknown." in output
