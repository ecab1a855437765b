# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The keys of a server that follow from the secret of its scope: that of its clients, where the
user has given none, that of its engine, where a proxy stands before it, and that of a gateway.

They are derived and not drawn: every controller of the scope knows them without a file, and the
next deploy asks for the same. The host knows them too, so guesses at the secret behind them are
made dear.
"""

from __future__ import annotations

import hashlib
from functools import cache

_COST = {"n": 2**13, "r": 8, "p": 1}


def client_key(secret: str, scope: str, name: str) -> str:
    """The key of the clients of the server on the rental of that name."""
    return _key("client", secret, scope, name)


def engine_key(secret: str, scope: str, name: str) -> str:
    """The key that the proxy before this server sends to its engine, and that no client has."""
    return _key("engine", secret, scope, name)


def gateway_key(secret: str, scope: str, name: str) -> str:
    """The key that the gateway of that name sends to the proxies before its servers."""
    return _key("gateway", secret, scope, name)


@cache
def _key(whose: str, secret: str, scope: str, name: str) -> str:
    """The word comes first, where no name and no scope can stand."""
    salt = f"inferops {whose} key/{scope}/{name}"
    drawn = hashlib.scrypt(secret.encode(), salt=salt.encode(), dklen=24, **_COST)
    return f"sk-{drawn.hex()}"
