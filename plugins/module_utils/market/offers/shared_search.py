# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One search for many hosts: whoever needs it first asks, the others read the answer.

Searches are the calls that providers ration most. What others have taken since is found out by the
request, which every offer but the first of a play faces anyway; machines that hosts of this play
rent are told by claims and by the list of rentals.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from typing import Any

from ..clock import Clock
from ..model import Offer
from ..providers.provider import Provider
from ..shared_file import SharedFile
from ..wish import Wish

#: Of offers that were listed, a fifth was gone after six hours; the hosts of a large play come to
#: their searches within this time.
SHARED_FOR_SECONDS = 60.0


class SharedSearch:
    """The offers of one account by wish, as last searched for by any process of this controller.

    Without a file each search asks the provider.
    """

    def __init__(self, provider: Provider, file: SharedFile | None, clock: Clock) -> None:
        self.provider = provider
        self._file = file
        self._clock = clock

    def offers(self, wish: Wish) -> list[Offer]:
        """Offers that may suit *wish*, at most a minute old; the caller checks each one again."""
        asked = wish.searched
        if self._file is None:
            return self.provider.search(asked)
        offers: list[Offer] | None = None
        try:
            # The lock is held while asking: the others wait for this answer instead of asking too.
            with self._file.locked() as kept:
                self._drop_old(kept)
                offers = _offers(kept.get(_key(asked)))
                if offers is None:
                    asked_at = self._clock.now()
                    offers = self.provider.search(asked)
                    kept[_key(asked)] = {
                        "asked_at": asked_at,
                        "offers": [offer.to_dict() for offer in offers],
                    }
        except OSError:
            # What was asked for is good even when it could not be kept.
            return self.provider.search(asked) if offers is None else offers
        return offers

    def forget(self) -> None:
        """Let nobody use what was found before now: an offer in it has proven to be gone."""
        if self._file is None:
            return
        try:
            with self._file.locked() as kept:
                kept.clear()
        except OSError:
            # It may go on holding the old offers.
            self._file = None

    def _drop_old(self, kept: dict[str, Any]) -> None:
        now = self._clock.now()
        for key, search in list(kept.items()):
            asked_at = search.get("asked_at") if isinstance(search, dict) else None
            sound = isinstance(asked_at, (int, float))
            if not sound or not now - SHARED_FOR_SECONDS <= float(asked_at or 0) <= now:
                del kept[key]


def _key(wish: Wish) -> str:
    return hashlib.sha256(json.dumps(asdict(wish), sort_keys=True).encode()).hexdigest()[:16]


def _offers(search: Any) -> list[Offer] | None:
    """The offers of a search in the file, None when there is none or it was damaged."""
    try:
        return [Offer.from_dict(data) for data in search["offers"]]
    except (KeyError, TypeError, ValueError):
        return None
