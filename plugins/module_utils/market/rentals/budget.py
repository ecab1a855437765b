# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a scope may spend in a month: a rental request that might go beyond it is not sent."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timezone
from typing import Any

from ..costs.courses import Bills, courses, month_of
from ..errors import MarketError, RequestRefused
from ..mark import Mark
from ..model import Charge, Offer, Rental, rate
from ..trail import Allowed
from .account import SHARED_FOR_SECONDS, Account
from .tried import NOTHING_BILLS


class Budget:
    """What may be spent in a calendar month of UTC, by a scope at all of its accounts."""

    def __init__(self, usd: float, scope: str) -> None:
        self._usd, self._scope = usd, scope
        #: Those whose rentals count. Whoever makes one adds it.
        self.accounts: list[Account] = []

    def allows(self, offer: Offer, mark: Mark, now: float) -> Allowed:
        """What refuses *offer* where it would cost too much, by the rows of the audit trail.

        The marketplaces are asked here, and not while others wait for the trail. Raises what they
        raise: who does not know what bills cannot keep a budget.
        """
        rentals = [one for account in self.accounts for one in account.rentals(SHARED_FOR_SECONDS)]
        bills = bills_of(self.accounts, month_of(now)[0])

        def allowed(rows: list[dict[str, Any]]) -> None:
            self._refuse(offer, mark, rows, rentals, bills, now)

        return allowed

    def _refuse(
        self,
        offer: Offer,
        mark: Mark,
        rows: list[dict[str, Any]],
        rentals: list[Rental],
        bills: Bills,
        now: float,
    ) -> None:
        begin, end = month_of(now)
        known = courses(rows, rentals, bills, self._scope, now)
        spent = sum(one.usd_within(begin, end, now) for one in known)
        to_come = sum(one.still_to_come_usd(now, end) for one in known)
        until = min(mark.deadline, end) if mark.deadline else end
        wanted = max(0.0, until - now) / 3600 * offer.price_usd_per_hour
        if spent + to_come + wanted <= self._usd:
            return
        month = f"{datetime.fromtimestamp(now, timezone.utc):%Y-%m}"
        raise RequestRefused(
            f"{mark.name} may cost {wanted:.2f} dollars in {month} "
            f"({rate(offer.price_usd_per_hour)}). Of the {self._usd:.2f} that scope {self._scope} "
            f"may spend in it, {spent:.2f} are spent, and {to_come:.2f} will be by what is rented.",
            remedy="Raise monthly_budget_usd (inferops_monthly_budget_usd), give it a shorter life "
            "(rent_deadline_hours), or end what nobody needs: playbook inferops.gpu.costs tells "
            "what costs what.",
            money=NOTHING_BILLS,
        )


def bills_of(accounts: Iterable[Account], since: float) -> Bills:
    """What was charged after *since*, where providers tell.

    One that does not answer is a doubt of its account: trail and listing know the most of it.
    """
    found: dict[tuple[str, str], Charge] = {}
    for account in accounts:
        try:
            found |= account.charges(since)
        except MarketError as error:
            account.doubt(f"What was billed is not known: {error.cause}")
    return Bills(since, found)
