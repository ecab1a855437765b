# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A slow controller or a slow provider cuts no proof of absence in half, and makes none shorter."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from ansible_collections.inferops.gpu.plugins.module_utils.market.clock import Clock
from ansible_collections.inferops.gpu.plugins.module_utils.market.errors import (
    ProviderUnavailable,
    UnprovenAbsence,
)
from ansible_collections.inferops.gpu.plugins.module_utils.market.mark import Mark
from ansible_collections.inferops.gpu.plugins.module_utils.market.model import Order, Rental
from ansible_collections.inferops.gpu.plugins.module_utils.market.rentals.lifecycle import Lifecycle
from ansible_collections.inferops.gpu.plugins.module_utils.market.rentals.presence import (
    LOOKS_APART_SECONDS,
)
from tests.unit.market.conftest import PUBLIC_KEY
from tests.unit.market.fake_provider import KEY, SILENT_OFFER, FakeProvider, World

LIMIT_SECONDS = FakeProvider.ends_within_seconds


@dataclass
class Ending:
    """One rental that shows until *vanishes_after*, and the looks by its id, as [begin, seen].

    A release does nothing to it: only time does.
    """

    vanishes_after: float = 0.0
    look_seconds: float = 0.0
    now: float = 0.0
    looks: list[tuple[float, bool]] = field(default_factory=list)
    #: What else a look ends with, by its number.
    errors: dict[int, Exception] = field(default_factory=dict)
    #: From when until when it is there again.
    back: tuple[float, float] = (0.0, 0.0)

    def release(self) -> None:
        """Rent it and end it."""
        world = World(Clock(monotonic=lambda: self.now, sleep=self.sleep, now=lambda: self.now))
        provider = self.provider(world)
        mark = Mark.new("test", "gpu-1", 0, 0)
        rental_id = provider.rent(SILENT_OFFER, Order(mark, "some/image", 40, PUBLIC_KEY, 0))
        shown = world.rentals[rental_id]
        Lifecycle(provider, "test", world.clock).release(shown)

    def provider(self, world: World) -> FakeProvider:
        ending = self

        class Slow(world.kind()):  # type: ignore[misc]
            """Shows a rental as long as *ending* says."""

            def release(self, rental_id: str) -> None:
                """Nothing."""

            def list_rentals(self) -> list[Rental]:
                """None or one."""
                return [one for one in super().list_rentals() if ending.is_there()]

            def get(self, rental_id: str) -> Rental | None:
                """None or it, which takes its time."""
                there, number = ending.is_there(), len(ending.looks)
                ending.looks.append((ending.now, there))
                ending.now += ending.look_seconds
                if number in ending.errors:
                    raise ending.errors[number]
                return super().get(rental_id) if there else None

        return Slow({"api_key": KEY}, "", None, world.clock)  # type: ignore[no-any-return]

    def is_there(self) -> bool:
        begin, end = self.back
        return self.now < self.vanishes_after or begin <= self.now < end

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    @property
    def pause(self) -> float:
        """Between the end of the look before the last and the begin of the last one."""
        (before, _), (last, _) = self.looks[-2:]
        return last - before - self.look_seconds


@pytest.mark.parametrize("vanishes_after", [LIMIT_SECONDS, LIMIT_SECONDS - 1, LIMIT_SECONDS - 4])
def test_who_is_seen_absent_just_as_the_time_is_up_is_proven_gone(vanishes_after: float) -> None:
    ending = Ending(vanishes_after)
    ending.release()
    assert [there for _, there in ending.looks[-3:]] == [True, False, False]
    assert ending.pause >= LOOKS_APART_SECONDS


@pytest.mark.parametrize("look_seconds", [1.5, 13, 44, 100, 1000])
def test_a_starved_controller_proves_as_much_as_a_fast_one(look_seconds: float) -> None:
    # Its first look takes a while, and the second one begins as late as it likes.
    ending = Ending(vanishes_after=1.0, look_seconds=look_seconds)
    ending.release()
    assert [there for _, there in ending.looks] == [True, False, False]
    assert ending.pause >= LOOKS_APART_SECONDS


def test_the_two_looks_of_a_proof_are_a_whole_pause_apart_whenever_the_first_one_is() -> None:
    for step in range(int(LIMIT_SECONDS) * 2):
        ending = Ending(vanishes_after=step / 2, look_seconds=0.75)
        ending.release()
        assert ending.pause >= LOOKS_APART_SECONDS, step


def test_what_never_vanishes_is_given_up_when_its_time_is_up() -> None:
    ending = Ending(vanishes_after=10 * LIMIT_SECONDS)
    with pytest.raises(UnprovenAbsence, match="the provider still shows it"):
        ending.release()
    assert LIMIT_SECONDS <= ending.now <= LIMIT_SECONDS + LOOKS_APART_SECONDS


def comes_back(ending: Ending) -> None:
    ending.back = (LIMIT_SECONDS + 2, 10 * LIMIT_SECONDS)


def is_down(ending: Ending) -> None:
    ending.errors = dict.fromkeys(range(19, 99), ProviderUnavailable("The provider is down."))


@pytest.mark.parametrize(
    ("then", "why"), [(comes_back, "still shows it"), (is_down, "is down")], ids=["back", "down"]
)
def test_after_the_time_a_half_made_proof_gets_one_look_and_no_more(
    then: Callable[[Ending], Any], why: str
) -> None:
    ending = Ending(vanishes_after=LIMIT_SECONDS)
    then(ending)
    with pytest.raises(UnprovenAbsence, match=why):
        ending.release()
    assert sum(begin > LIMIT_SECONDS for begin, _ in ending.looks) == 1
