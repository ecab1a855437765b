# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts that are rented: at one marketplace, or at the second of two, where the first has none."""

from __future__ import annotations

import contextlib
import tempfile
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ansible_collections.inferops.gpu.plugins.module_utils.market.providers.registry import (
    PROVIDERS,
)
from tests.drills.listing import require
from tests.integration.plays import Controller, Run
from tests.markets.site import IN_IMAGE, SERVER_KEY, Site
from tests.simulator import daemon
from tests.simulator.app import dialect_of

#: Of two marketplaces, the one whose offers come first, and the one that has something left.
FIRST, SECOND = "vastai", "shadeform"
#: What some marketplaces want to be told: one of them ends no rental later than after 12 hours.
WISHES = {"inferops_reaper": True, "rent_deadline_hours": 8}
#: Every request to rent is answered so.
NO_CAPACITY = {"kind": "reply", "on": "create", "saying": "offer gone", "times": 100_000}
BOOT_SECONDS = 1.0


@dataclass
class Rented(Site):
    """A host of a simulated marketplace, by the variables of its account."""

    account: dict[str, Any] = field(default_factory=dict)

    def play(self, playbook: str | Path) -> Run:
        """Run it as its renter would."""
        return self.markets[0].play(
            playbook,
            secret={"inferops_server_api_key": SERVER_KEY},
            most_seconds=self.left_seconds,
            **{**self.account, **WISHES, **IN_IMAGE},
        )

    def check_end(self, told: str) -> None:
        """Fail unless all of it is gone."""
        for words in ("Server: stopped, proven.", "Released and proven gone"):
            require(words in told, f"teardown did not say {words!r}: {told}")
        left = self.left()
        require(not left, f"it says that all is gone, and there is {left}")


@contextlib.contextmanager
def market(provider: str, folder: Path, **settings: Any) -> Iterator[Controller]:
    """A simulated marketplace with a controller below *folder*; it is gone afterwards."""
    instance = daemon.Instance(f"markets-{uuid.uuid4().hex[:8]}", folder / provider)
    try:
        started = daemon.start(instance, 0, 0, True, provider)
        made = Controller(folder, instance, started["url"], started["hub_url"])
        made.simulator("POST", "settings", {"boot_seconds": BOOT_SECONDS, **settings})
        yield made
    finally:
        daemon.stop(instance)


@contextlib.contextmanager
def scratch() -> Iterator[Path]:
    """A folder for a controller and what it speaks to."""
    with tempfile.TemporaryDirectory(prefix="inferops-markets-", ignore_cleanup_errors=True) as one:
        yield Path(one)


@contextlib.contextmanager
def at_market(provider: str, user: str, ends_at: float) -> Iterator[Site]:
    """One marketplace."""
    with scratch() as folder, market(provider, folder, login=user, engine=True) as made:
        given = {f"inferops_{name}": value for name, value in account(provider, made).items()}
        yield Rented([made], user, ends_at, given)


@contextlib.contextmanager
def at_several(user: str, ends_at: float, engine: bool = True) -> Iterator[Site]:
    """Two of them, of which the first refuses each request to rent for want of capacity."""
    with scratch() as folder, contextlib.ExitStack() as stack:
        first, second = (
            stack.enter_context(market(one, folder, engine=engine)) for one in (FIRST, SECOND)
        )
        first.simulator("POST", "faults", [NO_CAPACITY])
        accounts = [account(one, made) for one, made in ((FIRST, first), (SECOND, second))]
        given = {
            "inferops_accounts": accounts,
            "inferops_scope_secret": "of-this-scope-alone-20",
            # One for each: what comes first must not use up both.
            "rent_max_attempts": 2,
        }
        yield Several([first, second], user, ends_at, given)


class Several(Rented):
    """The rental begins at the first and ends at the second."""

    def container(self) -> str:
        """That of the host, once both markets have been asked for one."""
        first, second = self.markets
        refused = first.simulator("GET", "faults")["planned"][0]["met"]
        require(refused, f"nothing was asked of {FIRST}, which was to be first")
        require(second.rentals(), f"nothing is rented at {SECOND}")
        return super().container()


def account(provider: str, made: Controller) -> dict[str, str]:
    """An account at a marketplace, in the options of the product."""
    path = urlsplit(PROVIDERS[provider].default_url).path
    known = dialect_of(provider).credentials
    return {"provider": provider, **known, "api_url": f"{made.url}{path}"}
