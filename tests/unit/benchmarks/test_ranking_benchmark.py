# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The comparison of rankings: a small one, and how it counts."""

from __future__ import annotations

import json
import sys
from dataclasses import replace

import pytest

from ansible_collections.inferops.gpu.plugins.module_utils.market.model import Offer
from ansible_collections.inferops.gpu.plugins.module_utils.market.offers.history import History
from tests.benchmarks import ranking
from tests.benchmarks.failing_market import SERVES, SSH, STALE, Fate

JOB = ranking.JOBS[0]
FEW = ("--seeds", "2", "--regret-seeds", "2")


def offers(*machines: str) -> list[Offer]:
    """Offers with ids from 1 for 2 dollars an hour and 0.01 per GiB, one on each machine."""
    with ranking.searching() as search:
        found = search(1, ranking.WISHES["24 GB"])[0]
    priced = replace(found, price_usd_per_hour=2.0, download_usd_per_gib=0.01)
    return [
        replace(priced, id=str(number), machine_id=machine)
        for number, machine in enumerate(machines, start=1)
    ]


def test_only_failed_attempts_burn_and_their_machines_are_not_tried_again() -> None:
    fated = {
        1: Fate(STALE, "chance", 0, 0),
        2: Fate(SSH, "machine", 0.5, 8),
        3: Fate(SSH, "machine", 0.5, 8),
        4: Fate(SERVES, "", 0.25, 20),
        5: Fate(SSH, "machine", 0.5, 8),
    }
    outcome = ranking.deploy(JOB, offers(*"abbcd"), fated, History(None))
    assert (outcome.attempts, outcome.successes) == (3, 1)
    assert outcome.burned_usd == pytest.approx(0.5 * 2 + 8 * 0.01)
    assert outcome.start_usd == pytest.approx(0.25 * 2 + 20 * 0.01)
    assert outcome.rent_usd == pytest.approx(2 * JOB.hours)


def test_a_deployment_gives_up_after_25_attempts() -> None:
    many = offers(*map(str, range(40)))
    fated = {int(offer.id): Fate(SSH, "machine", 0.5, 8) for offer in many}
    outcome = ranking.deploy(JOB, many, fated, History(None))
    assert (outcome.attempts, outcome.successes) == (25, 0)


def test_the_result_line_tells_both_and_the_seed_repeats_it(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    results = []
    for arguments, variable in ((["--seed", "3"], ""), ([], "3")):
        monkeypatch.setenv("SEED", variable)
        monkeypatch.setattr(sys, "argv", ["ranking", *FEW, *arguments])
        code = ranking.main()
        word, _space, data = capsys.readouterr().out.splitlines()[-1].partition(" ")
        assert word == "RESULT"
        results.append(json.loads(data))
        assert code == (0 if results[-1]["lower"] and results[-1]["regret"] <= 0.05 else 1)
    assert results[0] == results[1]
    assert results[0]["first_seed"] == 3
    assert results[0]["offers_failing"] == pytest.approx(0.65, abs=0.06)
