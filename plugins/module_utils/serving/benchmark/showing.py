# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A benchmark for people: lines for a terminal, a page in Markdown, a table in CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from ...common.loads import LATENCIES, Plan
from .reading import COUNTS, RATES, STATISTICS

_OBJECTIVES = {
    "ttft": "the first token within {:g} ms",
    "tpot": "each token after it within {:g} ms",
    "e2el": "the whole answer within {:g} ms",
}
_UNKNOWN = "-"
#: What makes more of text in Markdown, and how it is written to be itself.
_MARKS = {ord(sign): f"&#{ord(sign)};" for sign in "&<>|`[]*_\\"}


def planned(plan: Plan, price_usd_per_hour: float | None, dry_run: bool) -> str:
    """What is sent at most, and what the host bills meanwhile, before anything is."""
    most = plan.most
    ladder = ", ".join(map(str, plan.concurrencies))
    verb = "Would send" if dry_run else "Sends"
    search = f", and search up to {plan.most_concurrency} for {objective(plan)}"
    bill = ""
    if price_usd_per_hour is not None:
        bill = f", which bills {price_usd_per_hour * most.seconds / 3600:.4f} dollars at most"
    return (
        f"{verb} loads of {ladder} requests at once{search if plan.objective_ms else ''}: at most "
        f"{most.loads} loads, {most.requests} requests and {most.tokens} tokens, within "
        f"{most.seconds:.0f} s{bill}."
    )


def objective(plan: Plan) -> str:
    """99 of 100 with the first token within 500 ms."""
    return "99 of 100 with " + _objective(plan.objective_ms)


def _objective(limits: Mapping[str, float]) -> str:
    return " and ".join(_OBJECTIVES[name].format(limits[name]) for name in limits)


def told(report: Mapping[str, Any]) -> list[str]:
    """A line for each load, then what follows from them."""
    return [*map(_load_line, report["loads"]), *_conclusions(report)]


def _load_line(load: Mapping[str, Any]) -> str:
    parts = [
        f"{load['concurrency']} at once: {_figure(load['output_tokens_per_second'])} tokens/s",
        f"first token {_pair(load['ttft_ms'])} ms",
        f"each after it {_pair(load['tpot_ms'])} ms (p50, p99)",
    ]
    if load["good_requests_per_second"] is not None:
        good, all_of_them = load["good_requests_per_second"], load["requests_per_second"]
        parts.append(f"{_figure(good)} of {_figure(all_of_them)} requests/s good")
    if load["usd_per_million_output_tokens"] is not None:
        parts.append(f"${load['usd_per_million_output_tokens']:.4g} per million output tokens")
    if load["failed"]:
        parts.append(f"{load['failed']} of {load['requests']} failed")
    if load["verdict"] != "kept":
        parts.append(load["verdict"])
    return "; ".join([*parts, *load["errors"][:1]])


def _conclusions(report: Mapping[str, Any]) -> Iterator[str]:
    if report["objective_ms"]:
        limits = _objective(report["objective_ms"])
        found = report["highest_kept"]
        yield (
            f"Up to {found} at once 99 of 100 had {limits}."
            if found
            else f"Not even the lowest load had 99 of 100 with {limits}."
        )
    best = report["best"]
    if best:
        cost = best["usd_per_million_output_tokens"]
        price = f", ${cost:.4g} per million" if cost is not None else ""
        rate = _figure(best["output_tokens_per_second"])
        yield f"Most: {rate} output tokens/s at {best['concurrency']} at once{price}."
    yield from report["notes"]
    yield from report["regressions"]


def csv_of(report: Mapping[str, Any]) -> str:
    """The loads as a table: a line each, all figures, no text of anybody's."""
    latencies = [(f"{name}_ms", one) for name in LATENCIES for one in STATISTICS]
    prices = ("usd_per_million_output_tokens", "usd_per_million_tokens")
    plain = (*COUNTS, "verdict", *RATES, *prices)
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([*plain, *(f"{name[:-3]}_{one}_ms" for name, one in latencies)])
    for load in report["loads"]:
        figures = [(load[name] or {}).get(one) for name, one in latencies]
        writer.writerow([*(load[name] for name in plain), *figures])
    return out.getvalue()


def markdown(report: Mapping[str, Any]) -> str:
    """The report as a page."""
    loads = _table(
        ("at once", "tokens/s", "first token, ms", "per token, ms", "between, ms", "good/s", "$/M"),
        (
            (
                load["concurrency"],
                _figure(load["output_tokens_per_second"]),
                *(_three(load[f"{name}_ms"]) for name in ("ttft", "tpot", "itl")),
                _figure(load["good_requests_per_second"]),
                _figure(load["usd_per_million_output_tokens"]),
            )
            for load in report["loads"]
        ),
    )
    compared = _table(
        ("report", "model", "GPUs", "at once", "tokens/s", "first token p99, ms", "$/M"),
        (
            (
                *(one[key] for key in ("name", "model", "gpus", "concurrency")),
                _figure(one["output_tokens_per_second"]),
                _figure(one["ttft_p99_ms"]),
                _figure(one["usd_per_million_output_tokens"]),
            )
            for one in report["compared"]
        ),
    )
    lines = [
        f"# {_cell(report['model'])} on {_cell(report['host'])}",
        "",
        f"{_cell(report['engine'])} {_cell(report['release'])}, GPUs: {_cell(report['gpus'])}. "
        f"Measured at {_cell(report['measured_at'])} with {_cell(report['generator'])}: requests "
        f"of {report['plan']['input_tokens']} tokens, answers of "
        f"{report['plan']['output_tokens']}.",
        "",
        *loads,
        "",
        "Milliseconds are p50 / p90 / p99; $/M is dollars per million output tokens at this load.",
        "",
        *(f"- {_cell(sentence)}" for sentence in _conclusions(report)),
        *(["- " + _cell(report["stopped"])] if report["stopped"] else []),
    ]
    if len(report["compared"]) > 1:
        lines += ["", "## Beside earlier ones, each at its best", "", *compared]
    return "\n".join(lines) + "\n"


def _table(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> list[str]:
    lines = [header, ["---:"] * len(header), *rows]
    return ["| " + " | ".join(_cell(one) for one in row) + " |" for row in lines]


def _cell(value: Any) -> str:
    """Text that is nothing but text in Markdown."""
    text = _UNKNOWN if value is None or value == "" else str(value)
    return text.translate(_MARKS)


def _figure(value: float | None) -> str:
    if value is None:
        return _UNKNOWN
    return f"{value:.0f}" if value >= 1000 else f"{value:.4g}"


def _pair(latency: Mapping[str, Any] | None) -> str:
    return f"{_figure((latency or {}).get('p50'))}, {_figure((latency or {}).get('p99'))}"


def _three(latency: Mapping[str, Any] | None) -> str:
    return " / ".join(_figure((latency or {}).get(one)) for one in ("p50", "p90", "p99"))
