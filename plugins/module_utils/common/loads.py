# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a server is loaded for a benchmark: how many requests at once, in which order, how long.

A ladder comes first. With an objective, a search follows: the highest load that keeps it. The
controller tells by this beforehand what will be sent, and the host sends it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

KEPT, MISSED, UNFINISHED = "kept", "missed", "unfinished"
"""What a load has shown: the objective was kept, or not; or it did not end in its time."""

LATENCIES = ("ttft", "tpot", "itl", "e2el")
"""Time to the first token, per token after it, between two chunks, and of a whole request."""

OBJECTIVES = ("ttft", "tpot", "e2el")
"""Those that each request has one of, so that an objective can be set for it."""

#: A boundary is found when the loads on both sides of it differ by no more than one in so many.
_RESOLUTION = 8
#: What may be asked for, by option: nobody waits for more, and a generator holds all in memory.
_BOUNDS = {
    "rounds": (1, 1000),
    "least_requests": (1, 10_000),
    "warmup_requests": (0, 1000),
    "input_tokens": (1, 1_000_000),
    "output_tokens": (1, 1_000_000),
    "most_concurrency": (1, 4096),
    "most_loads": (1, 64),
    "load_seconds": (1, 3600),
    # A controller waits for two hours for what a host does.
    "most_seconds": (1, 6600),
}
_MOST_REQUESTS = 20_000


class Load(NamedTuple):
    """Requests of which so many are always under way. `seed` makes their text, so that no load has
    that of another in its cache."""

    concurrency: int
    requests: int
    seed: int


class Most(NamedTuple):
    """What a plan may come to at most."""

    loads: int
    requests: int
    tokens: int
    seconds: float


@dataclass(frozen=True)
class Plan:
    """The loads of a benchmark, and what bounds them.

    `objective_ms` has limits in milliseconds, by the names of OBJECTIVES, that 99 of 100 requests
    have to keep. Each of the clients of a load sends `rounds` requests, one after the other, and
    all together no fewer than `least_requests`. `most_concurrency` is as high as a search goes.
    """

    concurrencies: tuple[int, ...]
    rounds: int
    least_requests: int
    warmup_requests: int
    input_tokens: int
    output_tokens: int
    objective_ms: Mapping[str, float]
    most_concurrency: int
    most_loads: int
    load_seconds: float
    most_seconds: float

    def load(self, concurrency: int, number: int) -> Load:
        """The load with so many requests at once, as the `number`-th of its run."""
        requests = max(self.least_requests, concurrency * self.rounds)
        return Load(concurrency, requests, number)

    @property
    def warmup(self) -> Load | None:
        """What is sent first and not measured; None where nothing is."""
        return Load(self.warmup_requests, self.warmup_requests, 0) if self.warmup_requests else None

    def following(self, shown: Mapping[int, str]) -> int | None:
        """How many requests at once come next, of those that have `shown` something; None at the
        end."""
        if len(shown) >= self.most_loads:
            return None
        too_slow = min((one for one, what in shown.items() if what == UNFINISHED), default=None)
        for one in self.concurrencies:
            if one not in shown and (too_slow is None or one < too_slow):
                return one
        return _searched(shown, self.most_concurrency) if self.objective_ms else None

    @property
    def most(self) -> Most:
        """What it comes to where every load takes place, those of a search at their highest."""
        searched = self.most_loads - len(self.concurrencies) if self.objective_ms else 0
        loads = [*self.concurrencies, *[self.highest] * searched]
        requests = sum(self.load(one, 0).requests for one in loads) + self.warmup_requests
        tokens = requests * (self.input_tokens + self.output_tokens)
        return Most(len(loads), requests, tokens, self.most_seconds)

    @property
    def highest(self) -> int:
        """The most requests at once that it may come to."""
        searched = (self.most_concurrency,) if self.objective_ms else ()
        return max(*self.concurrencies, *searched, 1)


def plan_of(asked: Mapping[str, Any]) -> Plan:
    """The plan of these options of module benchmark. Raises ValueError naming what is wrong."""
    for name, (low, high) in _BOUNDS.items():
        _require(name, asked[name], low, high)
    concurrencies = tuple(sorted(set(asked["concurrencies"])))
    if not concurrencies:
        raise ValueError("concurrencies: name at least one number of requests at once.")
    for one in concurrencies:
        _require("concurrencies", one, *_BOUNDS["most_concurrency"])
    if len(concurrencies) > asked["most_loads"]:
        raise ValueError(
            f"most_loads: {asked['most_loads']} are fewer than the {len(concurrencies)} loads of "
            "concurrencies."
        )
    plan = Plan(
        concurrencies=concurrencies,
        objective_ms=_objective(asked),
        **{name: asked[name] for name in _BOUNDS},
    )
    highest = plan.load(plan.highest, 0).requests
    if highest > _MOST_REQUESTS:
        raise ValueError(
            f"rounds: {plan.highest} clients would send {highest} requests, more than the "
            f"{_MOST_REQUESTS} that one load may have. Lower it, concurrencies or most_concurrency."
        )
    return plan


def _objective(asked: Mapping[str, Any]) -> dict[str, float]:
    """The limits that are set; 0 sets none."""
    limits = {name: float(asked.get(f"objective_{name}_ms") or 0) for name in OBJECTIVES}
    for name, limit in limits.items():
        _require(f"objective_{name}_ms", limit, 0, 3_600_000)
    return {name: limit for name, limit in limits.items() if limit}


def _require(name: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise ValueError(f"{name}: {value:.10g} is not within {low:.10g} and {high:.10g}.")


def judged(figures: Mapping[str, Any], objective_ms: Mapping[str, float]) -> str:
    """What a load that ended has shown, by its figures as `host/engines/generator.py` has them.

    Nobody is served by a request that failed, however fast the others were.
    """
    if figures["failed"] or not figures["completed"]:
        return MISSED
    seen = {name: (figures[f"{name}_ms"] or {}).get("p99") for name in objective_ms}
    within = (p99 is not None and p99 <= objective_ms[name] for name, p99 in seen.items())
    return KEPT if all(within) else MISSED


def highest_kept(shown: Mapping[int, str]) -> int | None:
    """The highest load up to which all that were tried kept the objective; None where none did."""
    low, _high = _boundary(shown)
    return low or None


def _boundary(shown: Mapping[int, str]) -> tuple[int, int | None]:
    """The highest that kept below all that did not, 0 for none; and the lowest that did not."""
    high = min((one for one, what in shown.items() if what != KEPT), default=None)
    kept = (one for one, what in shown.items() if what == KEPT and (high is None or one < high))
    return max(kept, default=0), high


def _searched(shown: Mapping[int, str], most: int) -> int | None:
    """Twice as many for as long as it is kept, then the middle of what is open."""
    low, high = _boundary(shown)
    if high is None:
        return min(2 * low, most) if low < most else None
    if high - low <= max(1, low // _RESOLUTION):
        return None
    return (low + high) // 2
