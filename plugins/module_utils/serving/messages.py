# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The messages of a log: without colours and what stands before them, unwrapped, by their weight.

The host may say anything, so all that is read has a bound, and each line is looked at a fixed
number of times.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from typing import NamedTuple

from .failures import IN_PASSING, NOISE

MOST_CHARACTERS, MOST_LINES, PIECE = 4 * 2**20, 20_000, 4096
"""What is read of one log, its begin and its end, and how much of a line is looked at together.

The host may say anything, in a line without end as well: with these the time for it has a bound.
"""
MOST_JOINED, JOINED_CHARACTERS = 6, 2048
"""How many lines one wrapped message has at most, and how long it is."""
STAMP_WITHIN = 256
"""How far from the begin of a line the level stands."""

# Colours, also where a terminal or a shipper of logs has spelled or lost the escape character.
_ANSI = re.compile(r"(?:\x1b|←|#033)\[[0-9;]*[A-Za-z]|\[\d{1,2}(?:;\d{1,2}){0,3}m")
_PROCESS = r"\(\w+(?: \w+)?(?: rank=\d+)? pid=\d+(?:, ip=[\d.]+)?\) ?"
# What stands before a message: the name of a container, the journal's or a container's time,
# processes, and the level with the place in the source, whose form changed from `engine.py:366]`
# to `[core.py:708]`.
_PREFIX = re.compile(
    r"^(?:│ |[\w.-]+ +\| |\w{3} +\d+ [\d:]{8} \S+ [^\s\[]+\[\d+\]: "
    rf"|\[?\d{{4}}-\d\d-\d\d[T ][\d:.,]+Z?\]? |{_PROCESS}|\[rank\d+\]: |ERROR: {{4}}(?=\())*"
    r"(?:(?P<level>DEBUG|INFO|WARNING|ERROR|CRITICAL) (?:\d\d-\d\d \d\d:\d\d:\d\d|\d+) "
    r"(?:\[[^\]]*\] ?|\S+\.py:\d+\] ?)?)?"
    rf"(?:{_PROCESS})*"
)
# vLLM's own stamp is told from other text wherever a shipper of logs has put it.
_STAMP = re.compile(
    r"\b(?P<level>DEBUG|INFO|WARNING|ERROR|CRITICAL) \d\d-\d\d \d\d:\d\d:\d\d(?:\.\d{1,6})? "
    rf"(?:\[[^\]]{{0,80}}\] ?|\S{{1,60}}\.py:\d{{1,6}}\] ?)(?:{_PROCESS})?"
)
_CALM = ("DEBUG", "INFO", "WARNING")
# What was logged about one request: it was refused, and the server went on.
_OF_A_REQUEST = re.compile(r"\b(?:serving(?:_\w{1,40})?|api_router)\.py:\d")
_FIGURES = re.compile(r"[\d:.,TZ-]+")
# What begins something of its own and is no rest of the line before.
_BEGINS = re.compile(
    r"(?:[A-Za-z_][\w.]{0,80}(?:Error|Exception|Warning)\b|File \"|Traceback |raise "
    r"|During handling|The above exception|[A-Z]{4,8}\b|\^|~)"
)
_OF_THE_KERNEL = re.compile(
    r"^(?:\w{3} +\d+ [\d:]{8} \S{1,80} kernel: )?(?:\[ *\d+\.\d+\] )?"
    r"(?:NVRM: |Out of memory: Kill|Memory cgroup out of memory: Kill|oom-kill:|traps: )"
)
_OF_AN_END = re.compile(
    r"[Ss]hut(?:ting )?down|Parent process exited|Received signal|terminat|^died |File \""
    r"|\braise |Error\b"
)


class Log(NamedTuple):
    """The messages of a log without colours, prefixes and noise.

    grave: what is said as an error, or without any level, as tracebacks are.
    calm: what is said in passing. It is true, but the server went on.
    joined: neighbouring grave lines that may be one message, wrapped by a terminal or a shipper.
    kernel: the kernel's lines in it, where somebody has put both into one stream.
    last: the last two different things that were said calmly, in one text.
    """

    grave: list[str]
    calm: list[str]
    joined: list[str]
    kernel: list[str]
    last: str


def read(log_text: str) -> Log:
    """The messages of this log."""
    log = Log([], [], [], [], "")
    noise = compiled(tuple(entry.signature for entry in NOISE))
    in_passing = compiled(tuple(entry.signature for entry in IN_PASSING))
    heads: list[str] = []
    for line in bounded(log_text):
        head, message, calm = _parted(line)
        for piece in pieces(message):
            if any_fits(noise, piece):
                continue
            if calm or any_fits(in_passing, piece):
                log.calm.append(piece)
                continue
            log.grave.append(piece)
            heads.append(head)
            if _OF_THE_KERNEL.match(piece):
                log.kernel.append(piece)
    log.joined.extend(_joined(zip(heads, log.grave)))
    return log._replace(last=_last(log.calm or log.grave))


@cache
def compiled(signatures: tuple[str, ...]) -> tuple[re.Pattern[str], ...]:
    """Compiled when they are needed: all of them take a fifth of a second, and most runs none."""
    return tuple(re.compile(signature) for signature in signatures)


def bounded(text: str) -> list[str]:
    """The lines of a text without colours: of one that is too long, its begin and its end."""
    if len(text) > MOST_CHARACTERS:
        text = f"{text[: MOST_CHARACTERS // 4]}\n{text[-MOST_CHARACTERS // 4 * 3 :]}"
    lines = [line for part in re.split(r"[\r\n]+", _ANSI.sub("", text)) if (line := part.strip())]
    if len(lines) > MOST_LINES:
        lines = lines[: MOST_LINES // 4] + lines[-MOST_LINES // 4 * 3 :]
    return lines


def pieces(message: str) -> list[str]:
    """A message in pieces of a bounded length; nearly all are one."""
    cut = (message[at : at + PIECE].strip() for at in range(0, len(message), PIECE))
    return [piece for piece in cut if piece]


def any_fits(patterns: tuple[re.Pattern[str], ...], line: str) -> bool:
    """Whether one of the patterns is in the line."""
    return any(pattern.search(line) for pattern in patterns)


def _parted(line: str) -> tuple[str, str, bool]:
    """What stands before a message, without its figures, the message, and whether it is calm."""
    prefix = _PREFIX.match(line)
    if prefix is None or not prefix["level"]:
        prefix = _STAMP.search(line[:STAMP_WITHIN]) or prefix
    if prefix is None:
        return "", line, False
    head = line[: prefix.end()]
    calm = prefix["level"] in _CALM or bool(_OF_A_REQUEST.search(head[-120:]))
    return _FIGURES.sub("", head), line[prefix.end() :], calm


def _joined(lines: Iterable[tuple[str, str]]) -> list[str]:
    """Each run of lines that may be one message, joined as words are and as broken words are."""
    texts: list[str] = []
    run: list[str] = []
    head_of_run = ""
    for head, line in [*lines, ("", "")]:
        size = sum(map(len, run)) + len(line)
        own = not line or _BEGINS.match(line) or head != head_of_run
        if own or len(run) == MOST_JOINED or size > JOINED_CHARACTERS:
            if len(run) > 1:
                texts += [" ".join(run), "".join(run)]
            run, head_of_run = [], head
        run.append(line)
    return texts


def _last(lines: list[str]) -> str:
    """The last two different messages, apart from what is said at every end."""
    found: list[str] = []
    for line in reversed(lines):
        if line not in found and not _OF_AN_END.search(line):
            found.insert(0, line)
        if len(found) == 2:
            break
    return "\n".join(found)
