# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The audit trail: a line for everything that spent, changed or released, of any controller's file.

It proves nothing and guards no rental: the provider's list does. A file that cannot be written
costs a warning, never a release. What is spent on, and what was, is reckoned from it in ``costs``.
"""

from __future__ import annotations

import getpass
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from .lines import UNUSABLE, Lines, why
from .mark import Mark
from .model import Offer, Rental

#: A rental request is about to be sent, at its offer's price; it was refused; or it has rented
#: something, at the price that is charged. One without an answer may have been carried out.
REQUESTED, REFUSED, RENTED = "requested", "refused", "rented"
#: Its deadline moved; it stands still, or runs again.
MOVED, STOPPED, STARTED = "moved", "stopped", "started"
#: It was released, and proven gone.
RELEASED = "released"
EVENTS = (REQUESTED, REFUSED, RENTED, MOVED, STOPPED, STARTED, RELEASED)

#: Lines are about 400 bytes: what was done to some twenty thousand rentals.
_MOST_BYTES = 32 * 1024**2

#: Raises RequestRefused where what a line says must not be done, by the lines before it.
Allowed = Callable[[list[dict[str, Any]]], None]


@dataclass(frozen=True)
class Who:
    """Who acts: the ``operator``, and the ``job`` that runs for them, such as one of AWX."""

    operator: str = ""
    job: str = ""

    @classmethod
    def of(cls, operator: str | None, job: str | None) -> Who:
        """Without an operator it is the user of this machine, who may have no name."""
        try:
            return cls(operator or getpass.getuser(), job or "")
        except (KeyError, OSError):
            return cls("", job or "")


@dataclass(frozen=True)
class Trail:
    """Where a controller writes down what it does; nowhere without ``lines``.

    ``warn`` gets a sentence for each line that could not be written.
    """

    lines: Lines | None = None
    who: Who = field(default_factory=Who)
    warn: Callable[[str], None] = lambda sentence: None

    @classmethod
    def at(
        cls, path: str | None, who: Who, warn: Callable[[str], None] = lambda sentence: None
    ) -> Trail:
        """The trail in the file at *path*; none without one."""
        return cls(Lines(path, _MOST_BYTES) if path else None, who, warn)

    def rows(self) -> list[dict[str, Any]]:
        """What was written so far, oldest first. Raises one of UNUSABLE."""
        return self.lines.read() if self.lines else []

    def known_rows(self) -> list[dict[str, Any]]:
        """The same; none, and a warning, where that cannot be read."""
        try:
            return self.rows()
        except UNUSABLE as error:
            self._warn_of(error)
            return []

    def requested(self, offer: Offer, mark: Mark, at: float, allowed: Allowed | None) -> None:
        """A rental request is about to be sent, where it is *allowed* by what is written so far.

        Nobody else writes meanwhile: of two that ask for the last dollar one gets it.
        """
        judged = False
        try:
            if self.lines is not None:
                with self.lines.locked() as file:
                    rows = file.read() if allowed else []
                    judged = True
                    if allowed:
                        allowed(rows)
                    file.add(self._row(REQUESTED, at, _asked(offer, mark)))
        except UNUSABLE as error:
            self._warn_of(error)
        if allowed and not judged:
            allowed([])

    def answered(
        self, event: str, offer: Offer, mark: Mark, at: float, rental_id: str = ""
    ) -> None:
        """A rental request was refused, or has rented something."""
        self._add(self._row(event, at, {**_asked(offer, mark), "rental": rental_id}))

    def changed(self, event: str, rental: Rental, at: float) -> None:
        """Something became of *rental*, which is shown as it is since then."""
        self._add(self._row(event, at, row_of(rental)))

    def released(self, provider: str, rental_id: str, known: Rental | None, at: float) -> None:
        """A rental was proven gone. *known* is how it was shown before, if anybody has seen it."""
        row = row_of(known) if known else {"provider": provider, "rental": rental_id}
        self._add(self._row(RELEASED, at, row))

    def _row(self, event: str, at: float, row: Mapping[str, Any]) -> dict[str, Any]:
        who = {"operator": self.who.operator, "job": self.who.job}
        return {"time": at, "event": event, **who, **row}

    def _add(self, row: Mapping[str, Any]) -> None:
        if self.lines is None:
            return
        try:
            with self.lines.locked() as file:
                file.add(row)
        except UNUSABLE as error:
            self._warn_of(error)

    def _warn_of(self, error: Exception) -> None:
        path = self.lines.path if self.lines else ""
        self.warn(
            f"The audit trail at {path} cannot be used ({why(error)}), so it lacks "
            "what is done here, and nothing is known by it."
        )


def row_of(rental: Rental) -> dict[str, Any]:
    """A rental as a row has it, without what became of it and when."""
    return {
        **_of_mark(rental.mark),
        "provider": rental.provider,
        "rental": rental.id,
        "machine": rental.machine_id,
        "gpu": rental.gpu_name,
        "gpu_count": rental.gpu_count,
        "status": rental.status,
        "price_usd_per_hour": rental.price_usd_per_hour,
        "stopped_usd_per_hour": rental.stopped_usd_per_hour,
        "since": rental.since,
    }


def _asked(offer: Offer, mark: Mark) -> dict[str, Any]:
    return {
        **_of_mark(mark),
        "provider": offer.provider,
        "rental": "",
        "machine": offer.machine_id,
        "gpu": offer.gpu_name,
        "gpu_count": offer.gpu_count,
        "price_usd_per_hour": offer.price_usd_per_hour,
    }


def _of_mark(mark: Mark | None) -> dict[str, Any]:
    if mark is None:
        return {}
    return {
        "scope": mark.scope,
        "name": mark.name,
        "nonce": mark.nonce,
        "created_at": mark.created_at,
        "deadline": mark.deadline,
    }
