# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Why did the server fail? Finds the catalogue's causes in its log, in the kernel's and its end."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from .engines.registry import DEFAULT, spelling
from .failures import ENVELOPE, FAILURES, ROOT, YIELDING, Failure
from .failures.gpu import XIDS
from .messages import Log, bounded, compiled, pieces, read

MAX_EVIDENCE_LINES = 3
MAX_LINE = 300

_XID = re.compile(r"NVRM: Xid \([^)]{1,60}\): (\d{1,9})\b")
_LOOKS_BAD = re.compile(r"\b\w*(?:Error|Exception)\b|\berror:|\bfatal\b|\bFATAL\b")
# A line that says why: an exception with a text, what a validator found, the sentence after a
# status code, the word of a compiler.
_SAYS_WHY = re.compile(
    r"^(?:[\w.]{0,100}(?:Error|Exception)\w{0,60}: \S|(?:\w{1,40}\.){1,8}[A-Z]\w{1,60}: \S"
    r"|Value error, \S|[45]\d\d [A-Z][A-Za-z ]{2,40}: \S)|\b(?:[Ee]rror|[Ff]atal ?): \S"
)
# An exception without a text: the line of the source above it is all that says why.
_SAYS_NOTHING = re.compile(r"^[\w.]{0,100}(?:Error|Exception|StopIteration)$")
_MARKS = re.compile(r"^[~^]{1,400}$")
# It found something, and what it found stands below.
_POINTS_BELOW = re.compile(r"\d validation errors? for [\w.]{1,100}$")
# Where a message that goes on is whole.
_IS_WHOLE = re.compile(r"[.!?)\]}'\"`]$")
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
    log_text: str,
    exit_code: int | None = None,
    signal: str | None = None,
    kernel_log: str = "",
    engine: str = DEFAULT,
    late: bool = False,
) -> list[Diagnosis]:
    """All causes that the logs and the end of the process show, the likeliest first.

    Args:
        log_text: the log of one start; several megabytes are fine.
        exit_code: exit status of the main process; 128 and more stand for a signal, as in a shell.
        signal: name of the signal that ended it, such as `SIGKILL`.
        kernel_log: what the kernel said since that start.
        engine: what wrote the log; what only others say is not looked for.
        late: it was ended for being late, so that how it ended tells nothing.

    Roots come before what yields to them, and that before envelopes. Where it ended badly and no
    line names a root, more is looked at, one after the other until one is found: families and
    wrapped messages, what it was at when it stopped saying anything, what was said in passing, and
    its signal: a main process that was killed after its worker said why is not the reason. Empty
    when nothing is known.
    """
    log = read(log_text)
    known = [failure for failure in FAILURES if failure.engine in ("", engine)]
    kernel = [piece for line in bounded(kernel_log) for piece in pieces(line)] + log.kernel
    found = _by_text(known, log.grave, kernel)
    roots = _of_kind(ROOT, found)
    yielding = _of_kind(YIELDING, found)
    rest = [_with_reason(one, log) for one in yielding + _of_kind(ENVELOPE, found)]
    if rest or exit_code or signal or late:
        wide = [one._replace(signatures=one.signatures + one.shapes, kernel=()) for one in known]
        roots = roots or _of_kind(ROOT, _by_text(wide, log.grave + log.joined, []))
        roots = roots or _by_last(known, log.last)
        if not roots and not yielding:
            roots = _of_kind(ROOT, _by_text(known, log.calm, []))
    if not roots and not yielding:
        roots = _by_signal(known, signal or _SIGNAL_NAMES.get((exit_code or 0) - 128))
    return roots + rest


def explain(
    log_text: str,
    exit_code: int | None = None,
    signal: str | None = None,
    kernel_log: str = "",
    engine: str = DEFAULT,
    late: bool = False,
) -> dict[str, Any]:
    """The likeliest cause as a mapping for a module's result; the others by id under `also`.

    Keys: cause_id, cause, remedy, change, evidence, link, exit_code, signal, also. Without a known
    cause, cause_id is `unknown` and the evidence is the last lines that say why, or look bad.
    """
    found = diagnose(log_text, exit_code, signal, kernel_log, engine, late)
    first = found[0] if found else _unknown(log_text, engine)
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


def _of_kind(kind: str, found: list[Diagnosis]) -> list[Diagnosis]:
    return [one for one in found if one.kind == kind]


def _by_text(known: list[Failure], lines: list[str], kernel_lines: list[str]) -> list[Diagnosis]:
    """Those of the known entries that the lines show, in the catalogue's order."""
    found = []
    # Servers say the same again and again, and each line is looked at for hundreds of patterns.
    lines, kernel_lines = list(dict.fromkeys(lines)), list(dict.fromkeys(kernel_lines))
    for failure in known:
        proofs = _proofs(compiled(failure.kernel), kernel_lines)
        proofs = (proofs + _proofs(compiled(failure.signatures), lines))[:MAX_EVIDENCE_LINES]
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


def _by_last(known: list[Failure], last: str) -> list[Diagnosis]:
    """Those that show in what it was at when it stopped saying anything."""
    evidence = [line[:MAX_LINE] for line in last.split("\n")]
    return [
        _filled(failure, evidence, {})
        for failure in known
        if any(pattern.search(last) for pattern in compiled(failure.last))
    ]


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


def _with_reason(envelope: Diagnosis, log: Log) -> Diagnosis:
    """An envelope with the last line before it that says why: the root, in words not known here."""
    begin = next(at for at, line in enumerate(log.grave) if line.startswith(envelope.evidence[0]))
    before = _reasons(log, 0, begin) or _reasons(log, begin, len(log.grave))[:1]
    if not before:
        return envelope
    reason = before[-1]
    return envelope._replace(
        cause=f"{envelope.cause} The last error beside it: {reason}",
        evidence=[reason, *envelope.evidence][:MAX_EVIDENCE_LINES],
    )


def _reasons(log: Log, begin: int, end: int) -> list[str]:
    """What says why in these grave lines, each once, without what points elsewhere."""
    elsewhere = compiled(tuple(s for one in FAILURES if one.kind != ROOT for s in one.signatures))
    found = dict.fromkeys(filter(None, (_reason(log, at) for at in range(begin, end))))
    return [line for line in found if not any(pattern.search(line) for pattern in elsewhere)]


def _reason(log: Log, at: int) -> str:
    """What this grave line says why, with the lines over which it goes on; empty for nothing."""
    line = log.grave[at]
    if _SAYS_NOTHING.search(line):
        source = next((one for one in reversed(log.grave[:at]) if not _MARKS.search(one)), "")
        return f"{source} {line}"[:MAX_LINE] if source and not _SAYS_WHY.search(source) else ""
    if not _SAYS_WHY.search(line):
        return ""
    for further in log.grave[at + 1 : log.ends[at]]:
        if _IS_WHOLE.search(line) or len(line) > MAX_LINE or _SAYS_WHY.search(further):
            break
        line = f"{line} {further}"
    return "" if _POINTS_BELOW.search(line) else line[:MAX_LINE]


def _unknown(log_text: str, engine: str) -> Diagnosis:
    log = read(log_text)
    reasons = _reasons(log, 0, len(log.grave))
    bad = [line[:MAX_LINE] for line in log.grave if _LOOKS_BAD.search(line)]
    return Diagnosis(
        id="unknown",
        kind=ROOT,
        cause="The cause is not one that this collection knows."
        + (f" The last error: {reasons[-1]}" if reasons else ""),
        remedy="Read the end of the log, from its last traceback upwards.",
        change="see the log",
        link=spelling(engine).help_url,
        evidence=(reasons or bad)[-MAX_EVIDENCE_LINES:],
    )
