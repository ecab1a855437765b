# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The mark that every rental carries in the field that its provider keeps.

The provider's list is the database of rentals: a fresh controller with nothing but
credentials reads scope, name, nonce, deadline and wished lifetime back from it.
"""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass

PREFIX = "inferops"
_WORD = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,61}[A-Za-z0-9])?")
_NONCE = re.compile(r"[0-9a-f]{8}")


def check_word(kind: str, word: str) -> str:
    """Return *word* when it can be a scope or a name, else raise ValueError."""
    if not _WORD.fullmatch(word):
        raise ValueError(
            f"{kind} {word!r} cannot mark a rental: use 1 to 63 letters, digits, dots, dashes "
            "or underscores, with a letter or digit at both ends."
        )
    return word


def draw_nonce() -> str:
    """A nonce that no other create has."""
    return secrets.token_hex(4)


def check_nonce(nonce: str) -> str:
    """Return *nonce* when it can be in a mark, else raise ValueError."""
    if not _NONCE.fullmatch(nonce):
        raise ValueError(f"Nonce {nonce!r} cannot mark a rental: use 8 digits of 0 to 9, a to f.")
    return nonce


@dataclass(frozen=True)
class Mark:
    """Who a rental belongs to and until when it may bill.

    ``deadline`` is in whole seconds since the epoch, ``lifetime_seconds`` the wish that it came
    from; both are 0 when there is none. An extension moves the deadline alone, so that a later
    deploy can tell it from a changed wish.
    """

    scope: str
    name: str
    nonce: str
    deadline: int
    lifetime_seconds: int

    @classmethod
    def new(
        cls,
        scope: str,
        name: str,
        deadline: int,
        lifetime_seconds: int,
        *,
        nonce: str | None = None,
    ) -> Mark:
        """A mark with this nonce or a fresh one; raises ValueError for unusable words."""
        check_word("Scope", scope)
        check_word("Name", name)
        nonce = draw_nonce() if nonce is None else check_nonce(nonce)
        return cls(scope, name, nonce, deadline, lifetime_seconds)

    def encode(self) -> str:
        """The text for the provider's field, at most 170 characters."""
        numbers = (str(self.deadline), str(self.lifetime_seconds))
        return "/".join((PREFIX, self.scope, self.name, self.nonce, *numbers))

    @classmethod
    def decode(cls, text: str | None) -> Mark | None:
        """The mark in *text*, or None when the rental is not one of ours."""
        parts = (text or "").split("/")
        if len(parts) != 6 or parts[0] != PREFIX or not _NONCE.fullmatch(parts[3]):
            return None
        words_hold = _WORD.fullmatch(parts[1]) and _WORD.fullmatch(parts[2])
        if not words_hold or not all(part.isdecimal() for part in parts[4:]):
            return None
        return cls(parts[1], parts[2], parts[3], int(parts[4]), int(parts[5]))


def is_damaged(text: str | None, scope: str) -> bool:
    """Whether *text* looks like a mark of *scope* that somebody has changed by hand."""
    looks_ours = (text or "").startswith(f"{PREFIX}/{scope}/")
    return looks_ours and Mark.decode(text) is None
