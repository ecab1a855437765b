# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Alert rules that are broken on purpose: each as a hurried change could, and seen by a case."""

from __future__ import annotations

from typing import NamedTuple

from tests.monitoring.rules import RULES


class Breakage(NamedTuple):
    """What is written in the place of a text of the rules, and which alert's cases notice."""

    name: str
    alert: str
    text: str
    replacement: str


BREAKAGES = (
    Breakage(
        "a pause is a hang",
        "InferopsHung",
        "steps:rate1m == 0\n        for: 1m",
        "steps:rate1m == 0\n        for: 15s",
    ),
    Breakage(
        "tokens are the only work",
        "InferopsHung",
        "rate(vllm:iteration_tokens_total_count{",
        "rate(vllm:generation_tokens_total{",
    ),
    Breakage(
        "what waits is no work",
        "InferopsHung",
        "(inferops:requests_running + inferops:requests_waiting) > 0",
        "inferops:requests_running > 0",
    ),
    Breakage(
        "llama.cpp is not known",
        "InferopsHung",
        "or sum by (scope, host, server) (rate(llamacpp:n_decode_total",
        "or sum by (scope, host, server) (rate(llamacpp:decode_total",
    ),
    Breakage(
        "every exporter is a server", "InferopsDown", 'up{job="inferops_engine"} == 0', "up == 0"
    ),
    Breakage("one start is a loop", "InferopsCrashLoop", "[30m]) >= 3", "[30m]) >= 1"),
    Breakage(
        "a loop needs an engine that tells its start",
        "InferopsCrashLoop",
        "          or changes(up{",
        "          and changes(up{",
    ),
    Breakage("a wrong question is an error", "InferopsErrors", 'status=~"5.."', 'status=~"[45].."'),
    Breakage(
        "broken streams are none",
        "InferopsErrors",
        'finished_reason="error"',
        'finished_reason="failed"',
    ),
    Breakage(
        "only one way to write a bucket", "InferopsSlowRequests", 'le=~"60([.]0)?"', 'le="60.0"'
    ),
    Breakage(
        "an idle server is slow",
        "InferopsFewTokens",
        "          and min_over_time(inferops:requests_running[5m]) > 0\n",
        "",
    ),
    Breakage("half a cache is full", "InferopsCacheFull", "> 0.95", "> 0.5"),
    Breakage(
        "a GPU without work is idle",
        "InferopsIdleGpu",
        "requests_waiting) > 0\n        for: 10m",
        "requests_waiting) >= 0\n        for: 10m",
    ),
    Breakage(
        "an old look counts",
        "InferopsIdleGpu",
        "(DCGM_FI_DEV_GPU_UTIL\n          unless on (job, scope) (time()",
        "(DCGM_FI_DEV_GPU_UTIL\n          unless on (job, scope) (-time()",
    ),
    Breakage(
        "a dcgm-exporter is as old as the look",
        "InferopsIdleGpu",
        "(DCGM_FI_DEV_GPU_UTIL\n          unless on (job, scope)",
        "(DCGM_FI_DEV_GPU_UTIL\n          unless on (scope)",
    ),
    Breakage("85 degrees are too hot", "InferopsHotGpu", "celsius > 85", "celsius >= 85"),
    Breakage(
        "what it costs since the look does not count",
        "InferopsOverBudget",
        "\n          * on (scope) group_left () (time()",
        "\n          * 0 * on (scope) group_left () (time()",
    ),
    Breakage(
        "without a price it costs nothing",
        "InferopsOverBudget",
        "(inferops_rental_price_usd_per_hour or inferops_rental_cost_usd * 0)",
        "inferops_rental_price_usd_per_hour",
    ),
    Breakage(
        "what has ended ends soon",
        "InferopsDeadlineNear",
        "0 < inferops_rental_deadline",
        "-9000 < inferops_rental_deadline",
    ),
    Breakage(
        "overdue is what nobody looked at",
        "InferopsOverdue",
        "max by (scope) (inferops_looked_timestamp_seconds) - 300",
        "(max by (scope) (inferops_looked_timestamp_seconds) * 0 + time())",
    ),
    Breakage(
        "what is lost is told twice",
        "InferopsNeedsSomebody",
        'verdict!~"lost|overdue"',
        'verdict!="overdue"',
    ),
    Breakage(
        "no figures are no news",
        "InferopsNobodyLooks",
        " or absent(inferops_looked_timestamp_seconds)",
        "",
    ),
)


def broken(breakage: Breakage) -> str:
    """The rules with it. Raises ValueError unless its text stands there once."""
    source = RULES.read_text()
    if source.count(breakage.text) != 1:
        raise ValueError(f"{breakage.name}: its text stands {source.count(breakage.text)} times")
    return source.replace(breakage.text, breakage.replacement)
