# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The keys of a proxy: what it may know of them, and the files that hold it.

Of a client's key the host gets the SHA-256, and a name for the log. The proxy's own key for its
engines has to be there as it is, since it is sent on.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping

from ...common.server_words import KEY, KEY_WORDS

CLIENT, METRICS = "client", "metrics"
"""The kinds: one for routes of inference, the other for the engine's figures alone."""

UPSTREAM = "key"
"""Under this word the proxy's own key stands in its file."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,62}")


def digest(key: str) -> str:
    """What is kept of a key."""
    return hashlib.sha256(key.encode()).hexdigest()


def check(key: str, where: str) -> None:
    """Raise ValueError, without the key, for one that no header could carry or anybody guess."""
    if not KEY.fullmatch(key):
        raise ValueError(f"{where} must be {KEY_WORDS}")


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


def as_map(entries: Mapping[str, str]) -> str:
    """A map file of HAProxy: a key and a value in each line."""
    return "".join(f"{key} {value}\n" for key, value in sorted(entries.items()))


def from_map(text: str) -> dict[str, str]:
    """The entries of such a file."""
    pairs = (line.split(" ", 1) for line in text.splitlines() if " " in line.strip())
    return {key: value.strip() for key, value in pairs}
