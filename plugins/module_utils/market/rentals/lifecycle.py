# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The life of a rental, once for all providers: find it, rent it, keep one, prove it gone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from ..clock import Clock
from ..errors import (
    CredentialError,
    MarketError,
    OfferGone,
    ProviderUnavailable,
    RequestRefused,
    UnclearCreate,
    UnprovenAbsence,
)
from ..mark import SEALED, Mark
from ..model import DEAD, RUNNING, STOPPED, Offer, Order, Rental, cost_usd, rate, rate_of
from ..offers.ranking import RankedOffer
from ..offers.shared_search import SharedSearch
from ..providers.provider import Provider
from ..trail import MOVED, REFUSED, RENTED, STARTED, Trail
from ..trail import STOPPED as STOOD
from .account import Account, readable
from .budget import Budget
from .claims import Claims
from .lifetime import Lifetime
from .presence import GONE, LOOKS_APART_SECONDS, UNKNOWN, Proof, Verdict
from .reaping import is_settled, waits
from .shared_listing import SharedListing
from .tried import exhausted, nothing_bills, tried

#: How long a new rental may stay out of the listing, and how often to look.
_LISTING_LAG_SECONDS = 30.0
_LOOK_EVERY_SECONDS = 3.0
#: What began so long before its request is another's, whatever is wrong with a clock.
_OLDER_SECONDS = 6 * 3600.0
#: After so long, what was started and still stands still waits for GPUs that others have: Vast.ai's
#: own client says so of 30 s. Its disk is lost then, so it gets more.
_START_SECONDS = 120.0
_STOP_SECONDS = 120.0
#: Prices come rounded: a difference below this is none.
_SAME_PRICE_USD = 0.0001
#: A deadline this close would end a rental before anybody has read the answer.
_LEAST_NOTICE_SECONDS = 60.0


@dataclass(frozen=True)
class Limits:
    """What bounds :meth:`Lifecycle.rent`: the requests that are sent, and the price charged.

    ``traffic_usd`` tells what an offer's downloads cost, which the budget of a lifetime pays too.
    """

    max_attempts: int = 5
    max_price_usd_per_hour: float | None = None
    lifetime: Lifetime | None = None
    traffic_usd: Callable[[Offer], float] = lambda offer: 0.0

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
    safety. ``search`` finds what it can rent, ``account`` what it has rented. ``trail`` gets a line
    for all that it does, and ``budget`` says no to what would cost too much.
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
        trail: Trail | None = None,
        budget: Budget | None = None,
    ) -> None:
        self._provider = provider
        self._clock = clock
        self._claims = claims or Claims(None, clock)
        self._notify = notify
        self._trail = trail or Trail()
        self._budget = budget
        self.account = Account(provider, scope, clock, shared, notify)
        self.search = search or SharedSearch(provider, None, clock)

    # Rent.

    def refuse_beyond_budget(self, price_usd_per_hour: float | None, mark: Mark) -> None:
        """Raise RequestRefused where something must not run until the deadline of *mark*."""
        if self._budget:
            allowed = self._budget.allows(price_usd_per_hour, mark, self.account.now())
            allowed(self._trail.known_rows())

    def rent(
        self,
        ranked: list[RankedOffer],
        order_for: Callable[[Offer], Order],
        limits: Limits | None = None,
    ) -> Rented:
        """Rent the first offer that can be had within *limits*.

        Each request is sent once and carries the mark of its order; the nonce is the same for all
        of them. After an unclear answer the listing decides. Once a rental request may have taken
        effect, every failure is an UnclearCreate; before that it is AttemptsExhausted or what
        the provider raises. Every error has the attempts.
        """
        limits = limits or Limits()
        attempts: list[dict[str, Any]] = []
        #: Machines that this call tries no more, by any of their offers.
        shunned: set[str | None] = set()
        requests = 0
        for candidate in ranked:
            offer = candidate.offer
            if offer.machine_id in shunned:
                continue
            if requests == limits.max_attempts:
                break
            order = order_for(offer)
            if not self._claims.take(offer.machine_id, order.mark.nonce):
                self._notify(f"machine {offer.machine_id} is being rented for another host")
                attempts.append(tried(offer, "claimed", "another host of this play rents it"))
                shunned.add(offer.machine_id)
                continue
            requests += 1
            try:
                rental, attempt = self._try(offer, order, limits)
            except MarketError as error:
                outcome = "unclear" if isinstance(error, UnclearCreate) else "refused"
                if outcome == "refused":
                    self._claims.drop(offer.machine_id, order.mark.nonce)
                    error.money = error.money or nothing_bills(attempts)
                error.attempts = [*attempts, tried(offer, outcome, error.cause)]
                raise
            attempts.append(attempt)
            if rental is not None:
                return Rented(rental, candidate, attempt["outcome"] == "rented", attempts)
            self._notify(f"{attempt['message']} Taking the next offer")
            self._claims.drop(offer.machine_id, order.mark.nonce)
            if attempt["outcome"] != "gone" and offer.machine_id:
                shunned.add(offer.machine_id)
            if _is_not_the_machines(attempts):
                self._notify("two machines in a row went the same way: taking no third one")
                break
        raise exhausted(attempts)

    def _try(
        self, offer: Offer, order: Order, limits: Limits
    ) -> tuple[Rental | None, dict[str, Any]]:
        """One rental request: the rental to go on with, if any, and the attempt as data."""
        began = self._clock.now()

        def cost(price_usd_per_hour: float | None) -> float:
            return cost_usd(price_usd_per_hour, began, self._clock.now())

        try:
            rental = self._confirmed(order.mark, self._create(offer, order), offer, limits)
            if _carries(rental, order.mark):
                return self._within(limits, rental, offer, order), tried(offer, "rented", "")
        except OfferGone as error:
            # What others still read of that search may be gone as well.
            self.search.forget()
            return None, tried(offer, "gone", error.cause)
        except _Unwanted as error:
            spent = cost(error.price_usd_per_hour)
            return None, tried(offer, error.outcome, error.cause, spent)
        told = f"Rental {rental.id} counts under this name."
        return rental, tried(offer, "lost", told, cost(offer.price_usd_per_hour))

    def _create(self, offer: Offer, order: Order) -> str:
        try:
            return self._sent(offer, order)
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
                self._rented_as(error.rental_id or "", order.mark, offer)
            else:
                self._trail.changed(RENTED, rental, self.account.about_now())
            self._end_own(rental.id if rental else error.rental_id or "", offer)
            price = rental.price_usd_per_hour if rental else offer.price_usd_per_hour
            raise _Unwanted("unusable", error.cause, price) from error
        finally:
            self.account.forget()

    def _sent(self, offer: Offer, order: Order) -> str:
        """The id of what one rental request has rented; the trail knows of the request first."""
        now, price = self.account.about_now, offer.price_usd_per_hour
        allowed = self._budget.allows(price, order.mark, now()) if self._budget else None
        self._trail.requested(offer, order.mark, now(), allowed)
        try:
            return self._provider.rent(offer, order)
        except UnclearCreate:
            raise
        except MarketError:
            self._trail.answered(REFUSED, offer, order.mark, now())
            raise

    def _confirmed(self, mark: Mark, rental_id: str, offer: Offer, limits: Limits) -> Rental:
        """What was created, as listed. Of several with the same name the oldest living one wins."""
        created = self._clock.now()
        last = "it is not listed"
        for _waited in self._clock.ticks(_LISTING_LAG_SECONDS, _LOOK_EVERY_SECONDS):
            try:
                # Older listings cannot know it; each look is newer than the one before.
                listed = readable(self.account.find(mark.name, created))
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
            if winner.id == own.id and limits.need_price and own.price_usd_per_hour is None:
                last = "its price is not shown"
                continue
            self._trail.changed(RENTED, own, self.account.about_now())
            if winner.id != own.id:
                self._notify(f"rental {winner.id} counts under this name: releasing {own.id}")
                self._end_own(own.id, offer)
            return winner
        # What no listing shows cannot be kept: its absence could never be proven.
        self._refuse_another_s(rental_id, mark, offer)
        self._rented_as(rental_id, mark, offer)
        self._notify(f"rental {rental_id} was created but {last}: releasing it")
        self._end_own(rental_id, offer)
        raise _Unwanted(
            "unlisted",
            f"Rental {rental_id} was created, but not shown as it should be within "
            f"{_LISTING_LAG_SECONDS:.0f} s: {last.rstrip('.')}. It was released and proven gone.",
            offer.price_usd_per_hour,
        )

    def _rented_as(self, rental_id: str, mark: Mark, offer: Offer) -> None:
        """Put what no listing shows on the trail, by what its request has said."""
        self._trail.answered(RENTED, offer, mark, self.account.about_now(), rental_id)

    def _within(self, limits: Limits, rental: Rental, offer: Offer, order: Order) -> Rental:
        """*rental* as it was asked for, within its limits at the price charged, or no rental."""
        if rental.is_interruptible:
            raise self._taken_back(rental)
        price, most = rental.price_usd_per_hour, limits.max_price_usd_per_hour
        if price is None:
            # Without a limit that needs it, _confirmed does not wait for it.
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
        left = lifetime.less(limits.traffic_usd(offer)).seconds_left(price)
        deadline = min(order.created_at + left, mark.deadline)
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

    def _taken_back(self, rental: Rental) -> _Unwanted:
        """End *rental*, which others may outbid, and say so."""
        self._end_own(rental.id)
        return _Unwanted(
            "interruptible",
            f"Rental {rental.id} is shown as one that others may outbid, and none on demand. It "
            "was released and proven gone.",
            rental.price_usd_per_hour,
        )

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
                listed = self.account.find(mark.name)
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
        """End what our own request made and nobody wants; when that fails, it may still bill."""
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
        others = (one for one in rentals[1:] if one.id != rentals[0].id)
        return [one for one in others if is_settled(one, now) and not waits(one, rentals[0])]

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
            hours = (rental.ends_at - self.account.now()) / 3600
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
            moved = self._shown_with(mark, rental)
            self._trail.changed(MOVED, moved, self.account.about_now())
            return moved
        except MarketError as error:
            # Whether or not it was told: the change may have been carried out.
            error.money = f"The deadline may have moved already. {money}"
            raise
        finally:
            self.account.forget()

    def _shown_with(self, mark: Mark, rental: Rental) -> Rental:
        """*rental* as the provider shows it with its new mark."""
        seen, last = self._seen(rental.id, lambda one: one.mark == mark, _LISTING_LAG_SECONDS)
        if seen is not None:
            return seen
        raise ProviderUnavailable(
            f"The new deadline of rental {rental.id} could not be confirmed: "
            f"{last or 'it does not show'}."
        )

    def _seen(
        self, rental_id: str, holds: Callable[[Rental], bool], limit_seconds: float
    ) -> tuple[Rental | None, str]:
        """The rental once that holds of it; None after the limit, and why it could not be seen."""
        last = ""
        for _waited in self._clock.ticks(limit_seconds, _LOOK_EVERY_SECONDS):
            try:
                seen = self._provider.get(rental_id)
            except ProviderUnavailable as error:
                last = error.cause.rstrip(".")
                continue
            last = ""
            if seen is not None and holds(seen):
                return seen, ""
        return None, last

    def stop(self, rental: Rental) -> Rental:
        """*rental* as it stands still, which is looked at until it does.

        Raises RequestRefused where its provider cannot do that.
        """
        money = f"It may go on billing {_rate(rental)}."
        if not self._provider.can_stop:
            raise RequestRefused(
                f"{self._provider.name} cannot let a rental stand still.",
                remedy="Run teardown, which ends it.",
                money=money,
            )
        seen, last = self._changed(
            lambda: self._provider.stop(rental.id),
            rental.id,
            lambda one: one.status == STOPPED,
            _STOP_SECONDS,
            money,
        )
        if seen is not None:
            self._trail.changed(STOOD, seen, self.account.about_now())
            return seen
        raise ProviderUnavailable(
            f"Rental {rental.id} was asked to stand still, and is not seen to do so after "
            f"{_STOP_SECONDS:.0f} s{f': {last}' if last else ''}.",
            remedy=f"Run it again, or look at {rental.console_url}",
            money=money,
        )

    def start(self, rental: Rental) -> Rental:
        """*rental*, which stands still, on its way to run again.

        Raises OfferGone where the start was accepted or refused for want of its GPUs. It may run
        later then, and bill, until it is released.
        """
        money = f"It may bill {rate_of(replace(rental, status=RUNNING))} from now on."
        seen, last = self._changed(
            lambda: self._provider.start(rental.id),
            rental.id,
            lambda one: one.status not in DEAD,
            _START_SECONDS,
            money,
        )
        if seen is not None:
            self._trail.changed(STARTED, seen, self.account.about_now())
            return seen
        if last:
            raise ProviderUnavailable(
                f"Nobody knows whether rental {rental.id} was started: {last}.", money=money
            )
        raise OfferGone(
            f"Rental {rental.id} still stands still {_START_SECONDS:.0f} s after its start: its "
            "GPUs are somebody else's by now."
        )

    def _changed(
        self,
        change: Callable[[], None],
        rental_id: str,
        holds: Callable[[Rental], bool],
        limit_seconds: float,
        money: str,
    ) -> tuple[Rental | None, str]:
        """What is seen of a rental after a change, as :meth:`_seen` tells it.

        *money* is at stake where that fails. A change without a good answer may have been carried
        out all the same. What is not seen then is not known.
        """
        unanswered = ""
        self.account.forget()
        try:
            try:
                change()
            except ProviderUnavailable as error:
                unanswered = error.cause.rstrip(".")
            seen, last = self._seen(rental_id, holds, limit_seconds)
            return seen, last or unanswered
        except MarketError as error:
            error.money = error.money or money
            raise
        finally:
            self.account.forget()

    def release(self, rental: Rental) -> None:
        """End *rental* and prove it; raises UnprovenAbsence when that cannot be done."""
        try:
            self._end(rental.id, rental)
        except MarketError as error:
            again = "Run teardown again"
            if isinstance(error, CredentialError):
                again = f"{error.remedy} Then run teardown again"
            raise UnprovenAbsence(
                f"Rental {rental.id} on {rental.provider} could not be proven gone: {error.cause}",
                remedy=f"{again}, or end it at {rental.console_url}",
                money=f"It may bill {_rate(rental)}.",
            ) from error

    def _end(self, rental_id: str, known: Rental | None = None) -> None:
        """Ask for the end until absence is proven. *known* is what there is to say of it.

        Neither a hiccup of the provider nor a release without effect ends the attempt: only the
        time and a refused key do.
        """
        # Also before it: a process that is killed meanwhile forgets nothing at its end.
        self.account.forget()
        proof = Proof(self._provider, rental_id)
        verdict = Verdict(UNKNOWN, "it was never looked at")
        try:
            for _look in self._looks(proof):
                if not proof.absent:
                    self._try_release(rental_id)
                verdict = proof.look()
                if verdict.presence == GONE:
                    self.account.forget(released=rental_id)
                    now = self.account.about_now()
                    self._trail.released(self._provider.name, rental_id, known, now)
                    return
        finally:
            self.account.forget()
        raise ProviderUnavailable(f"{verdict.reason}.")

    def _looks(self, proof: Proof) -> Iterator[None]:
        """One turn for each look, a whole pause apart, until one begins when the time is up.

        The provider's time bounds how long a rental may still show, not how long it takes to see
        that. A proof that is half made by then gets its second look, and none after that.
        """
        until = self._clock.monotonic() + self._provider.ends_within_seconds
        while True:
            is_late = self._clock.monotonic() >= until
            yield
            if is_late and not proof.absent:
                return
            self._clock.sleep(LOOKS_APART_SECONDS)

    def _try_release(self, rental_id: str) -> None:
        try:
            self._provider.release(rental_id)
        except CredentialError:
            raise
        except MarketError as error:
            self._notify(f"releasing {rental_id}: {error.cause}")


def _is_not_the_machines(attempts: list[dict[str, Any]]) -> bool:
    """Whether the last two have paid for what the provider does to every machine alike."""
    last = [attempt["outcome"] for attempt in attempts[-2:]]
    return last in (["unlisted"] * 2, ["unusable"] * 2, ["interruptible"] * 2)


def _rate(billed: Offer | Rental) -> str:
    if isinstance(billed, Rental):
        return rate_of(billed)
    return rate(billed.price_usd_per_hour)


def _carries(rental: Rental, mark: Mark) -> bool:
    return rental.mark is not None and rental.mark.nonce == mark.nonce
