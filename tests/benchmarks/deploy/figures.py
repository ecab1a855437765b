# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The arithmetic of the benchmark: medians of pairs, and which wanted bound is missed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

#: A figure, or None when it was not measured.
Figures = dict[str, float | None]


@dataclass(frozen=True)
class Wanted:
    """What a figure must be: at most *most*, or exactly that. ``part`` is what measures it."""

    part: str
    most: float | None
    exactly: bool = False

    def misses(self, value: float) -> bool:
        """Whether the value is not what is wanted."""
        if self.most is None:
            return False
        return value != self.most if self.exactly else value > self.most

    def __str__(self) -> str:
        if self.most is None:
            return "told only"
        return f"{'exactly' if self.exactly else 'at most'} {self.most:g}"


#: Every figure of the RESULT line, in its order.
WANTED = {
    "deploy_over_floor": Wanted("floor", 1.15),
    "deploy_over_seed_way": Wanted("seed", 0.5),
    "first_token_over_floor": Wanted("image", 1.1),
    "estimate_error": Wanted("image", 0.25),
    "second_deploy_over_first": Wanted("again", 0.3),
    "noop_seconds": Wanted("noop", 6),
    "noop_cpu_seconds_per_extra_host": Wanted("fleet", 1.0),
    "check_40_hosts_seconds": Wanted("check40", 40),
    "tasks_per_host_noop": Wanted("noop", None),
    "searches_per_play": Wanted("check40", 1, exactly=True),
    "skipped_proofs": Wanted("deploy", 0, exactly=True),
}
#: Figures of the part "deploy" come with either of these.
COMPARISONS = ("floor", "seed")
PARTS = (*COMPARISONS, "image", "again", "noop", "fleet", "check40")


def ratio(ours: Sequence[float], baseline: Sequence[float]) -> float:
    """The median of the ratios of pairs. Both of a pair have seen the machine in the same state."""
    return median(one / other for one, other in zip(ours, baseline, strict=True))


def error(first_token: Mapping[str, float]) -> float:
    """By how much of what happened the expectation was wrong."""
    happened = first_token["happened_seconds"]
    return abs(first_token["expected_seconds"] - happened) / happened


def per_extra(one: Sequence[float], several: Sequence[float], extra: int) -> float:
    """The median over pairs of what each host beyond the first has added."""
    return median((more - less) / extra for less, more in zip(one, several, strict=True))


def asked_for(parts: Sequence[str]) -> dict[str, Wanted]:
    """The figures that these parts measure."""
    measured = {*parts, *(["deploy"] if set(parts) & set(COMPARISONS) else [])}
    return {name: wanted for name, wanted in WANTED.items() if wanted.part in measured}


def missed(figures: Figures, parts: Sequence[str]) -> list[str]:
    """One line for each figure of these parts that is not as wanted, or could not be measured."""
    lines = []
    for name, wanted in asked_for(parts).items():
        value = figures.get(name)
        if value is None:
            lines.append(f"{name} was not measured")
        elif wanted.misses(value):
            lines.append(f"{name} is {value:g}, wanted is {wanted}")
    return lines


def result(figures: Figures) -> dict[str, float | None]:
    """What the RESULT line says: every figure in order, None for what was not measured."""
    told = {name: figures.get(name) for name in WANTED}
    return {name: value if value is None else round(value, 3) for name, value in told.items()}
