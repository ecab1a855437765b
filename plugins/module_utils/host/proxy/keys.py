# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files of a proxy that hold what it knows of keys.

Of a client's key the host gets the SHA-256, and a name for the log. The proxy's own key for its
engines has to be there as it is, since it is sent on.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

UPSTREAM = "key"
"""Under this word the proxy's own key stands in its file."""


def as_map(entries: Mapping[str, str]) -> str:
    """A map file of HAProxy: a key and a value in each line."""
    return "".join(f"{key} {value}\n" for key, value in sorted(entries.items()))


def from_map(text: str) -> dict[str, str]:
    """The entries of such a file."""
    pairs = (line.split(" ", 1) for line in text.splitlines() if " " in line.strip())
    return {key: value.strip() for key, value in pairs}


def held_in(path: Path) -> dict[str, str]:
    """The entries of such a file as it is now, whatever is in it; none of one that is not there."""
    try:
        return from_map(path.read_text(errors="replace"))
    except OSError:
        return {}
