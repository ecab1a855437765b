# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Finds what is left of a private key whose first line, last line or both are cut off.

Nothing but the lines themselves tells then: base64 of the lengths that keys are wrapped to, one
after another. What logs write before each line, and line breaks that are spelled, do not matter.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

#: PEM and PuTTY; OpenSSH; RFC 4716; what is packed once more.
_LENGTHS = frozenset({64, 70, 72, 76})
#: So many letters may stand between two lines of a key: a time, a name, the line of another.
_MOST_BETWEEN = 200
#: A shorter rest beside a single line may be a word.
_SHORTEST_REST = 16
_BASE64 = "[A-Za-z0-9+/]"
#: What ends a line, also where it is a text within texts.
_BREAK = r"(?:(?:\\{1,8}r)?\\{1,8}n|\r{0,2}\n)"
#: What lists and texts have around a line, or between two.
_QUOTES = r"[\\\"', \])}]{0,8}"
#: Behind a dash stands the hash of a file, as npm writes it.
_BEGINS = r"(?:(?<![\w+/.\\-])|(?<=\\[nr]))"
_LINE = re.compile(rf"{_BEGINS}{_BASE64}{{64,76}}(?![\w+/=-])")
_REST = rf"(?P<rest>{_BASE64}{{1,76}}={{0,2}})(?={_QUOTES}(?:{_BREAK}|\Z))"
_LAST = re.compile(
    rf"(?:{_QUOTES}{_BREAK}){{0,2}}{_QUOTES}"
    rf"(?P<ahead>[^\r\n\\]{{1,{_MOST_BETWEEN}}}?[\s|:=\"'])??{_REST}"
)
_LAST_WORD = re.compile(f"{_BEGINS}{_REST}")
_EDGE = re.compile(r"-{4,5} ?(?P<side>BEGIN|END) (?P<of>[A-Z0-9 ]{1,40})", re.I)

Span = tuple[int, int]


def key_lines(text: str) -> Iterator[Span]:
    """Where *text* has lines of private keys, from the first letter to behind the last of each.

    What is named as a certificate or a public key, before or behind it, is none. In order, but
    some may overlap.
    """
    yield from sorted([*_bodies(text), *_before_feet(text)])


def _bodies(text: str) -> Iterator[Span]:
    for lines in _runs(text):
        first, last = lines[0][0], lines[-1][1]
        before, behind = _edges(text, first, last)
        if any(of and "PRIVATE" not in of for of in (before, behind)):
            continue
        sure = len(lines) > 1 or bool(behind)
        rests = [
            word.span("rest")
            for word in _words_before(text, first)
            if _is_drawn(word["rest"]) or (sure and not word.start())
        ]
        ended = _LAST.match(text, last)
        if ended and (_is_drawn(ended["rest"]) or (sure and _is_end(ended, text))):
            rests.append(ended.span("rest"))
        if sure or rests:
            yield from [*lines, *rests]


def _runs(text: str) -> Iterator[list[Span]]:
    """Lines that are near each other, with neither head nor foot between them."""
    run: list[Span] = []
    for found in _LINE.finditer(text):
        if len(found[0]) not in _LENGTHS or not _is_drawn(found[0]):
            continue
        if run and (
            found.start() - run[-1][1] > _MOST_BETWEEN or "----" in text[run[-1][1] : found.start()]
        ):
            yield run
            run = []
        run.append(found.span())
    if run:
        yield run


def _edges(text: str, first: int, last: int) -> tuple[str, str]:
    """What the head before and the foot behind say that it is, empty where there is none."""
    before = list(_EDGE.finditer(text, max(0, first - _MOST_BETWEEN), first))[-1:]
    behind = _EDGE.search(text, last, last + 2 * _MOST_BETWEEN)
    heads = [edge["of"].upper() for edge in before if edge["side"].upper() == "BEGIN"]
    foot = behind["of"].upper() if behind and behind["side"].upper() == "END" else ""
    return heads[0] if heads else "", foot


def _before_feet(text: str) -> Iterator[Span]:
    """The last line above the foot of a private key, and what stands before the foot itself."""
    for edge in _EDGE.finditer(text):
        if edge["side"].upper() == "BEGIN" or "PRIVATE KEY" not in edge["of"].upper():
            continue
        for word in _words_before(text, edge.start()):
            own_line = not re.search(_BREAK, text[word.end() : edge.start()])
            if not own_line or word["rest"].endswith("=") or _is_drawn(word["rest"]):
                yield word.span("rest")


def _words_before(text: str, end: int) -> list[re.Match[str]]:
    """The last word of the line before *end*, and that of what its own line begins with."""
    begin = max(0, end - 2 * _MOST_BETWEEN)
    begin = max(begin, text.rfind("----", begin, end))
    return list(_LAST_WORD.finditer(text, begin, end))[-2:]


def _is_end(found: re.Match[str], text: str) -> bool:
    """Whether a short word ends a key: filled up, with a line for itself, or with the text."""
    return found["rest"].endswith("=") or not found["ahead"] or found.end() == len(text)


def _is_drawn(word: str) -> bool:
    """Whether *word* has what chance gives: hex digits and words have no such mix."""
    mixed = any(map(str.isupper, word)) and any(map(str.islower, word))
    return len(word) >= _SHORTEST_REST and mixed and any(map(str.isdigit, word))
