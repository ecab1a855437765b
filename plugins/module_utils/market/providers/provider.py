# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The contract that every provider fulfils; everything else is written once above it.

What holds for every call. Errors are those of ``market.errors``, never a library's own:

- CredentialError: the credential is refused, in whatever way the provider says so (401, 403, or
  words in a 404). Never retried.
- RateLimited: certainly not carried out. The provider waits and tries again by itself, as far as
  the wait is short, also for a rental request.
- ProviderUnavailable: no usable answer: no connection, 5xx, a page for people, an empty or cut
  body, a row that cannot be understood. A read, a release, a new mark and a key are tried again by
  the provider itself; a rental request never is, it becomes UnclearCreate.
- RequestRefused: understood and refused. Trying the same again does not help.

Numbers are finite and in the units of ``market.model``, ids are text, times are in epoch seconds by
the provider's clock. What the provider does not tell is None, never a 0 or an empty text. The
conformance suite (``make conformance``) holds every provider against all of this.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from ..clock import Clock
from ..mark import Mark, Seal
from ..model import Account, Charge, HostImage, Offer, Order, Rental, RentalLog
from ..wish import Wish, version_key
from .pace import Pace

#: Who ends a rental past its deadline when its controller never comes back.
HOST, PROVIDER, REAPER, NOBODY = "host", "provider", "reaper", "nobody"


@dataclass(frozen=True)
class Credential:
    """One secret that a provider asks for.

    ``option`` is the option that gives it; without, the first of ``environment`` that is set does.
    """

    option: str
    environment: tuple[str, ...]
    required: bool = True
    #: What the documentation says of the option. All of ``api_key`` have one sentence in common.
    description: str = "A part of what the account logs in with."


@dataclass(frozen=True)
class Usual:
    """What a wish gets at one provider where it leaves it open."""

    image: str
    #: Its size as far as a host has to fetch it.
    image_gib: float
    disk_gib: int
    #: Floors; None where offers do not tell it, or where anything will do.
    driver_version: str | None
    min_reliability: float | None
    #: The download speed is at least what fetches image, packages and model in this time.
    longest_download_hours: float | None
    verified: bool


@dataclass(frozen=True)
class EngineImages:
    """The container images that hold an engine, one for each release and CUDA of its builds.

    ``name`` has places for both, ``gib`` is what a host has to fetch, and ``since`` is the first
    release that there is one of.
    """

    name: str
    gib: float
    since: str

    def of(self, release: str, cuda: str) -> HostImage | None:
        """That of a release and its CUDA, such as 0.32.0 and 13.0; None where there is none."""
        if version_key(release) < version_key(self.since):
            return None
        return HostImage(self.name.format(release=release, cuda=cuda), self.gib)


class Provider(ABC):
    """One marketplace under one account. Safe to use from several processes at once."""

    #: The value of the ``provider`` option.
    name: ClassVar[str]
    #: What it logs in with: one key, two parts of one, or nothing.
    credentials: ClassVar[tuple[Credential, ...]]
    #: Where an alternative API address comes from when no option gives it, and the public one.
    url_env: ClassVar[str]
    default_url: ClassVar[str]
    #: Seconds between two calls by one account, by kind of endpoint.
    seconds_between: ClassVar[Mapping[str, float]]
    #: How many characters of a mark the provider keeps.
    label_length: ClassVar[int]
    #: How long a rental that was released may still show before it is proven gone. Some are not
    #: ended before they run.
    ends_within_seconds: ClassVar[float] = 90.0
    #: Who one logs in as on its hosts.
    ssh_user: ClassVar[str]
    #: What is rented where a wish leaves it open.
    usual: ClassVar[Usual]
    #: The same for the documentation of option ``provider``, as the rest of a sentence.
    usual_in_words: ClassVar[str]
    #: By engine: the images that have it already, and let in whoever logs in at this provider.
    engine_images: ClassVar[Mapping[str, EngineImages]] = {}

    # What its API can do. The lifecycle does without what it cannot, and says so.

    #: Replace the mark of a rental; without, a deadline cannot move.
    can_change_mark: ClassVar[bool] = False
    #: Let a rental stand still and start it again, paying for its disk alone meanwhile.
    can_stop: ClassVar[bool] = False
    #: Bring a host key along with the rental request; without, the first contact is trusted.
    delivers_host_key: ClassVar[bool] = False
    #: Let a key in after the rental request; without, the one that came with it is all there is.
    attaches_keys: ClassVar[bool] = True
    #: Tell machines apart, so that one that failed can be shunned.
    tells_machines: ClassVar[bool] = False
    #: Tell what it has charged: a second view of what is rented beside its lists.
    tells_charges: ClassVar[bool] = False
    #: Tell what one rental was billed, also after its end.
    tells_bill: ClassVar[bool] = False
    #: Tell the log of a rental: what there is to go by where nobody could log in.
    tells_log: ClassVar[bool] = False
    #: Tell what the account has and what its key may do.
    tells_account: ClassVar[bool] = False
    #: Tell what GPUs there are, as its offers call them.
    tells_gpu_names: ClassVar[bool] = False
    #: Get an image from a registry that wants a login.
    takes_registry_login: ClassVar[bool] = False
    #: Keep a second copy of the mark in a place where people do not write.
    keeps_second_mark: ClassVar[bool] = False
    #: HOST when a request can carry the dead-man switch, PROVIDER when the provider itself ends
    #: a rental, NOBODY when neither.
    enforces_deadline: ClassVar[str] = NOBODY

    #: What proves that a mark is one of the scope's: ``mark_of`` and ``claim_of`` take it.
    seal: Seal = Seal()

    @abstractmethod
    def __init__(
        self, credentials: Mapping[str, str], api_url: str, pace: Pace, clock: Clock
    ) -> None:
        """*credentials* has every required one, by its option."""

    @abstractmethod
    def search(self, wish: Wish) -> list[Offer]:
        """Offers that may suit *wish*; the caller checks each one again.

        Retried by itself. Too many are no harm, and neither is what the wish cannot be checked
        against. One row that cannot be understood, or has no price, is left out; an answer without
        a list is ProviderUnavailable. Prices include the disk that the wish asks for.
        """

    def gpu_names(self) -> list[str]:
        """What its GPUs are called; only called where ``tells_gpu_names``. Retried by itself."""
        raise NotImplementedError(f"{self.name} does not tell its GPUs")

    @abstractmethod
    def rent(self, offer: Offer, order: Order) -> str:
        """Send one request, which carries the order's mark from the start; return the rental's id.

        It carries the mark's deadline too, in a script for the host or in the provider's own field,
        as ``enforces_deadline`` says, the host key where ``delivers_host_key``, and the login of a
        registry where ``takes_registry_login``.

        Never retried, here or above, but for a 429, which says that it was not carried out. The
        error decides what happens next, so in doubt it is UnclearCreate:

        - OfferGone, nothing was created: the next offer is tried.
        - RequestRefused, CredentialError, RateLimited, nothing was created: the run ends.
        - UnclearCreate: nobody can know. With the id that was told beside an error, or the list
          is searched for the mark. A lost answer, a timeout, any 5xx and a page of a gateway are
          unclear, whatever their status.
        """

    @abstractmethod
    def list_rentals(self) -> list[Rental]:
        """Every rental of the account, of all pages. Complete, or an error: never a part.

        Retried by itself. Agrees with :meth:`get`, but may lag behind a request; an empty list is
        for the caller to doubt. A rental that has ended is left out, or DEAD while it may bill.
        One whose row cannot be understood has status UNREADABLE, with the cause as its text; one
        without readable id spoils the list. One whose label was written over, or is no text, has
        the mark of its second copy, where ``keeps_second_mark``, and else none.
        """

    @abstractmethod
    def get(self, rental_id: str) -> Rental | None:
        """One rental; None only when the provider says in so many words that it is gone.

        Retried by itself. Gone is an answer in the provider's own shape and words, about this id.
        A 404 with other words, a page, an empty body, another rental's row and every error are not.
        """

    def charged(self, since: float) -> dict[str, Charge]:
        """What was charged after *since* (epoch seconds), by the rental's id, of whole days.

        In the order of their creation. Only called where ``tells_charges``. Retried by itself.
        Those that have ended are among them, told as such or not, and one that is younger than the
        provider's bills may be missing.
        """
        raise NotImplementedError(f"{self.name} does not tell what it charges")

    def billed_usd(self, rental_id: str, since: float) -> float | None:
        """Dollars that a rental of *since* (epoch seconds, 0 when unknown) was billed so far.

        None where no bill names it yet. Only called where ``tells_bill``. Retried by itself.
        """
        raise NotImplementedError(f"{self.name} does not tell what a rental was billed")

    def log(self, rental_id: str, seconds: float) -> RentalLog:
        """The last lines of a rental's log, empty where it has none.

        Only called where ``tells_log``, about a rental that bills: it is asked for once, and what
        has not come after so many seconds is left out. Of a size that can be held, whatever comes.
        """
        raise NotImplementedError(f"{self.name} does not tell the log of a rental")

    @abstractmethod
    def release(self, rental_id: str) -> None:
        """Ask for the end of a rental. Returning proves nothing; a missing one is no error.

        Retried by itself, and repeated by the caller until absence is proven.
        """

    def change_mark(self, rental_id: str, mark: Mark) -> None:
        """Replace a rental's mark; only called where ``can_change_mark``.

        Retried by itself. Returning proves nothing: the caller reads it back. Where the provider
        itself ends a rental at its deadline, that moves along.
        """
        raise NotImplementedError(f"{self.name} cannot change marks")

    def stop(self, rental_id: str) -> None:
        """Ask for a rental to stand still: its disk stays. Only called where ``can_stop``.

        Retried by itself. Returning proves nothing: the caller looks until it is STOPPED.
        """
        raise NotImplementedError(f"{self.name} cannot stop rentals")

    def start(self, rental_id: str) -> None:
        """Ask for a rental that stands still to run again. Only called where ``can_stop``.

        Retried by itself. Returning proves nothing. OfferGone where the provider says that its GPUs
        are somebody else's by now; it may also say nothing, and let it stand.
        """
        raise NotImplementedError(f"{self.name} cannot start rentals")

    @abstractmethod
    def attach_key(self, rental_id: str, ssh_public_key: str, again: bool = False) -> None:
        """Let the holder of *ssh_public_key* log in to a rental. Safe to repeat.

        Retried by itself. ``again`` repeats it although the provider says that the key is there:
        the host may have lost it. Without ``attaches_keys`` it does nothing.
        """

    @abstractmethod
    def check_credential(self) -> None:
        """Prove that the credential still works; raises CredentialError when it does not.

        Retried by itself. The answer must depend on the credential: what everybody may read proves
        nothing. It is the positive control without which no absence is proven.
        """

    def account(self) -> Account:
        """What the account has and may do; only called where ``tells_account``.

        Retried by itself. It only reads, and None stands for what is not told in so many words.
        """
        raise NotImplementedError(f"{self.name} tells nothing of the account")

    @property
    @abstractmethod
    def console_url(self) -> str:
        """Where a person sees and ends the account's rentals."""

    @property
    @abstractmethod
    def clock_offset_seconds(self) -> float:
        """The provider's clock minus the controller's, by its last answers; 0 where none told."""

    @property
    def latency_seconds(self) -> float | None:
        """How long its fastest answer of this process took; None where none was measured."""
        return None
