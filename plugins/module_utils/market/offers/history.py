# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What became of earlier attempts to use a host, one JSON object per line of a file.

Rankings and waiting times learn from it. It may be lost at any time: safety never rests on it.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

from ..clock import Clock
from ..lines import UNUSABLE, Lines, why
from .minutes import PHASES

#: How an attempt ends: the host served, it could not be used, or the request found the offer gone.
SERVED, FAILED, GONE = "served", "failed", "gone"
#: No end: how long a host that serves has needed, against what was expected of it.
MEASURED = "measured"

#: Older attempts count no more: machines get repaired, and nobody retries one that is shunned.
_REMEMBERED_SECONDS = 90 * 86400.0
_MOST_LINES = 10_000
#: Lines are about 150 bytes; nothing further from the end is read.
_MOST_BYTES = 4 * 1024**2
#: No time, duration or cost is that large; what is not a number is not less either.
_ABSURD = 1e12
#: What the history can say of a phase at most.
_LEAST_RATIO, _MOST_RATIO = 1 / 50, 8.0


@dataclass(frozen=True)
class _Worth:
    """How many deploys what is known already is worth, against those that were slower or faster.

    A host is slower by accident, and never faster: where an image was there already, or the figures
    from elsewhere are too high, one deploy shows it.
    """

    against_slower: float
    against_faster: float


#: The estimate against what a provider's hosts have needed, and their pace against one machine's.
_ESTIMATE, _PROVIDERS_PACE = _Worth(3.0, 0.2), _Worth(1.0, 0.2)


@dataclass(frozen=True)
class Attempt:
    """One attempt. ``time`` is in epoch seconds, ``usd`` is what it cost.

    ``stage`` says where it failed; ``seconds`` until SSH worked, 0 when it never did. ``ratios``
    are, by phase, how many times longer it took than the offer alone had let expect.
    """

    time: float
    provider: str
    machine_id: str
    outcome: str
    stage: str = ""
    seconds: float = 0.0
    usd: float = 0.0
    ratios: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Paces:
    """How many times longer phases take than offers let expect, of a provider and its machines."""

    usual: Mapping[str, float]
    machines: Mapping[str, Mapping[str, float]]

    def of(self, machine_id: str | None) -> Mapping[str, float]:
        """Those of one machine; of one that is not known, the provider's."""
        return self.machines.get(machine_id or "", self.usual)


@dataclass(frozen=True)
class Record:
    """How often a machine or a provider served and failed, and its median boot.

    ``boot_seconds`` is None while nothing is known.
    """

    served: int = 0
    failed: int = 0
    boot_seconds: float | None = None


class History:
    """The attempts in one file; without a path it is empty and remembers nothing."""

    def __init__(self, path: str | None, clock: Clock | None = None) -> None:
        self._lines = Lines(path, _MOST_BYTES) if path else None
        self._clock = clock or Clock()
        self._read: list[Attempt] | None = None

    def attempts(self) -> list[Attempt]:
        """What the file still counts, oldest line first. What cannot be read is left out."""
        if self._read is None:
            oldest = self._clock.now() - _REMEMBERED_SECONDS
            parsed = map(_parsed, self._last_rows())
            self._read = [one for one in parsed if one is not None and one.time >= oldest]
        return self._read

    def provider(self, name: str) -> Record:
        """The record of a provider over all of its machines."""
        return _record(one for one in self.attempts() if one.provider == name)

    def machines(self, provider: str) -> dict[str, Record]:
        """The record of each machine of a provider; a success clears the failures before it."""
        return {name: _cleared(made) for name, made in self._by_machine(provider).items()}

    def paces(self, provider: str) -> Paces:
        """How long phases take there, against what offers let expect."""
        made = [one for one in self.attempts() if one.provider == provider]
        usual = _pace(made, {}, _ESTIMATE)
        return Paces(
            usual,
            {
                name: _pace(its, usual, _PROVIDERS_PACE)
                for name, its in self._by_machine(provider).items()
            },
        )

    def _by_machine(self, provider: str) -> dict[str, list[Attempt]]:
        by_machine: dict[str, list[Attempt]] = {}
        for one in self.attempts():
            if one.provider == provider and one.machine_id:
                by_machine.setdefault(one.machine_id, []).append(one)
        return by_machine

    def boot_seconds(self, provider: str, machine_id: str) -> float | None:
        """How long a boot takes: the machine's median, else the provider's, else None."""
        machine = self.machines(provider).get(machine_id, Record())
        return machine.boot_seconds or self.provider(provider).boot_seconds

    def add(self, attempt: Attempt) -> str:
        """Append one line. Returns a warning when that was not possible, else an empty text."""
        if self._lines is None:
            return ""
        self._read = None
        try:
            with self._lines.locked() as file:
                file.add(asdict(attempt))
        except UNUSABLE as error:
            return (
                f"The history at {self._lines.path} cannot be written ({why(error)}), "
                "so later rankings will not know how this attempt ended."
            )
        return ""

    def _last_rows(self) -> list[dict[str, Any]]:
        try:
            return self._lines.read()[-_MOST_LINES:] if self._lines else []
        except UNUSABLE:
            return []


def _parsed(row: Mapping[str, Any]) -> Attempt | None:
    """The attempt in *row*; None when it holds none."""
    try:
        known = {field.name: row[field.name] for field in fields(Attempt) if field.name in row}
        attempt = Attempt(**known)
    except TypeError:
        return None
    texts = (attempt.provider, attempt.machine_id, attempt.stage)
    numbers = (attempt.time, attempt.seconds, attempt.usd)
    sound = (
        attempt.outcome in (SERVED, FAILED, GONE, MEASURED)
        and _are_ratios(attempt.ratios)
        and all(isinstance(text, str) for text in texts)
        and all(isinstance(number, (int, float)) for number in numbers)
        and all(0 <= number < _ABSURD for number in numbers)
    )
    return attempt if sound else None


def _are_ratios(told: Any) -> bool:
    return isinstance(told, dict) and all(
        phase in PHASES and isinstance(ratio, (int, float)) and 0 < ratio < _ABSURD
        for phase, ratio in told.items()
    )


def _pace(
    attempts: Iterable[Attempt], before: Mapping[str, float], worth: _Worth
) -> dict[str, float]:
    """By phase, *before* (else 1) and what the attempts have shown, as a geometric mean."""
    known = [one.ratios for one in attempts if one.ratios]
    paces = dict(before)
    for phase in PHASES:
        shown = [math.log(_sane(ratios[phase])) for ratios in known if phase in ratios]
        if shown:
            expected = math.log(before.get(phase, 1.0))
            is_slower = statistics.fmean(shown) > expected
            weight = worth.against_slower if is_slower else worth.against_faster
            paces[phase] = math.exp((weight * expected + sum(shown)) / (weight + len(shown)))
    return paces


def _sane(ratio: float) -> float:
    return min(max(ratio, _LEAST_RATIO), _MOST_RATIO)


def _cleared(attempts: list[Attempt]) -> Record:
    """The record of one machine, without the failures before its last success."""
    outcomes = [one.outcome for one in attempts]
    last = len(outcomes) - 1 - outcomes[::-1].index(SERVED) if SERVED in outcomes else 0
    return replace(_record(attempts), failed=outcomes[last:].count(FAILED))


def _record(attempts: Iterable[Attempt]) -> Record:
    made = list(attempts)
    outcomes = [one.outcome for one in made]
    boots = [one.seconds for one in made if one.seconds > 0]
    return Record(
        served=outcomes.count(SERVED),
        failed=outcomes.count(FAILED),
        boot_seconds=statistics.median(boots) if boots else None,
    )
