# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Why did the server fail? Finds the catalogue's causes in a log and in the way it ended."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from .failures import ENVELOPE, FAILURES, NOISE, ROOT, Failure

MAX_EVIDENCE_LINES = 3
MAX_LINE = 300

_ANSI = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
_PREFIX = re.compile(
    r"^(?:\(\w+ pid=\d+\) ?)*"
    r"(?:(?:DEBUG|INFO|WARNING|ERROR|CRITICAL) \d\d-\d\d \d\d:\d\d:\d\d (?:\[[^\]]*\] ?)?)?"
    r"(?:\(\w+ pid=\d+\) ?)*"
)
_NOISE = tuple(re.compile(noise.signature) for noise in NOISE)
_SIGNATURES = tuple(
    (failure, tuple(re.compile(signature) for signature in failure.signatures))
    for failure in FAILURES
)
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


def diagnose(
    log_text: str, exit_code: int | None = None, signal: str | None = None
) -> list[Diagnosis]:
    """All causes that the log and the end of the process show, the likeliest first.

    Args:
        log_text: the log of one start; several megabytes are fine.
        exit_code: exit status of the main process; 128 and more stand for a signal, as in a shell.
        signal: name of the signal that ended it, such as `SIGKILL`.

    Roots come before envelopes. A signal counts only where no text names a root: a main process
    that was killed after its worker said why is not the reason. Empty when nothing is known.
    """
    lines = _meaningful_lines(log_text)
    found = [
        diagnosis
        for failure, patterns in _SIGNATURES
        if (diagnosis := _by_text(failure, patterns, lines)) is not None
    ]
    roots = [diagnosis for diagnosis in found if diagnosis.kind == ROOT]
    if not roots:
        roots = _by_signal(signal or _SIGNAL_NAMES.get((exit_code or 0) - 128))
    return roots + [diagnosis for diagnosis in found if diagnosis.kind == ENVELOPE]


def explain(
    log_text: str, exit_code: int | None = None, signal: str | None = None
) -> dict[str, Any]:
    """The likeliest cause as a mapping for a module's result; the others by id under `also`.

    Keys: cause_id, cause, remedy, change, evidence, link, exit_code, signal, also. Without a known
    cause, cause_id is `unknown` and the evidence is the last lines that look like an error.
    """
    found = diagnose(log_text, exit_code, signal)
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


def _meaningful_lines(log_text: str) -> list[str]:
    """The messages of the log: no colours, no prefixes, no noise."""
    lines = (
        _PREFIX.sub("", line.strip()).strip()
        for line in re.split(r"[\r\n]+", _ANSI.sub("", log_text))
    )
    return [line for line in lines if line and not any(noise.search(line) for noise in _NOISE)]


def _by_text(
    failure: Failure, patterns: tuple[re.Pattern[str], ...], lines: list[str]
) -> Diagnosis | None:
    evidence: list[str] = []
    details: dict[str, str] = {}
    for line in lines:
        for pattern in patterns:
            match = pattern.search(line)
            if match:
                details = details or match.groupdict()
                shown = line[:MAX_LINE]
                if shown not in evidence:
                    evidence.append(shown)
                break
        if len(evidence) == MAX_EVIDENCE_LINES:
            break
    return _filled(failure, evidence, details) if evidence else None


def _by_signal(name: str | None) -> list[Diagnosis]:
    evidence = [f"The main process was ended by {name}."]
    return [
        _filled(failure, evidence, {}) for failure in FAILURES if name and name in failure.signals
    ]


def _filled(failure: Failure, evidence: list[str], details: dict[str, str]) -> Diagnosis:
    return Diagnosis(
        id=failure.id,
        kind=failure.kind,
        cause=failure.cause.format(**details),
        remedy=failure.remedy.format(**details),
        change=failure.change,
        link=failure.link,
        evidence=evidence,
    )


def _unknown(log_text: str) -> Diagnosis:
    bad = [line[:MAX_LINE] for line in _meaningful_lines(log_text) if _LOOKS_BAD.search(line)]
    return Diagnosis(
        id="unknown",
        kind=ROOT,
        cause="The cause is not one that this collection knows.",
        remedy="Read the end of the log, from its last traceback upwards.",
        change="see the log",
        link="https://docs.vllm.ai/en/latest/usage/troubleshooting/",
        evidence=bad[-MAX_EVIDENCE_LINES:],
    )
