# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What keeps money safe over hours: duplicates, deadlines, reaping, proof of absence."""

from __future__ import annotations

import re

import pytest

from ansible_collections.inferops.gpu.plugins.module_utils.market.mark import Mark
from ansible_collections.inferops.gpu.plugins.module_utils.market.rentals.enforcing import enforcer
from ansible_collections.inferops.gpu.plugins.module_utils.market.rentals.lifetime import Lifetime
from ansible_collections.inferops.gpu.plugins.module_utils.market.rentals.presence import (
    GONE,
    PRESENT,
    UNKNOWN,
)
from tests.unit.market.conftest import MOST_HOURS, Market, die, order


def reap(market: Market, **options: object) -> dict:
    return market.run("rental_reap", scope="test", **options)


def verdicts(result: dict) -> dict[str, str]:
    return {one["name"]: one["verdict"] for one in result["verdicts"]}


# Duplicates.


def test_a_deploy_releases_a_duplicate_that_nobody_else_is_about_to_release(market: Market) -> None:
    first, second = (entry.offer for entry in market.ranked()[:2])
    older = market.create(first)
    market.create(second)
    market.pass_hours(0.2)
    result = market.rent()
    assert result["changed"]
    assert [one["released"] for one in result["duplicates"]] == [True]
    assert [row["label"] for row in market.billing()] == [older.mark.encode()]


@pytest.mark.parametrize("state", ["stopped", "exited"])
def test_of_several_rentals_the_oldest_that_lives_counts(market: Market, state: str) -> None:
    dead, living, younger = (market.create(entry.offer) for entry in market.ranked()[:3])
    number = next(row["id"] for row in market.billing() if row["label"] == dead.mark.encode())
    die(market, number, state)
    market.pass_hours(0.2)
    judged = {one["id"]: one for one in reap(market)["verdicts"]}
    assert judged[str(number)]["verdict"] == "duplicate"
    assert "lives under the same name" in judged[str(number)]["reason"]
    result = market.rent()
    assert result["rental"]["label"] == living.mark.encode()
    assert [one["released"] for one in result["duplicates"]] == [True, True]
    assert [row["label"] for row in market.billing()] == [living.mark.encode()]
    assert younger.mark.nonce != living.mark.nonce


def test_among_the_dead_the_oldest_counts(market: Market) -> None:
    older = market.create(market.ranked()[0].offer)
    market.create(market.ranked()[1].offer)
    for row in market.billing():
        die(market, row["id"], "stopped")
    market.pass_hours(0.2)
    assert market.rent()["rental"]["label"] == older.mark.encode()


def test_a_dead_rental_of_another_controller_does_not_win_against_a_new_one(
    market: Market,
) -> None:
    ranked = market.ranked()
    market.create(ranked[0].offer)
    die(market, market.billing()[0]["id"], "stopped")
    rented = market.lifecycle().rent(ranked[1:], lambda _offer: order())
    assert rented.own
    assert str(rented.rental.id) in {str(row["id"]) for row in market.billing()}


def test_a_young_duplicate_is_left_to_its_own_controller(market: Market) -> None:
    for entry in market.ranked()[:2]:
        market.create(entry.offer)
    result = market.rent()
    assert not result["changed"]
    assert len(market.billing()) == 2


def test_a_create_that_shows_minutes_later_is_reaped_as_a_duplicate(market: Market) -> None:
    market.fault("list_lag", seconds=180)
    market.create(market.ranked()[0].offer)
    # Nor do the bills show it yet.
    market.fault("reply", on="charged", status=403, body={}, times=9)
    kept = market.rent()["rental"]
    assert kept["id"] != str(market.billing()[0]["id"])
    market.pass_hours(0.2)
    result = reap(market, release=True)
    assert result["counts"]["duplicate"] == 1
    assert len(market.billing()) == 1


# Deadlines.


def test_dollars_over_the_rate_shorten_the_life(market: Market) -> None:
    result = market.rent(budget_usd=0.01)
    mark = Mark.decode(market.billing()[0]["label"])
    hours = 0.01 / result["rental"]["price_usd_per_hour"]
    assert mark is not None
    assert mark.lifetime_seconds == pytest.approx(hours * 3600, rel=0.05)
    assert result["deadline"]["enforced_by"] == "host"


def test_no_deadline_needs_an_explicit_yes(market: Market) -> None:
    refused = market.rent(deadline_hours=0)
    assert refused["failed"]
    assert "no_deadline: true" in refused["msg"]
    assert market.creates() == []
    accepted = market.rent(deadline_hours=0, no_deadline=True)
    assert accepted["deadline"]["at"] == 0
    assert accepted["deadline"]["enforced_by"] == "nobody"


def test_a_deadline_that_nobody_enforces_needs_an_explicit_yes() -> None:
    assert enforcer(5, "nobody", reaper=True, nobody_accepted=False) == "reaper"
    assert enforcer(5, "nobody", reaper=False, nobody_accepted=True) == "nobody"
    with pytest.raises(Exception, match="allow_unenforced_deadline"):
        enforcer(5, "nobody", reaper=False, nobody_accepted=False)


def test_a_deploy_moves_the_deadline_only_when_the_wish_changes(market: Market) -> None:
    market.rent(duration_hours=MOST_HOURS, deadline_hours=10)
    before = market.billing()[0]["label"]
    market.pass_hours(1)
    assert not market.rent(deadline_hours=10)["changed"]
    assert market.billing()[0]["label"] == before
    assert market.rent(deadline_hours=20, check=True)["changed"]
    assert market.billing()[0]["label"] == before
    moved = market.rent(deadline_hours=20)
    assert moved["changed"]
    assert moved["rental"]["mark"]["deadline"] == pytest.approx(
        moved["rental"]["started_at"] + 72000, abs=60
    )


def test_an_extension_survives_the_next_deploy(market: Market) -> None:
    market.rent(duration_hours=MOST_HOURS, deadline_hours=10)
    extended = market.run("rental_extend", scope="test", name="gpu-1", hours=30)
    assert extended["changed"]
    assert extended["remaining_seconds"] == pytest.approx(108000, abs=60)
    assert extended["enforced_by"] == "host"
    again = market.run("rental_extend", scope="test", name="gpu-1", hours=30)
    assert not again["changed"]
    assert not market.rent(deadline_hours=10)["changed"]
    assert Mark.decode(market.billing()[0]["label"]).deadline > market.clock.now() + 100_000  # type: ignore[union-attr]


def test_an_extension_of_nothing_says_so(market: Market) -> None:
    result = market.run("rental_extend", scope="test", name="gpu-1", hours=3)
    assert "Nothing is rented under the name gpu-1" in result["msg"]


def test_a_new_deadline_in_the_past_is_refused(market: Market) -> None:
    market.rent(deadline_hours=10)
    market.pass_hours(5)
    result = market.rent(deadline_hours=1)
    assert "has passed already" in result["msg"]


def test_hours_and_dollars_give_the_sooner_end() -> None:
    assert Lifetime(24, 0).seconds(0.5) == 86400
    assert Lifetime(24, 1.0).seconds(0.5) == 7200
    assert Lifetime(1, 100).seconds(0.5) == 3600


def test_status_warns_before_a_deadline_and_after_it(market: Market) -> None:
    market.rent(deadline_hours=3)
    for hours, words in ((0, r"^$"), (1.5, r"ends in (89|90) minutes"), (2, "past its deadline")):
        market.pass_hours(hours)
        result = market.run("rental_info", scope="test", warn_hours=2)
        assert re.search(words, " ".join(map(str, result.get("warnings", []))))


# Reaping.


def test_a_reaper_without_anything_but_the_key_releases_what_is_past_its_deadline(
    market: Market,
) -> None:
    market.rent("gpu-1", deadline_hours=2)
    market.rent("gpu-2", deadline_hours=9)
    market.rent("gpu-1", deadline_hours=2, scope="other")
    market.pass_hours(3)
    dry = reap(market)
    assert verdicts(dry) == {"gpu-1": "expired", "gpu-2": "adopted"}
    assert [one["outcome"] for one in dry["verdicts"]] == ["would release", "kept"]
    assert len(market.billing()) == 3
    done = reap(market, release=True)
    assert [one["outcome"] for one in done["verdicts"]] == ["released", "kept"]
    assert len(market.billing()) == 2


def test_orphans_are_told_and_go_only_when_the_scope_is_spelled_out(market: Market) -> None:
    market.rent("gpu-1")
    market.rent("gpu-9")
    told = reap(market, names=["gpu-1"], release=True)
    assert verdicts(told) == {"gpu-1": "adopted", "gpu-9": "orphan"}
    assert len(market.billing()) == 2
    strict = {"names": ["gpu-1"], "strict": True, "release": True}
    for wrong in ({}, {"confirm_scope": "tset"}):
        assert "spelled out" in reap(market, **strict, **wrong)["msg"]
    assert reap(market, **strict, confirm_scope="test")["changed"]
    assert [Mark.decode(row["label"]).name for row in market.billing()] == ["gpu-1"]  # type: ignore[union-attr]


def test_a_large_fleet_that_expires_together_goes_as_a_whole(market: Market) -> None:
    for number in range(3):
        market.rent(f"gpu-{number}", deadline_hours=1)
    market.pass_hours(2)
    result = reap(market, release=True, max_orphans=2)
    assert [one["outcome"] for one in result["verdicts"]] == ["released"] * 3
    assert market.billing() == []


def test_of_too_many_orphans_none_is_released_but_what_is_expired_goes(market: Market) -> None:
    market.rent("gpu-1", deadline_hours=1)
    for number in range(2, 5):
        market.rent(f"gpu-{number}", deadline_hours=24)
    market.pass_hours(2)
    strict = {"names": ["gpu-1"], "strict": True, "confirm_scope": "test"}
    result = reap(market, release=True, max_orphans=2, **strict)
    assert "more than max_orphans" in result["msg"]
    assert "dollars an hour" in result["msg"]
    outcomes = [one["outcome"] for one in result["verdicts"]]
    assert outcomes == ["released", *["would release"] * 3]
    assert len(market.billing()) == 3


def test_an_inventory_without_names_makes_no_orphans(market: Market) -> None:
    market.rent()
    result = reap(market, names=[], strict=True, confirm_scope="test", release=True)
    assert "strict needs names" in result["msg"]
    assert len(market.billing()) == 1


def test_a_damaged_mark_cannot_be_judged_and_fails(market: Market) -> None:
    market.rent()
    rental = next(iter(market.simulator.market.rentals.values()))
    rental.label = (rental.label or "").rsplit("/", 1)[0]
    rental.wish["env"].clear()
    result = reap(market, release=True)
    assert result["failed"]
    assert result["counts"]["unknown"] == 1
    assert "dollars an hour" in result["msg"]
    assert len(market.billing()) == 1


def test_clocks_that_disagree_about_a_deadline_release_nothing(market: Market) -> None:
    market.rent(deadline_hours=2)
    market.fault("clock_skew", seconds=9000, times=99)
    result = reap(market, release=True)
    assert result["failed"]
    assert verdicts(result) == {"gpu-1": "unknown"}
    assert "set the controller's" in result["msg"]
    assert len(market.billing()) == 1


def test_one_answer_with_an_odd_date_lets_nobody_doubt_both_clocks(market: Market) -> None:
    market.rent(deadline_hours=2)
    market.fault("clock_skew", seconds=9000, on="list", times=99)
    assert verdicts(reap(market, release=True)) == {"gpu-1": "adopted"}
    assert len(market.billing()) == 1


def test_a_release_that_cannot_be_proven_fails_with_the_verdicts(market: Market) -> None:
    market.rent(deadline_hours=1)
    market.pass_hours(2)
    market.fault("destroy_noop", times=999)
    result = reap(market, release=True)
    assert result["failed"]
    assert [one["outcome"] for one in result["verdicts"]] == ["unproven"]
    assert re.search(r"may bill 0\.\d+ dollars an hour", result["msg"])


# Presence.


@pytest.mark.parametrize(
    ("account", "presence"),
    [
        ("ok", PRESENT),
        ("revoked", UNKNOWN),
        ("revoked-401", UNKNOWN),
        ("revoked-empty-lists", UNKNOWN),
        ("session-expired", UNKNOWN),
    ],
)
def test_presence_is_judged_by_bodies_and_a_key_that_works(
    market: Market, account: str, presence: str
) -> None:
    rental = market.rent()["rental"]
    market.simulator.control.settings({"account": account})
    assert market.lifecycle().account.judge(rental["id"]).presence == presence


@pytest.mark.parametrize(
    ("call", "saying"), [("get", "no such rental"), ("list", "empty list")], ids=["get", "list"]
)
def test_one_look_without_it_proves_nothing(market: Market, call: str, saying: str) -> None:
    rental = market.rent()["rental"]
    market.fault("reply", on=call, saying=saying)
    assert market.lifecycle().account.judge(rental["id"]).presence == PRESENT


def test_gone_is_what_is_gone(market: Market) -> None:
    rental = market.rent()["rental"]
    market.simulator.market.destroy(int(rental["id"]))
    assert market.lifecycle().account.judge(rental["id"]).presence == GONE


# Failures explain themselves.


@pytest.mark.parametrize("account", ["revoked", "session-expired", "revoked-empty-lists"])
@pytest.mark.parametrize("state", ["present", "absent"])
def test_a_refused_key_is_told_with_cause_remedy_and_money(
    market: Market, account: str, state: str
) -> None:
    market.simulator.control.settings({"account": account})
    result = (
        market.rent()
        if state == "present"
        else market.run("rental", scope="test", name="gpu-1", state="absent")
    )
    assert result["failed"]
    for part in ("cause", "remedy", "money"):
        assert result["failure"][part]
        assert result["failure"][part] in result["msg"]
    assert market.billing() == []


def test_an_empty_list_is_believed_only_with_a_key_that_works(market: Market) -> None:
    market.rent()
    market.simulator.control.settings({"account": "revoked-empty-lists"})
    market.controller_dir = market.controller_dir / "fresh"
    for module in ("rental_info", "rental_reap"):
        result = market.run(module, scope="test")
        assert result["failed"]
        assert "API key" in result["msg"]


def test_a_list_that_misses_what_the_provider_still_shows_is_not_trusted(market: Market) -> None:
    market.rent()
    market.run("rental_info", scope="test")
    market.pass_hours(1)
    market.fault("list_without", label="gpu-1", on="list", times=99)
    result = market.run("rental_info", scope="test")
    assert result["failed"]
    assert "yet the provider shows it by its id" in result["msg"]


def test_a_rental_that_somebody_else_has_ended_is_not_missed(market: Market) -> None:
    rental = market.rent()["rental"]
    market.run("rental_info", scope="test")
    market.pass_hours(1)
    market.simulator.market.destroy(int(rental["id"]))
    assert market.run("rental_info", scope="test")["rentals"] == []


def test_parallel_hosts_share_one_listing(market: Market) -> None:
    market.rent()
    market.pass_hours(1)
    market.simulator.journal.clear()
    for _host in range(5):
        market.run("rental_info", scope="test", name="gpu-1")
    assert market.count("list") == 1


def test_a_moved_deadline_is_confirmed_through_a_hiccup(market: Market) -> None:
    market.rent(duration_hours=MOST_HOURS)
    market.fault("garble", on="get", times=2)
    assert market.run("rental_extend", scope="test", name="gpu-1", hours=90)["changed"]


def test_a_deadline_that_may_have_moved_is_never_told_as_unmoved(market: Market) -> None:
    market.rent(duration_hours=MOST_HOURS)
    market.fault("reply", on="get", saying="key refused", times=9)
    result = market.run("rental_extend", scope="test", name="gpu-1", hours=90)
    assert result["failed"]
    assert "may have moved already" in result["msg"]


def test_an_empty_account_is_believed_only_when_seen_empty_twice(market: Market) -> None:
    market.rent()
    market.controller_dir = market.controller_dir / "fresh"
    market.fault("list_without", label="", on="list", times=1)
    assert len(market.run("rental_info", scope="test")["rentals"]) == 1


def test_an_extension_beyond_the_contract_is_refused(market: Market) -> None:
    rental = market.rent(duration_hours=48)["rental"]
    left = (rental["ends_at"] - market.clock.now()) / 3600
    for check in (True, False):
        result = market.run(
            "rental_extend", check=check, scope="test", name="gpu-1", hours=left + 1
        )
        assert "wants it back" in result["msg"]
        assert f"at most {left:.1f} hours" in result["failure"]["remedy"]
    assert market.run("rental_extend", scope="test", name="gpu-1", hours=left - 1)["changed"]


def test_a_rental_that_has_stopped_is_ended_by_nobody_and_tells_what_it_costs(
    market: Market,
) -> None:
    market.rent()
    market.pass_hours(1)
    number = market.billing()[0]["id"]
    die(market, number, "stopped")
    market.pass_hours(9)
    (told,) = market.run("rental_info", scope="test")["rentals"]
    assert told["enforced_by"] == "nobody"
    assert told["billed_usd_per_hour"] < told["price_usd_per_hour"] / 2
    charged = market.simulator.market.rentals[number].charged_usd
    assert told["cost_usd"] == pytest.approx(charged, abs=0.001)
    (verdict,) = market.run("rental_reap", scope="test")["verdicts"]
    assert verdict["billed_usd_per_hour"] == told["billed_usd_per_hour"]
    gone = market.run("rental", name="gpu-1", scope="test", state="absent")["released"]
    assert gone[0]["cost_usd"] == pytest.approx(charged, abs=0.001)


# What was billed.


def test_a_bill_that_is_dearer_than_the_price_lets_expect_is_said(market: Market) -> None:
    market.rent()
    market.pass_hours(2)
    truth = market.simulator.market.rentals[market.billing()[0]["id"]]
    truth.gpu_usd += 5
    result = market.run("rental", name="gpu-1", scope="test", state="absent")
    (released,) = result["released"]
    assert released["billed_usd"] == pytest.approx(released["cost_usd"] + 5, abs=0.01)
    told = str(result["warnings"])
    assert f"was billed {released['billed_usd']:.4f} dollars" in told
    assert f"{released['cost_usd']:.4f} were expected" in told


def test_a_bill_as_expected_is_told_and_nothing_said_of_it(market: Market) -> None:
    market.rent()
    market.pass_hours(2)
    for dry in (True, False):
        result = market.run("rental", name="gpu-1", scope="test", state="absent", check=dry)
        (released,) = result["released"]
        assert released["billed_usd"] == pytest.approx(released["cost_usd"], rel=0.05)
        assert "warnings" not in result


def test_bills_that_nobody_may_read_keep_nobody_from_releasing(market: Market) -> None:
    market.rent()
    market.fault("reply", on="charged", status=403, body={}, times=99)
    result = market.run("rental", name="gpu-1", scope="test", state="absent")
    assert [one["billed_usd"] for one in result["released"]] == [None]
    assert market.billing() == []
