# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The mark in a provider's field: what it tells, what it forgives, where it fits."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ansible_collections.inferops.gpu.plugins.module_utils.market.mark import (
    Mark,
    check_length,
    is_damaged,
    mark_of,
)
from tests.unit.market.conftest import Market

DAY = 86400
MARK = Mark("prod", "gpu-1", "9f2c41aa", 1795312800, DAY, 1795226400)
#: As the first version wrote it.
OLD = "inferops/prod/gpu-1/9f2c41aa/1795312800/86400"


def test_a_mark_survives_the_round_trip() -> None:
    assert MARK.encode() == "inferops/prod/gpu-1/9f2c41aa/2/tovs80/1uo0/totxk0"
    for mark in (MARK, replace(MARK, deadline=0, lifetime_seconds=0), replace(MARK, created_at=0)):
        assert Mark.decode(mark.encode()) == mark


def test_an_old_mark_is_read_and_written_anew() -> None:
    mark = Mark.decode(OLD)
    assert mark == replace(MARK, created_at=0)
    assert Mark.decode(mark.encode()) == mark  # type: ignore[union-attr]


def test_a_part_that_a_later_version_adds_is_forgiven_and_kept() -> None:
    later = "inferops/prod/gpu-1/9f2c41aa/3/tovs80/1uo0/totxk0/pool-a/Some.thing"
    mark = Mark.decode(later)
    assert mark is not None
    assert not is_damaged(later, "prod")
    assert (mark.scope, mark.name, mark.deadline) == ("prod", "gpu-1", 1795312800)
    assert mark.created_at == 1795226400
    moved = replace(mark, deadline=mark.deadline + DAY).encode()
    assert moved.endswith("/totxk0/pool-a/Some.thing")
    assert moved.split("/")[4] == "3"


@pytest.mark.parametrize(
    "label",
    [
        f"{OLD} keep",
        "inferops/prod/gpu-1 (do not touch)/9f2c41aa/1795312800/86400",
        "inferops/prod/gpu-1/9f2c41aa/2/tovs80/1uo0/totxk0 keep",
        "inferops/prod/gpu-1/9f2c41aa/2/tovs80/1uo0",
        "inferops/prod/gpu-1/9f2c41aa/2/tovs80/1uo0/",
        "inferops/prod/gpu-1/9f2c41aa/1/tovs80/1uo0/totxk0",
        "inferops/prod/gpu-1/9f2c41aa/2/-5/1uo0/totxk0",
        "inferops/prod/gpu-1/9f2c41aa/2/TOVS80/1uo0/totxk0",
        "inferops/prod/gpu-1/9F2C41AA/2/tovs80/1uo0/totxk0",
        "inferops/prod/gpu-1/9f2c41aa/tomorrow/86400",
        "inferops/prod/gpu-1/9f2c41aa/²/86400",
        "inferops/prod/gpu-1",
        "inferops/prod/",
        "inferops/prod",
        "inferops/pro",
        "ops/prod/gpu-1/9f2c41aa/2/tovs80/1uo0/totxk0",
        "/prod/gpu-1/9f2c41aa/2/tovs80/1uo0/totxk0",
        "prod/gpu-1/9f2c41aa/2/tovs80/1uo0/totxk0",
        "INFEROPS/PROD/GPU-1/9F2C41AA/2/TOVS80/1UO0/TOTXK0",
        "Inferops/Prod/gpu-1/9f2c41aa/2/tovs80/1uo0/totxk0",
        "inferops / prod / gpu-1 / 9f2c41aa / 2 / tovs80 / 1uo0 / totxk0",
        "infer ops/prod/gpu-1/9f2c41aa/2/tovs80/1uo0/totxk0",
        "inferops/prod keep/gpu-1/9f2c41aa/2/tovs80/1uo0/totxk0",
        "inferops/prod\N{FIRE}/gpu-1/9f2c41aa/2/tovs80/1uo0/totxk0",
        "inferops\\prod\\gpu-1\\9f2c41aa\\2\\tovs80\\1uo0\\totxk0",
        "inferops%2Fprod%2Fgpu-1%2F9f2c41aa%2F2%2Ftovs80%2F1uo0%2Ftotxk0",
        "inferops//prod//gpu-1//9f2c41aa//2",
        "[keep]inferops/prod/gpu-1/9f2c41aa/2/tovs80/1uo0/totxk0",
        2 * "inferops/prod/gpu-1/9f2c41aa/2/tovs80/1uo0/totxk0",
    ],
)
def test_what_somebody_has_changed_by_hand_is_damaged(label: str) -> None:
    assert Mark.decode(label) is None
    assert is_damaged(label, "prod")
    assert not is_damaged(label, "other")


@pytest.mark.parametrize(
    "label",
    [
        None,
        "",
        "my box",
        "inferops",
        "inferops-prod",
        "inferops/product/gpu-1",
        "inferops/prod-eu/gpu-1 keep",
        "inferops/my.prod/gpu-1 keep",
        "prod",
        "other/prod/gpu-1/0a1b2c3d/5/5",
    ],
)
def test_strangers_have_no_mark(label: str | None) -> None:
    assert Mark.decode(label) is None
    assert not is_damaged(label, "prod")


def test_the_longest_names_that_are_let_through_fit_however_the_mark_changes() -> None:
    scope, name = "s" * 10, "n" * 9
    check_length(scope, name, 64)
    in_the_year_4000 = 64_060_588_800
    mark = Mark(scope, name, "9f2c41aa", in_the_year_4000, in_the_year_4000, in_the_year_4000)
    assert len(mark.encode()) == 64
    with pytest.raises(ValueError, match="leaves 19 for both"):
        check_length(scope, name + "n", 64)


def test_a_create_tells_its_time_by_the_providers_clock(market: Market) -> None:
    market.fault("clock_skew", seconds=120, times=999)
    market.rent()
    mark = Mark.decode(market.billing()[0]["label"])
    assert mark is not None
    assert mark.created_at == pytest.approx(market.clock.now() + 120, abs=5)


def test_an_extension_keeps_the_time_of_the_create(market: Market) -> None:
    market.rent(deadline_hours=10)
    created = Mark.decode(market.billing()[0]["label"]).created_at  # type: ignore[union-attr]
    market.pass_hours(1)
    market.run("rental_extend", scope="test", name="gpu-1", hours=30)
    assert Mark.decode(market.billing()[0]["label"]).created_at == created  # type: ignore[union-attr]


def test_a_rental_that_the_first_version_made_is_kept_and_released(market: Market) -> None:
    offer = market.ranked()[0].offer
    market.create(offer)
    (rental,) = market.simulator.market.rentals.values()
    rental.label = f"inferops/test/gpu-1/9f2c41aa/{int(market.clock.now()) + DAY}/{DAY}"
    rental.wish["env"].clear()
    assert not market.rent()["changed"]
    gone = market.run("rental", name="gpu-1", scope="test", state="absent")
    assert [one["id"] for one in gone["released"]] == [str(rental.id)]
    assert market.billing() == []


def test_a_mark_that_was_written_over_by_another_one_stays_what_it_was() -> None:
    kept = Mark("prod", "gpu-1", "9f2c41aa", 1795312800, 3600, 1795226400)
    other = Mark("prod", "gpu-2", "00000000", 1999999999, 3600, 1795226400)
    assert mark_of(other.encode(), kept.encode()) == kept
    assert mark_of(f"{other.encode()} {kept.encode()}", kept.encode()) == kept
    assert mark_of(other.encode()) == other
