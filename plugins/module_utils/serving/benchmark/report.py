# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The report of a benchmark: what was asked, what the server can do, what that costs, what changed.

What the host says comes through reading.py; prices and the wish are the controller's own.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ...common.loads import UNFINISHED, Plan, highest_kept, judged, plan_of
from ..engines.registry import spelling
from .comparison import best_of, regressions
from .costs import price_of, priced
from .reading import SCHEMA, line, loads_of, number, report_of

_RELEASE = re.compile(r"\d+(\.\d+){1,3}([a-z]{1,4}\d{1,4})?")
#: By how much the mean time to the first token may differ from the server's own before it is said.
_APART_SHARE, _APART_MS = 0.1, 2.0


@dataclass(frozen=True)
class Case:
    """What a report is made of.

    asked: the options of module benchmark; found: its result, empty before.
    host: the name of the rental; rental: as module rental returns it; gpus: as gpu_info does.
    model, engine and arguments: the wish, by the variables of the play.
    now: when, as people and programs write it. others: earlier reports, a name and a text each.
    regression_percent: how much worse than the first of those it may be; 0 fails for nothing.
    """

    asked: Mapping[str, Any]
    host: str
    model: str
    engine: str
    arguments: Mapping[str, Any]
    now: str
    found: Mapping[str, Any] = field(default_factory=dict)
    rental: Mapping[str, Any] = field(default_factory=dict)
    gpus: Sequence[Mapping[str, Any]] = ()
    others: Sequence[Sequence[str]] = ()
    regression_percent: float = 0

    @property
    def plan(self) -> Plan:
        """The loads that are asked for. Raises ValueError."""
        return plan_of(self.asked)

    @property
    def earlier(self) -> list[dict[str, Any]]:
        """The reports that it is compared with. Raises ValueError."""
        return [report_of(text, name) for name, text in self.others]


def report(case: Case) -> dict[str, Any]:
    """The report, for a program. Raises ValueError where the plan or an earlier one is none."""
    plan, earlier, found = case.plan, case.earlier, case.found
    price = price_of(case.rental)
    loads = [
        {**priced(load, price), "verdict": _verdict(load, plan)}
        for load in loads_of(found.get("loads"))
    ]
    shown = {load["concurrency"]: load["verdict"] for load in loads}
    highest = highest_kept(shown) if plan.objective_ms else None
    told: dict[str, Any] = {
        "schema": SCHEMA,
        "host": case.host,
        "measured_at": case.now,
        "model": line(found.get("model")) or case.model,
        "engine": case.engine,
        "release": line(found.get("release")),
        "generator": line(found.get("generator")),
        "gpus": _gpus(case.gpus),
        "provider": line(case.rental.get("provider")),
        "price_usd_per_hour": price,
        "seconds": number(found.get("seconds")),
        "plan": {name: case.asked[name] for name in sorted(case.asked)},
        "objective_ms": dict(plan.objective_ms),
        "highest_kept": highest,
        "loads": loads,
        # Where not even the lowest load keeps the objective, none is good.
        "best": best_of(loads, (highest or 0) if plan.objective_ms else None),
        "stopped": line(found.get("stopped")),
    }
    told["notes"] = list(_notes(told))
    told["compared"] = [
        _summary({**told, "name": "this one"}, told["best"]),
        *(_summary(one, best_of(one["loads"], one["highest_kept"])) for one in earlier),
    ]
    first = earlier[:1]
    told["regressions"] = [
        sentence for one in first for sentence in regressions(told, one, case.regression_percent)
    ]
    told["replay"] = _replay(case, told["release"])
    return told


def error_of(told: Mapping[str, Any], case: Case) -> str:
    """Why it failed, after all was kept that was measured; empty where it did not."""
    if told["stopped"]:
        return str(told["stopped"])
    if not told["best"]:
        return "No load was answered within the objective, or without a failure. " + _first_error(
            told
        )
    if case.regression_percent and told["regressions"]:
        worse = " ".join(told["regressions"])
        return f"It is worse than {told['compared'][1]['name']}: {worse}"
    return ""


def _verdict(load: Mapping[str, Any], plan: Plan) -> str:
    """What a load has shown, by its figures: a host's verdict is worth what they are."""
    return UNFINISHED if load["verdict"] == UNFINISHED else judged(load, plan.objective_ms)


def _first_error(told: Mapping[str, Any]) -> str:
    return next((f"The first error: {e}" for load in told["loads"] for e in load["errors"]), "")


def _gpus(gpus: Sequence[Mapping[str, Any]]) -> str:
    """2 x NVIDIA L4, or none."""
    counted = Counter(line(gpu.get("name")) for gpu in gpus)
    return ", ".join(f"{count} x {name}" for name, count in sorted(counted.items())) or "none"


def _summary(told: Mapping[str, Any], best: Mapping[str, Any] | None) -> dict[str, Any]:
    """A line of a comparison: the best that each came to."""
    best = best or {}
    return {
        **{key: told[key] for key in ("name", "host", "model", "gpus", "provider", "measured_at")},
        **{key: told[key] for key in ("price_usd_per_hour", "highest_kept")},
        "concurrency": best.get("concurrency"),
        "output_tokens_per_second": best.get("output_tokens_per_second"),
        "ttft_p99_ms": ((best.get("ttft_ms") or {}).get("p99")),
        "usd_per_million_output_tokens": best.get("usd_per_million_output_tokens"),
    }


def _notes(told: Mapping[str, Any]) -> Iterator[str]:
    """What whoever goes by these figures has to know, a sentence each."""
    for load in told["loads"]:
        at, counted = f"At {load['concurrency']} at once", load["server"]
        written = counted.get("output_tokens")
        if written is not None and load["completed"] and written != load["output_tokens"]:
            yield (
                f"{at} the server wrote {written:.0f} tokens and the generator got "
                f"{load['output_tokens']}: others used the server meanwhile, or requests were cut "
                "off. Measure again when it is idle."
            )
        seen, own = (load["ttft_ms"] or {}).get("mean"), counted.get("mean_ttft_ms")
        if seen is not None and own is not None:
            apart = abs(seen - own)
            if apart > max(_APART_MS, own * _APART_SHARE):
                yield (
                    f"{at} the first token took {seen:.1f} ms on average, and {own:.1f} ms by the "
                    "server's own figures: the rest is the way to it, and the generator itself."
                )
    if told["price_usd_per_hour"] is None and told["loads"]:
        yield "Nobody tells what this host costs, so the price of tokens is not known."
    if told["highest_kept"] == told["plan"].get("most_concurrency"):
        yield (
            "The highest load of the search kept the objective: more may do as well "
            "(benchmark_most_concurrency)."
        )


def _replay(case: Case, release: str) -> dict[str, Any]:
    """The variables by which another deploy serves as this host does.

    They are the wish of this play, and of what the host says no more than a release.
    """
    variable, public = spelling(case.engine).release_variable, release.partition("+")[0]
    known = {variable: public} if variable and _RELEASE.fullmatch(public) else {}
    wish = {
        "inferops_model": case.model,
        "inferops_engine": case.engine,
        "inferops_server_arguments": dict(case.arguments),
        **known,
    }
    return {name: value for name, value in wish.items() if value}
