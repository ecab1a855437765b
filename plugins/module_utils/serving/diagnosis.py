# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Why did the server fail? Finds the catalogue's causes in its log, in the kernel's and its end."""

from __future__ import annotations

import re
from functools import cache
from typing import Any, NamedTuple

from .engines.registry import DEFAULT
from .failures import ENVELOPE, FAILURES, IN_PASSING, NOISE, ROOT, Failure
from .failures.gpu import XIDS

MAX_EVIDENCE_LINES = 3
MAX_LINE = 300

MOST_CHARACTERS, MOST_LINES, PIECE = 4 * 2**20, 20_000, 4096
"""What is read of one log, its begin and its end, and how much of a line is looked at together.

The host may say anything, in a line without end as well: with these the time for it has a bound.
"""

_ANSI = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
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
_CALM = ("DEBUG", "INFO", "WARNING")
_XID = re.compile(r"NVRM: Xid \([^)]{1,60}\): (\d{1,9})\b")
_LOOKS_BAD = re.compile(r"\b\w*(?:Error|Exception)\b|\berror:|\bfatal\b|\bFATAL\b")
_SIGNAL_NAMES = {
    4: "SIGILL",
    6: "SIGABRT",
    7: "SIGBUS",
    9: "SIGKILL",
    11: "SIGSEGV",
    15: "SIGTERM",
}


class Diagnosis(NamedTuple):
    """One cause and the lines that prove it."""

    id: str
    kind: str
    cause: str
    remedy: str
    change: str
    link: str
    evidence: list[str]


class _Log(NamedTuple):
    """The messages of a log without colours, prefixes and noise.

    grave: what is said as an error, or without any level, as tracebacks are.
    calm: what is said in passing. It is true, but the server went on.
    """

    grave: list[str]
    calm: list[str]


def diagnose(
    log_text: str,
    exit_code: int | None = None,
    signal: str | None = None,
    kernel_log: str = "",
    engine: str = DEFAULT,
) -> list[Diagnosis]:
    """All causes that the logs and the end of the process show, the likeliest first.

    Args:
        log_text: the log of one start; several megabytes are fine.
        exit_code: exit status of the main process; 128 and more stand for a signal, as in a shell.
        signal: name of the signal that ended it, such as `SIGKILL`.
        kernel_log: what the kernel said since that start.
        engine: what wrote the log; what only others say is not looked for.

    Roots come before envelopes. What the log says in passing counts only where it ended badly and
    nothing else names a root, and a signal only where no text does: a main process that was killed
    after its worker said why is not the reason. Empty when nothing is known.
    """
    log = _read(log_text)
    known = [failure for failure in FAILURES if failure.engine in ("", engine)]
    kernel = [piece for line in _bounded(kernel_log) for piece in _pieces(line)]
    found = _by_text(known, log.grave, kernel)
    roots = [diagnosis for diagnosis in found if diagnosis.kind == ROOT]
    envelopes = [diagnosis for diagnosis in found if diagnosis.kind == ENVELOPE]
    if not roots and (envelopes or exit_code or signal):
        roots = [one for one in _by_text(known, log.calm, []) if one.kind == ROOT]
    if not roots:
        roots = _by_signal(known, signal or _SIGNAL_NAMES.get((exit_code or 0) - 128))
    return roots + envelopes


def explain(
    log_text: str,
    exit_code: int | None = None,
    signal: str | None = None,
    kernel_log: str = "",
    engine: str = DEFAULT,
) -> dict[str, Any]:
    """The likeliest cause as a mapping for a module's result; the others by id under `also`.

    Keys: cause_id, cause, remedy, change, evidence, link, exit_code, signal, also. Without a known
    cause, cause_id is `unknown` and the evidence is the last lines that look like an error.
    """
    found = diagnose(log_text, exit_code, signal, kernel_log, engine)
    first = found[0] if found else _unknown(log_text)
    return {
        "cause_id": first.id,
        "cause": first.cause,
        "remedy": first.remedy,
        "change": first.change,
        "evidence": first.evidence,
        "link": first.link,
        "exit_code": exit_code,
        "signal": signal,
        "also": [diagnosis.id for diagnosis in found[1:]],
    }


@cache
def _compiled(signatures: tuple[str, ...]) -> tuple[re.Pattern[str], ...]:
    """Compiled when they are needed: all of them take a fifth of a second, and most runs none."""
    return tuple(re.compile(signature) for signature in signatures)


def _read(log_text: str) -> _Log:
    log = _Log([], [])
    noise = _compiled(tuple(entry.signature for entry in NOISE))
    in_passing = _compiled(tuple(entry.signature for entry in IN_PASSING))
    for line in _bounded(log_text):
        prefix = _PREFIX.match(line)
        calm = prefix is not None and prefix["level"] in _CALM
        message = line[prefix.end() if prefix else 0 :]
        for piece in _pieces(message):
            if not _any(noise, piece):
                (log.calm if calm or _any(in_passing, piece) else log.grave).append(piece)
    return log


def _bounded(text: str) -> list[str]:
    """The lines of a text without colours: of one that is too long, its begin and its end."""
    if len(text) > MOST_CHARACTERS:
        text = f"{text[: MOST_CHARACTERS // 4]}\n{text[-MOST_CHARACTERS // 4 * 3 :]}"
    lines = [line for part in re.split(r"[\r\n]+", _ANSI.sub("", text)) if (line := part.strip())]
    if len(lines) > MOST_LINES:
        lines = lines[: MOST_LINES // 4] + lines[-MOST_LINES // 4 * 3 :]
    return lines


def _pieces(message: str) -> list[str]:
    """A message in pieces of a bounded length; nearly all are one."""
    cut = (message[at : at + PIECE].strip() for at in range(0, len(message), PIECE))
    return [piece for piece in cut if piece]


def _any(patterns: tuple[re.Pattern[str], ...], line: str) -> bool:
    return any(pattern.search(line) for pattern in patterns)


def _by_text(known: list[Failure], lines: list[str], kernel_lines: list[str]) -> list[Diagnosis]:
    """Those of the known entries that the lines show, in the catalogue's order."""
    found = []
    for failure in known:
        proofs = _proofs(_compiled(failure.kernel), kernel_lines)
        proofs = (proofs + _proofs(_compiled(failure.signatures), lines))[:MAX_EVIDENCE_LINES]
        if proofs:
            details = next((match.groupdict() for match in proofs if match.groupdict()), {})
            evidence = [match.string.strip()[:MAX_LINE] for match in proofs]
            found.append(_filled(failure, evidence, details))
    return found


def _proofs(patterns: tuple[re.Pattern[str], ...], lines: list[str]) -> list[re.Match[str]]:
    """The first lines that one of the patterns fits, each once."""
    proofs: dict[str, re.Match[str]] = {}
    for line in lines:
        match = next((match for pattern in patterns if (match := pattern.search(line))), None)
        if match:
            proofs.setdefault(line[:MAX_LINE], match)
        if len(proofs) == MAX_EVIDENCE_LINES:
            break
    return list(proofs.values())


def _by_signal(known: list[Failure], name: str | None) -> list[Diagnosis]:
    evidence = [f"The main process was ended by {name}."]
    return [_filled(failure, evidence, {}) for failure in known if name and name in failure.signals]


def _filled(failure: Failure, evidence: list[str], details: dict[str, str]) -> Diagnosis:
    xid = _XID.search(evidence[0])
    meaning = f" Xid {xid[1]}: {XIDS.get(int(xid[1]), 'see the list of NVIDIA')}." if xid else ""
    return Diagnosis(
        id=failure.id,
        kind=failure.kind,
        cause=failure.cause.format(**details) + meaning,
        remedy=failure.remedy.format(**details),
        change=failure.change,
        link=failure.link,
        evidence=evidence,
    )


def _unknown(log_text: str) -> Diagnosis:
    log = _read(log_text)
    bad = [line[:MAX_LINE] for line in log.grave if _LOOKS_BAD.search(line)]
    return Diagnosis(
        id="unknown",
        kind=ROOT,
        cause="The cause is not one that this collection knows.",
        remedy="Read the end of the log, from its last traceback upwards.",
        change="see the log",
        link="https://docs.vllm.ai/en/latest/usage/troubleshooting/",
        evidence=bad[-MAX_EVIDENCE_LINES:],
    )
