# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Text from outside loses what a terminal obeys, and nothing else."""

from __future__ import annotations

import pytest

from ansible_collections.inferops.gpu.plugins.module_utils.common.plain import (
    plain,
    plain_in,
    plain_line,
)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mERROR\x1b[0m: no", "ERROR: no"),
        ("\x1b]0;title\x07text", "text"),
        ("\x1b]8;;http://x\x1b\\link", "link"),
        ("a\x9b2Jb\x00c\x7f", "abc"),
        ("\x1b(B\x1b[mset of letters", "set of letters"),
        ("\x1bP1$r\x1b\\asked, \x1b_x\x07told", "asked, told"),
        ("\x1b7saved\x1b8", "saved"),
        ("a\ufe0f\u3164\U000e0100\U0001d173b", "ab"),
        ("10 %\r20 %\r\ndone", "10 %\n20 %\ndone"),
        ("user\u202egpj.exe\u2066", "usergpj.exe"),
        ("tag\U000e0041\xad\u180e\ufff9s", "tags"),
        ("half \ud800 of a letter", "half  of a letter"),
        ("tab\tand Größe, 日本語 ✓", "tab\tand Größe, 日本語 ✓"),
    ],
)
def test_what_a_terminal_obeys_goes_and_the_rest_stays(text: str, shown: str) -> None:
    assert plain(text) == shown


def test_a_line_is_one_and_short() -> None:
    assert plain_line("a\nPLAY RECAP\x1b[1m *\n") == "a PLAY RECAP *"
    assert len(plain_line("x" * 10_000)) == 500


def test_every_text_in_a_value_is_made_plain() -> None:
    value = {"a\x1b[1m": ["b\x07", 1, None, {"c": ("\x00d",)}]}
    assert plain_in(value) == {"a": ["b", 1, None, {"c": ["d"]}]}


def test_what_nests_without_end_is_cut_off() -> None:
    value: list[object] = []
    for _level in range(500):
        value = [value]
    assert "None" in str(plain_in(value))
