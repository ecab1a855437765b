# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One word for one thing: words that have meant several, or that no native reader would take so."""

from __future__ import annotations

import re

import pytest

from tests.tools import tree
from tests.unit.test_repository import text_of

#: What must not come back, and where the word is at home.
WORDS = {
    r"\b[Aa] create\b(?!s|d)": "a call that rents is a rental request",
    r"\b[Cc]ounts? afresh\b": "count again",
    r"(?i)\b(?!thinking)\w*budget(?!_usd)\w*_seconds\b": "a budget is in dollars; time has a limit",
}
#: Words of vLLM's own, and this file.
NOT_OURS = ("fixtures/", "engines/vllm/options.py", "tests/unit/test_words.py")


@pytest.mark.parametrize("word", WORDS)
def test_a_word_means_one_thing(word: str) -> None:
    found = [
        f"{path}: {line.strip()}"
        for path in tree.files()
        if path.suffix in (".py", ".yml", ".md") and not any(one in str(path) for one in NOT_OURS)
        for line in text_of(path).splitlines()
        if re.search(word, line)
    ]
    assert found == [], WORDS[word]
