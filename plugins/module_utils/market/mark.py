# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The mark that every rental carries in the field that its provider keeps.

The provider's list is the database of rentals: a fresh controller with nothing but
credentials reads scope, name, nonce and deadline back from it.
"""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass

PREFIX = "inferops"
_WORD = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,61}[A-Za-z0-9])?")


def check_word(kind: str, word: str) -> str:
    """Return *word* when it can be a scope or a name, else raise ValueError."""
    if not _WORD.fullmatch(word):
        raise ValueError(
            f"{kind} {word!r} cannot mark a rental: use 1 to 63 letters, digits, dots, dashes "
            "or underscores, with a letter or digit at both ends."
        )
    return word


@dataclass(frozen=True)
class Mark:
    """Who a rental belongs to and until when it may bill.

    ``deadline`` is in whole seconds since the epoch; 0 means none.
    """

    scope: str
    name: str
    nonce: str
    deadline: int

    @classmethod
    def new(cls, scope: str, name: str, deadline: int) -> Mark:
        """A mark with a fresh nonce; raises ValueError for unusable words."""
        return cls(
            check_word("Scope", scope), check_word("Name", name), secrets.token_hex(4), deadline
        )

    def encode(self) -> str:
        """The text for the provider's field, at most 160 characters."""
        return "/".join((PREFIX, self.scope, self.name, self.nonce, str(self.deadline)))

    @classmethod
    def decode(cls, text: str | None) -> Mark | None:
        """The mark in *text*, or None when the rental is not one of ours."""
        parts = (text or "").split("/")
        if len(parts) != 5 or parts[0] != PREFIX or not parts[4].isdigit():
            return None
        return cls(parts[1], parts[2], parts[3], int(parts[4]))
