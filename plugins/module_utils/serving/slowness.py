# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Why is a server slow, and which lever helps? Read off the figures that it publishes."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

SLOW_TOKENS_PER_SECOND = 5
"""For one request: below this a reader is faster than the server."""

FULL_CACHE, IDLE_GPU_PERCENT, BUSY_GPU_PERCENT, HOT_CELSIUS = 0.9, 50, 70, 85

_COMPARE = {">": operator.gt, ">=": operator.ge, "<": operator.lt, "==": operator.eq}


class Lever(NamedTuple):
    """A sign of slowness, as comparisons that all have to hold, and what helps."""

    id: str
    signs: tuple[tuple[str, str, Any], ...]
    seen: str
    help: str


LEVERS = (
    Lever(
        "cache_full",
        (("requests_waiting", ">", 0), ("kv_cache_usage", ">", FULL_CACHE)),
        "{requests_waiting:g} requests wait while the KV cache is full ({kv_cache_usage:.0%}).",
        "Lower max_model_len, raise gpu_memory_utilization, or take a GPU with more memory.",
    ),
    Lever(
        "preempted",
        (("preemptions", ">", 0), ("kv_cache_usage", ">", FULL_CACHE)),
        "Requests were thrown out of the full KV cache and computed again ({preemptions:g} times).",
        "Lower max_num_seqs or max_model_len.",
    ),
    Lever(
        "batch_small",
        (("requests_waiting", ">", 0), ("kv_cache_usage", "<", FULL_CACHE)),
        "{requests_waiting:g} requests wait although the KV cache has room ({kv_cache_usage:.0%}).",
        "Raise max_num_seqs.",
    ),
    Lever(
        "client",
        (
            ("requests_running", ">", 0),
            ("requests_waiting", "==", 0),
            ("utilization_percent", "<", IDLE_GPU_PERCENT),
        ),
        "The GPU works at {utilization_percent:g} % and nothing waits.",
        "The client is the limit: send more requests at once, and look at the way between.",
    ),
    Lever(
        "model_large",
        (
            ("requests_running", ">", 0),
            ("tokens_per_second_per_request", "<", SLOW_TOKENS_PER_SECOND),
            ("utilization_percent", ">=", BUSY_GPU_PERCENT),
        ),
        "A request gets {tokens_per_second_per_request:.1f} tokens a second from a busy GPU.",
        "Take a quantised (AWQ) or smaller model, shorter contexts, or a faster GPU.",
    ),
    Lever(
        "no_graphs",
        (
            ("enforce_eager", "==", True),
            ("tokens_per_second_per_request", "<", SLOW_TOKENS_PER_SECOND),
        ),
        "It runs without compiled graphs (enforce_eager).",
        "Remove enforce_eager.",
    ),
    Lever(
        "hot",
        (("temperature_celsius", ">=", HOT_CELSIUS),),
        "A GPU has {temperature_celsius:g} degrees Celsius.",
        "Rent another host: this one is cooled badly.",
    ),
    Lever(
        "throttled_by_heat",
        (("throttled_by_heat", "==", True),),
        "A GPU runs slower because of its heat.",
        "Rent another host: this one is cooled badly.",
    ),
    Lever(
        "throttled_by_hardware",
        (("throttled_by_hardware", "==", True),),
        "A GPU is slowed down by its hardware.",
        "Rent another host: its power supply or its board is at its limit.",
    ),
    Lever(
        "throttled_by_power",
        (
            ("throttled_by_power", "==", True),
            ("tokens_per_second_per_request", "<", SLOW_TOKENS_PER_SECOND),
        ),
        "A GPU is at its power limit.",
        "Rent a host whose GPUs have a higher power limit, or a faster GPU.",
    ),
)


def levers(health: Mapping[str, Any], arguments: Mapping[str, Any]) -> list[dict[str, str]]:
    """What slows the server down: each with id, seen and help. What is unknown proves nothing.

    Args:
        health: as model_server_info returns it.
        arguments: the server's own.
    """
    facts = _facts(health, arguments)
    return [
        {"id": lever.id, "seen": lever.seen.format(**facts), "help": lever.help}
        for lever in LEVERS
        if all(_holds(facts.get(name), sign, value) for name, sign, value in lever.signs)
    ]


def _holds(fact: Any, sign: str, value: Any) -> bool:
    return fact is not None and bool(_COMPARE[sign](fact, value))


def _facts(health: Mapping[str, Any], arguments: Mapping[str, Any]) -> dict[str, Any]:
    """One flat mapping: the figures, and of several GPUs the idlest and the hottest."""
    gpus = health.get("gpus") or []
    running, rate = health.get("requests_running"), health.get("tokens_per_second")
    throttled = {reason for gpu in gpus for reason in gpu.get("throttled_by") or []}
    return {
        **health,
        "tokens_per_second_per_request": rate / running if running and rate is not None else None,
        "utilization_percent": _known(min, (gpu.get("utilization_percent") for gpu in gpus)),
        "temperature_celsius": _known(max, (gpu.get("temperature_celsius") for gpu in gpus)),
        "enforce_eager": arguments.get("enforce_eager") is True,
        **{f"throttled_by_{reason}": True for reason in throttled},
    }


def _known(choose: Any, values: Iterable[Any]) -> Any:
    return choose((value for value in values if value is not None), default=None)
