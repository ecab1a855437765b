# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Why no offer fulfils a wish: what most of them fail by, and the one that comes nearest."""

from __future__ import annotations

from collections.abc import Sequence

from ..errors import MarketError, RequestRefused
from ..gpus import gpu_key
from ..model import Offer, rate
from ..wish import Wish
from .gpu_names import names_alike
from .shared_search import SharedSearch

_WIDEN = "Widen it: fewer countries, another GPU, a higher maximum price, unverified hosts."


def nothing_fits(search: SharedSearch, wish: Wish, offers: Sequence[Offer]) -> RequestRefused:
    """The refusal for a wish that none of *offers*, its search's, fulfils."""
    name = search.provider.name
    if offers:
        return RequestRefused(
            f"None of {len(offers)} offers of {name} fulfils the wish. {_told(wish, offers)}",
            remedy=" ".join(filter(None, (_meant(wish, offers), "Relax the first ones."))),
        )
    # The marketplace has left out all of them by itself, and says of none why.
    others = _with_as_many_gpus(search, wish)
    count = f"{wish.gpu_count} GPUs"
    told = f" Of {len(others)} with {count}: {_told(wish, others)}" if others else ""
    if others == []:
        told = f" It has none with {count} at all."
    remedy = " ".join(filter(None, (_meant(wish, others or ()), _WIDEN)))
    return RequestRefused(f"{name} has no offer for this wish.{told}", remedy=remedy)


def _meant(wish: Wish, offers: Sequence[Offer]) -> str:
    """What may be meant by names of GPUs that no offer has, where nobody told all names before."""
    known = {gpu_key(one.gpu_name): one.gpu_name for one in offers if one.gpu_name}
    keys = [key for key in map(gpu_key, wish.gpu_names) if key not in known]
    alike = dict.fromkeys(name for key in keys for name in names_alike(key, known.values()))
    return f"Did you mean {' or '.join(alike)}?" if alike else ""


def _with_as_many_gpus(search: SharedSearch, wish: Wish) -> list[Offer] | None:
    """All offers that have as many; None where nobody says."""
    bare = Wish(gpu_count=wish.gpu_count, disk_gib=wish.disk_gib, verified=False)
    try:
        return search.offers(bare)
    except MarketError:
        return None


def _told(wish: Wish, offers: Sequence[Offer]) -> str:
    _matches, reasons = wish.select(offers)
    most_first = sorted(reasons.items(), key=lambda item: -item[1])
    counted = ", ".join(f"{reason} ({count})" for reason, count in most_first)
    nearest = min(offers, key=lambda one: (len(wish.misses(one)), one.price_usd_per_hour))
    fails_by = ", ".join(wish.misses(nearest)) or "filter"
    return (
        f"They fail by: {counted}. The nearest is offer {nearest.id}, {nearest.gpu_count} x "
        f"{nearest.gpu_name or 'a GPU that is not named'} in {nearest.country or 'no country'} for "
        f"{rate(nearest.price_usd_per_hour)}, which fails by: {fails_by}."
    )
