# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes text from outside plain, before a terminal or a file gets it.

Terminals obey escape sequences, and people believe a line that looks like one of Ansible's own.
"""

from __future__ import annotations

import re
from typing import Any

_SEQUENCES = re.compile(
    # Colours and movements of the cursor; titles of windows, and what else is a text for terminals;
    # sets of letters, as `tput sgr0` ends with; what is one letter behind the escape.
    r"(?:\x1b\[|\x9b)[0-9;:?<=>]*[ -/]*[@-~]|\x1b[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)"
    r"|\x1b[ -/]+[0-~]|\x1b[0-~]"
)
#: What else is not shown: control characters, those that change the direction of text or have no
#: width, and halves of characters, which cannot be written.
_UNSHOWN = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\xad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f"
    "\ud800-\udfff\ufeff\ufff0-\ufffb\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
    # Letters that are blank, and what chooses between two looks of the letter before it.
    "\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u3164\uffa0\ufe00-\ufe0f]"
)
#: What outside text nests in at most; deeper is cut off.
_MOST_DEPTH = 64


def plain(text: str) -> str:
    """*text* as lines without control characters. A carriage return begins a new line."""
    lines = _SEQUENCES.sub("", text).replace("\r\n", "\n").replace("\r", "\n")
    return _UNSHOWN.sub("", lines)


def fits_header(secret: str) -> bool:
    """Whether *secret* can be sent in a header. Else the error about that would show it."""
    return secret.isascii() and secret.isprintable() and secret == secret.strip()


def plain_line(text: str, most: int = 500) -> str:
    """*text* as one line of so many characters at most."""
    return " ".join(plain(text[: 8 * most]).split())[:most]


def plain_in(value: Any, depth: int = 0) -> Any:
    """*value* with every text in it plain, those that are names in a mapping too."""
    if isinstance(value, str):
        return plain(value)
    if depth == _MOST_DEPTH:
        return None
    if isinstance(value, dict):
        return {plain_in(name): plain_in(one, depth + 1) for name, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain_in(one, depth + 1) for one in value]
    return value
