# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a server is deployed to: each marketplace as each of its users, and hosts of one's own."""

from __future__ import annotations

import time
from contextlib import AbstractContextManager
from dataclasses import dataclass

from ansible_collections.inferops.gpu.plugins.module_utils.market.own import OWN
from ansible_collections.inferops.gpu.plugins.module_utils.market.providers.registry import (
    PROVIDERS,
)
from tests.drills.listing import Failed
from tests.markets import own_hosts, rented
from tests.markets.site import Site, deploy_and_end
from tests.rig.podman import PodmanError
from tests.simulator.app import machines_of
from tests.simulator.daemon import DaemonError

#: A play that is not done by then is ended, and the place has failed.
MOST_SECONDS = 900
SEVERAL = "several"


@dataclass(frozen=True)
class Place:
    """One market, or a way to hosts of one's own, and who logs in there."""

    market: str
    user: str

    def __str__(self) -> str:
        return f"{self.market} as {self.user}"


@dataclass
class Outcome:
    """What became of a place: the problem is empty where all was proven."""

    leaked: int = 0
    problem: str = ""

    @property
    def proven(self) -> bool:
        """Whether it served, was ended, and left nothing."""
        return not self.leaked and not self.problem


def all_places() -> list[Place]:
    """All that the registry has, with whoever logs in there by it and by its simulator."""
    markets = [
        Place(name, user)
        for name, kind in sorted(PROVIDERS.items())
        for user in dict.fromkeys((kind.ssh_user, *machines_of(name).users))
    ]
    own = [Place(name, user) for name in sorted(OWN) for user in own_hosts.HAD_FROM]
    return [*markets, *own, Place(SEVERAL, machines_of(rented.SECOND).users[0])]


def site_at(place: Place, ends_at: float) -> AbstractContextManager[Site]:
    """What a place needs, from its simulator on; all of it is gone afterwards."""
    if place.market == SEVERAL:
        return rented.at_several(place.user, ends_at)
    if place.market in own_hosts.SITES:
        return own_hosts.at_own_host(place.market, place.user, ends_at)
    return rented.at_market(place.market, place.user, ends_at)


def run(place: Place) -> Outcome:
    """Deploy there and end it. Whatever goes wrong is told in the outcome."""
    outcome = Outcome()
    try:
        with site_at(place, time.monotonic() + MOST_SECONDS) as site:
            try:
                deploy_and_end(site)
            finally:
                outcome.leaked = len(site.left())
    except (Failed, DaemonError, PodmanError, OSError, ValueError, LookupError) as error:
        outcome.problem = f"{type(error).__name__}: {error}"
    return outcome
