# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The life of a rental, once for all providers: find it, rent it, keep one, prove it gone."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from ..clock import Clock
from ..errors import (
    AttemptsExhausted,
    CredentialError,
    MarketError,
    OfferGone,
    ProviderUnavailable,
    RateLimited,
    RequestRefused,
    UnclearCreate,
    UnprovenAbsence,
)
from ..mark import SEALED, Mark, check_word, is_damaged, mark_of
from ..model import DEAD, UNREADABLE, Charge, Offer, Order, Rental, cost_usd, rate
from ..offers.ranking import RankedOffer
from ..offers.shared_search import SharedSearch
from ..providers.provider import Provider
from .claims import Claims
from .labels import damaged_warning, refuse_damaged
from .lifetime import Lifetime
from .presence import GONE, LOOKS_APART_SECONDS, UNKNOWN, Proof, Verdict, judge
from .reaping import is_settled, waits
from .shared_listing import SharedListing

#: How long a new rental may stay out of the listing, and how often to look.
_LISTING_LAG_SECONDS = 30.0
_LOOK_EVERY_SECONDS = 3.0
#: What began so long before its request is another's, whatever is wrong with a clock.
_OLDER_SECONDS = 6 * 3600.0
#: Proving a release may take this long.
_ABSENCE_BUDGET_SECONDS = 90.0
#: Hosts of one play that look within this time share one listing.
SHARED_FOR_SECONDS = 5.0
_LISTING_TRIES = 3
#: Of the rentals that a listing misses, so many are asked for by their ids.
_MISSING_LOOKED_AT = 10
#: Rentals that were charged for in this time may still be there.
_CHARGED_SECONDS = 2 * 86_400.0
_CHARGED_LOOKED_AT = 3
#: Prices come rounded: a difference below this is none.
_SAME_PRICE_USD = 0.0001
#: A deadline this close would end a rental before anybody has read the answer.
_LEAST_NOTICE_SECONDS = 60.0
#: Clocks are this much apart at most, unless one of them is wrong.
_PLAUSIBLE_OFFSET_SECONDS = 300.0

NOTHING_BILLS = "Nothing was rented, nothing bills."
_LATER = "Run again later: the provider does not show what it rents as it should."
#: What became of an attempt that did not end with a rental, for people, and what helps.
_OUTCOMES = {
    "claimed": (
        "on machines that other hosts of this play rent",
        "Widen the wish, or deploy fewer hosts at once.",
    ),
    "gone": ("taken meanwhile", "Run again, or widen the wish: the market moves."),
    "unlisted": ("rented but never listed as it should be, and released", _LATER),
    "unusable": ("rented but stopped, and released", _LATER),
    "dearer": (
        "charged more than allowed, and released",
        "Raise max_price_usd_per_hour or budget_usd, or wish for another GPU.",
    ),
}


@dataclass(frozen=True)
class Limits:
    """What bounds :meth:`Lifecycle.rent`: the requests that are sent, and the price charged."""

    max_attempts: int = 5
    max_price_usd_per_hour: float | None = None
    lifetime: Lifetime | None = None

    @property
    def need_price(self) -> bool:
        """Whether nobody can say without the true price that they hold."""
        budget_usd = self.lifetime.budget_usd if self.lifetime else 0.0
        return self.max_price_usd_per_hour is not None or bool(budget_usd)


class _Unwanted(Exception):
    """Something was rented, could not be kept, and was proven gone.

    ``outcome`` is the word for it among the attempts, ``price_usd_per_hour`` what it cost.
    """

    def __init__(self, outcome: str, cause: str, price_usd_per_hour: float | None) -> None:
        super().__init__(cause)
        self.outcome = outcome
        self.cause = cause
        self.price_usd_per_hour = price_usd_per_hour


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
    """Rentals of one scope on one provider. ``notify`` gets one line for each decision.

    Without ``shared``, ``claims`` and ``search`` it works alone, which costs calls and never
    safety. ``search`` finds what it can rent.
    """

    def __init__(
        self,
        provider: Provider,
        scope: str,
        clock: Clock,
        shared: SharedListing | None = None,
        claims: Claims | None = None,
        notify: Callable[[str], None] = lambda line: None,
        search: SharedSearch | None = None,
    ) -> None:
        self._provider = provider
        self._scope = check_word("Scope", scope)
        self._clock = clock
        self._shared = shared or SharedListing(None, clock)
        self._claims = claims or Claims(None, clock)
        self.search = search or SharedSearch(provider, None, clock)
        self._notify = notify
        self._offset_seconds: float | None = None
        #: What makes an answer less sure than it should be, as sentences for the user.
        self.doubts: list[str] = []

    def now(self) -> int:
        """The time by the provider's clock, which is the one that all controllers share."""
        if self._offset_seconds is None:
            if abs(self._provider.clock_offset_seconds) > _PLAUSIBLE_OFFSET_SECONDS:
                # One answer may carry any date: another one must confirm it.
                self._provider.check_credential()
            self._offset_seconds = self._provider.clock_offset_seconds
        return int(self._clock.now() + self._offset_seconds)

    # What is there.

    def rentals(self, max_age_seconds: float = 0.0, name: str | None = None) -> list[Rental]:
        """Every rental of the scope, by precedence, as listed at most so long ago.

        Raises ProviderUnavailable when one is unreadable, of this *name* where one is given; to end
        it, its id is enough.
        """
        found = self._of_scope(self._listed(self._clock.now() - max_age_seconds))
        _readable(found if name is None else named(found, name))
        return found

    def find(self, name: str) -> list[Rental]:
        """Every rental of one name, the one that counts first; the others are duplicates."""
        return named(self._of_scope(self._listed(self._clock.now())), name)

    def account(self) -> tuple[list[Rental], list[Rental]]:
        """The scope's rentals, by precedence, and those whose mark of the scope is damaged."""
        listed = self._own_listing()
        return self._of_scope(listed), self._damaged(listed)

    def damaged(self, max_age_seconds: float, name: str | None = None) -> list[Rental]:
        """Rentals whose mark of the scope nobody can believe, that may be of this *name*.

        Somebody has written into it, and there is no second copy; or its seal is not the scope's.
        """
        return self._damaged(self._listed(self._clock.now() - max_age_seconds), name)

    def prove_none(self, name: str, but: str | None = None) -> list[Rental]:
        """Rentals of *name* after a second look with a credential that works, and by another view.

        One empty list proves nothing: a rental request that just happened may not be listed yet.
        Raises UnprovenAbsence when none is there but one that may be of this name. The one with
        the id *but* is known.
        """
        listed = self._own_listing()
        found = named(self._of_scope(listed), name)
        if not found:
            self._clock.sleep(LOOKS_APART_SECONDS)
            listed = self._own_listing()
            found = named(self._of_scope(listed), name) or self.unlisted(listed, name)
            self._provider.check_credential()
        doubted = [one for one in self._damaged(listed, name) if one.id != but]
        if not found:
            refuse_damaged(doubted, name, UnprovenAbsence)
        elif doubted:
            self._doubt(damaged_warning(doubted))
        return found

    def unlisted(self, listed: list[Rental], name: str | None = None) -> list[Rental]:
        """Rentals of the scope, or of *name*, that are charged for and that *listed* misses.

        Lists come from replicas, and each of them may be behind. What is charged is another view.
        """
        if not self._provider.tells_charges:
            return []
        try:
            charged = self._provider.charged(self._clock.now() - _CHARGED_SECONDS)
        except MarketError as error:
            self._doubt(f"What is rented is known by the provider's lists alone: {error.cause}")
            return []
        known = {rental.id for rental in listed}
        # Most of them have ended. Of each name the youngest is the likeliest to live.
        youngest: dict[str, str] = {}
        for rental_id, charge in charged.items():
            mark = mark_of(charge.label)
            ours = mark and mark.scope == self._scope and name in (None, mark.name)
            if mark and ours and rental_id not in known:
                youngest[mark.name] = rental_id
        seen = map(self._provider.get, list(youngest.values())[-_CHARGED_LOOKED_AT:])
        found = self._of_scope([rental for rental in seen if rental])
        return found if name is None else named(found, name)

    def cost_usd(self, rental: Rental) -> float:
        """What *rental* has cost so far; of one that has stopped by its bills, where they tell."""
        charge = self._charge(rental) if rental.status in DEAD else None
        return round(charge.usd, 4) if charge else rental.cost_usd(self.now())

    def _charge(self, rental: Rental) -> Charge | None:
        """By the bills, where they tell."""
        if not self._provider.tells_charges:
            return None
        try:
            return self._provider.charged(rental.since).get(rental.id)
        except MarketError as error:
            self._notify(f"the bills of {rental.id}: {error.cause}")
            return None

    def _doubt(self, sentence: str) -> None:
        if sentence not in self.doubts:
            self.doubts.append(sentence)

    def by_id(self, rental_id: str) -> Rental | None:
        """The rental of an id that is known to be ours, whatever its label says; None when gone.

        People write into labels. Raises UnprovenAbsence where nobody can say whether it is there.
        """
        try:
            rental = self._provider.get(rental_id)
        except ProviderUnavailable:
            rental = None
        if rental is not None:
            return rental
        verdict = self.judge(rental_id)
        if verdict.presence == GONE:
            return None
        raise UnprovenAbsence(
            f"Rental {rental_id} could not be proven gone: {verdict.reason}.",
            remedy=f"Run teardown again, or end it at {self._provider.console_url}",
            money="It may bill.",
        )

    # Rent.

    def rent(
        self,
        ranked: list[RankedOffer],
        order_for: Callable[[Offer], Order],
        limits: Limits | None = None,
    ) -> Rented:
        """Rent the first offer that can be had within *limits*.

        Each create is sent once and carries the mark of its order; the nonce is the same for all
        of them. After an unclear answer the listing decides. Once a rental request may have taken
        effect, every failure is an UnclearCreate; before that it is AttemptsExhausted or what
        the provider raises. Every error has the attempts.
        """
        limits = limits or Limits()
        attempts: list[dict[str, Any]] = []
        #: Machines that this call tries no more, by any of their offers.
        shunned: set[str | None] = set()
        creates = 0
        for candidate in ranked:
            offer = candidate.offer
            if offer.machine_id in shunned:
                continue
            if creates == limits.max_attempts:
                break
            order = order_for(offer)
            if not self._claims.take(offer.machine_id, order.mark.nonce):
                self._notify(f"machine {offer.machine_id} is being rented for another host")
                attempts.append(_attempt(offer, "claimed", "another host of this play rents it"))
                shunned.add(offer.machine_id)
                continue
            creates += 1
            try:
                rental, attempt = self._try(offer, order, limits)
            except MarketError as error:
                outcome = "unclear" if isinstance(error, UnclearCreate) else "refused"
                if outcome == "refused":
                    self._claims.drop(offer.machine_id, order.mark.nonce)
                    error.money = error.money or _nothing_bills(attempts)
                error.attempts = [*attempts, _attempt(offer, outcome, error.cause)]
                raise
            attempts.append(attempt)
            if rental is not None:
                return Rented(rental, candidate, attempt["outcome"] == "rented", attempts)
            self._notify(f"{attempt['message']} Taking the next offer")
            self._claims.drop(offer.machine_id, order.mark.nonce)
            if attempt["outcome"] != "gone" and offer.machine_id:
                shunned.add(offer.machine_id)
        raise _exhausted(attempts)

    def _try(
        self, offer: Offer, order: Order, limits: Limits
    ) -> tuple[Rental | None, dict[str, Any]]:
        """One create: the rental to go on with, if any, and the attempt as data."""
        began = self._clock.now()

        def cost(price_usd_per_hour: float | None) -> float:
            return cost_usd(price_usd_per_hour, began, self._clock.now())

        try:
            rental = self._settle(order.mark, self._create(offer, order), offer, limits)
            if _carries(rental, order.mark):
                return self._within(limits, rental, offer, order), _attempt(offer, "rented", "")
        except OfferGone as error:
            # What others still read of that search may be gone as well.
            self.search.forget()
            return None, _attempt(offer, "gone", error.cause)
        except _Unwanted as error:
            spent = cost(error.price_usd_per_hour)
            return None, _attempt(offer, error.outcome, error.cause, spent)
        told = f"Rental {rental.id} counts under this name."
        return rental, _attempt(offer, "lost", told, cost(offer.price_usd_per_hour))

    def _create(self, offer: Offer, order: Order) -> str:
        try:
            return self._provider.rent(offer, order)
        except UnclearCreate as error:
            self._notify(f"unclear answer to the request, looking for mark {order.mark.nonce}")
            rental = self._look_for(order.mark)
            if rental is None and error.rental_id is None:
                raise UnclearCreate(
                    f"{error.cause} No rental with its mark was listed within "
                    f"{_LISTING_LAG_SECONDS:.0f} s.",
                    money=f"One may still appear and bill {_rate(offer)}. Nothing else was rented.",
                ) from error
            if rental is not None and rental.status not in DEAD:
                return rental.id
            # It exists, but nobody can use it: a stopped rental bills its disk.
            if rental is None:
                self._refuse_another_s(error.rental_id or "", order.mark, offer)
            self._end_own(rental.id if rental else error.rental_id or "", offer)
            price = rental.price_usd_per_hour if rental else offer.price_usd_per_hour
            raise _Unwanted("unusable", error.cause, price) from error
        finally:
            self._shared.forget()

    def _settle(self, mark: Mark, rental_id: str, offer: Offer, limits: Limits) -> Rental:
        """What was created, as listed. Of several with the same name the oldest living one wins."""
        created = self._clock.now()
        last = "it is not listed"
        for _waited in self._clock.ticks(_LISTING_LAG_SECONDS, _LOOK_EVERY_SECONDS):
            try:
                # Older listings cannot know it; each look is newer than the one before.
                listed = _readable(named(self._of_scope(self._listed(created)), mark.name))
            except MarketError as error:
                last = error.cause
                continue
            finally:
                created = self._clock.now()
            # The mark is ours alone, while an answer may name any id.
            own = next((rental for rental in listed if _carries(rental, mark)), None)
            if own is None:
                continue
            winner = listed[0]
            if winner.id != own.id:
                self._notify(f"rental {winner.id} counts under this name: releasing {own.id}")
                self._end_own(own.id, offer)
            elif limits.need_price and own.price_usd_per_hour is None:
                last = "its price is not shown"
                continue
            return winner
        # What no listing shows cannot be kept: its absence could never be proven.
        self._refuse_another_s(rental_id, mark, offer)
        self._notify(f"rental {rental_id} was created but {last}: releasing it")
        self._end_own(rental_id, offer)
        raise _Unwanted(
            "unlisted",
            f"Rental {rental_id} was created, but not shown as it should be within "
            f"{_LISTING_LAG_SECONDS:.0f} s: {last.rstrip('.')}. It was released and proven gone.",
            offer.price_usd_per_hour,
        )

    def _within(self, limits: Limits, rental: Rental, offer: Offer, order: Order) -> Rental:
        """*rental* within its limits at the price that is really charged, or no rental."""
        price, most = rental.price_usd_per_hour, limits.max_price_usd_per_hour
        if price is None:
            # Without a limit that needs it, _settle does not wait for it.
            return rental
        if most is not None and price > most + _SAME_PRICE_USD:
            raise self._too_dear(rental, offer, f"more than the maximum of {most:.4f}")
        mark, lifetime = order.mark, limits.lifetime
        same = abs(price - offer.price_usd_per_hour) <= _SAME_PRICE_USD
        if lifetime is None or not mark.deadline or same:
            return rental
        # A lower price gives no longer life. It only makes the wish that a later deploy compares
        # with: one that was made from the offer's price would look changed.
        seconds = lifetime.seconds(price)
        deadline = min(order.created_at + lifetime.seconds_left(price), mark.deadline)
        if (deadline, seconds) == (mark.deadline, mark.lifetime_seconds):
            return rental
        self._notify(f"rental {rental.id} is not charged what its offer said: changing its mark")
        try:
            return self.move_deadline(rental, deadline, seconds)
        except MarketError as error:
            if deadline == mark.deadline:
                self._notify(f"the mark of rental {rental.id} stays: {error.cause}")
                return rental
            raise self._too_dear(rental, offer, f"and its deadline stays: {error.cause}") from error

    def _too_dear(self, rental: Rental, offer: Offer, why: str) -> _Unwanted:
        """End *rental*, and say so."""
        self._end_own(rental.id)
        return _Unwanted(
            "dearer",
            f"Rental {rental.id} is charged {_rate(rental)} instead of {_rate(offer)}, "
            f"{why.rstrip('.')}. It was released and proven gone.",
            rental.price_usd_per_hour,
        )

    def _look_for(self, mark: Mark) -> Rental | None:
        for _waited in self._clock.ticks(_LISTING_LAG_SECONDS, _LOOK_EVERY_SECONDS):
            try:
                listed = self.find(mark.name)
            except MarketError:
                continue
            for rental in listed:
                if _carries(rental, mark):
                    return rental
        return None

    def _refuse_another_s(self, rental_id: str, mark: Mark, offer: Offer) -> None:
        """Raise UnclearCreate where an answer named a rental that ours cannot be.

        It has another mark, or is older than the request. What cannot be seen is taken for ours.
        """
        try:
            seen = self._provider.get(rental_id)
        except MarketError:
            return
        if seen is None or _carries(seen, mark):
            return
        older = seen.started_at is not None and seen.started_at < mark.created_at - _OLDER_SECONDS
        if seen.mark is None and not older:
            # Somebody may have written over its label meanwhile.
            return
        raise UnclearCreate(
            f"The provider answered the rental request with rental {rental_id}, which is another's "
            f"(label {seen.label!r}), so it was left alone.",
            money=f"One that was rented may bill {_rate(offer)}. Nothing else was rented.",
        )

    def _end_own(self, rental_id: str, offer: Offer | None = None) -> None:
        """End what our own create made and nobody wants; when that fails, it may still bill."""
        try:
            self._end(rental_id)
        except MarketError as error:
            most = f" up to {_rate(offer)}" if offer else ""
            raise UnclearCreate(
                error.cause, rental_id=rental_id, money=f"Rental {rental_id} may bill{most}."
            ) from error

    # Change and end.

    def settled_duplicates(self, rentals: list[Rental]) -> list[Rental]:
        """Of one name's rentals, by precedence, those that may be released."""
        now = self._clock.now()
        return [one for one in rentals[1:] if is_settled(one, now) and not waits(one, rentals[0])]

    def move_deadline(
        self, rental: Rental, deadline: int, lifetime_seconds: int, pretend: bool = False
    ) -> Rental:
        """The rental with another deadline in its mark, as the provider shows it then.

        Raises RequestRefused where no mark can be changed, and for a deadline that has passed.
        """
        money = f"It goes on billing {_rate(rental)}."
        if not self._provider.can_change_mark or rental.mark is None:
            raise RequestRefused(
                f"{self._provider.name} cannot change the mark of a rental, "
                f"so the deadline of {rental.id} stays.",
                remedy="Rent another one with the deadline that you want, then release this one.",
                money=money,
            )
        if deadline and deadline <= self._clock.now() + _LEAST_NOTICE_SECONDS:
            raise RequestRefused(
                f"The new deadline of rental {rental.id} has passed already.",
                remedy="Give it a longer life, or run teardown to end it now.",
                money=money,
            )
        if rental.ends_at and deadline > max(rental.ends_at, rental.mark.deadline):
            hours = (rental.ends_at - self.now()) / 3600
            raise RequestRefused(
                f"The contract of rental {rental.id} ends in {hours:.1f} hours, before its new "
                "deadline: its machine's owner wants it back then.",
                remedy=f"Extend it by at most {hours:.1f} hours, or rent another one in time.",
                money=money,
            )
        seal = self._provider.seal
        if rental.mark.version >= SEALED and not seal:
            raise RequestRefused(
                f"The mark of rental {rental.id} is sealed with the scope's secret: only who has "
                "that can move the deadline.",
                remedy="Set inferops_scope_secret, or INFEROPS_SCOPE_SECRET, to that secret.",
                money=money,
            )
        mark = seal.put_on(
            replace(rental.mark, deadline=deadline, lifetime_seconds=lifetime_seconds)
        )
        if pretend:
            return replace(rental, mark=mark, label=mark.encode())
        try:
            self._provider.change_mark(rental.id, mark)
            return self._shown_with(mark, rental)
        except MarketError as error:
            # Whether or not it was told: the change may have been carried out.
            error.money = f"The deadline may have moved already. {money}"
            raise
        finally:
            self._shared.forget()

    def _shown_with(self, mark: Mark, rental: Rental) -> Rental:
        """*rental* as the provider shows it with its new mark."""
        last = "it does not show"
        for _waited in self._clock.ticks(_LISTING_LAG_SECONDS, _LOOK_EVERY_SECONDS):
            try:
                seen = self._provider.get(rental.id)
            except ProviderUnavailable as error:
                last = error.cause
                continue
            if seen is not None and seen.mark == mark:
                return seen
        raise ProviderUnavailable(
            f"The new deadline of rental {rental.id} could not be confirmed: {last}."
        )

    def release(self, rental: Rental) -> None:
        """End *rental* and prove it; raises UnprovenAbsence when that cannot be done."""
        try:
            self._end(rental.id)
        except MarketError as error:
            raise UnprovenAbsence(
                f"Rental {rental.id} on {rental.provider} could not be proven gone: {error.cause}",
                remedy=f"Run teardown again, or end it at {rental.console_url}",
                money=f"It may bill {_rate(rental)}.",
            ) from error

    def judge(self, rental_id: str) -> Verdict:
        """Present, gone or unknown, with proof."""
        return judge(self._provider, rental_id, self._clock)

    def _end(self, rental_id: str) -> None:
        """Ask for the end until absence is proven.

        Neither a hiccup of the provider nor a release without effect ends the attempt: only the
        budget and a refused key do.
        """
        # Also before it: a process that is killed meanwhile forgets nothing at its end.
        self._shared.forget()
        proof = Proof(self._provider, rental_id)
        verdict = Verdict(UNKNOWN, "it was never looked at")
        try:
            for _waited in self._clock.ticks(_ABSENCE_BUDGET_SECONDS, LOOKS_APART_SECONDS):
                if not proof.absent:
                    self._try_release(rental_id)
                verdict = proof.look()
                if verdict.presence == GONE:
                    self._shared.forget(released=rental_id)
                    return
        finally:
            self._shared.forget()
        raise ProviderUnavailable(f"{verdict.reason}.")

    def _try_release(self, rental_id: str) -> None:
        try:
            self._provider.release(rental_id)
        except CredentialError:
            raise
        except MarketError as error:
            self._notify(f"releasing {rental_id}: {error.cause}")

    # Listings.

    def _listed(self, not_before: float) -> list[Rental]:
        try:
            return self._shared.get(not_before, self._complete_listing)
        except MarketError as error:
            error.money = error.money or (
                f"What is rented, and so what bills, is unknown. See {self._provider.console_url}"
            )
            raise

    def _own_listing(self) -> list[Rental]:
        """A listing that nobody else has asked for: only such a one may prove absence."""
        return self._listed(math.inf)

    def _complete_listing(self, seen: set[str]) -> list[Rental]:
        """The provider's listing; one that cannot be trusted is asked for again, a few times.

        *seen* are the rentals of the listing before.
        """
        for attempt in range(1, _LISTING_TRIES + 1):
            try:
                listed = self._trusted_listing(seen)
                odd = any(rental.status == UNREADABLE for rental in self._of_scope(listed))
                if attempt == _LISTING_TRIES or not odd:
                    return listed
            except ProviderUnavailable as error:
                if attempt == _LISTING_TRIES or isinstance(error, RateLimited):
                    raise
            self._clock.sleep(_LOOK_EVERY_SECONDS)
        raise AssertionError("unreachable: the last try returns or raises")

    def _trusted_listing(self, seen: set[str]) -> list[Rental]:
        listed = self._provider.list_rentals()
        if not listed:
            # A revoked key gets empty lists too, and so does who asks a replica that is behind.
            self._provider.check_credential()
            listed = self._provider.list_rentals()
        missing = sorted(seen - {rental.id for rental in listed})
        for rental_id in missing[:_MISSING_LOOKED_AT]:
            if self._provider.get(rental_id) is not None:
                raise ProviderUnavailable(
                    f"Listing rentals: {rental_id} is missing, yet the provider shows it by its "
                    "id, so the list cannot be trusted."
                )
        for rental in [] if self._of_scope(listed) else self.unlisted(listed):
            raise ProviderUnavailable(
                f"Listing rentals: {rental.id} is missing, yet the provider charges for it and "
                "shows it by its id, so the list cannot be trusted."
            )
        return listed

    def _of_scope(self, listed: list[Rental]) -> list[Rental]:
        mine = [one for one in listed if one.mark and one.mark.scope == self._scope]
        several = Counter(one.mark.name for one in mine if one.mark)
        sure = (self._sure(one) if one.mark and several[one.mark.name] > 1 else one for one in mine)
        return sorted(sure, key=lambda rental: rental.precedence)

    def _sure(self, rental: Rental) -> Rental:
        """*rental* with its status by its id where a list calls it dead.

        One odd list must not make another one of the same name count.
        """
        if rental.status not in DEAD:
            return rental
        try:
            return self._provider.get(rental.id) or rental
        except ProviderUnavailable:
            return rental

    def _damaged(self, listed: list[Rental], name: str | None = None) -> list[Rental]:
        return [one for one in listed if one.mark is None and self._may_be(one, name)]

    def _may_be(self, rental: Rental, name: str | None) -> bool:
        claim = rental.claim
        if claim is None:
            return is_damaged(rental.label, self._scope)
        return claim.scope == self._scope and name in (None, claim.name)


def duplicates_warning(rentals: list[Rental]) -> str:
    """What to tell about several rentals of one name, the one that counts first."""
    told = ", ".join(f"{one.id} ({_rate(one)})" for one in rentals[1:])
    return (
        f"Rental {rentals[0].id} is the one that is used, but {told} of {rentals[0].provider} "
        "bills under the same name."
    )


def named(rentals: list[Rental], name: str) -> list[Rental]:
    """Those of *rentals* whose mark carries *name*."""
    return [rental for rental in rentals if rental.mark and rental.mark.name == name]


def _readable(rentals: list[Rental]) -> list[Rental]:
    """*rentals*, unless one of them is unreadable: what needs more than its id must not guess."""
    for rental in rentals:
        if rental.status == UNREADABLE:
            raise ProviderUnavailable(
                rental.status_text,
                remedy=f"Run again; if it stays, look at the rental at {rental.console_url}",
            )
    return rentals


def _rate(billed: Offer | Rental) -> str:
    if isinstance(billed, Rental):
        return rate(billed.billed_usd_per_hour)
    return rate(billed.price_usd_per_hour)


def _carries(rental: Rental, mark: Mark) -> bool:
    return rental.mark is not None and rental.mark.nonce == mark.nonce


def _exhausted(attempts: list[dict[str, Any]]) -> AttemptsExhausted:
    """Why none of the attempts ended with a rental, and what helps against the most of them."""
    counted = Counter(attempt["outcome"] for attempt in attempts).most_common()
    told = ", ".join(f"{count} {_OUTCOMES[outcome][0]}" for outcome, count in counted)
    error = AttemptsExhausted(
        f"None of {len(attempts)} offers could be rented{': ' + told if told else ''}.",
        remedy=_OUTCOMES[counted[0][0]][1] if counted else "",
        money=_nothing_bills(attempts),
    )
    error.attempts = attempts
    return error


def _nothing_bills(attempts: list[dict[str, Any]]) -> str:
    """What is at stake once nothing is left of the attempts."""
    spent = sum(attempt["cost_usd"] for attempt in attempts)
    if not spent:
        return NOTHING_BILLS
    return f"What was rented was released and proven gone, for about {spent:.4f} dollars."


def _attempt(offer: Offer, outcome: str, message: str, cost: float = 0.0) -> dict[str, Any]:
    return {
        "offer": offer.id,
        "machine_id": offer.machine_id,
        "price_usd_per_hour": offer.price_usd_per_hour,
        "outcome": outcome,
        "message": message,
        "cost_usd": cost,
    }
