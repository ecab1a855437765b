# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the keys of a proxy may be, and what is kept of them: the controller refuses bad ones before
anything is rented, and the host whatever has come to it.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping

CLIENT, METRICS = "client", "metrics"
"""The kinds: one for routes of inference, the other for the engine's figures alone."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,62}")
#: What a header can carry, and nobody can guess.
_KEY = re.compile(r"[\x21-\x7e]{8,512}")


def digest(key: str) -> str:
    """What is kept of a key."""
    return hashlib.sha256(key.encode()).hexdigest()


def check(key: str, where: str) -> None:
    """Raise ValueError, without the key, for one that no header could carry or anybody guess."""
    if not _KEY.fullmatch(key):
        raise ValueError(
            f"{where} must be 8 to 512 letters, digits and signs of ASCII, without blanks"
        )


def hashed(clients: Mapping[str, str], metrics: Mapping[str, str]) -> dict[str, str]:
    """Kind and name of each key by its digest. Raises ValueError naming the bad one."""
    found: dict[str, str] = {}
    for kind, keys in ((CLIENT, clients), (METRICS, metrics)):
        for name, key in keys.items():
            if not _NAME.fullmatch(name):
                raise ValueError(
                    f"{name!r} names no key: take letters, digits, '.', '_', '@' and '-'"
                )
            check(key, f"the key of {name!r}")
            known = found.setdefault(digest(key), f"{kind}:{name}")
            if known != f"{kind}:{name}":
                raise ValueError(
                    f"{kind} {name!r} and {known.replace(':', ' ', 1)} have the same key"
                )
    return found
