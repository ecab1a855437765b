# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One listing for many hosts: whoever needs it first asks, the others read the answer.

A shared listing is never older than what its reader allows, and never proves absence. Where it
cannot be shared, for its file or for who holds it, everybody asks.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from ..clock import Clock
from ..model import Rental
from ..shared_file import SharedFile

#: No list has been seen to be behind for longer.
_BEHIND_SECONDS = 900.0


class SharedListing:
    """The rentals of one account as last listed by any process of this controller.

    ``ask`` gets the ids that the listing before has shown, each with the mark that it was known by
    or an empty text, and returns the new listing.
    """

    def __init__(self, file: SharedFile | None, clock: Clock) -> None:
        self._file = file
        self._clock = clock

    def get(self, not_before: float, ask: Callable[[dict[str, str]], list[Rental]]) -> list[Rental]:
        """A listing that was asked for at *not_before* (epoch seconds) or later."""
        if self._file is None:
            return ask({})
        rentals: list[Rental] | None = None
        try:
            # The lock is held while asking: the others wait for this answer instead of asking too.
            with self._file.locked() as kept:
                rentals = self._kept(kept, not_before)
                if rentals is None:
                    asked_at = self._clock.now()
                    rentals = ask(_seen(kept))
                    kept["asked_at"] = asked_at
                    kept["rentals"] = [rental.to_dict() for rental in rentals]
                    marks = {rental.id: rental.mark for rental in rentals}
                    kept["seen"] = {
                        one: mark.encode() if mark else "" for one, mark in marks.items()
                    }
                    if rentals:
                        kept["known_since"] = _known_since(kept) or asked_at
        except OSError:
            # What was asked for is good even when it could not be kept.
            return ask({}) if rentals is None else rentals
        return rentals

    def last(self) -> list[Rental]:
        """The listing that was kept last, however old; empty where none is. It proves nothing."""
        if self._file is None:
            return []
        try:
            with self._file.locked() as kept:
                return [Rental.from_dict(data) for data in kept.get("rentals") or []]
        except (OSError, KeyError, TypeError, ValueError, AttributeError):
            return []

    def remembers(self) -> bool:
        """Whether this controller knew what is rented there before any list that may be behind.

        Then a list that misses some of it is noticed.
        """
        if self._file is None:
            return False
        try:
            with self._file.locked() as kept:
                known_since = _known_since(kept)
        except OSError:
            return False
        return bool(known_since) and self._clock.now() - known_since >= _BEHIND_SECONDS

    def forget(self, released: str = "") -> None:
        """Let nobody use what was listed before now: a rental request or a release has changed it.

        *released* was proven gone and will not be missed.
        """
        if self._file is None:
            return
        try:
            with self._file.locked() as kept:
                seen = {one: mark for one, mark in _seen(kept).items() if one != released}
                known_since = _known_since(kept)
                kept.clear()
                kept |= {"seen": seen, "known_since": known_since}
        except OSError:
            # It may go on holding the old listing.
            self._file = None

    def _kept(self, kept: dict[str, Any], not_before: float) -> list[Rental] | None:
        """The listing in the file, None when it is too old or was damaged."""
        try:
            if not_before <= float(kept.get("asked_at", 0.0)) <= self._clock.now():
                return [Rental.from_dict(data) for data in kept["rentals"]]
        except (KeyError, TypeError, ValueError, AttributeError):
            pass
        return None


def _known_since(kept: dict[str, Any]) -> float:
    """When this controller first saw something rented; 0 for never, and for what makes no sense."""
    told = kept.get("known_since")
    return float(told) if isinstance(told, (int, float)) and math.isfinite(told) else 0.0


def _seen(kept: dict[str, Any]) -> dict[str, str]:
    """The ids of the listing before and their marks, as far as the file was not damaged."""
    seen = kept.get("seen")
    told = seen.items() if isinstance(seen, dict) else ()
    return {one: mark for one, mark in told if isinstance(mark, str)}
