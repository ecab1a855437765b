# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The key that clients of a server must send, where the user has given none.

It is derived and not drawn: every controller of the scope knows it without a file, and the next
deploy asks for the same. The host knows it too, so guesses at the secret behind it are made dear.
"""

from __future__ import annotations

import hashlib
from functools import cache

_COST = {"n": 2**13, "r": 8, "p": 1}


@cache
def client_key(secret: str, scope: str, name: str) -> str:
    """The key of the server on the rental of that name."""
    salt = f"inferops client key/{scope}/{name}"
    drawn = hashlib.scrypt(secret.encode(), salt=salt.encode(), dklen=24, **_COST)
    return f"sk-{drawn.hex()}"
