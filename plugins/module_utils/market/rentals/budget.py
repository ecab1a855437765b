# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a scope may spend in a month: a rental request that might go beyond it is not sent."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timezone
from typing import Any

from ..costs.courses import Bills, Known, courses, month_of, month_usd
from ..errors import MarketError, RequestRefused
from ..mark import Mark
from ..model import Charge, rate
from ..trail import Allowed
from .account import SHARED_FOR_SECONDS, Account


class Budget:
    """What may be spent in a calendar month of UTC, by a scope at all of its accounts.

    It lives for one call of a module.
    """

    def __init__(self, usd: float, scope: str) -> None:
        self._usd, self._scope = usd, scope
        #: Those whose rentals count. Whoever makes one adds it.
        self.accounts: list[Account] = []
        self._bills: Bills | None = None

    def allows(self, price_usd_per_hour: float | None, mark: Mark, now: float) -> Allowed:
        """What refuses to let something run until its deadline, by the rows of the audit trail.

        The marketplaces are asked here, and not while others wait for the trail. Raises what they
        raise: who does not know what bills cannot keep a budget.
        """
        known = known_at(self.accounts)
        self._bills = self._bills or bills_of(self.accounts, month_of(now)[0])
        bills, price = self._bills, price_usd_per_hour or 0.0

        def allowed(rows: list[dict[str, Any]]) -> None:
            self._refuse(price, mark, courses(rows, known, bills, self._scope, now), now)

        return allowed

    def _refuse(self, price: float, mark: Mark, known: list[Any], now: float) -> None:
        end = month_of(now)[1]
        spent, to_come = month_usd(known, now)
        until = min(mark.deadline, end) if mark.deadline else end
        wanted = max(0.0, until - now) / 3600 * price
        if spent + to_come + wanted <= self._usd:
            return
        month = f"{datetime.fromtimestamp(now, timezone.utc):%Y-%m}"
        raise RequestRefused(
            f"{mark.name} may cost {wanted:.2f} dollars in {month} ({rate(price)}). Of the "
            f"{self._usd:.2f} that scope {self._scope} may spend in it, {spent:.2f} are spent, and "
            f"{to_come:.2f} will be by what is rented.",
            remedy="Raise monthly_budget_usd (inferops_monthly_budget_usd), give it a shorter life "
            "(rent_deadline_hours), or end what nobody needs: playbook inferops.gpu.costs tells "
            "what costs what.",
        )


def known_at(accounts: Iterable[Account]) -> Known:
    """What is rented at all of them now, whosever it is: people write into labels."""
    asked = list(accounts)
    listed = [one for account in asked for one in account.listed(SHARED_FOR_SECONDS)]
    return Known(listed, frozenset(account.provider_name for account in asked))


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
