# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run counts, what is its to release, and when a failure makes room for another host."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.inferops.gpu.plugins.module_utils.market.mark import check_nonce
from ansible_collections.inferops.gpu.plugins.module_utils.market.rentals.attempts import (
    Failure,
    Ledger,
    Limits,
    Verdict,
    after_release,
    fallen_silent,
    is_silent,
    judge,
)

NONCE = "9f2c41aa"
RENTAL = {"id": "7", "machine_id": "42"}
RENTED = {"outcome": "rented", "cost_usd": 0.0}
FIVE_CREATES = Limits(5)
LIES = Failure("driver 470 instead of 580", "driver", "machine")


def ledger(requests_sent: int = 0, spent_usd: float = 0.0) -> Ledger:
    return Ledger(NONCE, requests_sent, spent_usd)


def created(*attempts: dict[str, Any], nonce: str = NONCE) -> dict[str, Any]:
    """What module rental returned."""
    return {"nonce": nonce, "attempts": list(attempts)}


def verdict(
    before: Ledger | None = None,
    call: dict[str, Any] | None = None,
    failure: Failure = LIES,
    cost_usd: float = 0.1,
    limits: Limits = FIVE_CREATES,
    on_failure: str = "release",
) -> Verdict:
    """The verdict on an attempt that failed though nothing speaks against a next one."""
    call = created(RENTED) if call is None else call
    return judge(before or ledger(), call, failure, RENTAL, cost_usd, limits, on_failure)


# Whose it is.


def test_what_this_run_has_rented_is_released_by_its_nonce_and_another_one_is_tried() -> None:
    told = verdict()
    assert (told.try_next, told.release, told.shunned) == (True, NONCE, "42")


def test_what_is_released_is_named_by_its_id_as_well() -> None:
    call = {**created(RENTED), "rental": {"id": "27011234"}}
    assert verdict(call=call).release_id == "27011234"
    assert verdict(call={**call, "rental": None}).release_id == ""
    assert verdict(call=call, on_failure="keep").release_id == ""
    # An older rental of the name won: it is not this run's.
    assert verdict(call={**call, "nonce": ""}).release_id == ""


@pytest.mark.parametrize(
    "call",
    [
        {},
        created(nonce=""),
        {"failed": True, "msg": "no", "failure": {"kind": "RequestRefused"}},
        {"failed": True, "module_stdout": "", "rc": 127},
    ],
    ids=["no call was made", "an older one was kept", "it was refused", "no interpreter"],
)
def test_what_this_run_has_not_rented_is_not_its_to_release(call: dict[str, Any]) -> None:
    told = verdict(call=call)
    assert (told.try_next, told.release) == (False, "")


def test_what_was_released_before_is_not_released_again() -> None:
    old = created(RENTED)
    again = after_release(ledger(), verdict().attempt, [])
    assert again.open_nonce(old) == ""
    assert again.counted(old) == again


def test_a_failure_that_brings_its_nonce_is_released_by_it() -> None:
    call = {"failed": True, "nonce": NONCE, "failure": {"kind": "UnclearCreate"}}
    told = verdict(call=call, failure=Failure("it broke off"))
    assert (told.try_next, told.release) == (False, NONCE)


@pytest.mark.parametrize(
    "call",
    [
        {"failed": True, "msg": "No start of json char found", "module_stdout": "", "rc": 137},
        {"failed": True, "msg": "Task failed: Timed out after 5 second(s).", "timedout": {}},
    ],
    ids=["killed", "timed out"],
)
def test_a_call_that_ended_without_a_word_may_have_rented_and_is_released(
    call: dict[str, Any],
) -> None:
    assert is_silent(call)
    assert verdict(call=call, failure=Failure.of(call)).release == NONCE


#: What an action says of a start, whatever became of the module.
STARTED = {"started": "27", "started_provider": "vastai"}


@pytest.mark.parametrize(
    "call",
    [
        {"failed": True, "msg": "MODULE FAILURE", "rc": 137, **STARTED},
        {"failed": True, "msg": "?", "failure": {"kind": "ProviderUnavailable"}, **STARTED},
        {"nonce": "", "rental": {"id": "27"}, **STARTED},
    ],
    ids=["killed", "unclear", "running"],
)
def test_what_was_started_or_may_have_been_stands_still_again(call: dict[str, Any]) -> None:
    told = verdict(call=call, failure=Failure.of(call))
    assert (told.stop, told.stop_provider) == ("27", "vastai")
    assert verdict(call=call, failure=Failure.of(call), on_failure="keep").stop == ""


def test_what_is_to_be_kept_is_neither_released_nor_followed_by_another() -> None:
    told = verdict(on_failure="keep")
    assert (told.try_next, told.release) == (False, "")


# Who is to blame.


@pytest.mark.parametrize(
    "failure",
    [Failure("market down"), Failure("no login", "login", "provider"), Failure("?", "", "machine")],
)
def test_another_host_is_tried_only_where_a_machine_is_to_blame(failure: Failure) -> None:
    told = verdict(failure=failure)
    assert (told.try_next, told.shunned, told.release) == (False, "", NONCE)


def test_a_host_that_answers_no_more_is_to_blame_without_a_word() -> None:
    gone = {"unreachable": True, "msg": "no route"}
    failure = Failure.of({"msg": "silent"}, [{}, gone, {}])
    assert (failure.stage, failure.blame, failure.message) == ("ssh", "machine", "silent")
    told = {"failure": {"stage": "login", "blame": "provider"}}
    assert Failure.of(told, [gone]).blame == "provider"
    assert Failure.of({}, [{}, {}]) == Failure("no message")
    # A host may answer anything.
    assert Failure.of({"msg": "odd", "failure": ["ssh"]}) == Failure("odd")


# Within the limits.


def test_as_many_creates_are_sent_as_are_allowed_and_claimed_machines_cost_none() -> None:
    claimed = {"outcome": "claimed", "cost_usd": 0.0}
    gone = {"outcome": "gone", "cost_usd": 0.0}
    call = created(claimed, gone, RENTED)
    assert verdict(ledger(2), call).ledger.requests_sent == 4
    assert verdict(ledger(2), call).try_next
    assert not verdict(ledger(3), call).try_next


@pytest.mark.parametrize(
    ("spent", "cost", "budget", "goes_on"),
    [
        (0.0, 0.4, 1.0, True),
        (0.0, 0.5, 1.0, False),
        (0.3, 0.3, 1.0, True),
        (0.5, 0.3, 1.0, False),
        (99.0, 9.0, 0.0, True),
    ],
)
def test_another_host_is_tried_only_where_the_budget_lets_it_get_as_far_as_the_last(
    spent: float, cost: float, budget: float, goes_on: bool
) -> None:
    told = verdict(ledger(1, spent), cost_usd=cost, limits=Limits(5, budget))
    assert told.try_next is goes_on


def test_what_creates_have_cost_by_themselves_comes_out_of_the_budget() -> None:
    dearer = {"outcome": "dearer", "cost_usd": 0.25}
    told = verdict(call=created(dearer, RENTED), cost_usd=0.4, limits=Limits(5, 1.0))
    assert told.ledger.spent_usd == 0.25
    assert not told.try_next


# What is remembered.


def test_a_released_attempt_is_counted_with_what_the_release_says_that_it_cost() -> None:
    told = verdict(ledger(1, 0.5), cost_usd=0.1)
    after = after_release(told.ledger, told.attempt, [{"id": "7", "cost_usd": 0.12}])
    assert after.spent_usd == pytest.approx(0.62)
    assert after.requests_sent == 2
    assert [one["cost_usd"] for one in after.attempts] == [0.12]
    assert after.to_dict()["shunned"] == ["42"]


def test_a_host_that_ended_by_itself_has_cost_all_the_same() -> None:
    after = after_release(ledger(), verdict(cost_usd=0.1).attempt, [])
    assert after.spent_usd == 0.1


def test_every_attempt_has_a_nonce_of_its_own() -> None:
    first = Ledger().begun()
    second = after_release(first, verdict(first).attempt, [])
    assert check_nonce(first.nonce) != check_nonce(second.nonce)


def test_a_ledger_survives_its_way_through_a_play() -> None:
    after = after_release(ledger(1, 0.5), verdict().attempt, [])
    shown = {**after.to_dict(), "changed": False, "told": "Attempt 1 of 5 failed"}
    assert Ledger.from_dict(shown) == after
    assert Ledger.from_dict({}) == Ledger()


# What fails on every machine alike.

BLACK_HOLED = Failure("no connection was answered", "ssh", "machine", "black-holed")


def after(failure: Failure, machine: str = "41") -> Ledger:
    """The ledger of a run in which one machine has failed so before."""
    attempt = {"rental": "6", "machine_id": machine, "stage": failure.stage, "cost_usd": 0.1}
    told = {"blame": failure.blame, "sign": failure.sign, "message": failure.message}
    return after_release(ledger(1), {**attempt, **told}, [])


def judged_after(before: Ledger, failure: Failure) -> Verdict:
    call = created(RENTED, nonce=before.nonce)
    return judge(before, call, failure, RENTAL, 0.1, FIVE_CREATES, "release")


def test_the_second_machine_that_fails_alike_is_not_to_blame_and_ends_the_run() -> None:
    told = judged_after(after(BLACK_HOLED), BLACK_HOLED)
    assert (told.try_next, told.shunned) == (False, "")
    assert told.release
    assert "other ports than 80 and 443" in told.attempt["message"]


PULLING = "boot: created: Error response from daemon: Get https://registry.example/v2/: "


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("dial tcp 10.1.2.3:50612->203.0.113.9:443", "dial tcp 192.168.0.4:41102->203.0.113.9:443"),
        ("container 3f9a0c77be12 exited at 10:00:01", "container 77be123f9a0c exited at 10:09:33"),
    ],
)
def test_a_text_that_differs_by_what_is_a_machines_own_is_the_same_failure(
    one: str, other: str
) -> None:
    first, second = (Failure("x", "boot", "machine", PULLING + text) for text in (one, other))
    told = judged_after(after(first), second)
    assert (told.try_next, told.shunned) == (False, "")


def test_two_machines_that_fail_otherwise_are_both_to_blame() -> None:
    other = Failure("it shows another host key", "ssh", "machine", "host key")
    told = judged_after(after(BLACK_HOLED), other)
    assert (told.try_next, told.shunned) == (True, "42")


def test_what_is_measured_on_a_machine_is_its_own_fault_however_often() -> None:
    assert judged_after(after(LIES), LIES).try_next


def test_the_same_machine_twice_proves_nothing() -> None:
    assert judged_after(after(BLACK_HOLED, machine="42"), BLACK_HOLED).try_next


def test_what_a_run_that_was_cut_off_has_left_is_released_and_another_one_is_rented() -> None:
    cut_off = Failure("it shows its first key", "ssh", "run")
    rental = {**RENTAL, "mark": {"nonce": "01234567"}}
    call = {**created(nonce=""), "rental": rental}
    told = judge(ledger(), call, cut_off, rental, 0.1, FIVE_CREATES, "release")
    assert (told.try_next, told.release, told.release_id) == (True, "01234567", "7")
    assert told.shunned == ""
    assert judge(ledger(), call, cut_off, rental, 0.1, FIVE_CREATES, "keep").release == ""


def test_what_a_release_says_is_not_said_before_it_as_well() -> None:
    """A rental that was released and proven gone is not said to bill until it is released."""
    told = {
        "cause": "Rental 7 runs, but SSH was not ready.",
        "remedy": "Release it and take another offer.",
        "money": "It bills 0.5 dollars an hour until it is released.",
    }
    result = {"msg": " ".join(told.values()), "failure": {**told, "stage": "ssh"}}
    verdict = judge(ledger(), created(), Failure.of(result), RENTAL, 0.1, FIVE_CREATES, "release")
    assert verdict.attempt["message"] == told["cause"]
    assert verdict.told == result["msg"]
    told["remedy"] = "Release it and take another offer; for a large image raise image_gib."
    failure = Failure.of({"msg": "x", "failure": {**told, "stage": "boot"}})
    assert failure.bare == f"{told['cause']} For a large image raise image_gib."


def test_what_was_never_rented_is_said_to_bill_nothing() -> None:
    told = {"cause": "No offer.", "remedy": "Widen it.", "money": "Nothing was rented."}
    result = {"msg": " ".join(told.values()), "failure": told}
    verdict = judge(
        ledger(), created(nonce=""), Failure.of(result), {}, 0.0, FIVE_CREATES, "release"
    )
    assert verdict.attempt["message"] == result["msg"]


@pytest.mark.parametrize(
    ("looks", "said"),
    [
        ([], ""),
        ([{}, {"skipped": True}, {"failed": True, "msg": "a bug"}], ""),
        ([{}, {"unreachable": True, "msg": "no route"}], "any more: no route"),
        ([{"unreachable": True, "msg": ""}], "any more: no reason known"),
    ],
)
def test_a_host_that_has_fallen_silent_is_compared_with_nothing(
    looks: list[dict[str, Any]], said: str
) -> None:
    told = fallen_silent(looks)
    assert said in told
    assert bool(told) == bool(said)
