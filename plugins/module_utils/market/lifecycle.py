# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The life of a rental, once for all providers: find it, rent it, prove it gone."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Callable

from .clock import Clock
from .errors import (
    AttemptsExhausted,
    CredentialError,
    MarketError,
    OfferGone,
    UnclearCreate,
    UnprovenAbsence,
)
from .mark import Mark, check_word
from .model import Offer, Order, Rental
from .provider import Provider
from .ranking import RankedOffer

#: How long a new rental may stay out of the listing, and how often to look.
_LISTING_LAG_SECONDS = 30.0
_LOOK_EVERY_SECONDS = 3.0
#: Gone means seen absent twice, this far apart, within this budget.
_ABSENCE_GAP_SECONDS = 2.0
_ABSENCE_BUDGET_SECONDS = 60.0


@dataclass
class Rented:
    """The result of :meth:`Lifecycle.rent`.

    ``own`` is false when another controller's older rental of the same name won.
    """

    rental: Rental
    offer: RankedOffer
    own: bool
    attempts: list[dict[str, Any]] = field(default_factory=list)


class Lifecycle:
    """Rentals of one scope on one provider. ``notify`` gets one line for each decision."""

    def __init__(
        self,
        provider: Provider,
        scope: str,
        clock: Clock | None = None,
        notify: Callable[[str], None] = lambda line: None,
    ) -> None:
        self._provider = provider
        self._scope = check_word("Scope", scope)
        self._clock = clock or Clock()
        self._notify = notify

    def rentals(self) -> list[Rental]:
        """Every rental of the scope, oldest first."""
        mine = (
            rental
            for rental in self._provider.list_rentals()
            if rental.mark and rental.mark.scope == self._scope
        )
        return sorted(mine, key=_age)

    def find(self, name: str) -> list[Rental]:
        """Every rental of one name, oldest first; more than one is a duplicate."""
        return [rental for rental in self.rentals() if rental.mark and rental.mark.name == name]

    def rent(self, ranked: list[RankedOffer], order: Order) -> Rented:
        """Rent the first offer that can be had.

        Each create carries the order's mark and is sent once. After an unclear answer the
        listing decides. Once a create may have taken effect, every failure is an UnclearCreate;
        before that it is AttemptsExhausted or what the provider raises.
        """
        attempts: list[dict[str, Any]] = []
        for candidate in ranked:
            try:
                rental_id = self._create(candidate.offer, order)
            except OfferGone as error:
                self._notify(f"offer {candidate.offer.id} is gone, taking the next one")
                attempts.append(_attempt(candidate.offer, "gone", str(error)))
                continue
            attempts.append(_attempt(candidate.offer, "rented", ""))
            rental = self._settle(order.mark, rental_id)
            own = rental.mark is not None and rental.mark.nonce == order.mark.nonce
            return Rented(rental, candidate, own, attempts)
        raise AttemptsExhausted(
            f"None of {len(attempts)} offers could be rented: each was taken meanwhile. "
            "Run again, or widen the wish.",
            attempts,
        )

    def release(self, rental: Rental) -> None:
        """End *rental* and prove it; raises UnprovenAbsence when that cannot be done.

        Neither a hiccup of the provider nor a release without effect ends the attempt: only the
        budget does.
        """
        seen_absent = 0
        last = "it is still listed"
        for _waited in self._clock.ticks(_ABSENCE_BUDGET_SECONDS, _ABSENCE_GAP_SECONDS):
            try:
                if not seen_absent:
                    self._provider.release(rental.id)
                if not self._is_absent(rental.id):
                    seen_absent, last = 0, "it is still listed"
                    continue
                seen_absent += 1
                if seen_absent >= 2:
                    self._provider.check_credential()
                    return
            except CredentialError as error:
                last = str(error)
                break
            except MarketError as error:
                seen_absent, last = 0, str(error)
        raise UnprovenAbsence(
            f"Rental {rental.id} on {rental.provider} could not be proven gone: {last} "
            f"It may bill {rental.price_usd_per_hour:.4f} dollars an hour. "
            f"Run teardown again, or end it at {rental.console_url}"
        )

    def prove_none(self, name: str) -> list[Rental]:
        """Rentals of *name* after a second look with a credential that works.

        One empty list proves nothing: a create that just happened may not be listed yet.
        """
        found = self.find(name)
        if not found:
            self._clock.sleep(_ABSENCE_GAP_SECONDS)
            found = self.find(name)
            self._provider.check_credential()
        return found

    def _is_absent(self, rental_id: str) -> bool:
        """Gone by id and from a complete listing, both at once."""
        if self._provider.get(rental_id) is not None:
            return False
        return all(rental.id != rental_id for rental in self._provider.list_rentals())

    def _create(self, offer: Offer, order: Order) -> str:
        try:
            return self._provider.rent(offer, order)
        except UnclearCreate as error:
            self._notify(f"unclear answer to the create, looking for mark {order.mark.nonce}")
            rental = self._look_for(order.mark)
            if rental is not None:
                return rental.id
            if error.rental_id is not None:
                self._release_own(error.rental_id)
                raise OfferGone(str(error)) from error
            raise UnclearCreate(
                f"{error} No rental with its mark was listed within "
                f"{_LISTING_LAG_SECONDS:.0f} s, yet one may still appear. Nothing else was rented. "
                "Run teardown for this name, then try again."
            ) from error

    def _settle(self, mark: Mark, rental_id: str) -> Rental:
        """What was created, as listed. Of several with the same name the oldest wins."""
        last = "it is not listed"
        for _waited in self._clock.ticks(_LISTING_LAG_SECONDS, _LOOK_EVERY_SECONDS):
            try:
                listed = self.find(mark.name)
            except MarketError as error:
                last = str(error)
                continue
            own = next((rental for rental in listed if rental.id == rental_id), None)
            if own is None:
                continue
            oldest = listed[0]
            if oldest.id != own.id:
                self._notify(f"rental {oldest.id} is older under this name: releasing {own.id}")
                self._release_own(own.id)
            return oldest
        raise UnclearCreate(
            f"Rental {rental_id} was created, but could not be found again within "
            f"{_LISTING_LAG_SECONDS:.0f} s: {last}. Run teardown for this name, then try again.",
            rental_id=rental_id,
        )

    def _look_for(self, mark: Mark) -> Rental | None:
        for _waited in self._clock.ticks(_LISTING_LAG_SECONDS, _LOOK_EVERY_SECONDS):
            try:
                listed = self.find(mark.name)
            except MarketError:
                continue
            for rental in listed:
                if rental.mark and rental.mark.nonce == mark.nonce:
                    return rental
        return None

    def _release_own(self, rental_id: str) -> None:
        """End what our own create made and nobody wants; when that fails, it may still bill."""
        try:
            rental = self._provider.get(rental_id)
            if rental is not None:
                self.release(rental)
        except MarketError as error:
            raise UnclearCreate(str(error), rental_id) from error


def duplicates_warning(rentals: list[Rental]) -> str:
    """What to tell about several rentals of one name, the oldest first."""
    told = ", ".join(f"{one.id} ({one.price_usd_per_hour:.4f} dollars/h)" for one in rentals[1:])
    return (
        f"Rental {rentals[0].id} is the one that is used, but {told} of {rentals[0].provider} "
        "bills under the same name. Teardown releases all of them."
    )


def _age(rental: Rental) -> tuple[float, int, str]:
    """Sorts rentals by age; ids decide within the same second (shorter numbers are older)."""
    return rental.started_at, len(rental.id), rental.id


def _attempt(offer: Offer, outcome: str, message: str) -> dict[str, Any]:
    return {
        "offer": offer.id,
        "machine_id": offer.machine_id,
        "price_usd_per_hour": offer.price_usd_per_hour,
        "outcome": outcome,
        "message": message,
    }
