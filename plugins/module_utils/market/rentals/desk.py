# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rent, keep or release at one provider."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

from ..access.host_keys import derive
from ..border import check_id
from ..clock import Clock
from ..errors import MarketError, OfferGone, RequestRefused, UnclearCreate, UnprovenAbsence
from ..mark import Mark, check_length, check_nonce, draw_nonce
from ..model import (
    RUNNING,
    STOPPED,
    HostImage,
    Offer,
    Order,
    RegistryLogin,
    Rental,
    check_image,
    check_public_key,
    is_dearer,
    rate_of,
)
from ..offers.history import History
from ..offers.ranking import RankedOffer, choose, traffic_usd
from ..offers.runners_up import runners_up
from ..providers.provider import Provider
from ..secret import refuse_short
from .account import SHARED_FOR_SECONDS, duplicates_warning, named, readable
from .budget import Budget
from .enforcing import enforcer, refuse_unended_stop
from .info import known_hosts
from .labels import damaged_warning, refuse_damaged, written_over_warning
from .lacking import lacking
from .lifecycle import Limits, Rented
from .lifetime import Lifetime, is_new_wish
from .options import (
    ACCOUNT_OPTIONS,
    HOST_KEYS_OPTION,
    WISH_OPTIONS,
    ReleaseOn,
    given_secret,
    make_image_for,
    make_lifecycle,
    make_means,
    make_usage,
    make_wish,
    scope_secret,
    with_usual,
)
from .starting import as_started, telling_start
from .tried import NOTHING_BILLS

RENTAL_OPTIONS: dict[str, Any] = {
    **ACCOUNT_OPTIONS,
    **WISH_OPTIONS,
    "state": {
        "type": "str",
        "choices": ["present", "absent", "found", "stopped"],
        "default": "present",
    },
    "name": {"type": "str", "required": True},
    "image": {"type": "str"},
    "registry_username": {"type": "str"},
    "registry_password": {"type": "str", "no_log": True},
    "ssh_public_key": {"type": "str"},
    "ports": {"type": "list", "elements": "int", "default": []},
    "deadline_hours": {"type": "float", "default": 24.0},
    "budget_usd": {"type": "float", "default": 0.0},
    "spent_usd": {"type": "float", "default": 0.0},
    "no_deadline": {"type": "bool", "default": False},
    "reaper": {"type": "bool", "default": False},
    "allow_unenforced_deadline": {"type": "bool", "default": False},
    "host_keys": HOST_KEYS_OPTION,
    "max_attempts": {"type": "int", "default": 5},
    "nonce": {"type": "str"},
    "id": {"type": "str"},
    "id_provider": {"type": "str"},
}
RENTAL_REQUIRED_IF = [("state", "present", ("ssh_public_key",))]

_NONE_RENTED: dict[str, Any] = {"rental": None}
#: What is done to a rental that is given by its id.
_DONE = {"absent": "released", "stopped": "stopped"}


class Desk:
    """Where one call rents, keeps and releases."""

    def __init__(
        self,
        given: Mapping[str, Any],
        provider: Provider,
        dry_run: bool,
        notify: Callable[[str], None],
        warn: Callable[[str], None],
        release_on: ReleaseOn,
        budget: Budget | None = None,
    ) -> None:
        self._options = with_usual(given)
        self._image_for = make_image_for(given, provider, release_on)
        self._clock = Clock.from_environment()
        self._provider = provider
        self._dry_run = dry_run
        self._lifecycle = make_lifecycle(given, provider, self._clock, notify, warn, budget)
        self._account = self._lifecycle.account
        self._means = make_means(given, provider, self._clock)
        self._warn = warn
        self._machines_in_use: set[str] = set()

    @property
    def doubts(self) -> list[str]:
        """What makes the answer less sure than it should be."""
        return self._account.doubts

    @property
    def provider(self) -> Provider:
        """Whose rentals these are."""
        return self._provider

    def present(self) -> dict[str, Any]:
        """Keep the one rental of the name, or rent one."""
        existing = self.existing()
        return self.keep(existing) if existing else self._rent(self._machines_in_use)

    def existing(self) -> list[Rental]:
        """The rentals of the name, the one that counts first.

        Raises RequestRefused where another one may be of it, whose mark is damaged.
        """
        name = self._options["name"]
        whole = self._account.listed(SHARED_FOR_SECONDS)
        listed = self._account.of_scope(whole, name)
        self._machines_in_use = {one.machine_id for one in listed if one.machine_id}
        existing = self._lasting(named(listed, name))
        if existing:
            return existing
        refuse_damaged(self._account.damaged(SHARED_FOR_SECONDS, name), name, RequestRefused)
        return [] if self._dry_run else self._account.unlisted(whole, name)

    def last_known(self) -> list[Rental]:
        """The rentals of the name in the last listing that this controller has seen."""
        return self._account.last_known(self._options["name"])

    def elsewhere(self) -> list[Rental]:
        """The rentals of the name in a listing of now."""
        return self._account.find(self._options["name"])

    def end(self, rental: Rental) -> float:
        """Release one of them, prove it gone, and tell what it has cost in dollars."""
        cost = self._account.cost_usd(rental)
        self._lifecycle.release(rental)
        return cost

    def found(self) -> dict[str, Any]:
        """What :meth:`present` would keep, and whether it would leave all of it as it is."""
        name = self._options["name"]
        existing = named(self._account.rentals(SHARED_FOR_SECONDS, name), name)
        if not existing:
            damaged = self._account.damaged(SHARED_FOR_SECONDS, name)
            if damaged:
                self._warn(damaged_warning(damaged))
            return {"changed": False, "rental": None, "as_asked": False}
        kept = self._keep(existing)
        rental = existing[0]
        usable = rental.status == RUNNING and bool(rental.ssh)
        secret = scope_secret(self._options) if self._provider.delivers_host_key else None
        return {
            "changed": False,
            "rental": {
                **rental.to_dict(),
                "known_hosts": known_hosts(rental, secret),
                "brings_host_key": self._provider.delivers_host_key,
            },
            "as_asked": usable and not kept["changed"] and not self._is_expired(existing[0]),
            "deadline": kept["deadline"],
        }

    def stopped(self) -> dict[str, Any]:
        """Let the rental of the name stand still: its disk stays, and bills alone."""
        options, existing = self._options, self._to_stop()
        if not existing:
            return {"changed": False, "rental": None}
        kept = existing[0]
        self._warn_of_labels([kept])
        refuse_unended_stop(
            kept.mark.deadline if kept.mark else 0,
            self._provider.enforces_deadline,
            options["reaper"],
            options["allow_unenforced_deadline"] or options["no_deadline"],
        )
        stands, stood = kept, self._stands_still(kept)
        if not stood:
            pretend = replace(kept, status=STOPPED, status_text="stopped")
            stands = pretend if self._dry_run else self._lifecycle.stop(kept)
        if len(existing) > 1:
            self._warn(f"{duplicates_warning(existing)} Run playbook inferops.gpu.reap.")
        return {
            "changed": not stood,
            "rental": stands.to_dict(),
            "cost_usd": self._account.cost_usd(stands),
            "diff": {"before": {"rental": _shown(kept)}, "after": {"rental": _shown(stands)}},
        }

    def _to_stop(self) -> list[Rental]:
        """The rentals of the name, or that of the given id, by whatever shows it."""
        name, rental_id = self._options["name"], self._options["id"]
        if rental_id is None:
            return readable(self._account.find(name) or self._account.prove_none(name))
        try:
            return self._by_id(rental_id, [])
        except UnprovenAbsence:
            # Who cannot be asked about it may list it all the same.
            listed = [one for one in self._account.find(name) if one.id == rental_id]
            if not listed:
                raise
            return listed

    def now(self) -> float:
        """The time by its provider's clock."""
        return float(self._account.now())

    def absent(self, by_id: bool = True) -> dict[str, Any]:
        """Release every rental of the name, or only that of the nonce; and that of the id.

        Without ``by_id`` the id is another provider's.
        """
        name, nonce = self._options["name"], self._options["nonce"]
        rental_id = self._options["id"] if by_id else None
        if nonce is not None:
            check_nonce(nonce)
        found = self._account.prove_none(name, but=rental_id)
        doomed = [one for one in found if nonce in (None, one.mark and one.mark.nonce)]
        unproven: list[UnprovenAbsence] = []
        try:
            doomed += self._by_id(rental_id, doomed)
        except UnprovenAbsence as error:
            unproven.append(error)
        self._warn_of_labels(doomed)
        expected = [self._account.cost_usd(one) for one in doomed]
        self._release_all([] if self._dry_run else doomed, unproven)
        return {
            "changed": bool(doomed),
            "rental": None,
            "released": list(map(self._receipt, doomed, expected)),
            "diff": {
                "before": {"rentals": [_shown(rental) for rental in doomed]},
                "after": {"rentals": []},
            },
        }

    def _receipt(self, rental: Rental, cost_usd: float) -> dict[str, Any]:
        """What *rental* is expected to have cost, and was billed, where its provider tells."""
        billed = self._account.billed_usd(rental)
        if billed is not None and is_dearer(billed, cost_usd):
            self._warn(
                f"Rental {rental.id} was billed {billed:.4f} dollars, and {cost_usd:.4f} were "
                f"expected by its price and its time. See {rental.console_url}"
            )
        return {
            "provider": rental.provider,
            "id": rental.id,
            "price_usd_per_hour": rental.price_usd_per_hour,
            "cost_usd": cost_usd,
            "billed_usd": billed,
        }

    def _warn_of_labels(self, rentals: list[Rental]) -> None:
        for warning in filter(None, map(written_over_warning, rentals)):
            self._warn(warning)

    def _by_id(self, rental_id: str | None, doomed: list[Rental]) -> list[Rental]:
        """The rental of the given id, where its label or a list that is behind has hidden it.

        Raises UnprovenAbsence for one of another name, and where nobody knows whether it is there.
        """
        if rental_id is None or rental_id in (one.id for one in doomed):
            return []
        check_id(rental_id)
        rental = self._account.by_id(rental_id)
        if rental is None:
            return []
        mark, nonce = rental.mark or rental.claim, self._options["nonce"]
        ours = (self._options["scope"], self._options["name"])
        if mark is not None and (mark.scope, mark.name) == ours and nonce in (None, mark.nonce):
            # The list was behind, and did not show it; or its mark is not proven.
            return [rental]
        if mark is not None:
            # A whole mark is nothing that somebody wrote over: it is another name's, or nonce's.
            raise UnprovenAbsence(
                f"Rental {rental.id} carries the mark {rental.label!r}, which is not the one that "
                f"is to be {_DONE[self._options['state']]}, so it was left alone.",
                remedy=f"Run teardown for its own name, or end it at {rental.console_url}",
                money=f"It bills {rate_of(rental)}.",
            )
        self._warn(
            f"The label of rental {rental.id} is {rental.label!r}, which is not the mark that it "
            f"was made with: it is {_DONE[self._options['state']]} by its id."
        )
        return [rental]

    # Keep.

    def _lasting(self, existing: list[Rental]) -> list[Rental]:
        """*existing*, what can be kept first. Where nothing can, it is proven gone: none is left.

        The end of it was asked for already, by this run or another one.
        """
        lasting = [one for one in existing if not one.is_ending]
        if lasting or not existing:
            return [*lasting, *(one for one in existing if one.is_ending)]
        ending = ", ".join(one.id for one in existing)
        self._warn(f"Rental {ending} is ending, so another one is rented once it is gone.")
        if not self._dry_run:
            self._release_all(existing)
        return []

    def _keep(self, existing: list[Rental]) -> dict[str, Any]:
        kept = existing[0]
        self._warn_of_labels([kept])
        wanted = self._other_deadline(kept)
        if wanted is None and self._options["state"] == "present":
            self._refuse_expired(kept)
        duplicates = self._resolve(existing)
        moved = kept
        if wanted is not None:
            moved = self._lifecycle.move_deadline(kept, *wanted, self._dry_run)
        return {
            "changed": moved != kept or any(one["released"] for one in duplicates),
            "rental": moved.to_dict(),
            "nonce": "",
            "duplicates": duplicates,
            "deadline": self._deadline(moved.mark, moved.since),
            "diff": {"before": {"rental": _shown(kept)}, "after": {"rental": _shown(moved)}},
        }

    def keep(self, existing: list[Rental]) -> dict[str, Any]:
        """Keep what is rented, and start it where it stands still.

        Another one is rented where its GPUs are somebody else's by now.
        """
        result, kept = self._keep(existing), existing[0]
        if not self._provider.can_stop or not self._stands_still(kept):
            return result
        if kept.mark:
            self._lifecycle.refuse_beyond_budget(kept.price_usd_per_hour, kept.mark)
        running = replace(kept, status=RUNNING, status_text="running")
        with telling_start(as_started(kept)):
            started = running if self._dry_run else self._start(kept)
        if started is None:
            return self._rent({kept.machine_id} if kept.machine_id else set())
        return {
            **result,
            "changed": True,
            # A pretended start changes nothing that others look at.
            "rental": result["rental"] if self._dry_run else started.to_dict(),
            **as_started(kept),
            "started_told": _started(kept, self._dry_run),
            "diff": {"before": {"rental": _shown(kept)}, "after": {"rental": _shown(running)}},
        }

    def _start(self, kept: Rental) -> Rental | None:
        """*kept* on its way to run; None where its GPUs are somebody else's, and it is gone."""
        try:
            return self._lifecycle.start(kept)
        except OfferGone as error:
            self._warn(f"{error.cause} It is released, and another one is rented.")
            self._release_all([kept])
            return None

    def _stands_still(self, rental: Rental) -> bool:
        """Whether it does by its id as well.

        By one odd list, nothing that serves may count as started here, for that is stopped again
        when the deploy fails; and nothing that bills may count as stopped.
        """
        if rental.status != STOPPED:
            return False
        seen = self._provider.get(rental.id)
        return seen is None or seen.status == STOPPED

    def _is_expired(self, rental: Rental) -> bool:
        return bool(rental.mark and 0 < rental.mark.deadline <= self._account.now())

    def _refuse_expired(self, kept: Rental) -> None:
        """Raise RequestRefused where what is rented may be ended before it is of any use."""
        if self._is_expired(kept):
            raise RequestRefused(
                f"Rental {kept.id} is past its deadline, so it may be ended at any moment.",
                remedy="Run playbook inferops.gpu.extend to keep it, or inferops.gpu.teardown and "
                "then deploy to rent another one.",
                money=f"It bills {rate_of(kept)} until it is ended.",
            )

    def _resolve(self, existing: list[Rental]) -> list[dict[str, Any]]:
        """The younger rentals of the name, released when nobody else is about to do so."""
        settled = self._lifecycle.settled_duplicates(existing)
        waiting = [rental for rental in existing[1:] if rental not in settled]
        if waiting:
            self._warn(
                duplicates_warning([existing[0], *waiting])
                + " Run again in some minutes to release it, or run playbook inferops.gpu.reap."
            )
        if not self._dry_run:
            self._release_all(settled)
        return [
            {
                "id": one.id,
                "cost_usd": self._account.cost_usd(one),
                "released": one in settled,
            }
            for one in existing[1:]
        ]

    def _other_deadline(self, kept: Rental) -> tuple[int, int] | None:
        """Deadline and lifetime as a changed wish wants them; None where it has not changed."""
        lifetime = self._lifetime()
        seconds = lifetime.seconds(kept.price_usd_per_hour)
        unpriced = bool(lifetime.budget_usd) and kept.price_usd_per_hour is None
        if kept.mark is None or unpriced or not is_new_wish(kept.mark, seconds):
            return None
        left = lifetime.seconds_left(kept.price_usd_per_hour)
        return (int(kept.since or self._account.now()) + left if left else 0), seconds

    # Rent.

    def _rent(self, machines_in_use: set[str]) -> dict[str, Any]:
        ranked = self.ranked(machines_in_use)
        plan = self.plan(ranked)
        if self._dry_run:
            return plan
        nonce = self._options["nonce"] or draw_nonce()
        return {**plan, **self.take(ranked, nonce, self._options["max_attempts"])}

    def ranked(self, machines_in_use: set[str] | None = None) -> list[RankedOffer]:
        """What could be rented here, best first."""
        options = self._options
        check_image(options["image"])
        refuse_short(given_secret(options))
        for sentence in lacking(self._provider, options["host_keys"]):
            self._warn(sentence)
        in_use = self._machines_in_use if machines_in_use is None else machines_in_use
        wish = make_wish(options).without_machines(in_use)
        history = History(options["history_path"])
        try:
            usage = make_usage(options)
            return choose(self._lifecycle.search, wish, usage, history, self._image_for)
        except MarketError as error:
            error.money = error.money or NOTHING_BILLS
            raise

    def plan(self, ranked: list[RankedOffer]) -> dict[str, Any]:
        """What would be rented of *ranked*, as a result; raises RequestRefused for what cannot."""
        options = self._options
        mark = self._mark(ranked[0], self._account.now(), options["nonce"])
        self._registry()
        if self._dry_run:
            self._refuse_without_means()
            self._refuse_beyond_budget(ranked[0].offer.price_usd_per_hour, mark)
        result: dict[str, Any] = {
            "changed": True,
            "rental": None,
            "offer": ranked[0].to_dict(),
            "runners_up": runners_up(ranked, ranked[0]),
            "disk_gib": options["disk_gib"],
            "nonce": "",
            "deadline": self._deadline(mark, self._account.now()),
        }
        diff = {"before": _NONE_RENTED, "after": {"offer": ranked[0].to_dict()}}
        return {**result, "diff": diff}

    def _refuse_without_means(self) -> None:
        try:
            self._means.check()
        except MarketError as error:
            error.money = NOTHING_BILLS
            raise

    def _refuse_beyond_budget(self, price_usd_per_hour: float | None, mark: Mark) -> None:
        try:
            self._lifecycle.refuse_beyond_budget(price_usd_per_hour, mark)
        except MarketError as error:
            error.money = NOTHING_BILLS
            raise

    def take(self, ranked: list[RankedOffer], nonce: str, max_attempts: int) -> dict[str, Any]:
        """Rent the first of *ranked* that can be had, under *nonce*: what changes of the plan."""
        options = self._options
        mark = self._mark(ranked[0], self._account.now(), nonce)
        public_key = check_public_key(options["ssh_public_key"])
        registry = self._registry()
        host_key = None
        if options["host_keys"] == "delivered" and self._provider.delivers_host_key:
            host_key = derive(scope_secret(options), mark, generation=1)

        by_id = {one.offer.id: one for one in ranked}

        def order_for(offer: Offer) -> Order:
            now = self._account.now()
            chosen = by_id[offer.id]
            return Order(
                mark=self._mark(chosen, now, nonce),
                image=chosen.image.name if chosen.image else options["image"],
                disk_gib=options["disk_gib"],
                ssh_public_key=public_key,
                created_at=now,
                host_key=host_key,
                ports=tuple(options["ports"]),
                registry=registry,
            )

        rented = self._first(ranked, order_for, nonce, max_attempts)
        rental = rented.rental
        return {
            "rental": rental.to_dict(),
            # An older rental that won was not rented by this offer.
            "offer": rented.offer.to_dict() if rented.own else {},
            "runners_up": runners_up(ranked, rented.offer) if rented.own else [],
            "attempts": rented.attempts,
            "nonce": nonce if rented.own else "",
            "deadline": self._deadline(rental.mark, self._account.now()),
            "diff": {"before": _NONE_RENTED, "after": {"rental": _shown(rental)}},
        }

    def _registry(self) -> RegistryLogin | None:
        """The login for the image's registry; raises RequestRefused where nobody takes one."""
        options = self._options
        login = RegistryLogin.for_image(
            options["image"], options["registry_username"], options["registry_password"]
        )
        if login and not self._provider.takes_registry_login:
            raise RequestRefused(
                f"{self._provider.name} takes no login for a registry.",
                remedy="Use an image that everybody gets, or another provider.",
                money=NOTHING_BILLS,
            )
        return login

    def _first(
        self,
        ranked: list[RankedOffer],
        order_for: Callable[[Offer], Order],
        nonce: str,
        max_attempts: int,
    ) -> Rented:
        """What the lifecycle rents. A failure after which a rental may exist brings its nonce."""
        options = self._options
        images = {one.offer.id: one.image for one in ranked}
        limits = Limits(
            max_attempts,
            options["max_price_usd_per_hour"],
            self._lifetime(),
            lambda offer: self._traffic_usd(offer, images.get(offer.id)),
        )
        try:
            return self._lifecycle.rent(ranked, order_for, limits)
        except UnclearCreate as error:
            unclear = error
        except MarketError:
            raise
        except Exception as error:
            # Whatever broke, a request may have been sent, and the nonce is what releases it.
            unclear = UnclearCreate(f"Renting broke off ({type(error).__name__}: {error}).")
        unclear.nonce = nonce
        unclear.money = unclear.money or f"A rental may bill. See {self._provider.console_url}"
        raise unclear

    def _lifetime(self) -> Lifetime:
        options = self._options
        return Lifetime(
            options["deadline_hours"],
            options["budget_usd"],
            options["no_deadline"],
            options["spent_usd"],
        )

    def _mark(self, chosen: RankedOffer, now: int, nonce: str | None) -> Mark:
        """A mark with the deadline that this offer's price allows; without a nonce a fresh one."""
        offer, lifetime = chosen.offer, self._lifetime()
        seconds = lifetime.seconds(offer.price_usd_per_hour)
        lifetime = lifetime.less(self._traffic_usd(offer, chosen.image))
        left = lifetime.seconds_left(offer.price_usd_per_hour)
        deadline = now + left if left else 0
        scope, name = self._options["scope"], self._options["name"]
        seal = self._provider.seal
        check_length(scope, name, self._provider.label_length, bool(seal))
        return seal.put_on(Mark.new(scope, name, deadline, seconds, now, nonce=nonce))

    def _traffic_usd(self, offer: Offer, image: HostImage | None) -> float:
        return traffic_usd(offer, make_usage(self._options).with_image(image))

    def _deadline(self, mark: Mark | None, since: float) -> dict[str, Any]:
        at = mark.deadline if mark else 0
        options = self._options
        nobody_accepted = options["allow_unenforced_deadline"] or options["no_deadline"]
        return {
            "at": at,
            "hours": round((at - since) / 3600, 2) if at else None,
            "remaining_seconds": at - self._account.now() if at else None,
            "clock_offset_seconds": round(self._account.now() - self._clock.now()),
            "enforced_by": enforcer(
                at,
                self._provider.enforces_deadline,
                options["reaper"],
                nobody_accepted,
            ),
            "nobody_accepted": nobody_accepted,
        }

    def _release_all(self, rentals: list[Rental], unproven: Iterable[UnprovenAbsence] = ()) -> None:
        """Release each; raise UnprovenAbsence for those that fail and for the *unproven*."""
        unproven = list(unproven)
        for rental in rentals:
            try:
                self._lifecycle.release(rental)
            except UnprovenAbsence as error:
                # The others must not go on billing because of this one.
                unproven.append(error)
        if unproven:
            raise UnprovenAbsence(
                " ".join(error.cause for error in unproven),
                remedy=unproven[0].remedy,
                money=" ".join(error.money for error in unproven),
            )


def _started(rental: Rental, dry_run: bool) -> str:
    """What there is to say of a rental that stood still."""
    verbs = ("stands", "it would be") if dry_run else ("stood", "it is")
    return (
        f"Rental {rental.id} {verbs[0]} still, {rate_of(rental)}; {verbs[1]} "
        f"started again, and bills {rate_of(replace(rental, status=RUNNING))} then."
    )


def _shown(rental: Rental) -> dict[str, Any]:
    """What a diff shows of a rental."""
    return {
        "provider": rental.provider,
        "id": rental.id,
        "label": rental.label,
        "gpu": f"{rental.gpu_count} x {rental.gpu_name}",
        "status": "stopped" if rental.status == STOPPED else "rented",
        "price_usd_per_hour": rental.billed_usd_per_hour,
    }
