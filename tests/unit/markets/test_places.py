# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What `make markets` goes to, and what it counts."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from ansible_collections.inferops.gpu.plugins.module_utils.market.own import OWN
from ansible_collections.inferops.gpu.plugins.module_utils.market.providers.registry import (
    PROVIDERS,
)
from tests.drills.listing import Failed
from tests.markets import __main__ as markets
from tests.markets import places
from tests.markets.places import SEVERAL, Outcome, Place
from tests.simulator.hosts import ROOT

LAMBDA, PRIME = Place("lambda", "ubuntu"), Place("prime", ROOT)


def test_every_market_of_the_registry_is_a_place_for_whoever_logs_in_there() -> None:
    users: dict[str, list[str]] = {}
    for place in places.all_places():
        users.setdefault(place.market, []).append(place.user)
    assert set(users) == {*PROVIDERS, *OWN, SEVERAL}
    assert all(kind.ssh_user in users[name] for name, kind in PROVIDERS.items())
    # Both where there are both; by ssh and local there always are.
    for name in ("shadeform", "prime", *OWN):
        assert ROOT in users[name]
        assert len(users[name]) == 2


def test_some_of_them_can_be_named() -> None:
    assert {place.market for place in markets.chosen("lambda,prime")} == {"lambda", "prime"}
    assert markets.chosen("") == places.all_places()
    with pytest.raises(SystemExit, match="no such market: nocloud; there are lambda, prime"):
        markets.chosen("lambda,nocloud")


def test_what_was_not_tried_is_missing_and_what_failed_or_leaked_is_no_market() -> None:
    wanted = [LAMBDA, PRIME, Place("prime", "ubuntu"), Place("verda", ROOT)]
    outcomes = {
        LAMBDA: Outcome(),
        PRIME: Outcome(),
        wanted[2]: Outcome(leaked=2, problem="it still bills"),
    }
    assert markets.result(wanted, outcomes) == {
        "markets": 1,
        "deploys": 2,
        "missing": 1,
        "leaked": 2,
        "failed": 1,
    }


class Left:
    """A site that has left something behind."""

    def left(self) -> list[Any]:
        return ["a container"]


@pytest.mark.parametrize("problem", ["", "the completion is empty"])
def test_what_is_left_counts_whether_or_not_the_deploy_has_failed(
    monkeypatch: pytest.MonkeyPatch, problem: str
) -> None:
    @contextmanager
    def site_at(place: Place, ends_at: float) -> Iterator[Left]:
        yield Left()

    def deploy_and_end(site: Left) -> None:
        if problem:
            raise Failed(problem)

    monkeypatch.setattr(places, "site_at", site_at)
    monkeypatch.setattr(places, "deploy_and_end", deploy_and_end)
    outcome = places.run(LAMBDA)
    assert outcome.leaked == 1
    assert not outcome.proven
    assert problem in outcome.problem
