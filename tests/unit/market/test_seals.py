# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Anybody with the account can write a mark: only who has the scope's secret is believed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from ansible_collections.inferops.gpu.plugins.module_utils.market import secret
from ansible_collections.inferops.gpu.plugins.module_utils.market.mark import Mark, Seal
from tests.unit.market.conftest import Market

SECRET, OTHER, SHORT = "s" * 20, "another-secret-of-20-letters", "s" * 19
MARK = Mark("prod", "gpu-1", "9f2c41aa", 1795312800, 86400, 1795226400)
#: What there is of a rental beside its own controller.
STATES: dict[str, Callable[[Market, str], dict[str, Any]]] = {
    "present": lambda market, key: market.rent(scope_secret=key),
    "absent": lambda market, key: absent(market, scope_secret=key),
    "extend": lambda market, key: market.run(
        "rental_extend", name="gpu-1", scope="test", hours=1, scope_secret=key
    ),
}


def absent(market: Market, **options: Any) -> dict[str, Any]:
    return market.run("rental", name="gpu-1", scope="test", state="absent", **options)


def info(market: Market, **options: Any) -> dict[str, Any]:
    return market.run("rental_info", scope="test", **options)


def relabel(market: Market, change: Callable[[str], str], copy: bool = True) -> None:
    """Let somebody with the account change the mark of the only rental, and its copy."""
    (rental,) = market.simulator.market.rentals.values()
    rental.label = change(rental.label or "")
    if copy:
        rental.wish["env"]["INFEROPS_MARK"] = change(rental.wish["env"]["INFEROPS_MARK"])
    market.clock.sleep(60)


def unsealed(label: str) -> str:
    """As somebody writes it who knows what marks look like."""
    scope, name, nonce, _version, *rest = label.split("/")[1:]
    return "/".join(("inferops", scope, name, nonce, "2", *rest[:3]))


def with_deadline(label: str, deadline: str) -> str:
    parts = label.split("/")
    parts[5] = deadline
    return "/".join(parts)


def test_a_sealed_rental_lives_as_any_other_does(market: Market) -> None:
    first = market.rent(scope_secret=SECRET, duration_hours=100)["rental"]
    assert first["label"].split("/")[4] == "3"
    assert not market.rent(scope_secret=SECRET)["changed"]
    moved = market.run("rental_extend", name="gpu-1", scope="test", hours=30, scope_secret=SECRET)
    assert moved["changed"]
    (told,) = info(market, scope_secret=SECRET)["rentals"]
    assert told["id"] == first["id"]
    assert told["remaining_seconds"] == pytest.approx(30 * 3600, abs=300)
    assert len(absent(market, scope_secret=SECRET)["released"]) == 1
    assert market.billing() == []


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("way", ["another secret", "no secret", "a guess"])
def test_a_mark_that_is_not_proven_is_neither_used_nor_released_and_is_told(
    market: Market, state: str, way: str
) -> None:
    market.rent(scope_secret={"another secret": OTHER, "no secret": ""}.get(way, SECRET))
    if way == "a guess":
        relabel(market, lambda label: label[:-1] + ("0" if label[-1] != "0" else "1"))
    (row,) = market.billing()
    result = STATES[state](market, SECRET)
    assert result["failed"]
    for told in (str(row["id"]), "not proven", "dollars an hour", "/instances/", "its id"):
        assert told in result["msg"]
    assert [one["id"] for one in market.billing()] == [row["id"]]


@pytest.mark.parametrize("copy", [True, False])
def test_who_writes_a_mark_without_the_secret_gets_nothing_released(
    market: Market, copy: bool
) -> None:
    """Also where nobody has made the second copy."""
    market.rent(scope_secret=SECRET)
    relabel(market, unsealed)
    if not copy:
        (rental,) = market.simulator.market.rentals.values()
        rental.wish["env"].pop("INFEROPS_MARK")
    told = info(market, scope_secret=SECRET)
    assert told["rentals"] == []
    assert "not proven" in str(told["warnings"])
    market.pass_hours(100)
    reaped = market.run("rental_reap", scope="test", release=True, scope_secret=SECRET)
    assert [one["verdict"] for one in reaped["verdicts"]] == ["unknown"]
    assert len(market.billing()) == 1


def test_what_is_not_proven_is_released_by_its_id(market: Market) -> None:
    """The secret was lost: the money must not be."""
    first = market.rent(scope_secret=OTHER)["rental"]
    assert absent(market, scope_secret=SECRET, id=first["id"])["changed"]
    assert market.billing() == []


def test_the_id_of_another_name_is_left_alone_though_it_is_not_proven(market: Market) -> None:
    other = market.rent("gpu-2", scope_secret=OTHER)["rental"]
    assert "left alone" in absent(market, scope_secret=SECRET, id=other["id"])["msg"]
    assert len(market.billing()) == 1


def test_what_is_not_proven_stops_no_other_name(market: Market) -> None:
    market.rent("gpu-2", scope_secret=OTHER)
    assert market.rent(scope_secret=SECRET)["changed"]
    result = absent(market, scope_secret=SECRET)
    assert len(result["released"]) == 1
    assert len(market.billing()) == 1


def test_a_proven_one_is_released_and_the_other_of_its_name_is_told(market: Market) -> None:
    market.rent(scope_secret=SECRET)
    market.rent("gpu-2", scope_secret=OTHER)
    for rental in market.simulator.market.rentals.values():
        rental.label = (rental.label or "").replace("gpu-2", "gpu-1")
        marks = rental.wish["env"]
        marks["INFEROPS_MARK"] = marks["INFEROPS_MARK"].replace("gpu-2", "gpu-1")
    market.clock.sleep(60)
    result = absent(market, scope_secret=SECRET)
    assert len(result["released"]) == 1
    assert "not proven" in str(result["warnings"])
    assert len(market.billing()) == 1


@pytest.mark.parametrize("deadline", ["1", "zzzzzz"])
def test_a_deadline_that_somebody_writes_into_a_label_does_not_count(
    market: Market, deadline: str
) -> None:
    market.rent(scope_secret=SECRET, deadline_hours=2)
    relabel(market, lambda label: with_deadline(label, deadline), copy=False)
    told = info(market, scope_secret=SECRET)
    assert "changed by hand" in str(told["warnings"])
    assert told["rentals"][0]["remaining_seconds"] == pytest.approx(7200, abs=300)
    assert not market.run("rental_reap", scope="test", release=True, scope_secret=SECRET)["changed"]


def test_without_the_secret_a_sealed_rental_is_released_and_not_extended(market: Market) -> None:
    """A reaper needs no secret. An extension without one would be undone by who has it."""
    market.rent(scope_secret=SECRET, duration_hours=100)
    extended = market.run("rental_extend", name="gpu-1", scope="test", hours=30)
    assert "inferops_scope_secret" in extended["msg"]
    assert absent(market)["changed"]
    assert market.billing() == []


def test_who_believes_every_mark_shares_no_listing_with_who_does_not(market: Market) -> None:
    market.rent()
    assert len(info(market)["rentals"]) == 1
    assert info(market, scope_secret=SECRET)["rentals"] == []
    assert len(info(market)["rentals"]) == 1


@pytest.mark.parametrize("check", [True, False])
def test_nothing_is_rented_with_a_secret_that_can_be_guessed(market: Market, check: bool) -> None:
    wish = {"scope": "test", "image": "some/image", "ssh_public_key": "ssh-ed25519 AAAA a"}
    result = market.run("rental", name="gpu-1", check=check, scope_secret=SHORT, **wish)
    assert "openssl rand -base64 30" in result["msg"]
    assert market.creates() == []


def test_what_was_rented_with_a_short_secret_can_be_released(
    market: Market, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(secret, "LEAST_LETTERS", 1)
    market.rent(scope_secret=SHORT)
    monkeypatch.undo()
    told = info(market, scope_secret=SHORT)
    assert len(told["rentals"]) == 1
    result = absent(market, scope_secret=SHORT)
    assert result["changed"]
    for each in (told, result):
        assert "can be guessed" in str(each["warnings"])
    assert market.billing() == []


def test_a_seal_is_of_the_whole_mark_and_of_one_secret() -> None:
    sealed = Seal(SECRET).put_on(MARK)
    decoded = Mark.decode(sealed.encode())
    assert decoded == sealed
    assert Seal(SECRET).proves(sealed)
    assert Seal().proves(sealed)
    assert not Seal(OTHER).proves(sealed)
    assert not Seal(SECRET).proves(MARK)
    assert Seal(SECRET).put_on(sealed) == sealed
    for part in range(1, 8):
        parts = sealed.encode().split("/")
        parts[part] = parts[part][:-1] + ("b" if parts[part][-1] == "a" else "a")
        changed = Mark.decode("/".join(parts))
        assert changed is None or not Seal(SECRET).proves(changed), part


def test_a_seal_never_changes_or_every_rental_would_be_unproven() -> None:
    assert Seal(SECRET).put_on(MARK).rest == "3122ade12f650947"
