# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is known of a model before anything is rented: its memory, which vLLM knows it, which driver
that needs. An error here rents a host that cannot serve it, or refuses one that could.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .choosing import plan_for
from .engines.registry import DEFAULT, spelling
from .estimate import estimate
from .model_releases import least_vllm


@dataclass(frozen=True)
class Wish:
    """What is to be served. ``config`` is the model's config.json where the user gives it."""

    engine: str = DEFAULT
    accelerator: str = "cuda"
    vllm_version: str = "auto"
    config: Mapping[str, Any] | str = ""
    arguments: Mapping[str, Any] = field(default_factory=dict)
    extra_args: Sequence[str] = ()


def engine_plan(
    host: Mapping[str, Any],
    engine: str,
    accelerator: str = "cuda",
    version: str = "",
    vllm_version: str = "auto",
    least: str = "",
) -> dict[str, Any]:
    """Filter engine_plan documents it. Raises PlanImpossible and StackImpossible."""
    own = spelling(engine).plan
    if own is None:
        return plan_for(host, accelerator, vllm_version, least_vllm=least)
    return own(host, accelerator, "" if version == "auto" else version)


def known_since(
    config: Mapping[str, Any] | str, arguments: Mapping[str, Any] | None, engine: str
) -> str:
    """The oldest vLLM that knows the model; empty where that is not known, or another serves it."""
    if not spelling(engine).tables:
        return ""
    try:
        content = json.loads(config) if isinstance(config, str) else config
    except (ValueError, RecursionError):
        return ""
    return least_vllm(content, arguments) if isinstance(content, Mapping) else ""


def model_plan(asked: Mapping[str, Any], wish: Wish) -> dict[str, Any]:
    """Filter model_plan documents it. *asked* is what the hub has answered, in whatever way.

    Raises ValueError for an option that is no option of the engine, PlanImpossible and
    StackImpossible where no release suits.
    """
    config = wish.config or asked.get("config") or {}
    known_bytes = int(asked.get("weights_bytes") or 0)
    least = known_since(config, wish.arguments, wish.engine)
    # Hosts whose driver allows only releases that do not know the model are not searched for.
    stack = engine_plan(
        {}, wish.engine, wish.accelerator, vllm_version=wish.vllm_version, least=least
    )
    fit = estimate(
        config,
        wish.arguments,
        extra_args=wish.extra_args,
        metadata={"metadata": {"total_size": known_bytes}},
        quantization=asked.get("quantization"),
        engine=wish.engine,
        vllm_version=stack.get("vllm_version") or "",
    )
    if not config and not known_bytes:
        fit = {**fit, "unknown": True, "why": _why_unknown(asked)}
    return {
        "fit": fit,
        "least_vllm": least,
        "least_driver": stack["least_driver"],
        "engine": {
            "name": wish.engine,
            "accelerator": wish.accelerator,
            "vllm_version": wish.vllm_version,
            "least_vllm": least,
        },
    }


def _why_unknown(asked: Mapping[str, Any]) -> str:
    """Why nothing is computed, with what the hub said if it was asked."""
    if asked.get("skipped"):
        said = "give inferops_model_config"
    else:
        said = asked.get("note") or asked.get("msg") or "the hub has none"
    return f"its memory is not computed, because its config.json is not known ({said})"
