# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Numbers about money and time: what can only be a slip is refused, by modules as by the gate."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.inferops.gpu.plugins.action import rental_attempt, rental_ready
from ansible_collections.inferops.gpu.plugins.module_utils.common.ranges import (
    MOST_HOURS,
    beyond,
    range_of,
)
from ansible_collections.inferops.gpu.plugins.module_utils.market.rentals import desk, info, options
from ansible_collections.inferops.gpu.plugins.module_utils.market.rentals.lifetime import Lifetime
from tests.unit.plays import on_the_host, play

#: One whole number with more digits than any float.
ENDLESS = 10**400
SLIPS = [-1, "-0.5", math.nan, "nan", math.inf, "-inf", 1e9, "1e300", ENDLESS]
RENT = {"name": "gpu-1", "scope": "test", "image": "some/image", "ssh_public_key": "ssh-ed25519 A"}


@pytest.mark.parametrize("slip", SLIPS, ids=lambda slip: str(slip)[:9])
@pytest.mark.parametrize(
    "name", ["deadline_hours", "hours", "budget_usd", "max_price_usd_per_hour", "timeout_seconds"]
)
def test_a_slip_is_refused_with_the_range(name: str, slip: Any) -> None:
    (said,) = beyond({name: slip, "name": "gpu-1", "gpu_count": 1})
    assert said.startswith(f"{name} must be from 0 to ")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("deadline_hours", value) for value in (0, 0.05, "24", MOST_HOURS)),
        *(("budget_usd", value) for value in (0, 0.01, "250000")),
        ("remaining_seconds", -30),
        ("clock_offset_seconds", -2.5),
        # Their types are for others to judge.
        *(("timeout_seconds", value) for value in (None, "", "much", {"health": 5})),
        ("port", "auto"),
    ],
)
def test_what_may_be_meant_is_taken(name: str, value: Any) -> None:
    assert [*beyond({name: value})] == []


def test_ten_years_are_the_longest_lifetime_also_by_dollars() -> None:
    assert MOST_HOURS == 24 * 365 * 10
    assert Lifetime(0, 10_000_000).seconds(0.01) == MOST_HOURS * 3600
    assert Lifetime(12, 10_000_000).seconds(0.01) == 12 * 3600


@pytest.mark.parametrize(
    ("task", "said"),
    [
        ({"rental": {**RENT, "deadline_hours": 10**9}}, "deadline_hours must be from 0 to 87600"),
        ({"rental": {**RENT, "budget_usd": -5}}, "budget_usd must be from 0 to 10000000, not -5."),
        ({"rental_extend": {"name": "gpu-1", "hours": "nan"}}, "hours must be from 0 to 87600"),
        ({"rental_info": {"warn_hours": "inf"}}, "warn_hours must be from 0 to 87600, not inf."),
        ({"offer_info": {"max_price_usd_per_hour": -1}}, "max_price_usd_per_hour must be from 0"),
        ({"endpoint": {"state": "absent", "timeout_seconds": 1e15}}, "timeout_seconds must be"),
    ],
)
def test_a_module_refuses_a_slip_before_it_asks_anybody(
    tmp_path: Path, task: dict[str, Any], said: str
) -> None:
    ((name, given),) = task.items()
    status, output = play(tmp_path, on_the_host({f"inferops.gpu.{name}": given}))
    assert status != 0
    assert said in output


def test_every_number_that_a_rental_is_asked_for_by_has_a_range() -> None:
    specs = (
        *(options.WISH_OPTIONS, desk.RENTAL_OPTIONS, info.RENTAL_INFO_OPTIONS),
        *(rental_attempt.ActionModule.argument_spec, rental_ready.ActionModule.argument_spec),
    )
    numbers = {
        name for spec in specs for name, rules in spec.items() if rules["type"] in ("int", "float")
    }
    assert len(numbers) > 20
    assert {name for name in numbers if range_of(name) is None} == set()
