# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who ends a rental at its deadline, and the refusal of one that nobody ends."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible.parsing.dataloader import DataLoader
from ansible.playbook.task import Task
from ansible.template import Templar

from ansible_collections.inferops.gpu.plugins.action.deadline_switch import ActionModule
from ansible_collections.inferops.gpu.plugins.module_utils.market.errors import RequestRefused
from ansible_collections.inferops.gpu.plugins.module_utils.market.rentals.enforcing import (
    enforcer_found,
    refuse_nobody,
)
from ansible_collections.inferops.gpu.plugins.plugin_utils.guarded_action import ModuleAction
from tests.tools.tree import REPOSITORY
from tests.unit.market.conftest import Market
from tests.unit.market.test_plays import RENTAL
from tests.unit.plays import on_the_host, play, role


@pytest.mark.parametrize(
    ("planned", "armed", "reaper", "found"),
    [
        ("host", True, False, "host"),
        ("host", True, True, "host"),
        ("host", False, True, "reaper"),
        ("host", False, False, "nobody"),
        ("provider", False, False, "provider"),
        ("reaper", False, True, "reaper"),
        ("nobody", False, True, "reaper"),
        ("nobody", True, False, "nobody"),
    ],
)
def test_a_host_ends_its_rental_only_with_a_switch_that_is_armed(
    planned: str, armed: bool, reaper: bool, found: str
) -> None:
    assert enforcer_found(planned, armed, reaper) == found


def test_a_rental_that_nobody_ends_is_refused_unless_that_is_accepted() -> None:
    with pytest.raises(RequestRefused) as refused:
        refuse_nobody("nobody", "The process of the switch does not run.", False)
    assert "at its deadline: The process of the switch does not run. Take" in str(refused.value)
    refuse_nobody("nobody", "", True)
    for somebody in ("host", "provider", "reaper"):
        refuse_nobody(somebody, "", False)


@pytest.fixture
def switch(monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, Any]]:
    """What the action says with these options, of a host whose switch is armed or not."""

    def act(armed: bool | None, **options: Any) -> dict[str, Any]:
        def answer(self: ModuleAction, variables: dict[str, Any]) -> dict[str, Any]:
            assert armed is not None, "the host was asked"
            return {"changed": False, "armed": armed, "problem": "" if armed else "It is dead."}

        monkeypatch.setattr(ModuleAction, "act", answer)
        loader, task = DataLoader(), Task()
        task.args = options
        templar = Templar(loader)
        return ActionModule(task, None, None, loader, templar, None).act({})

    return act


def test_a_host_is_asked_for_its_switch_only_where_that_ends_the_rental(
    switch: Callable[..., dict[str, Any]],
) -> None:
    assert switch(True)["enforced_by"] == "host"
    assert switch(None, is_set="true")["enforced_by"] == "host"
    assert switch(None, enforced_by="provider")["enforced_by"] == "provider"
    assert switch(None, enforced_by="nobody", reaper="yes")["enforced_by"] == "reaper"


def test_a_switch_that_is_not_armed_fails_only_where_that_is_not_accepted(
    switch: Callable[..., dict[str, Any]],
) -> None:
    told = switch(False)
    assert (told["enforced_by"], told.get("failed")) == ("nobody", None)
    told = switch(False, allow_unenforced_deadline="false")
    assert told["failed"]
    assert "at its deadline: It is dead. Take" in told["msg"]
    told = switch(False, allow_unenforced_deadline=False, reaper=True)
    assert (told["enforced_by"], told.get("failed")) == ("reaper", None)


def verified(tmp_path: Path, **variables: Any) -> tuple[int, str]:
    """What role rent says of a host that has no switch, after it was found."""
    deadline = {"at": 1, "enforced_by": "host"}
    seen = {"rent_switch": {}, "rent_facts": {}, "rent_speed": {}, "inferops_deadline": deadline}
    verify = role("rent", "verify")
    who = {"ansible.builtin.debug": {"msg": "ended by {{ inferops_deadline.enforced_by }}"}}
    return play(
        tmp_path,
        on_the_host({"ansible.builtin.set_fact": seen}, verify, who),
        **{
            "ansible_connection": "local",
            "ansible_python_interpreter": sys.executable,
            "inferops_rental": {**RENTAL, "gpu_count": 0, "vram_gib": 0.0, "driver_version": ""},
            "inferops_offer": {},
            "rent_ready": {"remaining_seconds": 3600},
            **variables,
        },
    )


def test_a_rental_whose_host_has_no_switch_is_not_kept_without_a_reaper(tmp_path: Path) -> None:
    status, output = verified(tmp_path)
    assert status != 0
    assert "Nobody would end this rental at its deadline: " in output
    assert "holds no switch" in output
    assert "inferops_allow_unenforced_deadline" in output
    status, output = verified(tmp_path, inferops_reaper="true")
    assert status == 0, output
    assert "ended by reaper" in output


def test_a_dry_run_of_extend_says_who_ends_the_rental(tmp_path: Path, market: Market) -> None:
    assert market.rent("gpu-1")["changed"]
    status, output = play(
        tmp_path,
        REPOSITORY / "playbooks" / "extend.yml",
        "--check",
        "--limit",
        "gpu-1",
        inferops_api_url=market.simulator.url,
        extend_hours="30",
    )
    assert status == 0, output
    assert "gpu-1 ends in 30.00 hours, enforced by host; it has cost" in output


@pytest.mark.parametrize(
    ("options", "accepted"),
    [
        ({}, False),
        ({"allow_unenforced_deadline": True}, True),
        ({"deadline_hours": 0, "no_deadline": True}, True),
    ],
)
def test_who_accepts_that_nobody_ends_a_rental_is_asked_once(
    market: Market, options: dict[str, Any], accepted: bool
) -> None:
    """The switch on the host is held against the same yes."""
    assert market.rent("gpu-1", **options)["deadline"]["nobody_accepted"] is accepted
