# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a benchmark compares with earlier ones: of this server, or of other models and GPUs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from ...common.loads import UNFINISHED

LENGTHS = ("input_tokens", "output_tokens")


def best_of(loads: Sequence[Mapping[str, Any]], highest: float | None) -> Mapping[str, Any] | None:
    """The load with the most tokens a second, of those that ended and of which no request failed,
    and that are no higher than the *highest*, where that is said. None where none is so.
    """
    good = [one for one in loads if _counts(one)]
    if highest is not None:
        good = [one for one in good if one["concurrency"] <= highest]
    return max(good, key=lambda one: one["output_tokens_per_second"], default=None)


def _counts(load: Mapping[str, Any]) -> bool:
    answered = load["output_tokens_per_second"] is not None and not load["failed"]
    return bool(answered and load["verdict"] != UNFINISHED)


def same_lengths(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two plans ask and answer with as many tokens: other figures say nothing together."""
    return all(one["plan"].get(name) == other["plan"].get(name) for name in LENGTHS)


def _p99(latency: str) -> Callable[[Mapping[str, Any]], float | None]:
    return lambda load: (load[latency] or {}).get("p99")


#: What is compared of two loads, how it is read, its unit, and whether more of it is better.
_COMPARED: tuple[tuple[str, Callable[[Mapping[str, Any]], float | None], str, bool], ...] = (
    ("throughput", lambda load: load["output_tokens_per_second"], "tokens/s", True),
    ("p99 time to first token", _p99("ttft_ms"), "ms", False),
    ("p99 time per token", _p99("tpot_ms"), "ms", False),
)


def regressions(
    report: Mapping[str, Any], earlier: Mapping[str, Any], percent: float
) -> Iterator[str]:
    """What is worse than in an earlier report by more than so many percent, a sentence each."""
    if not same_lengths(report, earlier):
        yield (
            f"It cannot be compared with {earlier['name']}, whose requests or answers have other "
            "lengths: measure both with one benchmark_input_tokens and benchmark_output_tokens."
        )
        return
    known = {load["concurrency"]: load for load in earlier["loads"] if _counts(load)}
    both = [load for load in report["loads"] if load["concurrency"] in known]
    if not both:
        yield f"No load of {earlier['name']} was measured again, so nothing is compared."
    for load in both:
        yield from _worse(load, known[load["concurrency"]], percent)
    was, now = earlier["highest_kept"], report["highest_kept"]
    if report["objective_ms"] and was and (now or 0) < was * (1 - percent / 100):
        yield f"The highest load that keeps the objective was {was:g}, and is {now or 0:g}."


def _worse(load: Mapping[str, Any], earlier: Mapping[str, Any], percent: float) -> Iterator[str]:
    at = f"{load['concurrency']} at once"
    if not _counts(load):
        yield f"At {at} {load['failed']} of {load['requests']} requests failed, or it did not end."
        return
    for name, read, unit, more_is_better in _COMPARED:
        was, now = read(earlier), read(load)
        if not was or now is None:
            continue
        change = (now - was) / was * 100
        if (-change if more_is_better else change) > percent:
            yield f"At {at} {name} was {was:.4g} {unit}, and is {now:.4g} ({change:+.0f} %)."
