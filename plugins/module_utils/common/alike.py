# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What somebody may have meant by a word that is none."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def did_you_mean(word: str, known: Iterable[str], most: int = 1) -> str:
    """The question after those of *known* that are spelled alike, nearest first; empty for none."""
    by_word = {one.casefold(): one for one in known}
    close = difflib.get_close_matches(word.strip().casefold(), by_word, n=most)
    return f"Did you mean {' or '.join(by_word[one] for one in close)}?" if close else ""
