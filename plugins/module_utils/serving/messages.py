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

from .failures import ENVELOPE, FAILURES, IN_PASSING, NOISE

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
    r"|\[?\d{4}-\d\d-\d\d[T ][\d:.,]+(?:Z|[+-]\d\d:?\d\d)?\]? (?:std(?:out|err) [FP] )?"
    rf"|{_PROCESS}|\[rank\d+\]: |ERROR: {{4}}(?=\())*"
    r"(?:(?P<level>DEBUG|INFO|WARNING|ERROR|CRITICAL) (?:\d\d-\d\d \d\d:\d\d:\d\d|\d+) "
    r"(?:\[[^\]]*\] ?|\S+\.py:\d+\] ?)?)?"
    rf"(?:{_PROCESS})*"
)
# vLLM's own stamp is told from other text wherever a shipper of logs has put it.
_STAMP = re.compile(
    r"\b(?P<level>DEBUG|INFO|WARNING|ERROR|CRITICAL) \d\d-\d\d \d\d:\d\d:\d\d(?:\.\d{1,6})? "
    rf"(?:\[[^\]]{{0,80}}\] ?|\S{{1,60}}\.py:\d{{1,6}}\] ?)(?:{_PROCESS})?"
)
# llama.cpp's: minutes, seconds and parts of them since its start, and the level in one letter.
_SINCE_START = re.compile(r"\b\d{1,6}\.\d\d\.\d{3}\.\d{3} (?P<level>[DIWE]) ")
_CALM = ("DEBUG", "INFO", "WARNING", "D", "I", "W")
# What was logged about one request: it was refused, and the server went on.
_OF_A_REQUEST = re.compile(r"\b(?:serving(?:_\w{1,40})?|api_router)\.py:\d")
# What the web server prints of a request that failed in it: a traceback without a level, which ends
# where anything else begins.
_FAILED_REQUEST = re.compile(r"^ERROR: +Exception in ASGI application")
_NO_TRACEBACK = re.compile(r"(?:DEBUG|INFO|WARNING|ERROR|CRITICAL)\b|Process \w")
_FIGURES = re.compile(r"[\d:.,TZ-]+")
# What begins something of its own and is no rest of the line before.
_BEGINS = re.compile(
    r"(?:[A-Za-z_][\w.]{0,80}(?:Error|Exception|Warning)\b|File \"|Traceback |raise "
    r"|During handling|The above exception|[A-Z]{4,8}\b|\^|~|warnings\.warn\(|died )"
)
# A place in the source, between which and what follows nothing goes on.
_PLACE = re.compile(r"^File \"")
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
    ends: for each grave line, where that message ends.
    kernel: the kernel's lines in it, where somebody has put both into one stream.
    last: the last two different things that were said calmly, in one text.
    """

    grave: list[str]
    calm: list[str]
    joined: list[str]
    ends: list[int]
    kernel: list[str]
    last: str


def read(log_text: str) -> Log:
    """The messages of this log."""
    log = Log([], [], [], [], [], "")
    noise = compiled(tuple(entry.signature for entry in NOISE))
    in_passing = compiled(tuple(entry.signature for entry in IN_PASSING))
    said: list[_Line] = []
    parted = False
    request: str | None = None  # what stands before the lines of one that failed
    for line in bounded(log_text):
        head, message, calm = _parted(line)
        request = _of_request(request, head, message)
        calm = calm or (request is not None and not any_fits(_envelopes(), message))
        for piece in pieces(message):
            if any_fits(noise, piece):
                parted = parted or bool(_PLACE.match(piece))
                continue
            if calm or any_fits(in_passing, piece):
                log.calm.append(piece)
                continue
            log.grave.append(piece)
            said.append(_Line(head, piece, parted))
            parted = False
            if _OF_THE_KERNEL.match(piece):
                log.kernel.append(piece)
    for run in _runs(said):
        if len(run) > 1:
            log.joined.extend((" ".join(run), "".join(run)))
        log.ends.extend([len(log.ends) + len(run)] * len(run))
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
        begin = line[:STAMP_WITHIN]
        prefix = _STAMP.search(begin) or _SINCE_START.search(begin) or prefix
    if prefix is None:
        return "", line, False
    head = line[: prefix.end()]
    calm = prefix["level"] in _CALM or bool(_OF_A_REQUEST.search(head[-120:]))
    return _FIGURES.sub("", head), line[prefix.end() :], calm


def _of_request(request: str | None, head: str, message: str) -> str | None:
    """What stands before the lines of a request that failed; None where a line is of none."""
    if _FAILED_REQUEST.search(message):
        return head
    return None if head != request or _NO_TRACEBACK.match(message) else request


@cache
def _envelopes() -> tuple[re.Pattern[str], ...]:
    """What says that the server failed, whoever was told so."""
    return compiled(tuple(s for one in FAILURES if one.kind == ENVELOPE for s in one.signatures))


class _Line(NamedTuple):
    """A message, what stood before it, and whether a place in the source did."""

    head: str
    text: str
    is_parted: bool


def _runs(lines: Iterable[_Line]) -> list[list[str]]:
    """The lines, those that may be one message together.

    What a terminal has wrapped goes on without what stood before the message.
    """
    runs: list[list[str]] = []
    head_of_run, size = "", 0
    for head, line, is_parted in lines:
        size += len(line)
        own = not runs or is_parted or _BEGINS.match(line) or (head and head != head_of_run)
        if own or len(runs[-1]) == MOST_JOINED or size > JOINED_CHARACTERS:
            runs.append([])
            head_of_run, size = head if own else head_of_run, len(line)
        runs[-1].append(line)
    return runs


def _last(lines: list[str]) -> str:
    """The last two different messages, apart from what is said at every end."""
    found: list[str] = []
    for line in reversed(lines):
        if line not in found and not _OF_AN_END.search(line):
            found.insert(0, line)
        if len(found) == 2:
            break
    return "\n".join(found)
