# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What can go wrong on a marketplace, as types that callers can tell apart."""

from __future__ import annotations

from typing import Any


class MarketError(Exception):
    """A marketplace problem; the text says what happened and what to change."""


class CredentialError(MarketError):
    """The API key is missing, wrong, revoked or lacks a right."""


class RequestRefused(MarketError):
    """The provider understood the request and said no: bad argument, no credit."""


class OfferGone(MarketError):
    """The offer cannot be rented any more: take the next one."""


class ProviderUnavailable(MarketError):
    """No usable answer came: timeout, dropped connection, 5xx, rate limit, odd body."""


class UnclearCreate(MarketError):
    """A create was sent and nobody knows whether it took effect.

    ``rental_id`` is set when the provider named an id beside its error.
    """

    def __init__(self, message: str, rental_id: str | None = None) -> None:
        super().__init__(message)
        self.rental_id = rental_id


class UnprovenAbsence(MarketError):
    """A release was asked for, but the rental could not be proven gone."""


class AttemptsExhausted(MarketError):
    """Every allowed attempt to rent failed; ``attempts`` tells each one."""

    def __init__(self, message: str, attempts: list[dict[str, Any]]) -> None:
        super().__init__(message)
        self.attempts = attempts
