# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which machines the hosts of one play are renting right now, so that no two want the same."""

from __future__ import annotations

import contextlib
from typing import Any

from ..clock import Clock
from ..shared_file import SharedFile

#: From the choice of an offer until its rental is listed; after that the listing tells.
_CREATE_SECONDS = 300.0


class Claims:
    """Machines by who has claimed them and until when, shared by one controller's processes."""

    def __init__(self, file: SharedFile | None, clock: Clock) -> None:
        self._file = file
        self._clock = clock

    def take(self, machine_id: str | None, holder: str) -> bool:
        """Claim a machine for *holder*; whether nobody else is known to hold it.

        Where a provider does not tell machines apart, nobody is in anybody's way.
        """
        if self._file is None or not machine_id:
            return True
        with contextlib.suppress(OSError), self._file.locked() as claims:
            self._drop_old(claims)
            if machine_id in claims and claims[machine_id]["holder"] != holder:
                return False
            claims[machine_id] = {
                "holder": holder,
                "until": self._clock.now() + _CREATE_SECONDS,
            }
        return True

    def drop(self, machine_id: str | None, holder: str) -> None:
        """Let others have a machine that *holder* did not get."""
        if self._file is None or not machine_id:
            return
        with contextlib.suppress(OSError), self._file.locked() as claims:
            self._drop_old(claims)
            if machine_id in claims and claims[machine_id]["holder"] == holder:
                del claims[machine_id]

    def _drop_old(self, claims: dict[str, Any]) -> None:
        now = self._clock.now()
        for machine_id, claim in list(claims.items()):
            if not _holds(claim, now):
                del claims[machine_id]


def _holds(claim: Any, now: float) -> bool:
    """Whether *claim* is one that has not ended. A damaged file may have anything else."""
    try:
        # One that lasts longer than any can was made by another clock.
        return bool(claim["holder"]) and now < claim["until"] <= now + _CREATE_SECONDS
    except (TypeError, KeyError):
        return False
