# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The control API under /simulator/: how tests and the demo steer the simulated market."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.simulator.access import STATES
from tests.simulator.faults import Faults
from tests.simulator.journal import Journal
from tests.simulator.kinds import KINDS
from tests.simulator.market import Market, Rental
from tests.simulator.offers import DEFAULT_SEED
from tests.simulator.web import Reply, Request, json_reply


def known_state(name: str) -> str:
    """Return the name of a state of the account. Raises ValueError."""
    if name not in STATES:
        raise ValueError(f"unknown account state {name!r}; known: {', '.join(STATES)}")
    return name


SETTINGS: dict[str, Callable[[Any], Any]] = {
    "boot_seconds": float,  # of the next rentals, in real seconds
    "credit_usd": float,
    "account": known_state,
    "rate_limits": bool,
    "strangers": int,
    "login": str,  # on the next hosts; empty is the usual one
    "engine": bool,  # whatever image they are of, the next hosts have an inference server
}


class Control:
    """Answers every request under /simulator/; loopback only, no key."""

    def __init__(
        self, market: Market, faults: Faults, journal: Journal, renew: Callable[[], None]
    ) -> None:
        self.market, self.faults, self.journal, self.renew = market, faults, journal, renew
        self.routes: dict[tuple[str, str], Callable[[Any], Any]] = {
            ("GET", "state"): self.state,
            ("POST", "clock"): self.clock,
            ("POST", "settings"): self.settings,
            ("GET", "faults"): self.planned_faults,
            ("POST", "faults"): self.plan_faults,
            ("GET", "requests"): lambda _given: self.journal.entries(),
            ("DELETE", "requests"): self.forget_requests,
            ("POST", "reset"): self.reset,
        }

    def answer(self, request: Request) -> Reply:
        """Answer one request; 400 with the reason for a wrong value."""
        name = request.path.removeprefix("/simulator/").strip("/")
        route = self.routes.get((request.method, name))
        if route is None:
            known = ", ".join(f"{method} /simulator/{path}" for method, path in self.routes)
            return json_reply({"error": f"unknown; there are: {known}"}, 404)
        try:
            return json_reply(route(request.json()))
        except (ValueError, TypeError, AttributeError) as reason:
            return json_reply({"error": str(reason)}, 400)

    def state(self, _given: Any = None) -> dict[str, Any]:
        """The truth: rentals with their bills, those that have ended, containers, credit, time."""
        with self.market.lock:
            self.market.settle()
            rentals = [
                {
                    **named(rental),
                    "offer_id": rental.offer["id"],
                    "machine_id": rental.offer["machine_id"],
                    "status": rental.status,
                    "intended": rental.intended,
                    "ports": rental.ports,
                    "gpu_usd": rental.gpu_usd,
                    "storage_usd": rental.storage_usd,
                }
                for rental in self.market.rentals.values()
            ]
            told = {
                "now": self.market.clock.now(),
                "scale": self.market.clock.scale,
                "seed": self.market.seed,
                **{name: getattr(self.market, name) for name in SETTINGS},
                "too_frequent": self.market.too_frequent,
                "verdict": verdict(self.market),
                "rentals": rentals,
                "history": [
                    {**named(rental), "ended_at": rental.settled_at} for rental in self.market.ended
                ],
            }
        return {**told, "containers": self.market.hosts.names()}

    def clock(self, given: dict[str, Any]) -> dict[str, Any]:
        """``advance_seconds`` jumps, ``scale`` sets the speed."""
        check_names(given, "advance_seconds", "scale")
        if "advance_seconds" in given:
            self.market.advance(float(given["advance_seconds"]))
        if "scale" in given:
            self.market.rescale(float(given["scale"]))
        return {"now": self.market.clock.now(), "scale": self.market.clock.scale}

    def settings(self, given: dict[str, Any]) -> dict[str, Any]:
        """Change settings of the market; all of them come back."""
        check_names(given, *SETTINGS)
        checked = {name: SETTINGS[name](value) for name, value in given.items()}
        for name, value in checked.items():
            setattr(self.market, name, value)
        return {name: getattr(self.market, name) for name in SETTINGS}

    def planned_faults(self, _given: Any) -> dict[str, Any]:
        """What was planned last, how often each was met already, and what could be planned."""
        planned = [vars(fault) for fault in self.faults.planned]
        return {"planned": planned, "kinds": {name: k.parameters for name, k in KINDS.items()}}

    def plan_faults(self, given: list[dict[str, Any]]) -> dict[str, Any]:
        """Replace the planned faults by a list of them."""
        self.faults.replace(given)
        return self.planned_faults(None)

    def forget_requests(self, _given: Any) -> dict[str, Any]:
        """Empty the request log."""
        self.journal.clear()
        return {"requests": 0}

    def reset(self, given: dict[str, Any]) -> dict[str, Any]:
        """Destroy all rentals; fresh offers of ``seed``, account, clock, faults and log."""
        check_names(given, "seed")
        self.market.reset(int(given.get("seed", DEFAULT_SEED)))
        self.renew()
        self.faults.replace([])
        self.journal.clear()
        return self.state()


def named(rental: Rental) -> dict[str, Any]:
    """What is told of every rental, whether it has ended or not."""
    return {
        "id": rental.id,
        "label": rental.label,
        "stranger": rental.stranger,
        "created_at": rental.created_at,
        "charged_usd": rental.charged_usd,
    }


def verdict(market: Market) -> str:
    """One line: what still bills the account, and what all has cost until now."""
    ours = [rental for rental in market.rentals.values() if not rental.stranger]
    ended = [rental for rental in market.ended if not rental.stranger]
    cost = f"{sum(rental.charged_usd for rental in ours + ended):.4f} dollars until now"
    if not ours:
        return f"nothing bills; {len(ended)} ended; {cost}"
    rate = sum(sum(rental.usd_per_hour) for rental in ours)
    which = ", ".join(
        f"{rental.id} ({rental.label or 'no label'}, {rental.status or 'no status yet'})"
        for rental in ours
    )
    bills = "rental bills" if len(ours) == 1 else "rentals bill"
    return f"{len(ours)} {bills} {rate:.4f} dollars an hour: {which}; {len(ended)} ended; {cost}"


def check_names(given: dict[str, Any], *known: str) -> None:
    """Refuse a name that means nothing. Raises ValueError."""
    unknown = set(given) - set(known)
    if unknown:
        raise ValueError(f"unknown: {', '.join(sorted(unknown))}; known: {', '.join(known)}")
