# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a deploy that fails says of what bills, and of what it has cost."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.inferops.gpu.plugins.module_utils.market.rentals.attempts import Ledger
from ansible_collections.inferops.gpu.plugins.module_utils.market.rentals.outcome import (
    Failed,
    Release,
    failed_attempt,
    failed_deploy,
    in_one,
    what_failed,
)

NONCE = "9f2c41aa"
RENTAL = {"id": "7", "price_usd_per_hour": 0.3412}
TRIED = {"machine_id": "42", "stage": "driver", "message": "It lies.", "cost_usd": 0.02}
TRIED["blame"] = "machine"
FAILED = Failed("gpu-1", "Launch", "The server died.")
NO_LEDGER = Ledger()
NOTHING = Release("", "release")


def message(
    release: Release,
    rental: dict[str, Any] | None = None,
    ledger: Ledger = NO_LEDGER,
    failed: Failed = FAILED,
) -> str:
    return in_one(failed, failed_deploy(failed, release, ledger, rental or {}, 0.0841))


GIVEN_UP = {"told": "It lies. It bills 0.3412 dollars an hour.", "attempt": {"message": "It lies."}}


@pytest.mark.parametrize(
    ("result", "verdict", "said"),
    [
        ({"msg": "The server died."}, {}, "The server died."),
        ({"msg": "The server died."}, GIVEN_UP, "The server died."),
        ({"msg": GIVEN_UP["told"]}, GIVEN_UP, "It lies."),
        ({"reason": "Could not find the file."}, {}, "Could not find the file."),
        ({"msg": ""}, {}, "no message"),
        ({"msg": "The server died."}, {"failed": True, "msg": "a bug"}, "The server died."),
    ],
)
def test_what_failed_is_told_without_what_becomes_of_the_bill(
    result: dict[str, Any], verdict: dict[str, Any], said: str
) -> None:
    assert what_failed("Launch", result, verdict) == {
        "task": "Launch",
        "message": said,
        "diagnosis": {},
    }


def test_what_failed_has_the_diagnosis_of_its_task() -> None:
    crash = {"msg": "It died.", "failure": {"cause_id": "crash"}}
    assert what_failed("Launch", crash, {})["diagnosis"] == {"cause_id": "crash"}


def test_a_deploy_that_rented_nothing_says_what_failed_and_no_more() -> None:
    assert message(NOTHING) == 'Deploying gpu-1 failed at "Launch": The server died.'


def test_a_host_that_does_not_answer_and_its_evidence_are_named() -> None:
    failed = Failed("gpu-1", "Launch", "No route.", unreachable=True, evidence="evidence/gpu-1")
    assert message(NOTHING, failed=failed) == (
        'Deploying gpu-1 failed at "Launch": No route. The host does not answer any more. '
        "Evidence: evidence/gpu-1."
    )


@pytest.mark.parametrize(
    ("release", "rental", "said"),
    [
        (
            Release(NONCE, "release", [{"id": "7", "cost_usd": 0.09}]),
            RENTAL,
            "Rental 7 was released and proven gone; it cost 0.0900 dollars.",
        ),
        (
            Release(NONCE, "release", failed={"msg": "Rental 7 may bill.", "failure": {}}),
            RENTAL,
            "ITS RELEASE FAILED AS WELL: Rental 7 may bill.",
        ),
        (
            Release(NONCE, "release", failed={"msg": "No start of json char found", "rc": 137}),
            RENTAL,
            "ITS RELEASE FAILED AS WELL: No start of json char found. Whatever carries its nonce "
            f"{NONCE} may bill until playbook inferops.gpu.teardown releases it.",
        ),
        (
            Release(NONCE, "release"),
            {},
            f"A rental request was sent, but no rental with its nonce {NONCE} is listed. It may "
            "still "
            "appear and bill: run playbook inferops.gpu.teardown in a minute.",
        ),
        (
            Release(NONCE, "release", silent=True),
            {},
            "The call that rents ended without a word, so a rental may have been made. No rental "
            f"with its nonce {NONCE} is listed. It may still appear and bill: run playbook "
            "inferops.gpu.teardown in a minute.",
        ),
        (
            Release(NONCE, "keep"),
            RENTAL,
            "Rental 7 was kept as asked (rent_on_failure: keep): it has cost 0.0841 dollars and "
            "bills 0.3412 dollars per hour until playbook inferops.gpu.teardown releases it.",
        ),
        (
            Release(NONCE, "keep", silent=True),
            {},
            "The call that rents ended without a word, so a rental with its nonce 9f2c41aa may "
            "have been made. It was kept as asked (rent_on_failure: keep), and bills until "
            "playbook inferops.gpu.teardown releases it.",
        ),
        (
            Release("", "release"),
            RENTAL,
            "Rental 7 is older than this run, so it was kept: it bills 0.3412 dollars per hour "
            "until playbook inferops.gpu.teardown releases it.",
        ),
        (
            Release("", "release"),
            {**RENTAL, "status": "stopped", "stopped_usd_per_hour": 0.0042},
            "Rental 7 is older than this run, so it was kept: it bills 0.0042 dollars per hour "
            "until playbook inferops.gpu.teardown releases it.",
        ),
        (
            Release("", "release", started="7", stopped={"rental": RENTAL}),
            {},
            "Rental 7 had stood still before and does so again: it bills 0.3412 dollars per hour "
            "until playbook inferops.gpu.teardown releases it.",
        ),
        (
            Release("", "release", started="7", stopped={"failed": True, "msg": "killed"}),
            RENTAL,
            "RENTAL 7 COULD NOT BE STOPPED AGAIN: killed. It may bill its GPUs until playbook "
            "inferops.gpu.teardown releases it.",
        ),
        (
            Release(
                "", "release", started="7", stopped={"failed": True, "msg": "No.", "failure": {}}
            ),
            RENTAL,
            "RENTAL 7 COULD NOT BE STOPPED AGAIN: No.",
        ),
        (
            Release("", "release", started="7", stopped={"rental": None}),
            {},
            "Rental 7, which had stood still before, is gone.",
        ),
        (
            Release("", "keep", started="7"),
            {},
            "Rental 7 had stood still, and may have been started. It was kept as asked "
            "(rent_on_failure: keep), and may bill its GPUs until playbook inferops.gpu.teardown "
            "releases it.",
        ),
        (
            Release(
                NONCE,
                "release",
                failed={"msg": "Down.", "failure": {}},
                started="7",
                stopped={"rental": RENTAL},
            ),
            {},
            "ITS RELEASE FAILED AS WELL: Down. Rental 7 had stood still before and does so again: "
            "it bills 0.3412 dollars per hour until playbook inferops.gpu.teardown releases it.",
        ),
        (
            Release("", "release"),
            {"id": "7", "price_usd_per_hour": None, "console_url": "https://a.example/"},
            "Rental 7 is older than this run, so it was kept: it bills at an unknown price (see "
            "https://a.example/) until playbook inferops.gpu.teardown releases it.",
        ),
    ],
    ids=[
        "gone",
        "unproven",
        "killed",
        "unlisted",
        "unknown",
        "kept",
        "kept unseen",
        "older",
        "stopped",
        "stopped again",
        "stop killed",
        "stop failed",
        "gone meanwhile",
        "start kept unseen",
        "neither released nor running",
        "no price",
    ],
)
def test_a_failed_deploy_says_what_bills(
    release: Release, rental: dict[str, Any], said: str
) -> None:
    assert message(release, rental) == f"{message(NOTHING)} {said}"


def test_a_failed_deploy_says_what_earlier_attempts_and_creates_have_cost() -> None:
    tried = Ledger(NONCE, 3, 0.0312, (TRIED,))
    assert message(NOTHING, ledger=tried).endswith("1 earlier attempts cost 0.0312 dollars.")
    # Creates alone cost too: what was charged more than its offer said was released by the call.
    creates = Ledger(NONCE, 1, 0.01)
    assert message(NOTHING, ledger=creates).endswith("0 earlier attempts cost 0.0100 dollars.")


def test_an_attempt_that_makes_room_says_where_it_failed_and_what_it_cost() -> None:
    assert failed_attempt(Ledger(NONCE, 2, 0.02, (TRIED,)), 5) == (
        "Attempt 2 of 5 failed at driver: It lies. It was released and proven gone, for 0.0200 "
        "dollars. Machine 42 is shunned."
    )
