# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an agent may spend: what a fresh plan said, that a person approved, under a cap.

No input or output: the server asks the marketplace and the person, and obeys what this decides.
"""

from __future__ import annotations

import math
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

#: Offers and prices move: what was planned longer ago has to be planned anew.
PLAN_LIVES_SECONDS = 900.0


class Refused(Exception):
    """Nothing is spent; the text says why, and what to do."""


@dataclass(frozen=True)
class Plan:
    """What would be rented: ``offers`` by host, as the dry run of a deploy told them.

    ``wish`` are the variables that it was planned with, ``made_at`` when, in seconds of a clock
    that never goes back.
    """

    id: str
    wish: Mapping[str, Any]
    offers: Mapping[str, Mapping[str, Any]]
    made_at: float

    @property
    def hours(self) -> float:
        """How long the longest may live."""
        return max(float(one["hours"]) for one in self.offers.values())

    @property
    def dearest_usd_per_hour(self) -> float:
        """No host is given a dearer offer, which is rounded up as far as prices are shown."""
        prices = (float(one["price_usd_per_hour"]) for one in self.offers.values())
        return math.ceil(max(prices) * 10_000) / 10_000

    @property
    def budget_usd(self) -> float:
        """What each host may cost until its deadline, failed attempts included."""
        return math.ceil(self.dearest_usd_per_hour * self.hours * 100) / 100

    @property
    def most_usd(self) -> float:
        """What all of them may cost together."""
        return round(self.budget_usd * len(self.offers), 2)

    def limits(self) -> dict[str, Any]:
        """The variables that hold a deploy to it."""
        return {
            "rent_max_price_usd_per_hour": self.dearest_usd_per_hour,
            "rent_budget_usd": self.budget_usd,
            "rent_deadline_hours": self.hours,
        }

    def question(self) -> str:
        """What the person is asked."""
        hosts = [
            f"{name}: {one['gpu_count']} x {one['gpu']} at {one['provider']} for "
            f"{one['price_usd_per_hour']:.4f} dollars per hour, first token after "
            f"{one['first_token_seconds'] / 60:.0f} minutes"
            for name, one in sorted(self.offers.items())
        ]
        models = ", ".join(sorted({str(one["model"]) for one in self.offers.values()}))
        return "\n".join(
            [
                f"An agent wants to rent {len(hosts)} host(s) and serve {models}:",
                *hosts,
                f"It costs at most {self.most_usd:.2f} dollars: each host ends after "
                f"{self.hours:g} hours or {self.budget_usd:.2f} dollars, unless somebody ends it.",
            ]
        )


def still_due_usd(rentals: Iterable[Mapping[str, Any]]) -> dict[str, float]:
    """What each rental of the scope may still cost until its deadline, in dollars, by its name.

    Infinite where price or deadline is not known, for nobody can tell.
    """
    due: dict[str, float] = {}
    for one in rentals:
        if one.get("own"):
            continue
        name = str((one.get("mark") or {}).get("name") or one.get("id"))
        price, left = one.get("price_usd_per_hour"), one.get("remaining_seconds")
        known = price is not None and left is not None
        due[name] = due.get(name, 0.0) + (price * max(left, 0) / 3600 if known else math.inf)
    return due


@dataclass
class Desk:
    """Where plans wait for a person. ``cap_usd`` is the most that all may cost; 0 allows nothing.

    It forgets with its server: what is rented then still counts, by the marketplace's own list.
    """

    cap_usd: float
    _plans: dict[str, Plan] = field(default_factory=dict)
    #: Each once: who plans again is asked again.
    _used: dict[str, Plan] = field(default_factory=dict)

    def plan(
        self, wish: Mapping[str, Any], hosts: Iterable[str], told: Mapping[str, Any], now: float
    ) -> Plan:
        """Note what a dry run told of each host. Raises Refused where it told nothing of one."""
        untold = sorted({*hosts} - {*told})
        if untold:
            raise Refused(
                f"No offer was planned for {', '.join(untold)}: what is rented already is changed "
                "by a person, with playbook inferops.gpu.deploy. Leave it out."
            )
        offers = {name: told[name] for name in hosts}
        endless = sorted(name for name, one in offers.items() if not one.get("hours"))
        if endless:
            raise Refused(f"{', '.join(endless)} would have no deadline: give hours.")
        plan = Plan(secrets.token_hex(6), dict(wish), offers, now)
        self._plans[plan.id] = plan
        return plan

    def allowed(self, plan_id: str, due: Mapping[str, float], now: float) -> Plan:
        """The plan, where its money may be spent once a person agrees. Raises Refused."""
        if plan_id in self._used:
            raise Refused("This plan was carried out already: make a new one.")
        plan = self._plans.get(plan_id)
        if plan is None:
            raise Refused("There is no such plan: make one with tool plan.")
        if now - plan.made_at > PLAN_LIVES_SECONDS:
            raise Refused("This plan is too old, prices have moved since: make a new one.")
        approved = {name for one in self._used.values() for name in one.offers}
        before = sum(usd for name, usd in due.items() if name not in approved)
        committed = before + sum(one.most_usd for one in self._used.values())
        if committed + plan.most_usd > self.cap_usd:
            raise Refused(
                f"This plan may cost {plan.most_usd:.2f} dollars, and {committed:.2f} are "
                f"committed already: more than the cap of {self.cap_usd:.2f} dollars, which only a "
                "person can raise (INFEROPS_MCP_CAP_USD). Nothing was spent."
            )
        return plan

    def spend(self, plan_id: str, due: Mapping[str, float], now: float) -> Plan:
        """Judge it once more and take it off the desk: it is carried out once. Raises Refused."""
        plan = self.allowed(plan_id, due, now)
        self._used[plan_id] = self._plans.pop(plan_id)
        return plan
