# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The secret of a scope: what host keys are derived from, and what marks are sealed with.

A marketplace sees what was made from it, the first host key and the seals, and may guess for as
long as it likes. So a short one is refused where something is rented, and each guess takes long.
"""

from __future__ import annotations

import hashlib
import hmac
from functools import cache

from .errors import RequestRefused

LEAST_LETTERS = 20
#: A twentieth of a second, once for each process.
_ROUNDS = 50_000
MAKE_ONE = "Make one with: openssl rand -base64 30"


@cache
def _stretched(secret: str) -> bytes:
    return hashlib.pbkdf2_hmac("sha256", secret.encode(), b"inferops scope secret", _ROUNDS)


def derived(secret: str, purpose: str) -> bytes:
    """32 bytes for this purpose alone, the same for everybody who has the secret."""
    return hmac.new(_stretched(secret), purpose.encode(), hashlib.sha256).digest()


def is_short(secret: str) -> bool:
    """Whether a secret that somebody has chosen can be guessed; none at all cannot."""
    return 0 < len(secret) < LEAST_LETTERS


def refuse_short(secret: str) -> None:
    """Raise RequestRefused for a secret that can be guessed."""
    if is_short(secret):
        raise RequestRefused(
            f"The scope secret has {len(secret)} characters, so that a marketplace could guess it "
            f"and with it the SSH keys of the hosts: use at least {LEAST_LETTERS}.",
            remedy=f"{MAKE_ONE}. Release first what was rented with the one that you have.",
            money="Nothing was rented.",
        )


SHORT_WARNING = (
    f"The scope secret has less than {LEAST_LETTERS} characters and can be guessed. Nothing more "
    f"is rented with it. {MAKE_ONE}"
)
