# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The mark that every rental carries in the field that its provider keeps.

The provider's list is the database of rentals: a fresh controller with nothing but
credentials reads scope, name, nonce, deadline and wished lifetime back from it.

    inferops/<scope>/<name>/<nonce>/3/<deadline>/<lifetime>/<created>/<seal>

People write into that field as well. Where a provider keeps a second copy that they do not, it
tells whose a rental is whatever has become of the first one. The seal proves that somebody wrote
the mark who knows the secret of the scope: who has the secret believes no mark without it.

The 3 is the version. Version 2 has no seal, where a scope has no secret of its own. Numbers are
written to the base of 36, because the shortest field of a provider has 64 characters. A later
version may add parts behind these: who does not know them keeps them as they are. Version 1 had no
version, decimal numbers and no time of the rental request.
"""

from __future__ import annotations

import hmac
import re
import secrets
from dataclasses import dataclass, replace
from urllib.parse import unquote

from .secret import derived

PREFIX = "inferops"
VERSION, SEALED = 2, 3
#: What nobody guesses by writing labels: each guess is one that everybody sees.
_SEAL_LETTERS = 16
#: Labels that are shorter are needed for scope and name: no mark of such a provider has a seal.
ROOM_FOR_SEAL = 128
_WORD = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,61}[A-Za-z0-9])?")
_NONCE = re.compile(r"[0-9a-f]{8}")
#: What Ansible takes for the controller, or for every host.
_RESERVED = ("all", "localhost", "ungrouped", "127.0.0.1")
_DECIMAL = re.compile(r"[0-9]{1,15}")
_BASE_36 = re.compile(r"[0-9a-z]{1,10}")
#: Parts that a later version has added: kept, and sent back to the provider.
_REST = re.compile(r"[A-Za-z0-9._/-]{0,100}")
#: What is left of a mark of a scope, in small letters: its first two words, with what stands in no
#: word between them, or all behind a part of the first one.
_BEGINNING = PREFIX + r"[^a-z0-9._-]{{1,20}}{scope}(?:[^a-z0-9._-]|$)"
_ENDING = r"([a-z]{{0,8}})/?{scope}/[a-z0-9._-]{{1,63}}/[0-9a-f]{{8}}/"
_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
#: What a mark takes beside scope and name: prefix, nonce, version, three numbers of up to seven
#: digits, and the slashes between them. Seven digits reach to the year 4453.
_FRAME_LETTERS = len(PREFIX) + 8 + 1 + 3 * 7 + 7


def check_word(kind: str, word: str) -> str:
    """Return *word* when it can be a scope or a name, else raise ValueError."""
    if not _WORD.fullmatch(word):
        raise ValueError(
            f"{kind} {word!r} cannot mark a rental: use 1 to 63 letters, digits, dots, dashes "
            "or underscores, with a letter or digit at both ends."
        )
    return word


def check_name(name: str) -> str:
    """Return *name* when a rental, and so a host, can bear it, else raise ValueError."""
    if check_word("Name", name).casefold() in _RESERVED:
        raise ValueError(f"Name {name!r} means something else to Ansible: take another one.")
    return name


def check_length(scope: str, name: str, most: int, sealed: bool = False) -> None:
    """See that a mark of *scope* and *name* fits into *most* characters, else raise ValueError.

    However it changes later: a deadline that moves must never become too long.
    """
    left = most - _FRAME_LETTERS - (1 + _SEAL_LETTERS if sealed else 0)
    if len(scope) + len(name) > left:
        raise ValueError(
            f"Scope {scope!r} and name {name!r} are too long together: the provider keeps marks of "
            f"{most} characters, which leaves {left} for both. Shorten one of them."
        )


def draw_nonce() -> str:
    """A nonce that no other rental request has."""
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
    deploy can tell it from a changed wish. ``created_at`` is the time of the rental request by the
    provider's clock, 0 when unknown. ``version`` and ``rest``, the parts behind those that are
    known, are kept for whoever knows them.
    """

    scope: str
    name: str
    nonce: str
    deadline: int
    lifetime_seconds: int
    created_at: int = 0
    version: int = VERSION
    rest: str = ""

    @property
    def identity(self) -> tuple[str, str, str, int]:
        """What never changes: scope, name, nonce and the time of the rental request."""
        return self.scope, self.name, self.nonce, self.created_at

    @classmethod
    def new(
        cls,
        scope: str,
        name: str,
        deadline: int,
        lifetime_seconds: int,
        created_at: int = 0,
        *,
        nonce: str | None = None,
    ) -> Mark:
        """A mark with this nonce or a fresh one; raises ValueError for unusable words."""
        check_word("Scope", scope)
        check_name(name)
        nonce = draw_nonce() if nonce is None else check_nonce(nonce)
        return cls(scope, name, nonce, deadline, lifetime_seconds, created_at)

    def encode(self) -> str:
        """The text for the provider's field."""
        numbers = (self.version, self.deadline, self.lifetime_seconds, self.created_at)
        known = (PREFIX, self.scope, self.name, self.nonce, *map(_base_36, numbers))
        return "/".join((*known, self.rest) if self.rest else known)

    @classmethod
    def decode(cls, text: str | None) -> Mark | None:
        """The mark in *text*, or None when the rental is not one of ours."""
        parts = (text or "").split("/")
        if len(parts) < 6 or parts[0] != PREFIX or not _NONCE.fullmatch(parts[3]):
            return None
        if not _WORD.fullmatch(parts[1]) or not _WORD.fullmatch(parts[2]):
            return None
        scope, name, nonce, *others = parts[1:]
        if len(parts) == 6:
            if not all(_DECIMAL.fullmatch(part) for part in others):
                return None
            return cls(scope, name, nonce, int(others[0]), int(others[1]))
        if len(others) < 4 or not all(_BASE_36.fullmatch(part) for part in others[:4]):
            return None
        version, deadline, lifetime_seconds, created_at = (int(part, 36) for part in others[:4])
        rest = "/".join(others[4:])
        if version < VERSION or not _REST.fullmatch(rest):
            return None
        return cls(scope, name, nonce, deadline, lifetime_seconds, created_at, version, rest)


class Seal:
    """What a scope's marks are sealed with, and known by. Without a secret, all are believed."""

    def __init__(self, secret: str = "") -> None:
        self._secret = secret

    def __bool__(self) -> bool:
        return bool(self._secret)

    @property
    def fingerprint(self) -> str:
        """Tells two secrets apart, and nothing else of them."""
        return derived(self._secret, "inferops fingerprint").hex()[:8] if self else ""

    def put_on(self, mark: Mark) -> Mark:
        """*mark* as it is sent to the provider."""
        if not self:
            return mark
        rest = mark.rest.partition("/")[2] if mark.version >= SEALED else mark.rest
        version = max(mark.version, SEALED)
        bare = replace(mark, version=version, rest="")
        return replace(bare, rest="/".join(filter(None, (self._letters(bare), rest))))

    def proves(self, mark: Mark) -> bool:
        """Whether *mark* was written by somebody who knows the secret."""
        if not self:
            return True
        told = mark.rest.partition("/")[0]
        wanted = self._letters(replace(mark, rest=""))
        return mark.version >= SEALED and hmac.compare_digest(told.encode(), wanted.encode())

    def _letters(self, mark: Mark) -> str:
        return derived(self._secret, f"inferops mark/{mark.encode()}").hex()[:_SEAL_LETTERS]


def mark_of(label: str, copy: str | None = None, seal: Seal | None = None) -> Mark | None:
    """The mark of a rental whose field shows *label*; None when it is not one of ours.

    *copy* is the one that nobody writes into, as it was at the rental request. A deadline that has
    moved since then is only in the label, and counts as long as one word of that is still the mark.
    """
    seal = seal or Seal()
    kept = Mark.decode(copy)
    if kept is None:
        whole = Mark.decode(label)
        return whole if whole and seal.proves(whole) else None
    if not seal.proves(kept):
        return None
    words = (Mark.decode(word) for word in label.split())
    ours = (mark for mark in words if mark and mark.identity == kept.identity)
    return next(filter(seal.proves, ours), kept)


def claim_of(label: str, copy: str | None = None) -> Mark | None:
    """The mark that a rental carries, whether or not somebody may be believed who wrote it."""
    return Mark.decode(copy) or Mark.decode(label)


def is_damaged(text: str | None, scope: str) -> bool:
    """Whether *text* looks like a mark of *scope* that somebody has changed by hand.

    Whatever was written around it, into it, or in place of its slashes; also when it was cut off.
    """
    if not text or Mark.decode(text) is not None:
        return False
    told = unquote(text).casefold()
    beginning = f"{PREFIX}/{scope}/".casefold()
    if len(told) > len(PREFIX) and beginning.startswith(told):
        return True
    word = re.escape(scope.casefold())
    behind = re.match(_ENDING.format(scope=word), told)
    if behind and PREFIX.endswith(behind[1]):
        return True
    looks = re.compile(_BEGINNING.format(scope=word))
    return any(looks.search(one) for one in (told, "".join(told.split())))


def _base_36(number: int) -> str:
    digits = ""
    while number:
        number, digit = divmod(number, 36)
        digits = _DIGITS[digit] + digits
    return digits or "0"
