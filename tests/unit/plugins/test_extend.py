# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What playbook extend moves, whatever a status says and whether or not the host can be told."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.inferops.gpu.plugins.module_utils.market.mark import Mark
from ansible_collections.inferops.gpu.plugins.module_utils.market.rentals.extending import (
    asked_to_end,
    extend_ending,
    tells_host,
)
from tests.simulator.app import Simulator
from tests.simulator.market import Rental, Traits
from tests.tools.tree import REPOSITORY
from tests.unit.market.conftest import fault
from tests.unit.plays import play

EXTEND = REPOSITORY / "playbooks" / "extend.yml"
LETS_IN = """
from ansible.plugins.action import ActionBase

class ActionModule(ActionBase):
    def run(self, tmp=None, task_vars=None):
        return {"changed": False, "ssh": {"user": "root", "host": "127.0.0.1", "port": 22}}
"""


def rented(simulator: Simulator) -> Rental:
    """A rental of gpu-1 that ends in an hour."""
    now = int(simulator.market.clock.now())
    mark = Mark.new("test", "gpu-1", now + 3600, 3600, now)
    wish = {"label": mark.encode(), "image": "any"}
    offer = simulator.market.search()[0]["id"]
    return simulator.market.create(offer, wish, Traits(boot_seconds=0))


def hours_left(simulator: Simulator, rental: Rental) -> float:
    """Until the deadline in its mark."""
    mark = Mark.decode(rental.label)
    assert mark
    return (mark.deadline - simulator.market.clock.now()) / 3600


EXTENDED: dict[str, Any] = {
    "remaining_seconds": 43200,
    "enforced_by": "host",
    "cost_usd": 0.0841,
    "note": "",
    "tells_host": True,
}


def test_a_host_is_asked_whatever_its_status_says_unless_its_provider_ends_it() -> None:
    assert [asked_to_end(one) for one in ("host", "nobody", "provider")] == [
        "host",
        "host",
        "provider",
    ]


@pytest.mark.parametrize(
    ("status", "seconds", "dry_run", "told"),
    [
        ("running", 43200, False, True),
        ("loading", 43200, False, True),
        ("stopped", 43200, False, False),
        ("running", None, False, False),
        ("running", 43200, True, False),
    ],
)
def test_a_host_is_told_where_there_is_one_that_could_be(
    status: str, seconds: int | None, dry_run: bool, told: bool
) -> None:
    assert tells_host(status, seconds, dry_run) == told


@pytest.mark.parametrize(
    ("more", "switch", "reaper", "who"),
    [
        ({}, {"enforced_by": "host"}, False, "host"),
        ({}, {"enforced_by": "reaper"}, True, "reaper"),
        ({"tells_host": False}, {}, False, "host"),
        ({"tells_host": False, "enforced_by": "nobody"}, {}, False, "nobody"),
        ({"tells_host": False, "enforced_by": "nobody"}, {}, True, "reaper"),
        ({"enforced_by": "provider"}, {"enforced_by": "provider"}, True, "provider"),
    ],
)
def test_an_extension_says_until_when_it_bills_and_who_ends_it(
    more: dict[str, Any], switch: dict[str, Any], reaper: bool, who: str
) -> None:
    assert extend_ending({**EXTENDED, **more}, switch, "gpu-1", reaper) == (
        f"gpu-1 ends in 12.00 hours, enforced by {who}; it has cost 0.0841 dollars."
    )


@pytest.mark.parametrize(
    "switch",
    [{}, {"unreachable": True, "enforced_by": "host"}, {"failed": True, "enforced_by": "nobody"}],
)
def test_a_host_that_was_not_told_is_named_as_such(switch: dict[str, Any]) -> None:
    moved = {**EXTENDED, "note": "Nothing was moved."}
    told = extend_ending(moved, switch, "gpu-1", False)
    assert " dollars. Nothing was moved. Its host was not told: it obeys a later" in told


def test_a_rental_without_a_deadline_says_so() -> None:
    endless = {**EXTENDED, "remaining_seconds": None, "tells_host": False}
    assert extend_ending(endless, {}, "gpu-1", False).startswith("gpu-1 has no deadline, ")


@pytest.fixture
def let_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every host lets us in: the collection, but for the action that tries it."""
    ours = tmp_path / "collections" / "ansible_collections" / "inferops" / "gpu"
    (ours / "plugins" / "action").mkdir(parents=True)
    for place, but in ((".", "plugins"), ("plugins", "action"), ("plugins/action", "")):
        for entry in (REPOSITORY / place).iterdir():
            if entry.name not in (but, "collections", "rental_ready.py") and entry.name[0] != ".":
                (ours / place / entry.name).symlink_to(entry)
    (ours / "plugins" / "action" / "rental_ready.py").write_text(LETS_IN)
    monkeypatch.setenv("ANSIBLE_COLLECTIONS_PATH", str(tmp_path / "collections"))


@pytest.mark.usefixtures("let_in")
def test_a_host_that_lets_us_in_is_asked_who_ends_it_whatever_its_status_says(
    tmp_path: Path, simulator: Simulator
) -> None:
    """This machine stands in for it, and has no switch; what counts is that it was asked."""
    rented(simulator)
    loading = fault("row_is", fields={"actual_status": "loading"}, times=999)
    simulator.control.plan_faults([loading])
    _status, output = play(
        tmp_path,
        EXTEND,
        *("--limit", "gpu-1"),
        inferops_api_url=simulator.url,
        extend_hours=30,
        ansible_connection="local",
        ansible_python_interpreter=sys.executable,
    )
    assert "holds no switch" in output


@pytest.mark.long
def test_a_deadline_moves_though_its_host_cannot_be_told(
    tmp_path: Path, simulator: Simulator
) -> None:
    rental = rented(simulator)
    (tmp_path / "key").write_text("no key")
    status, output = play(
        tmp_path,
        EXTEND,
        *("--limit", "gpu-1"),
        inferops_api_url=simulator.url,
        inferops_ssh_private_key_file=str(tmp_path / "key"),
        extend_hours=30,
        extend_timeout_seconds=20,
    )
    assert status != 0
    assert hours_left(simulator, rental) == pytest.approx(30, abs=1)
    assert "gpu-1 ends in 30.00 hours" in output
    assert "Its host was not told: it obeys a later deadline by itself" in output
