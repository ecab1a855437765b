# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One name at several providers: found wherever it is, and rented where it is best.

All are asked at once. One that does not answer keeps nobody from renting elsewhere, unless this
controller has last seen the name there; but that nothing is rented is said of all or not at all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

from ..errors import (
    AttemptsExhausted,
    MarketError,
    ProviderUnavailable,
    UnclearCreate,
    UnprovenAbsence,
)
from ..mark import draw_nonce
from ..model import Rental, rate_of
from ..offers.ranking import RankedOffer
from ..offers.runners_up import runners_up
from .account import readable
from .asking import ask_all, precedence, together
from .desk import Desk
from .options import account_at
from .reaping import is_settled, waits
from .starting import started_in, telling_start
from .tried import exhausted


class Desks:
    """Where one call rents, keeps and releases at whichever of several providers it is."""

    def __init__(
        self,
        desks: Sequence[Desk],
        given: Mapping[str, Any],
        dry_run: bool,
        warn: Callable[[str], None],
    ) -> None:
        self._desks, self._given, self._dry_run, self._warn = desks, given, dry_run, warn

    def present(self) -> dict[str, Any]:
        """Keep the one rental of the name, wherever it is, or rent one where it is best."""
        living, silent = self._living(Desk.existing)
        if living:
            return self._keep(living)
        self._go_without(silent)
        out = [desk for desk, _error in silent]
        return self._rent([desk for desk in self._desks if desk not in out])

    def found(self) -> dict[str, Any]:
        """What :meth:`present` would keep, and whether it would leave all of it as it is."""
        living, silent = self._living(Desk.elsewhere)
        if living:
            return {**living[0][0].found(), **self._others(living)}
        if len(silent) == len(self._desks):
            raise together([error for _desk, error in silent])
        return {"changed": False, "rental": None, "as_asked": False}

    def stopped(self) -> dict[str, Any]:
        """Let the rental of the name stand still, wherever it is."""
        if self._given["id"] is not None:
            return self._desk_of_id().stopped()
        living, silent = self._living(Desk.elsewhere)
        if living:
            return living[0][0].stopped()
        if silent:
            raise together([error for _desk, error in silent])
        return {"changed": False, "rental": None}

    def absent(self) -> dict[str, Any]:
        """Release the name at all of them. One that does not answer proves nothing."""
        told, failed = ask_all(self._desks, self._absent_at)
        answers = [answer for _desk, answer in told]
        released = [one for answer in answers for one in answer["released"]]
        if failed:
            gone = ", ".join(f"{one['id']} of {one['provider']}" for one in released)
            errors = [_unproven(desk, error) for desk, error in failed]
            if gone and not self._dry_run:
                errors[0].cause += f" Released and proven gone: {gone}."
            raise together(errors)
        before = [one for answer in answers for one in answer["diff"]["before"]["rentals"]]
        return {
            "changed": bool(released),
            "rental": None,
            "released": released,
            "diff": {"before": {"rentals": before}, "after": {"rentals": []}},
        }

    def _desk_of_id(self) -> Desk:
        """That of the provider whose the given id is."""
        named = account_at(self._given, self._given["id_provider"])["provider"]
        return next(desk for desk in self._desks if desk.provider.name == named)

    def _absent_at(self, desk: Desk) -> dict[str, Any]:
        # An id is its provider's own: to others it says nothing, or is somebody else's.
        return desk.absent(by_id=desk.provider.name == self._given["id_provider"])

    # Keep.

    def _living(
        self, question: Callable[[Desk], list[Rental]]
    ) -> tuple[list[tuple[Desk, Rental]], list[tuple[Desk, MarketError]]]:
        """The rentals of the name with their desks, the one that counts first, and who is silent.

        Whatever else is wrong than that it does not answer ends the call.
        """
        told, failed = ask_all(self._desks, question)
        for _desk, error in failed:
            if not isinstance(error, ProviderUnavailable):
                raise error
        found = [(desk, rental) for desk, rentals in told for rental in rentals]
        return sorted(found, key=lambda one: precedence(one[1])), failed

    def _keep(self, living: list[tuple[Desk, Rental]]) -> dict[str, Any]:
        desk, first = living[0]
        readable([first])
        result = desk.keep([rental for one, rental in living if one is desk])
        with telling_start(started_in(result)):
            others = self._others(living)
        ended = [one for one in others["duplicates"] if one["released"]]
        return {
            **result,
            "changed": result["changed"] or bool(ended),
            "duplicates": [*result["duplicates"], *others["duplicates"]],
        }

    def _others(self, living: list[tuple[Desk, Rental]]) -> dict[str, Any]:
        """What is done about the rentals of the name at other providers than the one that counts.

        A settled one is released; one that another controller may be about to release is told.
        """
        desk, first = living[0]
        told = []
        for other, rental in living[1:]:
            if other is desk:
                continue
            now = float(other.now())
            doomed = is_settled(rental, now) and not waits(rental, first)
            ends = doomed and not self._dry_run and self._given["state"] == "present"
            if not ends:
                self._warn(
                    f"Rental {first.id} of {first.provider} is the one that is used, but "
                    f"{rental.id} of {rental.provider} bills {rate_of(rental)} "
                    "under the same name. Deploy again in some minutes to release it, or run "
                    "playbook inferops.gpu.reap."
                )
            cost = other.end(rental) if ends else 0.0
            told.append({"id": rental.id, "cost_usd": cost, "released": ends})
        return {"duplicates": told}

    def _go_without(self, silent: list[tuple[Desk, MarketError]]) -> None:
        """Say who does not answer. Raises its error where the name was last seen there."""
        if len(silent) == len(self._desks):
            raise together([error for _desk, error in silent])
        for desk, error in silent:
            if desk.last_known():
                error.money = f"Nothing was rented: {desk.provider.name} had it when last seen."
                raise error
            self._warn(
                f"{desk.provider.name} does not answer, so it is left out: {error.cause} Should "
                "this name be rented there, the younger of both is released once it answers again."
            )

    # Rent.

    def _rent(self, desks: Sequence[Desk]) -> dict[str, Any]:
        told, failed = ask_all(desks, Desk.ranked)
        if not told:
            raise together([error for _desk, error in failed])
        for desk, error in failed:
            self._warn(f"{desk.provider.name} is left out: {error.cause}")
        offers = [(one, desk) for desk, ranked in told for one in ranked]
        offers.sort(key=lambda one: one[0].ranked_usd)
        all_ranked = [one for one, _desk in offers]
        refused: list[MarketError] = []
        attempts: list[dict[str, Any]] = []
        for result in self._tried(offers, refused, attempts):
            if not self._dry_run:
                self._give_way(result)
            chosen = result["offer"].get("id"), result["offer"].get("provider")
            named = (one for one in all_ranked if (one.offer.id, one.offer.provider) == chosen)
            best = next(named, None)
            runners = runners_up(all_ranked, best) if best else []
            return {**result, "runners_up": runners, "attempts": attempts}
        if refused and not attempts:
            raise together(refused)
        raise exhausted(attempts)

    def _tried(
        self,
        offers: list[tuple[RankedOffer, Desk]],
        refused: list[MarketError],
        attempts: list[dict[str, Any]],
    ) -> Iterator[dict[str, Any]]:
        """The results of renting, or of planning to, one provider's offers after the other's.

        A provider that refuses every offer alike is asked no more, and one that has nothing left of
        what it lists does not use up the requests of all. Whatever may have been rented ends the
        call: UnclearCreate.
        """
        nonce = self._given["nonce"] or draw_nonce()
        given_up: list[Desk] = []
        asked: list[Desk] = []
        for desk, group in groupby(offers, key=lambda one: one[1]):
            ranked = [one for one, _desk in group]
            sent = sum(attempt["outcome"] != "claimed" for attempt in attempts)
            left = self._given["max_attempts"] - sent
            others = {other for _one, other in offers} - {desk, *asked}
            left = _share(left, len(others), desk not in asked)
            if desk in given_up or left <= 0:
                continue
            asked.append(desk)
            try:
                result = desk.plan(ranked)
                if not self._dry_run:
                    result |= desk.take(ranked, nonce, left)
                    attempts += result["attempts"]
                yield result
            except UnclearCreate as error:
                error.attempts = [*attempts, *error.attempts]
                raise
            except AttemptsExhausted as error:
                attempts += error.attempts
            except MarketError as error:
                attempts += error.attempts
                refused.append(error)
                given_up.append(desk)
                self._warn(f"{desk.provider.name} rents nothing: {error.cause}")

    def _give_way(self, result: dict[str, Any]) -> None:
        """End what was just rented where another controller has an older one elsewhere.

        Both see both, and both take the older one for the one that counts. Raises UnclearCreate:
        whatever fails here, what was rented may bill.
        """
        if not result["nonce"]:
            return
        try:
            self._let_older_one_count(result)
        except MarketError as error:
            made = result["rental"]
            unclear = UnclearCreate(
                error.cause,
                rental_id=made["id"],
                remedy=error.remedy,
                money=error.money or f"Rental {made['id']} of {made['provider']} may bill.",
            )
            unclear.nonce, unclear.started = result["nonce"], error.started
            unclear.attempts = result["attempts"]
            raise unclear from error

    def _let_older_one_count(self, result: dict[str, Any]) -> None:
        living, _silent = self._living(Desk.elsewhere)
        ours = [one for one in living if one[1].mark and one[1].mark.nonce == result["nonce"]]
        if not ours or living[0] == ours[0]:
            return
        (desk, rental), (older_desk, older) = ours[0], living[0]
        cost = desk.end(rental)
        self._warn(
            f"Rental {older.id} of {older.provider} is older and counts under this name: "
            f"{rental.id} of {rental.provider} was released and proven gone, for {cost:.4f} "
            "dollars."
        )
        kept = older_desk.keep([older])
        result |= {**kept, "offer": {}, "nonce": "", "changed": True}


def _share(left: int, others: int, is_first: bool) -> int:
    """How many of the requests that are *left* a provider may send; *others* have had none yet.

    One is kept for each of them, but not before this one had its own.
    """
    return max(left - others, 1 if is_first else 0) if left > 0 else 0


def _unproven(desk: Desk, error: MarketError) -> MarketError:
    """Why it cannot be said of this provider that nothing of the name is there."""
    if isinstance(error, UnprovenAbsence):
        return error
    return UnprovenAbsence(
        f"Nobody can say what is rented at {desk.provider.name}: {error.cause}",
        remedy=error.remedy,
        money=error.money or f"Whatever is rented there may bill. See {desk.provider.console_url}",
    )
