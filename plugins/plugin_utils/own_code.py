# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The code of this collection, as one digest: another version may fulfil a wish otherwise."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_PATTERNS = ("plugins/**/*.py", "roles/**/*.*")


@cache
def digest() -> bytes:
    """Made once in a process: each host's task would take a twentieth of a second for it, unless
    the process that it is forked from has made it."""
    return digest_of(ROOT)


def digest_of(collection: Path) -> bytes:
    """The digest of what runs on a host or decides about it, in a collection that lies there."""
    found = hashlib.sha256()
    for pattern in _PATTERNS:
        for file in sorted(collection.glob(pattern)):
            if file.is_file():
                found.update(str(file.relative_to(collection)).encode())
                found.update(file.read_bytes())
    return found.digest()
