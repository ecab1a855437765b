# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Labels that are no texts: they close no account, hide nothing of ours, and give nothing away."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.inferops.gpu.plugins.module_utils.market.clock import Clock
from ansible_collections.inferops.gpu.plugins.module_utils.market.errors import ProviderUnavailable
from ansible_collections.inferops.gpu.plugins.module_utils.market.mark import Mark
from ansible_collections.inferops.gpu.plugins.module_utils.market.model import Order, Rental
from ansible_collections.inferops.gpu.plugins.module_utils.market.rentals.account import Account
from ansible_collections.inferops.gpu.plugins.module_utils.market.rentals.shared_listing import (
    SharedListing,
)
from ansible_collections.inferops.gpu.plugins.module_utils.market.shared_file import SharedFile
from tests.unit.market.conftest import PUBLIC_KEY, Market, fault
from tests.unit.market.fake_provider import KEY, SILENT_OFFER, FakeProvider, World

ODD = (17, True, [17], {"text": "x"})


def odd_row(market: Market, label: Any, rental_id: str, on: str = "") -> None:
    """Show a rental of another scope with this for a label, and without a second mark."""
    fields = {"label": label, "extra_env": 5}
    market.faults(fault("row_is", on, fields=fields, of="/theirs/", times=999))


@pytest.mark.parametrize("label", ODD, ids=repr)
def test_a_row_whose_label_is_no_text_closes_the_account_to_nobody(
    market: Market, label: Any
) -> None:
    theirs = market.rent("theirs", scope="other")["rental"]["id"]
    ours = market.rent()["rental"]["id"]
    odd_row(market, label, theirs)
    assert market.run("rental_info", scope="test", name="gpu-1")["rentals"][0]["id"] == ours
    assert market.rent()["rental"]["id"] == ours
    reaped = market.run("rental_reap", scope="test", release=True)
    assert not reaped["changed"]
    assert [one["id"] for one in reaped["verdicts"]] == [ours]
    assert market.run("rental", name="gpu-1", scope="test", state="absent")["changed"]
    assert not market.run("rental", name="gpu-1", scope="test", state="absent")["changed"]
    assert [str(one["id"]) for one in market.billing()] == [theirs]


def test_a_rental_whose_label_is_no_text_is_released_by_its_id(market: Market) -> None:
    ours = market.rent()["rental"]["id"]
    fields = {"label": 17, "extra_env": 5}
    market.faults(fault("row_is", fields=fields, times=999))
    gone = market.run("rental", name="gpu-1", scope="test", state="absent", id=ours)
    assert gone["changed"]
    assert market.billing() == []


@dataclass
class Odd:
    """A provider without a second mark, whose lists show labels that are no texts."""

    world: World
    provider: FakeProvider
    folder: Path
    #: Whose rows by their id are odd as well, or not to be read.
    odd_reads: frozenset[str] = frozenset()
    unread: frozenset[str] = frozenset()
    odd_lists: bool = True

    def rent(self, scope: str = "test", name: str = "gpu-1", deadline: int = 0) -> str:
        mark = Mark.new(scope, name, deadline, 0)
        return self.provider.rent(SILENT_OFFER, Order(mark, "some/image", 40, PUBLIC_KEY, 0))

    def account(self, remembers: bool = True) -> Account:
        file = SharedFile(self.folder / "listing.json") if remembers else None
        shared = SharedListing(file, self.world.clock)
        return Account(self.provider, "test", self.world.clock, shared)


def odd(rental: Rental) -> Rental:
    return replace(rental, label="17", mark=None, has_odd_label=True)


@pytest.fixture
def market_of_odd_lists(tmp_path: Path) -> Odd:
    time = [1_795_000_000.0]

    def sleep(seconds: float) -> None:
        time[0] += seconds

    world = World(Clock(monotonic=lambda: time[0], sleep=sleep, now=lambda: time[0]))

    class Shows(world.kind()):  # type: ignore[misc]
        """Lists odd labels, and reads some."""

        def list_rentals(self) -> list[Rental]:
            """All of them."""
            listed: list[Rental] = super().list_rentals()
            return list(map(odd, listed)) if made.odd_lists else listed

        def get(self, rental_id: str) -> Rental | None:
            """One of them."""
            found: Rental | None = super().get(rental_id)
            if rental_id in made.unread:
                raise ProviderUnavailable("It cannot be understood.")
            return odd(found) if found and rental_id in made.odd_reads else found

    provider = Shows({"api_key": KEY}, "", None, world.clock)
    made = Odd(world, provider, tmp_path)
    return made


def test_an_odd_list_hides_nothing_that_is_read_by_its_id(market_of_odd_lists: Odd) -> None:
    ours = market_of_odd_lists.rent()
    theirs = market_of_odd_lists.rent("other")
    account = market_of_odd_lists.account(remembers=False)
    assert [one.id for one in account.find("gpu-1")] == [ours]
    assert [one.id for one in account.prove_none("gpu-1")] == [ours]
    assert {one.id for one in account.listed()} == {ours, theirs}
    assert not [one for one in account.doubts if "no text" in one]


@pytest.mark.parametrize("trouble", ["odd_reads", "unread"])
def test_what_this_controller_has_known_as_ours_stays_ours(
    market_of_odd_lists: Odd, trouble: str
) -> None:
    market = market_of_odd_lists
    ours = market.rent(deadline=1_795_090_000)
    market.odd_lists = False
    (known,) = market.account().find("gpu-1")
    # A rental request or a release of another name.
    market.account().forget()
    market.odd_lists = True
    setattr(market, trouble, frozenset((ours,)))
    assert [one.mark for one in market.account().find("gpu-1")] == [known.mark]
    assert [one.id for one in market.account().prove_none("gpu-1")] == [ours]


@pytest.mark.parametrize("trouble", ["odd_reads", "unread"])
def test_what_nobody_can_tell_is_somebody_elses_and_said(
    market_of_odd_lists: Odd, trouble: str
) -> None:
    market = market_of_odd_lists
    setattr(market, trouble, frozenset((market.rent("other", "x"),)))
    ours = market.rent()
    account = market.account(remembers=False)
    assert [one.id for one in account.rentals()] == [ours]
    assert account.prove_none("gpu-2") == []
    (doubt,) = (one for one in account.doubts if "no text" in one)
    assert "17" in doubt
    assert "neither used nor released" in doubt


def test_an_extension_is_kept_where_the_label_that_tells_it_is_no_text(
    market_of_odd_lists: Odd,
) -> None:
    market = market_of_odd_lists
    ours = market.rent(deadline=1_795_090_000)
    market.odd_lists = False
    world, extended = market.world, 1_795_990_000
    first = world.rentals[ours]
    assert first.mark is not None
    moved = replace(first.mark, deadline=extended)
    world.rentals[ours] = replace(first, mark=moved, label=moved.encode())
    market.account().find("gpu-1")
    # Its second copy has the deadline of its request.
    world.rentals[ours] = replace(odd(first), mark=first.mark)
    (seen,) = market.account().find("gpu-1")
    assert seen.mark is not None
    assert seen.mark.deadline == extended


def test_an_account_full_of_odd_labels_is_not_asked_for_all_of_them(
    market_of_odd_lists: Odd,
) -> None:
    for number in range(50):
        market_of_odd_lists.rent("other", f"x{number}")
    assert market_of_odd_lists.account(remembers=False).find("gpu-1") == []
    assert market_of_odd_lists.world.calls.count("get") <= 10


def test_keys_that_are_no_texts_hide_no_key_that_is(market: Market) -> None:
    rental = market.rent()["rental"]["id"]
    provider = market.provider()
    provider.attach_key(rental, PUBLIC_KEY)
    keys: list[Any] = [5, None, {"public_key": 7, "id": 1}, {"public_key": "x"}, {"id": []}]
    keys += [{"public_key": PUBLIC_KEY, "id": 9}]
    before = market.count("attach_key")
    market.faults(
        {
            "kind": "reply",
            "method": "GET",
            "path": "/ssh/",
            "status": 200,
            "body": {"success": True, "ssh_keys": keys},
            "times": 9,
        }
    )
    provider.attach_key(rental, PUBLIC_KEY)
    # It was seen to be there: nothing was sent.
    sent = [one for one in market.requests("attach_key")[before:] if one["method"] == "POST"]
    assert sent == []
