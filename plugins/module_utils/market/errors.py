# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What can go wrong on a marketplace, as types that callers can tell apart.

Every error says three things: what happened, what to do about it, and what it may cost.
"""

from __future__ import annotations

from typing import Any, ClassVar


class MarketError(Exception):
    """A marketplace problem: its cause, its remedy, and the money at stake.

    Who knows the money adds it: a provider cannot tell what a failed read means for a rental,
    the lifecycle above it can.
    """

    #: The remedy unless an error brings a better one.
    remedy_default: ClassVar[str] = "Try again; if it stays, see the provider's status page."

    def __init__(self, cause: str, *, remedy: str = "", money: str = "") -> None:
        super().__init__(cause)
        self.cause = cause
        self.remedy = remedy or self.remedy_default
        self.money = money
        #: The offers that were tried before, and what became of each.
        self.attempts: list[dict[str, Any]] = []
        #: The older rental that the call has started, or may have, as its result tells it.
        self.started: dict[str, str] = {}

    def __str__(self) -> str:
        return " ".join(part for part in (self.cause, self.remedy, self.money) if part)

    def to_dict(self) -> dict[str, Any]:
        """The error as plain data, as modules return it under ``failure``."""
        return {
            "kind": type(self).__name__,
            "cause": self.cause,
            "remedy": self.remedy,
            "money": self.money,
        }


class CredentialError(MarketError):
    """The API key is missing, wrong, revoked or lacks a right."""

    remedy_default = "Check the key and its rights in the provider's console."


class RequestRefused(MarketError):
    """The provider understood the request and said no: bad argument, no credit."""

    remedy_default = "Change what it names."


class ImageRefused(RequestRefused):
    """No host gets the image that was asked for: it is not there, or wants a login."""


class OfferGone(MarketError):
    """The offer cannot be rented any more: take the next one."""

    remedy_default = "Run again, or widen the wish."


class ProviderUnavailable(MarketError):
    """No usable answer came: timeout, dropped connection, 5xx, rate limit, odd body."""


class RateLimited(ProviderUnavailable):
    """The provider takes no such calls for now; this one was certainly not carried out."""

    remedy_default = "Nothing needs to change: run again later, with fewer hosts at once."


class UnclearCreate(MarketError):
    """A rental request was sent and nobody knows whether it took effect.

    ``rental_id`` is set when an id is known, as where the provider named one beside its error.
    ``nonce`` is that of the mark that was sent.
    """

    remedy_default = "Run teardown for this name, then try again."

    def __init__(
        self, cause: str, *, rental_id: str | None = None, remedy: str = "", money: str = ""
    ) -> None:
        super().__init__(cause, remedy=remedy, money=money)
        self.rental_id = rental_id
        self.nonce = ""


class UnprovenAbsence(MarketError):
    """A release was asked for, but the rental could not be proven gone."""

    remedy_default = "Run teardown again, or end it in the provider's console."


class HostFault(MarketError):
    """A rented host does not keep what its offer promised: release it and take another.

    ``stage`` names where it failed (boot, ssh, login, driver, vram, disk, network). ``blame`` is
    ``machine``, which the next attempt shuns, or ``provider``: then no other machine of it helps.
    ``run`` is another run of ours, which was cut off before the host was proven to be ours.
    ``sign`` is what another machine would show too if the fault were not the machine's; empty where
    it can be nobody else's.
    """

    remedy_default = "Release it and take another offer."

    def __init__(
        self,
        cause: str,
        *,
        stage: str,
        blame: str = "machine",
        sign: str = "",
        remedy: str = "",
        money: str = "",
    ) -> None:
        super().__init__(cause, remedy=remedy, money=money)
        self.stage = stage
        self.blame = blame
        self.sign = sign

    def to_dict(self) -> dict[str, Any]:
        """The error as plain data, with who is to blame."""
        told = {"stage": self.stage, "blame": self.blame, "sign": self.sign}
        return {**super().to_dict(), **told}


class AttemptsExhausted(MarketError):
    """Every allowed attempt to rent failed; ``attempts`` tells each one."""

    remedy_default = "Run again, or widen the wish."
