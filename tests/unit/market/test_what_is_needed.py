# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is searched for, of what was asked for and what will run."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.inferops.gpu.plugins.module_utils.market.rentals.attempts import Ledger
from ansible_collections.inferops.gpu.plugins.module_utils.market.rentals.desk import RENTAL_OPTIONS
from ansible_collections.inferops.gpu.plugins.module_utils.market.rentals.options import with_usual


def searched(**given: Any) -> dict[str, Any]:
    """The options of a call that was given these, as they are searched by."""
    left = {name: option.get("default") for name, option in RENTAL_OPTIONS.items()}
    return with_usual({**left, "provider": "vastai", **given})


@pytest.mark.parametrize(
    ("asked", "needed", "will_do", "driver"),
    [
        (None, None, False, None),
        ("535", None, False, "535"),
        (None, "580", False, "580"),
        ("535", "580", False, "580"),
        ("580.65.06", "580", False, "580.65.06"),
        ("535", "580", True, "535"),
        (None, "580", True, "580"),
    ],
)
def test_an_older_driver_than_is_needed_is_not_rented_unless_the_image_makes_it_do(
    asked: str | None, needed: str | None, will_do: bool, driver: str | None
) -> None:
    found = searched(
        driver_version=asked, least_driver_version=needed, older_driver_will_do=will_do
    )
    assert found["driver_version"] == driver


def test_a_card_that_is_too_small_for_the_model_is_not_rented() -> None:
    assert searched(vram_gib=12.0, least_vram_gib=16.1)["vram_gib"] == 16.1
    assert searched(vram_gib=24.0, least_vram_gib=16.1)["vram_gib"] == 24.0
    assert searched(vram_gib=0.0)["vram_gib"] is None


def test_an_offer_that_ends_before_the_deadline_is_not_rented() -> None:
    assert searched(duration_hours=0.0, least_duration_hours=24.0)["duration_hours"] == 24.0
    assert searched(duration_hours=48.0, least_duration_hours=24.0)["duration_hours"] == 48.0
    assert searched(duration_hours=0.0, least_duration_hours=0.0)["duration_hours"] is None


def test_attempts_of_a_run_share_its_rental_requests_and_each_may_send_one() -> None:
    assert Ledger().requests_left(5) == 5
    assert Ledger(requests_sent=3).requests_left(5) == 2
    assert Ledger(requests_sent=5).requests_left(5) == 1
