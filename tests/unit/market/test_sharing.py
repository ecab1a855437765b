# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the processes of one controller share is a help: losing it costs calls, never money."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.inferops.gpu.plugins.module_utils.market import shared_file
from ansible_collections.inferops.gpu.plugins.module_utils.market.clock import Clock
from ansible_collections.inferops.gpu.plugins.module_utils.market.providers.pace import Pace
from ansible_collections.inferops.gpu.plugins.module_utils.market.providers.vastai import VastAI
from ansible_collections.inferops.gpu.plugins.module_utils.market.rentals import options
from ansible_collections.inferops.gpu.plugins.module_utils.market.rentals.claims import Claims
from ansible_collections.inferops.gpu.plugins.module_utils.market.rentals.shared_listing import (
    SharedListing,
)
from ansible_collections.inferops.gpu.plugins.module_utils.market.shared_file import SharedFile
from tests.unit.market.conftest import Market

Break = Callable[[Market], None]


def fill_the_disk(monkeypatch: pytest.MonkeyPatch) -> Break:
    """Nothing can be written any more."""

    def full(*_args: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    return lambda _market: monkeypatch.setattr(shared_file.json, "dump", full)


def block_the_folder(_monkeypatch: pytest.MonkeyPatch) -> Break:
    """The folder cannot be made."""
    return lambda market: market.controller_dir.write_text("not a folder")


@pytest.fixture(params=[fill_the_disk, block_the_folder], ids=lambda made: made.__name__)
def break_disk(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Break:
    broken: Break = request.param(monkeypatch)
    return broken


def test_a_controller_that_can_keep_nothing_rents_shows_and_releases(
    market: Market, break_disk: Break
) -> None:
    break_disk(market)
    rental = market.rent()["rental"]
    assert [one["id"] for one in market.run("rental_info", scope="test")["rentals"]] == [
        rental["id"]
    ]
    assert market.run("rental_reap", scope="test")["counts"]["adopted"] == 1
    released = market.run("rental", name="gpu-1", scope="test", state="absent")["released"]
    assert [one["id"] for one in released] == [rental["id"]]
    assert market.billing() == []


def test_a_disk_that_fills_after_the_create_hides_no_rental(
    market: Market, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fill(phase: str, request: Any, _number: int) -> None:
        if phase == "after" and request.method == "PUT":
            fill_the_disk(monkeypatch)(market)

    market.simulator.observe = fill
    result = market.rent()
    assert result["nonce"]
    assert [str(row["id"]) for row in market.billing()] == [result["rental"]["id"]]


def test_what_a_killed_release_has_ended_is_not_taken_for_rented(
    market: Market, monkeypatch: pytest.MonkeyPatch
) -> None:
    released = market.rent()["rental"]["id"]
    market.run("rental_info", scope="test")
    release = VastAI.release

    def release_and_die(provider: VastAI, rental_id: str) -> None:
        release(provider, rental_id)
        # A killed process does nothing more, at its end either.
        killed.setattr(SharedListing, "forget", lambda *_arguments, **_options: None)
        raise KeyboardInterrupt

    with monkeypatch.context() as killed:
        killed.setattr(VastAI, "release", release_and_die)
        with pytest.raises(KeyboardInterrupt):
            market.run("rental", name="gpu-1", scope="test", state="absent")
    assert market.billing() == []
    assert market.rent()["rental"]["id"] != released


def test_who_holds_a_shared_file_for_ever_is_not_waited_for(market: Market, tmp_path: Path) -> None:
    path = tmp_path / "shared.json"
    path.write_text(json.dumps({"asked_at": market.clock.now(), "rentals": []}))
    file = SharedFile(str(path), patience_seconds=0.1)
    market.create(market.ranked()[0].offer)
    with path.open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        listing = SharedListing(file, market.clock)
        assert len(listing.get(0.0, lambda seen: market.provider().list_rentals())) == 1
        listing.forget()
        claims = Claims(file, market.clock)
        assert claims.take("20811", "gpu-1")
        claims.drop("20811", "gpu-1")


def test_a_file_that_stays_locked_is_waited_for_once(tmp_path: Path) -> None:
    path = tmp_path / "pace.json"
    path.touch()
    patience = 0.2
    pace = Pace(SharedFile(str(path), patience_seconds=patience), {}, Clock())
    took = []
    with path.open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        for _call in range(50):
            began = time.monotonic()
            pace.wait("destroy")
            took.append(time.monotonic() - began)
    assert took[0] >= patience
    # A busy machine may make one or the other long; each would be.
    assert sum(seconds >= patience for seconds in took) < 25


def test_a_rental_is_proven_gone_while_another_process_holds_every_shared_file(
    market: Market, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(options, "MOMENTS_SECONDS", 0.2)
    monkeypatch.setattr(options, "PATIENCE_SECONDS", 0.2)
    market.rent()
    with contextlib.ExitStack() as stack:
        for path in market.controller_dir.glob("market/*/*.json"):
            fcntl.flock(stack.enter_context(path.open()), fcntl.LOCK_EX)
        assert market.run("rental", name="gpu-1", scope="test", state="absent")["changed"]
    assert market.billing() == []


@pytest.mark.parametrize("odd", ["fifo", "folder", "link", "huge"])
def test_what_is_no_file_of_ours_is_given_up(tmp_path: Path, odd: str) -> None:
    path, theirs = tmp_path / "pace.json", tmp_path / "theirs"
    theirs.write_text("theirs")
    if odd == "fifo":
        os.mkfifo(path)
    elif odd == "folder":
        path.mkdir()
    elif odd == "link":
        path.symlink_to(theirs)
    else:
        with path.open("wb") as file:
            file.truncate(2**40)
    waits: list[float] = []
    Pace(SharedFile(str(path)), {"list": 2.0}, Clock(sleep=waits.append)).wait("list")
    assert waits == [0.0]
    assert theirs.read_text() == "theirs"


def test_a_clock_that_was_set_back_keeps_nobody_from_releasing(
    market: Market, tmp_path: Path
) -> None:
    file = SharedFile(str(tmp_path / "pace.json"))
    ahead = Clock(now=lambda: market.clock.now() + 3000)
    Pace(file, {"destroy": 2.0}, ahead).wait("destroy")
    waits: list[float] = []
    Pace(file, {"destroy": 2.0}, Clock(sleep=waits.append, now=market.clock.now)).wait("destroy")
    assert waits == [0.0]


def test_a_listing_that_was_damaged_is_asked_for_again(market: Market, tmp_path: Path) -> None:
    path = tmp_path / "shared.json"
    market.create(market.ranked()[0].offer)
    for rubbish in ({"rentals": [{}]}, {"rentals": None}, {}):
        path.write_text(json.dumps({"asked_at": market.clock.now(), **rubbish}))
        listing = SharedListing(SharedFile(str(path)), market.clock)
        assert len(listing.get(0.0, lambda seen: market.provider().list_rentals())) == 1


@pytest.mark.parametrize(
    "rubbish",
    [
        b"\xff\xfe\x00",
        b"[" * 100_000,
        b"5",
        b'{"search": "x", "list": {}, "20811": 5, "seen": 5, "asked_at": []}',
        b'{"search": null, "list": [1], "20811": {"holder": "x"}, "seen": [{}, 5]}',
        b'{"list": 1e999, "20811": {"holder": "x", "until": "soon"}, "seen": [null]}',
    ],
    ids=lambda rubbish: repr(rubbish[:20]),
)
def test_what_a_damaged_file_holds_is_in_nobodys_way(
    market: Market, tmp_path: Path, rubbish: bytes
) -> None:
    path = tmp_path / "shared.json"
    file = SharedFile(str(path))
    claims, listing = Claims(file, market.clock), SharedListing(file, market.clock)
    pace = Pace(file, {"list": 1.0}, market.clock)
    for use in (
        lambda: pace.wait("list"),
        lambda: pace.slow_down("list", 1.0),
        lambda: claims.drop("20811", "gpu-1"),
        lambda: listing.get(0.0, lambda seen: []),
        listing.forget,
    ):
        path.write_bytes(rubbish)
        use()
    path.write_bytes(rubbish)
    assert claims.take("20811", "gpu-1")
    assert not claims.take("20811", "gpu-2")
