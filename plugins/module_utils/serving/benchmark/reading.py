# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host says of the loads that its server had, and what an earlier report says of others.

Neither is believed: what is no figure is none, and text is one plain line.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from typing import Any

from ...common.loads import KEPT, LATENCIES, MISSED, UNFINISHED
from ...common.plain import plain_line
from ...common.redaction import redact

SCHEMA = "inferops.gpu.benchmark/1"
STATISTICS = ("mean", "p50", "p90", "p99")
RATES = (
    *("seconds", "requests_per_second", "good_requests_per_second"),
    *("output_tokens_per_second", "tokens_per_second"),
)
COUNTS = ("concurrency", "requests", "completed", "failed", "input_tokens", "output_tokens")
COUNTED = ("input_tokens", "output_tokens", "mean_ttft_ms")
_PRICES = ("usd_per_million_output_tokens", "usd_per_million_tokens")
_MOST_LOADS, _MOST_ERRORS, _MOST_LETTERS = 64, 3, 300
#: No figure of a load is larger; what is, is none.
_MOST = 1e12


class Unreadable(ValueError):
    """It is no report of a benchmark; the text says which one and why."""


def loads_of(told: Any) -> list[dict[str, Any]]:
    """The loads that can be read, by what they are about, the lowest first."""
    loads = [_load(one) for one in _list(told)[:_MOST_LOADS] if isinstance(one, Mapping)]
    return sorted((one for one in loads if one["concurrency"]), key=lambda one: one["concurrency"])


def line(told: Any) -> str:
    """Any text as one plain line without secrets."""
    return redact(plain_line(str(told if told is not None else ""), _MOST_LETTERS))


def number(told: Any) -> float | None:
    """A figure that can be one: finite, and not below nothing."""
    if isinstance(told, bool) or not isinstance(told, (int, float)):
        return None
    return told if math.isfinite(told) and 0 <= told <= _MOST else None


def report_of(text: str, name: str) -> dict[str, Any]:
    """An earlier report, of a file with this name. Raises Unreadable."""
    try:
        told = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Unreadable(f"{name} is no JSON, so no report of a benchmark: {error}.") from error
    if not isinstance(told, dict) or told.get("schema") != SCHEMA:
        raise Unreadable(
            f"{name} is no report of a benchmark ({SCHEMA}): name the .json file that playbook "
            "inferops.gpu.benchmark has written."
        )
    plan = told.get("plan")
    plan = plan if isinstance(plan, dict) else {}
    return {
        "name": line(name),
        **{
            key: line(told.get(key)) for key in ("host", "model", "measured_at", "gpus", "provider")
        },
        "price_usd_per_hour": number(told.get("price_usd_per_hour")),
        "highest_kept": number(told.get("highest_kept")),
        "plan": {key: number(plan.get(key)) for key in ("input_tokens", "output_tokens")},
        "loads": loads_of(told.get("loads")),
    }


def _load(told: Mapping[str, Any]) -> dict[str, Any]:
    verdict = told.get("verdict")
    counted = told.get("server")
    return {
        **{name: int(number(told.get(name)) or 0) for name in COUNTS},
        "verdict": verdict if verdict in (KEPT, MISSED, UNFINISHED) else UNFINISHED,
        **{name: number(told.get(name)) for name in RATES},
        **{f"{name}_ms": _statistics(told.get(f"{name}_ms")) for name in LATENCIES},
        "errors": [line(one) for one in _list(told.get("errors"))[:_MOST_ERRORS]],
        "server": _picked(counted, COUNTED) if isinstance(counted, Mapping) else {},
        **{name: number(told.get(name)) for name in _PRICES},
    }


def _statistics(told: Any) -> dict[str, float | None] | None:
    if not isinstance(told, Mapping):
        return None
    found = _picked(told, STATISTICS)
    return found if any(value is not None for value in found.values()) else None


def _picked(told: Mapping[str, Any], names: Iterable[str]) -> dict[str, float | None]:
    return {name: number(told.get(name)) for name in names}


def _list(told: Any) -> list[Any]:
    return told if isinstance(told, list) else []
