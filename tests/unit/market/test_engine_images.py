# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An image that has the engine already: who gets it, and what follows where nobody gets it."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.inferops.gpu.plugins.module_utils.market.model import HostImage
from ansible_collections.inferops.gpu.plugins.module_utils.market.offers.ranking import Usage, rank
from ansible_collections.inferops.gpu.plugins.module_utils.market.offers.showing import offer_lines
from ansible_collections.inferops.gpu.plugins.module_utils.market.providers.vastai import VastAI
from ansible_collections.inferops.gpu.plugins.module_utils.market.rentals.attempts import (
    Failure,
    Ledger,
    after_release,
)
from ansible_collections.inferops.gpu.plugins.module_utils.serving.engines.registry import (
    image_release,
)
from tests.unit.market.conftest import Market
from tests.unit.market.test_attempts import RENTED, created, ledger, verdict
from tests.unit.market.test_ranking import GOOD, offer

ENGINE: dict[str, Any] = {
    "name": "vllm",
    "accelerator": "cuda",
    "release": "0.32.0",
    "least_release": "",
}
VLLM = {"name": "vllm"}
IMAGE = HostImage("vastai/vllm:v0.32.0-cuda-13.0", 10.5)
EIGHT = Usage(24, download_gib=18.5, image_gib=8, model_gib=15, wait_usd_per_hour=5)


def rent(market: Market, name: str = "gpu-1", **options: Any) -> dict[str, Any]:
    """Rent as role rent does where nobody names an image."""
    return market.rent(name, **{"image": None, "engine": VLLM, **options})


def images_ordered(market: Market) -> list[str]:
    """What image each rental request asked for."""
    return [entry["body"]["image"] for entry in market.creates()]


# Who gets it.


def test_a_rental_gets_the_image_of_the_very_release_that_its_driver_runs(market: Market) -> None:
    newest = rent(market, "gpu-1", driver_version="580")
    assert newest["offer"]["engine_image"]["name"].startswith("vastai/vllm:v0.3")
    assert newest["offer"]["engine_image"]["name"].endswith("-cuda-13.0")
    wish = {**VLLM, "release": "0.25.1"}
    older = rent(market, "gpu-2", engine=wish, filter="starts_with(driver_version, '570')")
    assert older["offer"]["engine_image"]["name"] == "vastai/vllm:v0.25.1-cuda-12.9"
    assert images_ordered(market) == [
        newest["offer"]["engine_image"]["name"],
        older["offer"]["engine_image"]["name"],
    ]


@pytest.mark.parametrize(
    "wish",
    [
        {},
        {"engine": {"name": "another"}},
        {"engine": {**VLLM, "accelerator": "cpu"}},
        {"engine": VLLM, "image": "my/image:1"},
        {"engine": VLLM, "image_gib": 3.0},
        # There is none of a release that is so old.
        {"engine": {**VLLM, "release": "0.11.0"}},
    ],
)
def test_whoever_wants_another_one_gets_that(market: Market, wish: dict[str, Any]) -> None:
    rented = rent(market, **{"engine": None, **wish})
    assert rented["offer"]["engine_image"] is None
    assert images_ordered(market) == [wish.get("image", VastAI.usual.image)]


def test_what_is_listed_is_what_would_be_rented(market: Market) -> None:
    listed = market.run("offer_info", engine=VLLM, limit=1)["offers"][0]
    planned = rent(market, check=True)["offer"]
    assert listed["engine_image"]
    assert planned["engine_image"] == listed["engine_image"]


def test_a_host_that_does_not_tell_its_driver_gets_no_guess() -> None:
    assert image_release({"driver_version": None}, ENGINE) is None
    assert image_release({"driver_version": "470.1"}, ENGINE) is None
    assert image_release({"driver_version": "580.95.05"}, ENGINE) == ("0.32.0", "13.0")
    known = {**ENGINE, "release": "auto", "least_release": "0.33.0"}
    assert image_release({"driver_version": "580.95.05"}, known) == ("0.33.0", "13.0")


# What it is worth.


def test_an_image_counts_with_its_own_size_and_without_packages() -> None:
    (taken,) = rank([GOOD], EIGHT, None, lambda _offer: IMAGE)
    (installed,) = rank([GOOD], EIGHT)
    assert taken.image == IMAGE
    assert taken.first_token.total_seconds < installed.first_token.total_seconds
    assert taken.first_token.ssh_seconds > installed.first_token.ssh_seconds
    costly = offer("one", download_usd_per_gib=0.1)
    (taken,) = rank([costly], EIGHT, None, lambda _offer: IMAGE)
    assert taken.traffic_usd == pytest.approx(0.1 * (10.5 + 15))


def test_where_an_installation_serves_sooner_nothing_is_gained_by_an_image() -> None:
    large = HostImage("some/image:1", 60.0)
    (installed,) = rank([GOOD], EIGHT, None, lambda _offer: large)
    assert installed.image is None
    assert installed.to_dict() == rank([GOOD], EIGHT)[0].to_dict()


def test_an_image_without_a_known_model_leaves_the_models_part_of_the_download() -> None:
    usage = Usage(4, download_gib=10, image_gib=8).with_image(IMAGE)
    assert (usage.work.packages_gib, usage.work.model_gib) == (0.0, 6.5)


def test_an_image_is_shown_before_money_is_spent() -> None:
    (taken,) = rank([GOOD], EIGHT, None, lambda _offer: IMAGE)
    lines = offer_lines(taken.to_dict(), {"at": 0}, 40, 24, pretend=True)
    assert "Image: vastai/vllm:v0.32.0-cuda-13.0 of 10.5 GiB, which has the engine already" in (
        "\n".join(lines)
    )
    (installed,) = rank([GOOD], EIGHT)
    assert "Image:" not in "\n".join(offer_lines(installed.to_dict(), {"at": 0}, 40, 24))


# Where nobody gets it.

REFUSED = Failure(
    "No host can get the image of rental 7, because its registry has no such image or tag: "
    "manifest unknown. Correct rent_image. It bills 0.3 dollars per hour until it is released.",
    bare="No host can get the image of rental 7. Correct rent_image.",
    cause="No host can get the image of rental 7.",
    kind="ImageRefused",
)


def test_an_image_that_nobody_asked_for_and_nobody_gets_is_left_for_an_installation() -> None:
    call = {**created(RENTED), "offer": {"engine_image": {"name": IMAGE.name, "gib": 10.5}}}
    told = verdict(call=call, failure=REFUSED)
    assert (told.try_next, told.release, told.shunned) == (True, "9f2c41aa", "")
    assert told.attempt["message"].endswith("from now on the engine is installed.")
    assert "rent_image" not in told.attempt["message"]
    after = Ledger.from_dict(after_release(told.ledger, told.attempt, []).to_dict())
    assert after.installs


@pytest.mark.parametrize("taken", [{}, {"engine_image": None}])
def test_an_image_of_ones_own_that_nobody_gets_ends_the_run(taken: dict[str, Any]) -> None:
    told = verdict(call={**created(RENTED), "offer": taken}, failure=REFUSED)
    assert not told.try_next
    assert not told.ledger.installs
    assert "Correct rent_image." in told.attempt["message"]


def test_a_machine_s_own_fault_does_not_turn_the_image_down() -> None:
    call = {**created(RENTED), "offer": {"engine_image": {"name": IMAGE.name, "gib": 10.5}}}
    assert not verdict(call=call).ledger.installs
    assert not ledger().installs
