# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a provider does not tell, or cannot do: nothing is refused for it, and it is said."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.inferops.gpu.plugins.filter.rental_cost import rental_cost
from ansible_collections.inferops.gpu.plugins.module_utils.market.clock import Clock
from ansible_collections.inferops.gpu.plugins.module_utils.market.errors import OfferGone
from ansible_collections.inferops.gpu.plugins.module_utils.market.model import (
    FAILED,
    Offer,
    cost_usd,
)
from ansible_collections.inferops.gpu.plugins.module_utils.market.offers.promises import compare
from ansible_collections.inferops.gpu.plugins.module_utils.market.offers.ranking import Usage, rank
from ansible_collections.inferops.gpu.plugins.module_utils.market.providers.provider import (
    Credential,
    Provider,
)
from ansible_collections.inferops.gpu.plugins.module_utils.market.providers.registry import (
    PROVIDERS,
)
from ansible_collections.inferops.gpu.plugins.module_utils.market.rentals.options import (
    MARKET_OPTIONS,
)
from ansible_collections.inferops.gpu.plugins.module_utils.market.rentals.waiting import (
    ready_limits,
)
from ansible_collections.inferops.gpu.plugins.module_utils.market.wish import Wish
from tests.unit.market.conftest import MODULES, PUBLIC_KEY
from tests.unit.market.fake_provider import KEY, SILENT_OFFER, Answer, World

#: What role rent asks for without being told otherwise.
USUAL_WISH = {
    "gpu_count": 1,
    "vram_gib": 24,
    "compute_capability": "7.5",
    "driver_version": "535.54.03",
    "min_reliability": 0.95,
    "min_download_mbit_per_second": 100,
    "countries": ["NL", "DE"],
    "verified": True,
    "duration_hours": 24,
}


@dataclass
class Fakes:
    """The modules as a play runs them against the fake."""

    world: World
    run_module: Callable[..., dict[str, Any]]
    controller_dir: Path
    register: Callable[[type[Provider]], None]

    def run(self, module: str, check: bool = False, **options: Any) -> dict[str, Any]:
        shared = {"provider": "fake", "controller_dir": str(self.controller_dir)}
        return self.run_module(MODULES[module], check=check, **{**shared, **options})

    def rent(self, name: str = "gpu-1", **options: Any) -> dict[str, Any]:
        needed = {"scope": "test", "image": "some/image", "ssh_public_key": PUBLIC_KEY}
        accepted = {"allow_unenforced_deadline": True, "verified": False}
        return self.run("rental", name=name, **{**needed, **accepted, **options})


@pytest.fixture
def fakes(
    run_module: Callable[..., dict[str, Any]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Fakes:
    time = [1_795_000_000.0]

    def sleep(seconds: float) -> None:
        time[0] += seconds

    clock = Clock(monotonic=lambda: time[0], sleep=sleep, now=lambda: time[0])
    monkeypatch.setattr(Clock, "from_environment", lambda: clock)
    monkeypatch.setenv("FAKE_API_KEY", KEY)
    monkeypatch.setitem(MARKET_OPTIONS["provider"], "choices", ["fake", "vastai"])

    def register(kind: type[Provider]) -> None:
        monkeypatch.setitem(PROVIDERS, "fake", kind)

    world = World(clock)
    register(world.kind())
    return Fakes(world, run_module, tmp_path / "controller", register)


# Offers.


@pytest.mark.parametrize("name", ["H1000 SXM", "h100", "H100 SMX", "NVIDIA H100 SXN"])
def test_a_gpu_that_no_offer_has_is_answered_by_those_that_may_be_meant(
    fakes: Fakes, name: str
) -> None:
    told = fakes.rent(gpu_names=[name])["failure"]
    assert "Did you mean H100 SXM?" in told["remedy"]


def test_a_gpu_that_is_like_no_other_is_not_guessed(fakes: Fakes) -> None:
    assert "Did you mean" not in fakes.rent(gpu_names=["RTX 4090"])["msg"]


def test_an_offer_that_tells_little_is_found_by_the_usual_wish(fakes: Fakes) -> None:
    (found,) = fakes.run("offer_info", **USUAL_WISH)["offers"]
    assert found["unchecked"] == [
        "disk",
        "architecture",
        "driver",
        "reliability",
        "download speed",
        "country",
        "verification",
        "duration",
    ]
    assert found["driver_version"] is found["reliability"] is found["machine_id"] is None


def test_what_is_not_told_is_one_doubt_with_all_of_it_named(fakes: Fakes) -> None:
    (found,) = fakes.run("offer_info", **USUAL_WISH)["offers"]
    (reason,) = found["risk"]["reasons"]
    for said in ("driver not told", "reliability not told", "disk speed not told"):
        assert said in reason
    # As much as one told doubt: the odds of 0.3, one and a half times.
    assert found["risk"]["failure_probability"] == 0.391


def test_an_offer_that_tells_little_is_not_priced_as_a_ruin(fakes: Fakes) -> None:
    (found,) = fakes.run("offer_info", **USUAL_WISH, expected_hours=24)["offers"]
    costs = found["expected_cost"]
    assert costs["total_usd"] < 1.1 * 24 * found["price_usd_per_hour"]
    assert costs["outage_usd"] == pytest.approx(0.01 * 24 * found["price_usd_per_hour"], rel=0.01)


def test_one_more_thing_that_is_not_told_costs_nothing_more() -> None:
    told = {"driver_version": "580.95.05", "disk_gib": 500.0, "disk_mb_per_second": 2000.0}
    (more,) = rank([replace(SILENT_OFFER, **told)], Usage())  # type: ignore[arg-type]
    (less,) = rank([SILENT_OFFER], Usage())
    assert more.risk.odds == less.risk.odds


def test_what_is_told_and_bad_still_counts_beside_what_is_not() -> None:
    (shaky,) = rank([replace(SILENT_OFFER, reliability=0.8)], Usage())
    (silent,) = rank([SILENT_OFFER], Usage())
    assert shaky.risk.odds > silent.risk.odds
    assert "reliability below 0.9" in shaky.risk.reasons


def test_what_is_told_and_too_little_is_still_refused() -> None:
    assert Wish(verified=False, min_reliability=0.95).misses(
        replace(SILENT_OFFER, reliability=0.9)
    ) == ["reliability"]


def test_an_offer_survives_being_shared() -> None:
    assert Offer.from_dict(SILENT_OFFER.to_dict()) == SILENT_OFFER


# Rentals.


def test_what_was_not_promised_is_not_compared() -> None:
    offer = {**SILENT_OFFER.to_dict(), "vram_gib": None}
    gpu = {"gpus": [{"memory_total_mib": 1000}], "driver_version": "400.1"}
    lines = {
        line.name: line
        for line in compare(
            offer, gpu, {"disk_free_mib": 90_000}, {"disk_mb_per_second": 1.0}, 40, 0.3
        )
    }
    for name in ("vram_gib", "driver", "disk_mb_per_second"):
        assert lines[name].kept
        assert lines[name].receipt()["kept"] is None
        assert "not told" in str(lines[name])
    assert lines["disk_gib"].receipt()["kept"] is True


def test_waiting_is_as_patient_as_for_a_slow_host() -> None:
    assert ready_limits(8, None) == ready_limits(8, 100.0)


def test_a_rental_without_a_start_costs_from_its_create(fakes: Fakes) -> None:
    rental = fakes.rent()["rental"]
    assert rental["started_at"] is None
    fakes.world.clock.sleep(7200)
    (seen,) = fakes.run("rental_info", scope="test")["rentals"]
    assert seen["cost_usd"] == pytest.approx(2 * seen["price_usd_per_hour"], rel=0.01)
    assert rental_cost(seen) == seen["cost_usd"]
    assert cost_usd(None, 1.0, 9000.0) == 0


def test_of_two_rentals_without_a_start_the_first_created_counts(fakes: Fakes) -> None:
    first = fakes.rent()["rental"]["id"]
    fakes.world.clock.sleep(600)
    # Another controller that saw an empty list.
    other = World(fakes.world.clock, ids=fakes.world.ids)
    fakes.register(other.kind())
    second = fakes.rent(controller_dir=str(fakes.controller_dir / "other"))["rental"]["id"]
    for ids in ((first, second), (second, first)):
        both = {**fakes.world.rentals, **other.rentals}
        world = World(fakes.world.clock, rentals={one: both[one] for one in ids})
        fakes.register(world.kind())
        fakes.world.clock.sleep(400)
        kept = fakes.rent(controller_dir=str(fakes.controller_dir / ids[0]))
        assert kept["rental"]["id"] == first
        assert [one["released"] for one in kept["duplicates"]] == [True]


def test_a_young_duplicate_without_a_start_is_left_alone(fakes: Fakes) -> None:
    fakes.rent()
    (first,) = fakes.world.rentals.values()
    assert first.mark
    twin = replace(first.mark, nonce="0badcafe", created_at=first.mark.created_at + 5)
    fakes.world.rentals["twin"] = replace(first, id="twin", mark=twin, label=twin.encode())
    fakes.world.clock.sleep(60)
    assert [one["released"] for one in fakes.rent()["duplicates"]] == [False]


def test_a_price_that_is_not_told_is_said_and_not_zero(fakes: Fakes) -> None:
    fakes.rent(deadline_hours=1)
    ((rental_id, rental),) = fakes.world.rentals.items()
    fakes.world.rentals[rental_id] = replace(rental, price_usd_per_hour=None)
    fakes.world.clock.sleep(7200)
    result = fakes.run("rental_info", scope="test", warn_hours=1)
    assert result["rentals"][0]["price_usd_per_hour"] is None
    assert f"at an unknown price (see {rental.console_url})" in str(result["warnings"])


def test_a_price_that_is_not_told_is_said_with_where_it_is_shown(fakes: Fakes) -> None:
    fakes.rent(deadline_hours=5)
    ((rental_id, rental),) = fakes.world.rentals.items()
    fakes.world.rentals[rental_id] = replace(rental, price_usd_per_hour=None)
    fakes.world.clock.sleep(60)
    told = fakes.run("rental_extend", scope="test", name="gpu-1", hours=30)["failure"]["money"]
    assert f"at an unknown price (see {rental.console_url})" in told


def test_what_may_be_ended_at_any_moment_is_told_with_where_its_price_is_shown(
    fakes: Fakes,
) -> None:
    fakes.rent(deadline_hours=1)
    ((rental_id, rental),) = fakes.world.rentals.items()
    fakes.world.rentals[rental_id] = replace(rental, price_usd_per_hour=None)
    fakes.world.clock.sleep(7200)
    refused = fakes.rent(deadline_hours=1)["failure"]
    assert "is past its deadline" in refused["cause"]
    assert f"at an unknown price (see {rental.console_url})" in refused["money"]


def test_what_orphans_bill_is_told_as_the_least_where_a_price_is_not_told(fakes: Fakes) -> None:
    fakes.rent()
    fakes.rent("gpu-2")
    rental_id, rental = next(iter(fakes.world.rentals.items()))
    fakes.world.rentals[rental_id] = replace(rental, price_usd_per_hour=None)
    fakes.world.clock.sleep(7200)
    spared = {"strict": True, "confirm_scope": "test", "names": ["gpu-3"], "max_orphans": 1}
    told = fakes.run("rental_reap", scope="test", release=True, **spared)["failure"]["money"]
    assert "The orphans bill at least 1.9" in told


# What is ending.


@pytest.mark.parametrize("check", [True, False])
def test_what_is_ending_is_proven_gone_and_never_kept(fakes: Fakes, check: bool) -> None:
    first = fakes.rent()["rental"]["id"]
    ending = replace(fakes.world.rentals[first], status=FAILED, is_ending=True)
    fakes.world.rentals[first] = ending
    fakes.world.clock.sleep(60)
    result = fakes.rent(check=check)
    assert result["changed"]
    assert f"Rental {first} is ending" in str(result["warnings"])
    if check:
        assert list(fakes.world.rentals) == [first]
    else:
        assert list(fakes.world.rentals) == [result["rental"]["id"]] != [first]


def test_what_lasts_is_kept_beside_what_is_ending(fakes: Fakes) -> None:
    first = fakes.rent()["rental"]["id"]
    (kept,) = fakes.world.rentals.values()
    twin = replace(kept, id="0-ends", status=FAILED, is_ending=True, seniority="0")
    fakes.world.rentals[twin.id] = twin
    fakes.world.rentals[first] = replace(kept, status=FAILED)
    fakes.world.clock.sleep(60)
    assert fakes.rent()["rental"]["id"] == first


# What a provider cannot do.


def test_a_deadline_does_not_move_where_marks_cannot_be_changed(fakes: Fakes) -> None:
    fakes.rent(deadline_hours=5)
    result = fakes.run("rental_extend", scope="test", name="gpu-1", hours=30)
    assert result["failed"]
    assert "fake cannot change the mark of a rental" in result["msg"]
    fakes.register(fakes.world.kind(can_change_mark=True))
    assert fakes.run("rental_extend", scope="test", name="gpu-1", hours=30)["changed"]


def test_no_host_key_is_made_where_none_can_be_delivered(fakes: Fakes) -> None:
    fakes.rent()
    (order,) = fakes.world.orders.values()
    assert order.host_key is None
    (told,) = fakes.run("rental_info", scope="test")["rentals"]
    assert told["known_hosts"] == []
    # Without a key to go by, whoever connects believes the first one that the host shows.
    assert told["brings_host_key"] is False
    assert fakes.rent(state="found")["rental"]["brings_host_key"] is False


@pytest.mark.parametrize("check", [True, False])
def test_what_a_provider_cannot_do_is_said_before_anything_is_paid(
    fakes: Fakes, check: bool
) -> None:
    needed = {"scope": "test", "image": "some/image", "ssh_public_key": PUBLIC_KEY, "name": "gpu-1"}
    needed |= {"allow_unenforced_deadline": True, "verified": False}
    said = str(fakes.run("rental", check=check, **needed)["warnings"])
    assert "the key that the host shows first is believed" in said
    assert "a deadline cannot move" in said
    assert "the label alone says whose a rental is" in said
    fakes.register(fakes.world.kind(can_change_mark=True, delivers_host_key=True))
    again = {**needed, "name": "gpu-2", "scope_secret": "a-secret-of-20-letters"}
    assert "is believed" not in str(fakes.run("rental", check=check, **again).get("warnings"))
    fakes.register(fakes.world.kind(keeps_second_mark=True))
    twice = {**needed, "name": "gpu-4"}
    assert "the label alone" not in str(fakes.run("rental", check=check, **twice).get("warnings"))
    known = {**needed, "name": "gpu-3", "host_keys": "first_contact"}
    fakes.register(fakes.world.kind())
    assert "is believed" not in str(fakes.run("rental", check=check, **known).get("warnings"))


def test_a_name_that_a_providers_field_cannot_hold_is_refused_before_the_create(
    fakes: Fakes,
) -> None:
    result = fakes.rent("a-host-with-a-long-name")
    assert "64 characters, which leaves 19 for both" in result["msg"]
    assert fakes.world.rentals == {}


def test_hosts_share_offers_that_name_no_machine(fakes: Fakes) -> None:
    """A type of GPU is not one machine: nobody is in anybody's way."""
    assert fakes.rent("gpu-1")["changed"]
    assert fakes.rent("gpu-2")["changed"]
    assert len(fakes.world.rentals) == 2


def test_an_offer_without_capacity_makes_room_for_the_next(fakes: Fakes) -> None:
    fakes.world.offers.append(replace(SILENT_OFFER, id="H100-US", price_usd_per_hour=2.5))
    fakes.world.script("rent", Answer(OfferGone("no capacity")))
    result = fakes.rent()
    assert [one["outcome"] for one in result["attempts"]] == ["gone", "rented"]


# What a provider logs in with.


def test_every_missing_variable_of_every_part_is_named(
    fakes: Fakes, monkeypatch: pytest.MonkeyPatch
) -> None:
    both = (
        Credential("api_key", ("FAKE_API_KEY", "FAKE_CLIENT_SECRET")),
        Credential("api_id", ("FAKE_CLIENT_ID",), required=False),
    )
    fakes.register(fakes.world.kind(credentials=both))
    monkeypatch.delenv("FAKE_API_KEY")
    result = fakes.run("rental_info", scope="test")
    assert "FAKE_API_KEY or FAKE_CLIENT_SECRET" in result["msg"]
    monkeypatch.setenv("FAKE_CLIENT_SECRET", KEY)
    assert fakes.run("rental_info", scope="test")["rentals"] == []


def test_a_provider_may_need_no_key_at_all(fakes: Fakes, monkeypatch: pytest.MonkeyPatch) -> None:
    class Keyless(fakes.world.kind(credentials=())):  # type: ignore[misc]
        def __init__(self, credentials: Any, *rest: Any) -> None:
            super().__init__({"api_key": KEY}, *rest)

    fakes.register(Keyless)
    monkeypatch.delenv("FAKE_API_KEY")
    assert fakes.rent()["changed"]
    fakes.register(type("Delivering", (Keyless,), {"delivers_host_key": True}))
    result = fakes.rent("gpu-2")
    assert "Set scope_secret" in result["msg"]
    assert fakes.rent("gpu-2", scope_secret="s" * 20)["changed"]
