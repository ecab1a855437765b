# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How long a rental may bill: by hours, or by dollars over its rate, whichever is sooner."""

from __future__ import annotations

from dataclasses import dataclass, replace

from ...common.ranges import MOST_HOURS
from ..errors import RequestRefused
from ..mark import Mark

#: Wishes that differ by less are the same: prices waver, and a deploy must not follow them.
_SAME_SHARE = 0.02
#: Less than this is no lifetime: a host needs longer to boot.
_LEAST_SECONDS = 10
#: A budget that is used up is not one of 0, which would set no limit.
_LEAST_BUDGET_USD = 0.0001


@dataclass(frozen=True)
class Lifetime:
    """What was asked for. ``hours`` and ``budget_usd`` of 0 set no limit.

    ``spent_usd`` is what earlier attempts have taken from the budget. It ends a rental sooner, and
    makes no other wish: a later deploy, which has spent nothing, must not give it back.
    """

    hours: float
    budget_usd: float
    unlimited: bool = False
    spent_usd: float = 0.0

    def less(self, usd: float) -> Lifetime:
        """The same wish with so many dollars less to spend, such as those for downloads."""
        return replace(self, spent_usd=self.spent_usd + usd)

    def seconds(self, price_usd_per_hour: float | None) -> int:
        """The lifetime wished for at this price; 0 is none, which needs an explicit yes."""
        return self._seconds(price_usd_per_hour, self.budget_usd)

    def seconds_left(self, price_usd_per_hour: float | None) -> int:
        """The lifetime at this price that what was spent has left."""
        left = max(self.budget_usd - self.spent_usd, _LEAST_BUDGET_USD) if self.budget_usd else 0.0
        return self._seconds(price_usd_per_hour, left)

    def _seconds(self, price_usd_per_hour: float | None, budget_usd: float) -> int:
        limits = []
        if self.hours:
            limits.append(self.hours * 3600)
        if budget_usd and price_usd_per_hour:
            limits.append(budget_usd / price_usd_per_hour * 3600)
        if not limits and not self.unlimited:
            raise RequestRefused(
                "A rental without a deadline bills until somebody remembers it.",
                remedy="Set deadline_hours or budget_usd, or say no_deadline: true.",
                money="Nothing was rented.",
            )
        return max(_LEAST_SECONDS, int(min(*limits, MOST_HOURS * 3600))) if limits else 0


def is_new_wish(mark: Mark, lifetime_seconds: int) -> bool:
    """Whether *lifetime_seconds* is another wish than the one that *mark* was made from."""
    if not mark.lifetime_seconds or not lifetime_seconds:
        return mark.lifetime_seconds != lifetime_seconds
    return abs(lifetime_seconds - mark.lifetime_seconds) > _SAME_SHARE * mark.lifetime_seconds
