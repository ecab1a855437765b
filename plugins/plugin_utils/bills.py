# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the hosts of a run bill, from the results that callbacks see.

Only the marketplace's side is believed, asked by the controller: a rented host may say anything.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from ansible import constants

from ansible_collections.inferops.gpu.plugins.module_utils.common.plain import plain_line
from ansible_collections.inferops.gpu.plugins.module_utils.market.clock import Clock
from ansible_collections.inferops.gpu.plugins.module_utils.market.errors import UnclearCreate
from ansible_collections.inferops.gpu.plugins.module_utils.market.model import (
    rental_cost_usd,
    rental_since,
)

_RENTS = "inferops.gpu.rental"
#: Whose results tell the price of a host, where they are run on the controller.
_TELLING = tuple(
    f"inferops.gpu.{name}" for name in ("rental", "rental_ready", "rental_extend", "rental_info")
)


class Bills:
    """Rentals by host, with prices; what is expected of them; and requests without an answer."""

    def __init__(self) -> None:
        self._rentals: dict[str, Mapping[str, Any]] = {}
        self._offers: dict[str, Mapping[str, Any]] = {}
        self._asking: set[str] = set()
        # The marketplace's clock, by which rentals begin, minus this one.
        self._ahead = 0.0

    def begin(self, host: str, task: Any) -> None:
        """A host enters a task: one that rents may leave a rental behind without a word."""
        rents = task.action == _RENTS and not task.check_mode
        if rents and task.args.get("state", "present") == "present":
            self._asking.add(host)

    def hear(self, result: Any) -> None:
        """A host leaves a task."""
        host = result.host.get_name()
        told = _told_by_us(result)
        if told is None:
            return
        if result.task.resolved_action == _RENTS and _is_clear(told):
            self._asking.discard(host)
        if "rental" not in told:
            return
        self._ahead = _offset_seconds(told.get("deadline"), self._ahead)
        self._rentals.pop(host, None)
        if "offer" in told or not told["rental"]:
            offer = told.get("offer")
            self._offers[host] = offer if isinstance(offer, Mapping) else {}
        if is_priced(told["rental"]):
            self._rentals[host] = told["rental"]

    def offer(self, host: str) -> Mapping[str, Any]:
        """The offer that the host was rented by; empty where it was there, or nobody told."""
        return self._offers.get(host, {})

    def spent_usd(self, hosts: Iterable[str]) -> float | None:
        """What the rentals of these hosts have cost so far; None where no price is known."""
        rentals = [self._rentals[host] for host in hosts if host in self._rentals]
        now = self._now()
        return sum(rental_cost_usd(rental, now) for rental in rentals) if rentals else None

    def way(self, hosts: Iterable[str]) -> tuple[float, float] | None:
        """Seconds that have gone, and those expected until the first token, of the slowest host."""
        now = self._now()
        ways = [
            (expected_seconds(self.offer(host)), now - rental_since(self._rentals[host]))
            for host in hosts
            if host in self._rentals and expected_seconds(self.offer(host))
        ]
        if not ways:
            return None
        expected, gone = max(ways)
        return gone, expected

    def _now(self) -> float:
        return Clock.from_environment().now() + self._ahead

    def lines(self) -> list[str]:
        """What may bill now, a line for each host. Asks nobody, so that it may be called any time.

        Text of a marketplace comes as one plain line.
        """
        known = [_rental_line(host, one, self) for host, one in sorted(self._rentals.items())]
        asking = [
            f"{host}: a rental request was under way, and nobody has said what became of it"
            for host in sorted(self._asking)
        ]
        return known + asking


def _rental_line(host: str, rental: Mapping[str, Any], bills: Bills) -> str:
    named = plain_line(f"{host}: rental {rental.get('id')} of {rental.get('provider')}", 200)
    spent = bills.spent_usd([host]) or 0.0
    return f"{named}, ${rental['price_usd_per_hour']:.4f} an hour, ${spent:.4f} so far"


def _told_by_us(result: Any) -> Mapping[str, Any] | None:
    """What the marketplace's side has told of one host: None of what a host itself may say."""
    place = result.task.delegate_to or result.host.get_name()
    if not (place in constants.LOCALHOST and result.task.resolved_action in _TELLING):
        return None
    told: Mapping[str, Any] = result.result
    rentals = told.get("rentals")
    if isinstance(rentals, list) and result.task.args.get("name"):
        return {**told, "rental": rentals[0] if rentals else None}
    return told


def _is_clear(told: Mapping[str, Any]) -> bool:
    """Whether a call that rents has said what it has rented. A killed one has not."""
    failure = told.get("failure")
    kind = failure.get("kind") if isinstance(failure, Mapping) else UnclearCreate.__name__
    return "rental" in told or kind != UnclearCreate.__name__


def is_priced(rental: Any) -> bool:
    """Whether a result's `rental` has a price (still), and a time since when it is charged."""
    if not isinstance(rental, Mapping) or not isinstance(rental.get("mark") or {}, Mapping):
        return False
    price = rental.get("price_usd_per_hour")
    times = (rental.get("started_at"), (rental.get("mark") or {}).get("created_at"))
    if not is_number(price) or not all(one is None or is_number(one) for one in times):
        return False
    return bool(rental_since(rental))


def expected_seconds(offer: Any, phase: str = "") -> float:
    """What a result's `offer` lets expect until the first token, or of one phase of the way.

    0 where it does not.
    """
    way = offer.get("first_token") if isinstance(offer, Mapping) else None
    if not isinstance(way, Mapping):
        return 0.0
    phases = way.get("phases")
    told = phases.get(phase) if phase and isinstance(phases, Mapping) else None
    seconds = told if phase else way.get("total_seconds")
    return float(seconds) if seconds is not None and is_number(seconds) else 0.0


def _offset_seconds(deadline: Any, known: float) -> float:
    """By how much the marketplace's clock is ahead, as a result's `deadline` tells it."""
    told = deadline.get("clock_offset_seconds") if isinstance(deadline, Mapping) else None
    return float(told) if isinstance(told, (int, float)) and is_number(abs(told)) else known


def is_number(value: Any) -> bool:
    """Whether *value* is a finite number that is not negative."""
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return number and math.isfinite(value) and value >= 0
