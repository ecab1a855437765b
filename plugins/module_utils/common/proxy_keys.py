# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the keys of a proxy may be, and what is kept of them: the controller refuses bad ones before
anything is rented, and sends no host more than their SHA-256.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Any

CLIENT, METRICS, GATEWAY = "client", "metrics", "gateway"
"""The kinds: for routes of inference, for the engine's figures alone, and for both."""
KINDS = {"keys": CLIENT, "metrics_keys": METRICS, "gateway_keys": GATEWAY}
"""The kind of the keys in each option of module proxy."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,62}")
#: What a header can carry, and nobody can guess.
_KEY = re.compile(r"[\x21-\x7e]{8,512}")


HASHED = "sha256:"
"""So begins what stands for a key on its way to a host: it never gets the key."""
_HASHED = re.compile(rf"{HASHED}[0-9a-f]{{64}}")


def digest(key: str) -> str:
    """What is kept of a key."""
    return hashlib.sha256(key.encode()).hexdigest()


def check(key: object, where: str) -> str:
    """The key. Raises ValueError, without the key, for one that no header could carry or anybody
    guess, and for what is no text: nobody would know which key Python makes of it."""
    if not isinstance(key, str):
        raise ValueError(f"{where} is no text: write one key, in quotes")
    if not _KEY.fullmatch(key):
        raise ValueError(
            f"{where} must be 8 to 512 letters, digits and signs of ASCII, without blanks"
        )
    return key


def digests(keys: Mapping[Any, object]) -> dict[str, str]:
    """What stands for each key, by its name. Raises ValueError naming the bad one."""
    return {
        str(name): HASHED + digest(check(key, f"the key of {str(name)!r}"))
        for name, key in keys.items()
    }


def by_digest(given: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
    """Kind and name of each key by its digest, of what stands for those of each option. Raises
    ValueError naming the bad one."""
    found: dict[str, str] = {}
    for option, kind in KINDS.items():
        for name, hashed_key in given.get(option, {}).items():
            if not _NAME.fullmatch(name):
                raise ValueError(
                    f"{name!r} names no key: take letters, digits, '.', '_', '@' and '-'"
                )
            if not isinstance(hashed_key, str) or not _HASHED.fullmatch(hashed_key):
                raise ValueError(f"the key of {name!r} has come as it is, not as its SHA-256")
            known = found.setdefault(hashed_key.removeprefix(HASHED), f"{kind}:{name}")
            if known != f"{kind}:{name}":
                raise ValueError(
                    f"{kind} {name!r} and {known.replace(':', ' ', 1)} have the same key"
                )
    return found


def hashed(given: Mapping[str, Mapping[Any, object]]) -> dict[str, str]:
    """Kind and name of each key by its digest, of the keys of each option. Raises ValueError
    naming the bad one."""
    return by_digest({option: digests(keys) for option, keys in given.items()})
