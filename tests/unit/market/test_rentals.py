# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Renting and releasing: what holds when answers are lost, late or wrong."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.inferops.gpu.plugins.module_utils.market.errors import (
    AttemptsExhausted,
    CredentialError,
    UnclearCreate,
    UnprovenAbsence,
)
from ansible_collections.inferops.gpu.plugins.module_utils.market.mark import Mark
from tests.unit.market.conftest import (
    MOST_HOURS,
    PUBLIC_KEY,
    Market,
    as_order,
    die,
    fault,
    order,
)
from tests.unit.market.wire import SAYINGS


def test_a_rental_carries_scope_name_nonce_and_deadline(market: Market) -> None:
    result = market.rent(deadline_hours=2)
    assert result["changed"]
    mark = Mark.decode(market.billing()[0]["label"])
    assert mark is not None
    assert (mark.scope, mark.name) == ("test", "gpu-1")
    assert mark.deadline == pytest.approx(market.clock.now() + 7200, abs=60)
    assert result["rental"]["mark"]["nonce"] == mark.nonce


def test_renting_again_changes_nothing(market: Market) -> None:
    first = market.rent()
    second = market.rent()
    assert not second["changed"]
    assert second["rental"]["id"] == first["rental"]["id"]
    assert len(market.creates()) == 1


def test_check_mode_prices_the_offer_and_creates_nothing(market: Market) -> None:
    result = market.rent(check=True)
    assert result["changed"]
    assert result["rental"] is None
    assert result["offer"]["price_usd_per_hour"] > 0
    assert result["diff"]["after"]["offer"]["id"] == result["offer"]["id"]
    assert market.creates() == []


@pytest.mark.parametrize(
    ("account", "credit", "said"),
    [
        ("ok", 0.0, "The account has no credit left. Add credit at"),
        ("ok", -2.5, "The account has no credit left."),
        ("read-only", 25.0, "The API key may read and not rent."),
    ],
)
def test_check_mode_refuses_what_the_account_would_be_refused_later(
    market: Market, account: str, credit: float, said: str
) -> None:
    market.simulator.market.account = account
    market.simulator.market.credit_usd = credit
    for name in ("gpu-1", "gpu-2"):
        planned = market.rent(name, check=True)
        assert planned["failed"]
        assert said in planned["msg"]
        assert "Nothing was rented, nothing bills." in planned["msg"]
    assert market.count("account") == 1  # shared by the hosts of a play
    assert {entry["method"] for entry in market.simulator.journal.entries()} <= {"GET", "POST"}
    assert market.creates() == []


@pytest.mark.parametrize(
    ("call", "status", "body"),
    [
        ("account", 403, {}),
        ("account", 200, {"apikeys": [{"id": 11, "rights": None}, {"id": 12, "rights": "read"}]}),
        ("account", 200, {"apikeys": "none"}),
        ("check_credential", 200, {"id": 1}),
        ("check_credential", 200, {"id": 1, "credit": "much"}),
    ],
)
def test_an_account_that_tells_nothing_refuses_nothing(
    market: Market, call: str, status: int, body: dict[str, Any]
) -> None:
    market.fault("reply", on=call, status=status, body=body, times=9)
    assert market.rent(check=True)["changed"]


def test_an_account_without_credit_keeps_what_it_has_rented(market: Market) -> None:
    market.rent()
    market.simulator.market.credit_usd = 0.0
    assert not market.rent(check=True).get("failed")


def test_a_budget_knows_what_the_downloads_cost(market: Market) -> None:
    wish = {"budget_usd": 1.0, "deadline_hours": 0, "download_gib": 100.0, "image_gib": 8.0}
    planned = market.rent(check=True, filter="download_usd_per_gib > `0`", **wish)
    offer = planned["offer"]
    downloads = 108 * offer["download_usd_per_gib"]
    assert downloads > 0
    expected = (1.0 - downloads) / offer["price_usd_per_hour"]
    assert planned["deadline"]["hours"] == pytest.approx(expected, abs=0.02)
    # It is the same wish to a later deploy, whatever traffic was reckoned with.
    market.rent(filter="download_usd_per_gib > `0`", **wish)
    assert not market.rent(**wish)["changed"]


def test_the_best_offer_is_taken(market: Market) -> None:
    best = market.run("offer_info", limit=1)["offers"][0]
    assert market.rent()["offer"]["id"] == best["id"]


def test_attempts_are_bounded(market: Market) -> None:
    market.fault("reply", on="create", saying="gone", times=99)
    result = market.rent(max_attempts=3)
    assert result["failed"]
    assert len(result["attempts"]) == len(market.creates()) == 3


def test_a_lost_answer_to_a_create_is_adopted_and_never_repeated(market: Market) -> None:
    market.fault("drop_after_commit", on="create", times=1)
    result = market.rent()
    assert result["changed"]
    assert [row["id"] for row in market.billing()] == [int(result["rental"]["id"])]
    assert len(market.creates()) == 1


def test_a_500_after_a_create_is_adopted_and_never_repeated(market: Market) -> None:
    market.fault("reply_after_commit", on="create", times=1, status=500, body="oops")
    assert market.rent()["rental"]["id"]
    assert len(market.creates()) == len(market.billing()) == 1


def test_a_create_that_may_have_happened_rents_nothing_else(market: Market) -> None:
    market.fault("drop_before", on="create", times=1)
    ranked = market.ranked()
    with pytest.raises(UnclearCreate, match="Nothing else was rented"):
        market.lifecycle().rent(ranked, as_order())
    assert len(market.creates()) == 1


def test_an_answer_that_names_another_s_rental_ends_nobody_s(market: Market) -> None:
    """Ours is found by its mark, and the one that was named goes on."""
    innocent = int(market.rent("his", scope="of-a-colleague")["rental"]["id"])
    told = {"success": True, "new_contract": innocent}
    market.fault("reply_after_commit", on="create", times=1, status=200, body=told)
    result = market.rent()
    assert result["changed"]
    ours = int(result["rental"]["id"])
    assert ours != innocent
    assert {row["id"] for row in market.billing()} == {innocent, ours}


@pytest.mark.parametrize("said", ["done", "refused"])
def test_an_answer_that_names_another_s_rental_where_none_was_made_ends_nobody_s(
    market: Market, said: str
) -> None:
    innocent = int(market.rent("his", scope="of-a-colleague")["rental"]["id"])
    told = {"success": said == "done", "error": "oops", "new_contract": innocent}
    market.fault("reply", on="create", times=1, status=200, body=told)
    result = market.rent()
    assert f"with rental {innocent}, which is another's" in result["msg"]
    assert [row["id"] for row in market.billing()] == [innocent]
    assert len(market.creates()) == 2


def test_an_old_rental_without_a_mark_is_not_taken_for_a_new_one(market: Market) -> None:
    stranger = int(market.rent("his")["rental"]["id"])
    row = {"label": "sky-serve-1-head", "extra_env": []}
    market.faults(
        fault("row_is", fields=row, of="/his/", times=99),
        fault("reply", on="create", status=200, body={"success": True, "new_contract": stranger}),
    )
    market.pass_hours(7)
    result = market.rent()
    assert "which is another's (label 'sky-serve-1-head')" in result["msg"]
    assert [row["id"] for row in market.billing()] == [stranger]


def test_the_oldest_of_two_rentals_wins_and_only_the_own_one_is_released(market: Market) -> None:
    provider = market.provider()
    ranked = market.ranked()
    older = provider.rent(ranked[0].offer, order())
    rented = market.lifecycle().rent(ranked[1:], as_order())
    assert rented.rental.id == older
    assert [row["id"] for row in market.billing()] == [int(older)]


def test_a_listing_that_lags_is_waited_for(market: Market) -> None:
    market.fault("list_lag", seconds=1, times=1)
    result = market.rent()
    assert result["rental"]["id"]
    assert len(market.creates()) == 1


def test_release_is_proven_and_costs_are_told(market: Market) -> None:
    rental = market.rent()["rental"]
    result = market.run("rental", name="gpu-1", scope="test", state="absent")
    assert result["changed"]
    assert [released["id"] for released in result["released"]] == [rental["id"]]
    assert market.billing() == []
    again = market.run("rental", name="gpu-1", scope="test", state="absent")
    assert not again["changed"]


def test_check_mode_releases_nothing(market: Market) -> None:
    market.rent()
    result = market.run("rental", name="gpu-1", scope="test", state="absent", check=True)
    assert result["changed"]
    assert len(market.billing()) == 1


def test_a_release_that_does_nothing_is_not_believed(market: Market) -> None:
    lifecycle = market.lifecycle()
    rental = lifecycle.rent(market.ranked(), as_order()).rental
    market.fault("destroy_noop", on="release", times=999)
    with pytest.raises(UnprovenAbsence, match="dollars an hour"):
        lifecycle.release(rental)


def test_a_release_without_effect_and_a_hiccup_are_overcome(market: Market) -> None:
    lifecycle = market.lifecycle()
    rental = lifecycle.rent(market.ranked(), as_order()).rental
    market.fault("destroy_noop", on="release", times=1)
    lifecycle.release(rental)
    assert market.billing() == []


def test_duplicates_are_warned_of_and_all_released(market: Market) -> None:
    for candidate in market.ranked()[:2]:
        market.create(candidate.offer)
    assert [one["released"] for one in market.rent()["duplicates"]] == [False]
    result = market.run("rental", name="gpu-1", scope="test", state="absent")
    assert len(result["released"]) == 2
    assert market.billing() == []


def test_what_is_rented_carries_the_nonce_that_was_drawn_before_the_call(market: Market) -> None:
    result = market.rent(nonce="9f2c41aa")
    assert result["nonce"] == result["rental"]["mark"]["nonce"] == "9f2c41aa"
    market.run("rental", name="gpu-1", scope="test", state="absent", nonce="9f2c41aa")
    assert market.billing() == []


@pytest.mark.parametrize("nonce", ["", "9F2C41AA", "9f2c41a", "9f2c41aa/1", "9f2c41aa\n"])
def test_a_nonce_that_no_mark_can_carry_is_refused_before_anything_is_rented(
    market: Market, nonce: str
) -> None:
    for result in (
        market.rent(nonce=nonce),
        market.run("rental", name="gpu-1", scope="test", state="absent", nonce=nonce),
    ):
        assert "cannot mark a rental" in result["msg"]
    assert market.creates() == []


def test_only_the_rental_with_the_nonce_is_released(market: Market) -> None:
    provider = market.provider()
    ranked = market.ranked()
    first, second = order(), order()
    provider.rent(ranked[0].offer, first)
    provider.rent(ranked[1].offer, second)
    market.run("rental", name="gpu-1", scope="test", state="absent", nonce=second.mark.nonce)
    assert [row["label"] for row in market.billing()] == [first.mark.encode()]


def test_a_key_that_fails_after_a_create_leaves_money_at_stake(market: Market) -> None:
    market.fault("reply", on="list", times=999, status=403, body="no")
    with pytest.raises(UnclearCreate, match="may bill"):
        market.lifecycle().rent(market.ranked(), as_order())


@pytest.mark.parametrize("fault", ["destroy_noop", "drop_before"])
def test_a_loser_that_cannot_be_released_is_never_told_as_nothing(
    market: Market, fault: str
) -> None:
    provider = market.provider()
    ranked = market.ranked()
    provider.rent(ranked[0].offer, order())
    market.fault(fault, on="release", times=999)
    with pytest.raises(UnclearCreate, match="may bill"):
        market.lifecycle().rent(ranked[1:], as_order())
    assert len(market.billing()) == 2


def test_the_loser_of_a_race_owns_nothing(market: Market) -> None:
    provider = market.provider()
    ranked = market.ranked()
    provider.rent(ranked[0].offer, order())
    assert not market.lifecycle().rent(ranked[1:], as_order()).own


def test_a_rental_brings_the_key_along(market: Market) -> None:
    market.rent()
    assert PUBLIC_KEY in market.creates()[0]["body"]["onstart"]


@pytest.mark.parametrize(
    "image", ["--privileged", "some/image; id", "some/image\nx", "$(id)", "", "a b", "a" * 301]
)
def test_what_is_no_image_is_refused_before_anything_is_looked_up(
    market: Market, image: str
) -> None:
    result = market.rent(image=image)
    assert "is no container image" in result["msg"]
    assert market.requests("search") == market.creates() == []


@pytest.mark.parametrize(
    "image",
    [
        "vastai/base-image:@vastai-automatic-tag",
        "ghcr.io:443/a/b_c:1.0-cu130@sha256:" + "0" * 64,
        "ubuntu",
    ],
)
def test_what_is_an_image_is_rented_with(market: Market, image: str) -> None:
    assert market.rent(image=image)["changed"]


@pytest.mark.parametrize("key", ["", "not made yet", "ssh-ed25519", "ssh-rsa A'; rm -rf /; '"])
def test_what_is_no_public_key_is_refused_before_the_create(market: Market, key: str) -> None:
    result = market.rent(ssh_public_key=key)
    assert result["failed"]
    assert market.creates() == []


def test_a_revoked_key_proves_nothing(market: Market) -> None:
    rental = market.lifecycle().rent(market.ranked(), as_order()).rental
    revoked = market.provider("revoked")
    with pytest.raises(CredentialError):
        revoked.get(rental.id)
    with pytest.raises(CredentialError):
        revoked.list_rentals()


def test_other_scopes_names_and_strangers_are_never_touched(market: Market) -> None:
    market.rent("gpu-1")
    market.rent("gpu-2")
    market.rent("gpu-1", scope="other")
    market.run("rental", name="gpu-1", scope="test", state="absent")
    left = {"/".join(row["label"].split("/")[:3]) for row in market.billing()}
    assert left == {"inferops/test/gpu-2", "inferops/other/gpu-1"}


def test_reads_are_tried_again_and_obey_retry_after(market: Market) -> None:
    market.fault(
        "reply",
        on="list",
        times=1,
        status=429,
        body="API requests too frequent",
        headers={"Retry-After": "0"},
    )
    assert market.provider().list_rentals() == []


def test_no_offer_left_is_told_with_the_attempts(market: Market) -> None:
    with pytest.raises(AttemptsExhausted):
        market.lifecycle().rent([], as_order())


def test_a_scope_that_cannot_mark_is_refused(market: Market) -> None:
    result = market.rent(scope="a/b")
    assert result["failed"]
    assert "cannot mark a rental" in result["msg"]
    assert market.creates() == []


def test_marks_survive_the_round_trip_and_strangers_have_none() -> None:
    mark = Mark.new("prod", "gpu-1.example", 1795226400, 86400)
    assert Mark.decode(mark.encode()) == mark
    for label in (None, "", "my box", "inferops/prod/gpu-1", "other/prod/gpu-1/0a1b2c3d/5/5"):
        assert Mark.decode(label) is None


def test_a_create_that_was_not_carried_out_for_its_rate_is_sent_again(market: Market) -> None:
    market.fault(
        "reply",
        on="create",
        times=1,
        status=429,
        body="API requests too frequent",
        headers={"Retry-After": "0"},
    )
    market.lifecycle().rent(market.ranked(), as_order())
    assert len(market.creates()) == 2
    assert len(market.billing()) == 1


def found(market: Market, **options: object) -> dict[str, Any]:
    """What a deploy finds before it does anything."""
    return market.run("rental", name="gpu-1", scope="test", state="found", **options)


def test_what_is_rented_as_asked_is_found_and_nothing_is_changed(market: Market) -> None:
    nothing = found(market)
    assert (nothing["changed"], nothing["rental"], nothing["as_asked"]) == (False, None, False)
    rental = market.rent()["rental"]
    market.pass_hours(0.1)
    result = found(market)
    assert (result["changed"], result["as_asked"]) == (False, True)
    assert result["rental"]["id"] == rental["id"]
    assert result["rental"]["known_hosts"][0].split()[1] == "ssh-ed25519"
    assert result["deadline"]["enforced_by"] == "host"
    assert result["deadline"]["remaining_seconds"] == pytest.approx(23.9 * 3600, abs=120)
    die(market, int(rental["id"]), "exited")
    market.pass_hours(0.1)
    assert not found(market)["as_asked"]


def test_what_renting_would_change_is_not_as_asked_and_stays(market: Market) -> None:
    market.rent(duration_hours=MOST_HOURS, deadline_hours=24)
    market.pass_hours(0.1)
    before = market.billing()
    assert not found(market, deadline_hours=48)["as_asked"]
    market.create(market.ranked()[1].offer)
    market.pass_hours(0.2)
    assert not found(market)["as_asked"], "a duplicate is to be released"
    assert [row["label"] for row in market.billing()][:1] == [row["label"] for row in before]
    assert len(market.billing()) == 2


@pytest.mark.parametrize("label", ["", "keep this one", "someone-else/gpu-1"])
def test_a_label_that_was_replaced_meanwhile_hides_no_rental_from_its_release(
    market: Market, label: str
) -> None:
    rental = market.rent()["rental"]
    shown = market.simulator.market.rentals[int(rental["id"])]
    shown.label = label
    shown.wish["env"].clear()
    by_name = {"name": "gpu-1", "scope": "test", "state": "absent"}
    market.fault("reply", on="charged", status=403, body={}, times=9)
    assert not market.run("rental", **by_name)["changed"]
    dry = market.run("rental", **by_name, id=rental["id"], check=True)
    assert [one["id"] for one in dry["released"]] == [rental["id"]]
    assert market.billing() != []
    result = market.run("rental", **by_name, nonce=rental["mark"]["nonce"], id=rental["id"])
    assert [one["id"] for one in result["released"]] == [rental["id"]]
    assert market.billing() == []
    assert not market.run("rental", **by_name, id=rental["id"])["changed"]


def test_an_id_of_which_nobody_can_say_whether_it_is_there_is_unproven(market: Market) -> None:
    rental = market.rent()["rental"]
    shown = market.simulator.market.rentals[int(rental["id"])]
    shown.label = "keep"
    shown.wish["env"].clear()
    market.fault("reply", on="get", times=99, status=500, body="oops")
    by_name = {"name": "gpu-1", "scope": "test", "state": "absent", "id": rental["id"]}
    result = market.run("rental", **by_name)
    assert result["failed"]
    assert result["failure"]["kind"] == "UnprovenAbsence"


@pytest.mark.parametrize("odd", ["7 -oProxyCommand=id", "../7", ""])
def test_an_id_that_none_can_be_is_refused(market: Market, odd: str) -> None:
    result = market.run("rental", name="gpu-1", scope="test", state="absent", id=odd)
    assert "is not an id" in result["msg"]


def test_an_id_of_another_name_is_left_alone(market: Market) -> None:
    rental = market.rent("gpu-2")["rental"]
    for name in ("gpu-1", "gpu-3"):
        result = market.run("rental", name=name, scope="test", state="absent", id=rental["id"])
        assert result["failure"]["kind"] == "UnprovenAbsence"
        assert "left alone" in result["msg"]
    own = {"name": "gpu-2", "scope": "test", "state": "absent", "id": rental["id"]}
    assert market.run("rental", **own, nonce="00000000")["failed"]
    assert [str(row["id"]) for row in market.billing()] == [rental["id"]]
    assert market.run("rental", **own)["changed"]
    assert market.billing() == []


def test_an_id_that_is_left_alone_keeps_no_other_from_its_release(market: Market) -> None:
    other = market.rent("gpu-2")["rental"]
    market.rent("gpu-1")
    own = {"name": "gpu-1", "scope": "test", "state": "absent", "id": other["id"]}
    assert market.run("rental", **own)["failed"]
    assert [str(row["id"]) for row in market.billing()] == [other["id"]]


def test_a_list_that_is_behind_hides_no_rental_whose_id_is_known(market: Market) -> None:
    rental = market.rent()["rental"]
    market.faults(
        fault("reply", on="list", times=9, **SAYINGS["empty list"]),
        fault("reply", on="charged", status=403, body={}, times=9),
    )
    own = {"name": "gpu-1", "scope": "test", "state": "absent", "id": rental["id"]}
    # One that has listed it before would distrust the list.
    fresh = {"controller_dir": str(market.controller_dir / "fresh")}
    assert [one["id"] for one in market.run("rental", **own, **fresh)["released"]] == [rental["id"]]
    assert market.billing() == []


def test_an_empty_name_stands_for_no_rental(market: Market) -> None:
    market.rent("gpu-2")
    for module, options in (("rental_info", {}), ("rental", {"state": "absent"})):
        assert market.run(module, name="", scope="test", **options)["failed"]
    assert len(market.billing()) == 1
