# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What an account has rented, once for all providers, and how sure that is."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import chain, islice, zip_longest

from ..clock import Clock
from ..errors import MarketError, ProviderUnavailable, RateLimited, UnprovenAbsence
from ..mark import Mark, check_word, is_damaged, mark_of
from ..model import DEAD, UNREADABLE, Charge, Rental, rate_of
from ..providers.provider import Provider
from .labels import damaged_warning, odd_labels_warning, refuse_damaged
from .presence import GONE, LOOKS_APART_SECONDS, Verdict, judge
from .shared_listing import SharedListing

#: Hosts of one play that look within this time share one listing.
SHARED_FOR_SECONDS = 5.0
#: An answer that cannot be used is asked for again, a few times.
_TRIES = 3
_AGAIN_SECONDS = 3.0
#: Who has not answered for so long, by all tries of a call, is not asked again.
_PATIENCE_SECONDS = 200.0
#: Of the rentals that a listing misses, and of those whose labels are no texts, so many are asked
#: for by their ids.
_MISSING_LOOKED_AT = _ODD_LOOKED_AT = 10
#: Rentals that were charged for in this time may still be there. So many of them are asked for,
#: where any of the scope may be and where those of one name may.
_CHARGED_SECONDS = 2 * 86_400.0
_CHARGED_LOOKED_AT, _CHARGED_OF_A_NAME = 3, 5
#: Clocks are this much apart at most, unless one of them is wrong.
PLAUSIBLE_OFFSET_SECONDS = 300.0


class Account:
    """The rentals of one scope on one provider. ``notify`` gets one line for each decision.

    Without ``shared`` it looks alone, which costs calls and never safety.
    """

    def __init__(
        self,
        provider: Provider,
        scope: str,
        clock: Clock,
        shared: SharedListing | None = None,
        notify: Callable[[str], None] = lambda line: None,
    ) -> None:
        self._provider = provider
        self._scope = check_word("Scope", scope)
        self._clock = clock
        self._shared = shared or SharedListing(None, clock)
        self._notify = notify
        self._offset_seconds: float | None = None
        #: What makes an answer less sure than it should be, as sentences for the user.
        self.doubts: list[str] = []

    @property
    def provider_name(self) -> str:
        """Where it is."""
        return self._provider.name

    def now(self) -> int:
        """The time by the provider's clock, which is the one that all controllers share."""
        if self._offset_seconds is None:
            if abs(self._provider.clock_offset_seconds) > PLAUSIBLE_OFFSET_SECONDS:
                # One answer may carry any date: another one must confirm it.
                self._provider.check_credential()
            self._offset_seconds = self._provider.clock_offset_seconds
        return int(self._clock.now() + self._offset_seconds)

    def about_now(self) -> float:
        """The same as far as it is known: nobody is asked, and so nothing can fail."""
        offset = self._offset_seconds
        if offset is None:
            told = self._provider.clock_offset_seconds
            offset = told if abs(told) <= PLAUSIBLE_OFFSET_SECONDS else 0.0
        return self._clock.now() + offset

    def rentals(self, max_age_seconds: float = 0.0, name: str | None = None) -> list[Rental]:
        """Every rental of the scope, by precedence, as listed at most so long ago.

        Raises ProviderUnavailable when one of this *name* is unreadable; to end it, its id is
        enough. Without a name such a one is among the others, which one odd row must not hide.
        """
        return self.of_scope(self.listed(max_age_seconds), name)

    def listed(self, max_age_seconds: float = 0.0) -> list[Rental]:
        """Every rental of the account, whosever it is, as listed at most so long ago."""
        return self._listed(self._clock.now() - max_age_seconds)

    def of_scope(self, listed: list[Rental], name: str | None = None) -> list[Rental]:
        """Those of *listed* that are the scope's, as :meth:`rentals` tells them."""
        found = self._of_scope(listed)
        if name is not None:
            readable(named(found, name))
        return found

    def last_known(self, name: str) -> list[Rental]:
        """The rentals of *name* in the last listing of this controller, for want of a newer one."""
        return named(self._of_scope(self._shared.last()), name)

    def find(self, name: str, not_before: float | None = None) -> list[Rental]:
        """Every rental of one name, the one that counts first; the others are duplicates.

        The listing was begun at *not_before* or later, by the clock; now where that is not given.
        """
        listed = self._listed(self._clock.now() if not_before is None else not_before)
        return named(self._of_scope(listed), name)

    def everything(self) -> tuple[list[Rental], list[Rental]]:
        """The scope's rentals, by precedence, and those whose mark of the scope is damaged.

        Those that the list misses and another view shows are among them.
        """
        listed = self._own_listing()
        # For a scope that looks empty, the listing itself has asked the other view.
        if self._of_scope(listed):
            listed = [*listed, *self._missed(listed)]
        self._doubt_lists_alone()
        return self._of_scope(listed), self._damaged(listed)

    def _missed(self, listed: list[Rental]) -> list[Rental]:
        """What is charged for and not *listed*. Where that cannot be told, what is listed counts:
        a rental past its deadline bills on while nobody ends it."""
        try:
            return self.unlisted(listed)
        except MarketError as error:
            self.doubt(f"What the provider's list may miss could not be looked at: {error.cause}")
            return []

    def damaged(self, max_age_seconds: float, name: str | None = None) -> list[Rental]:
        """Rentals whose mark of the scope nobody can believe, that may be of this *name*.

        Somebody has written into it, and there is no second copy; or its seal is not the scope's.
        """
        return self._damaged(self.listed(max_age_seconds), name)

    def unclaimed(self, max_age_seconds: float) -> list[Rental]:
        """Rentals of the account that have no mark of any scope, which bill like all others."""
        listed = self.listed(max_age_seconds)
        damaged = {one.id for one in self._damaged(listed)}
        return [one for one in listed if one.mark is None and one.id not in damaged]

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
        if not found:
            self._doubt_lists_alone()
        doubted = [one for one in self._damaged(listed, name) if one.id != but]
        if not found:
            refuse_damaged(doubted, name, UnprovenAbsence)
        elif doubted:
            self.doubt(damaged_warning(doubted))
        return found

    def unlisted(self, listed: list[Rental], name: str | None = None) -> list[Rental]:
        """Rentals of the scope, or of *name*, that are charged for and that *listed* misses.

        *listed* is all of the account: bills tell of all, and not always of what. Lists come from
        replicas, and each of them may be behind. What is charged is another view. Raises
        ProviderUnavailable where one of them cannot be read.
        """
        if not self._provider.tells_charges:
            return []
        try:
            charged = self._provider.charged(self._clock.now() - _CHARGED_SECONDS)
        except MarketError as error:
            self.doubt(f"What is rented is known by the provider's lists alone: {error.cause}")
            return []
        known = {rental.id for rental in listed}
        # Most of them have ended. Of each name the youngest is the likeliest to live, but of those
        # that were rented at once the oldest was kept.
        youngest_first: dict[str, list[str]] = {}
        for rental_id, charge in reversed(charged.items()):
            may_live = rental_id not in known and not charge.has_ended
            if may_live and self._is_charged_as(charge.label, name):
                mark = mark_of(charge.label or "")
                youngest_first.setdefault(mark.name if mark else "", []).append(rental_id)
        likely = filter(None, chain.from_iterable(zip_longest(*youngest_first.values())))
        most = _CHARGED_LOOKED_AT if name is None else _CHARGED_OF_A_NAME
        seen = map(self._charged_one, islice(likely, most))
        found = self._of_scope([rental for rental in seen if rental])
        return found if name is None else named(found, name)

    def _charged_one(self, rental_id: str) -> Rental | None:
        """A rental that is charged for and not listed, by its id; an odd answer is asked for again.

        Where it stays odd nothing may be rented in its place: the same read would have to prove
        that it is gone.
        """
        until = self._clock.now() + _PATIENCE_SECONDS
        for attempt in range(1, _TRIES + 1):
            try:
                return self._provider.get(rental_id)
            except ProviderUnavailable as error:
                if not self._may_ask_again(attempt, until, error):
                    raise ProviderUnavailable(
                        f"Rental {rental_id} was charged for lately and is in no list. Whose it is "
                        f"and whether it is still there cannot be read: {error.cause}",
                        remedy="Run again in some minutes; if it stays, see whether it bills at "
                        f"{self._provider.console_url}",
                    ) from error
            self._clock.sleep(_AGAIN_SECONDS)
        raise AssertionError("unreachable: the last try returns or raises")

    def _is_charged_as(self, label: str | None, name: str | None) -> bool:
        """Whether a bill with this label may be for a rental of the scope, or of *name*."""
        if label is None:
            return True
        mark = mark_of(label)
        if mark is None:
            return is_damaged(label, self._scope)
        return mark.scope == self._scope and name in (None, mark.name)

    def cost_usd(self, rental: Rental) -> float:
        """What *rental* has cost so far; of one that has stopped by its bills, where they tell."""
        billed = self.billed_usd(rental) if rental.status in DEAD else None
        return rental.cost_usd(self.now()) if billed is None else billed

    def billed_usd(self, rental: Rental) -> float | None:
        """Dollars that *rental* was billed so far, to 0.0001; None where nobody tells."""
        if not self._provider.tells_bill:
            return None
        try:
            billed = self._provider.billed_usd(rental.id, rental.since)
            return None if billed is None else round(billed, 4)
        except MarketError as error:
            self._notify(f"the bills of {rental.id}: {error.cause}")
            return None

    def charges(self, since: float) -> dict[tuple[str, str], Charge]:
        """What was charged after *since*, by provider and id; empty where nobody tells.

        Those of other scopes are among them.
        """
        if not self._provider.tells_charges:
            return {}
        charged = self._provider.charged(since)
        return {(self._provider.name, rental_id): one for rental_id, one in charged.items()}

    def sure(self, sentence: str) -> str:
        """*sentence* about what bills, where no doubt speaks against it."""
        return " ".join(self.doubts) or sentence

    def _doubt_lists_alone(self) -> None:
        """Say so where nothing but the provider's lists tells what is rented."""
        if self._provider.tells_charges or self._shared.remembers():
            return
        self.doubt(
            f"What is rented at {self._provider.name} is known by its lists alone: no bills tell "
            "it, and this controller has not known before what is there. What a list misses that "
            f"is behind may bill: see {self._provider.console_url}"
        )

    def doubt(self, sentence: str) -> None:
        """Remember what makes an answer less sure, once."""
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

    def judge(self, rental_id: str) -> Verdict:
        """Present, gone or unknown, with proof."""
        return judge(self._provider, rental_id, self._clock)

    def forget(self, released: str = "") -> None:
        """Something changes, which no listing shows that was begun before now.

        *released* was proven gone and will not be missed.
        """
        self._shared.forget(released)

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

    def _complete_listing(self, seen: Mapping[str, str]) -> list[Rental]:
        """The provider's listing; one that cannot be trusted is asked for again, a few times.

        *seen* are the rentals of the listing before, with their marks as texts.
        """
        until = self._clock.now() + _PATIENCE_SECONDS
        for attempt in range(1, _TRIES + 1):
            try:
                listed = self._trusted_listing(seen)
                odd = any(rental.status == UNREADABLE for rental in self._of_scope(listed))
                if attempt == _TRIES or not odd:
                    return listed
            except ProviderUnavailable as error:
                if not self._may_ask_again(attempt, until, error):
                    raise
            self._clock.sleep(_AGAIN_SECONDS)
        raise AssertionError("unreachable: the last try returns or raises")

    def _may_ask_again(self, attempt: int, until: float, error: MarketError) -> bool:
        """Whether another try may help after *attempt*, which ended with *error*."""
        is_last = attempt == _TRIES or self._clock.now() > until
        return not is_last and not isinstance(error, RateLimited)

    def _trusted_listing(self, seen: Mapping[str, str]) -> list[Rental]:
        listed = self._provider.list_rentals()
        if not listed:
            # A revoked key gets empty lists too, and so does who asks a replica that is behind.
            self._provider.check_credential()
            listed = self._provider.list_rentals()
        missing = sorted(set(seen) - {rental.id for rental in listed})
        for rental_id in missing[:_MISSING_LOOKED_AT]:
            if self._provider.get(rental_id) is not None:
                raise ProviderUnavailable(
                    f"Listing rentals: {rental_id} is missing, yet the provider shows it by its "
                    "id, so the list cannot be trusted."
                )
        listed = self._with_owners(listed, seen)
        for rental in [] if self._of_scope(listed) else self.unlisted(listed):
            raise ProviderUnavailable(
                f"Listing rentals: {rental.id} is missing, yet the provider charges for it and "
                "shows it by its id, so the list cannot be trusted."
            )
        return listed

    def _with_owners(self, listed: list[Rental], seen: Mapping[str, str]) -> list[Rental]:
        """*listed*, where labels that are no texts hide nothing of ours, and close nothing else.

        One list may be odd, so each is asked for by its id. Where that does not tell whose it is
        either, it is whose this controller has seen it to be, and else somebody else's.
        """
        odd = [one.id for one in listed if one.has_odd_label][:_ODD_LOOKED_AT]
        listed = [self._by_its_id(one) if one.id in odd else one for one in listed]
        owned = [_as_seen(one, seen) if one.has_odd_label else one for one in listed]
        unknown = [one for one in owned if one.has_odd_label and one.mark is None]
        if unknown:
            self.doubt(odd_labels_warning(unknown))
        return owned

    def _by_its_id(self, rental: Rental) -> Rental:
        """*rental* as it is shown by its id, where that can be read."""
        try:
            return self._provider.get(rental.id) or rental
        except ProviderUnavailable:
            return rental

    def _of_scope(self, listed: list[Rental]) -> list[Rental]:
        mine = [one for one in listed if one.mark and one.mark.scope == self._scope]
        several = Counter(one.mark.name for one in mine if one.mark)
        sure = (self._sure(one) if one.mark and several[one.mark.name] > 1 else one for one in mine)
        return sorted(sure, key=lambda rental: rental.precedence)

    def _sure(self, rental: Rental) -> Rental:
        """*rental* with its status by its id where a list calls it dead.

        One odd list must not make another one of the same name count.
        """
        return self._by_its_id(rental) if rental.status in DEAD else rental

    def _damaged(self, listed: list[Rental], name: str | None = None) -> list[Rental]:
        return [one for one in listed if one.mark is None and self._may_be(one, name)]

    def _may_be(self, rental: Rental, name: str | None) -> bool:
        claim = rental.claim
        if claim is None:
            return is_damaged(rental.label, self._scope)
        return claim.scope == self._scope and name in (None, claim.name)


def duplicates_warning(rentals: list[Rental]) -> str:
    """What to tell about several rentals of one name, the one that counts first."""
    told = ", ".join(f"{one.id} ({rate_of(one)})" for one in rentals[1:])
    return (
        f"Rental {rentals[0].id} is the one that is used, but {told} of {rentals[0].provider} "
        "bills under the same name."
    )


def _as_seen(rental: Rental, seen: Mapping[str, str]) -> Rental:
    """*rental* with the mark that it was seen with: its second copy keeps no moved deadline."""
    return replace(rental, mark=Mark.decode(seen.get(rental.id)) or rental.mark)


def named(rentals: list[Rental], name: str) -> list[Rental]:
    """Those of *rentals* whose mark carries *name*."""
    return [rental for rental in rentals if rental.mark and rental.mark.name == name]


def readable(rentals: list[Rental]) -> list[Rental]:
    """*rentals*, unless one of them is unreadable: what needs more than its id must not guess."""
    for rental in rentals:
        if rental.status == UNREADABLE:
            raise ProviderUnavailable(
                rental.status_text,
                remedy=f"Run again; if it stays, look at the rental at {rental.console_url}",
            )
    return rentals
