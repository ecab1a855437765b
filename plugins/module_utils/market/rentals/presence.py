# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Is a rental there? Present, gone or unknown: what cannot be proven is never called gone.

Gone means: by its id and in a complete listing, both at once, twice with time in between, under
a credential that demonstrably still works. An answer that is odd in any way proves nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..clock import Clock
from ..errors import CredentialError, MarketError
from ..providers.provider import Provider

PRESENT, GONE, UNKNOWN = "present", "gone", "unknown"
#: Two looks are this far apart: a destroyed rental has been seen to come back.
LOOKS_APART_SECONDS = 5.0


@dataclass(frozen=True)
class Verdict:
    """``presence`` is one of the three words, ``reason`` says how it is known."""

    presence: str
    reason: str


class Proof:
    """Collects the looks at one rental until they prove something."""

    def __init__(self, provider: Provider, rental_id: str) -> None:
        self._provider = provider
        self._rental_id = rental_id
        #: How many looks in a row have seen it absent; one alone proves nothing.
        self.absent = 0

    def look(self) -> Verdict:
        """Look once more; two in a row without it, and a key that works, make ``gone``.

        Raises CredentialError: without the key nothing can be known any more.
        """
        try:
            seen = self._seen()
            self.absent = 0 if seen else self.absent + 1
            if self.absent < 2:
                return Verdict(PRESENT, seen) if seen else Verdict(UNKNOWN, "seen absent once")
            # Without it, the empty answers that a revoked key gets would count as proof.
            self._provider.check_credential()
        except CredentialError:
            raise
        except MarketError as error:
            self.absent = 0
            return Verdict(UNKNOWN, error.cause.rstrip("."))
        return Verdict(GONE, "neither shown nor listed, twice, with a key that works")

    def _seen(self) -> str:
        if self._provider.get(self._rental_id) is not None:
            return "the provider still shows it"
        if any(rental.id == self._rental_id for rental in self._provider.list_rentals()):
            return "it is still listed"
        return ""


def judge(provider: Provider, rental_id: str, clock: Clock) -> Verdict:
    """Whether a rental is there, by as many looks as that takes, at most two."""
    proof = Proof(provider, rental_id)
    try:
        verdict = proof.look()
        if proof.absent:
            clock.sleep(LOOKS_APART_SECONDS)
            verdict = proof.look()
        return verdict
    except CredentialError as error:
        return Verdict(UNKNOWN, error.cause.rstrip("."))
