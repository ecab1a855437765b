# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The contract that every provider fulfils; everything else is written once above it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from .clock import Clock
from .mark import Mark
from .model import Offer, Order, Rental
from .pace import Pace
from .wish import Wish

#: Who ends a rental past its deadline when its controller never comes back.
HOST, PROVIDER, REAPER, NOBODY = "host", "provider", "reaper", "nobody"


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
    min_download_mbit_per_second: float | None
    verified: bool


class Provider(ABC):
    """One marketplace under one credential."""

    #: The value of the ``provider`` option.
    name: ClassVar[str]
    #: Where the API key and an alternative API address come from when no option gives them.
    credential_env: ClassVar[str]
    url_env: ClassVar[str]
    default_url: ClassVar[str]
    #: Seconds between two calls by one credential, by kind of endpoint.
    seconds_between: ClassVar[Mapping[str, float]]
    #: What its API can do: change a rental's mark, deliver a host key with the create.
    can_remark: ClassVar[bool]
    delivers_host_key: ClassVar[bool]
    #: HOST when a create can carry the dead-man switch, PROVIDER when the provider itself ends
    #: a rental, NOBODY when neither.
    enforces_deadline: ClassVar[str]
    #: What is rented where a wish leaves it open.
    usual: ClassVar[Usual]

    @abstractmethod
    def __init__(self, api_key: str, api_url: str, pace: Pace, clock: Clock) -> None: ...

    @abstractmethod
    def search(self, wish: Wish) -> list[Offer]:
        """Offers that may suit *wish*; the caller checks each one again."""

    @abstractmethod
    def rent(self, offer: Offer, order: Order) -> str:
        """Send one create and return the rental's id.

        Raises OfferGone, RequestRefused or CredentialError when nothing was created, and
        UnclearCreate when nobody can know.
        """

    @abstractmethod
    def list_rentals(self) -> list[Rental]:
        """Every rental of the account. Complete, or an error: never a part.

        One whose row cannot be understood has status UNREADABLE, with the cause as its text.
        """

    @abstractmethod
    def get(self, rental_id: str) -> Rental | None:
        """One rental; None only when the provider says in so many words that it is gone."""

    @abstractmethod
    def release(self, rental_id: str) -> None:
        """Ask for the end of a rental. Returning proves nothing; a missing one is no error."""

    @abstractmethod
    def remark(self, rental_id: str, mark: Mark) -> None:
        """Replace a rental's mark; only called where ``can_remark``."""

    @abstractmethod
    def attach_key(self, rental_id: str, ssh_public_key: str, again: bool = False) -> None:
        """Let the holder of *ssh_public_key* log in to a rental. Safe to repeat.

        ``again`` repeats it although the provider says that the key is there: the host may have
        lost it.
        """

    @abstractmethod
    def check_credential(self) -> None:
        """Prove that the credential still works; raises CredentialError when it does not."""

    @property
    @abstractmethod
    def console_url(self) -> str:
        """Where a person sees and ends the account's rentals."""

    @property
    @abstractmethod
    def clock_offset_seconds(self) -> float:
        """The provider's clock minus the controller's, by its last answers."""
