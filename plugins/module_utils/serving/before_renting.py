# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is known of a model before anything is rented: its memory, which release knows it, which
driver that needs. An error here rents a host that cannot serve it, or refuses one that could.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .engines.registry import DEFAULT, knowledge


@dataclass(frozen=True)
class Wish:
    """What is to be served. ``config`` is the model's config.json where the user gives it."""

    engine: str = DEFAULT
    accelerator: str = "cuda"
    release: str = "auto"
    config: Mapping[str, Any] | str = ""
    arguments: Mapping[str, Any] = field(default_factory=dict)
    extra_args: Sequence[str] = ()


def known_since(
    config: Mapping[str, Any] | str, arguments: Mapping[str, Any] | None, engine: str
) -> str:
    """The engine's oldest release that knows the model; empty where that is not known."""
    try:
        content = json.loads(config) if isinstance(config, str) else config
    except (ValueError, RecursionError):
        return ""
    if not isinstance(content, Mapping):
        return ""
    return knowledge(engine).least_release(content, arguments)


def model_plan(asked: Mapping[str, Any], wish: Wish) -> dict[str, Any]:
    """Filter model_plan documents it. *asked* is what the hub has answered, in whatever way.

    Raises ValueError for an option that is no option of the engine, PlanImpossible where no release
    suits.
    """
    config = wish.config or asked.get("config") or {}
    known_bytes = int(asked.get("weights_bytes") or 0)
    least = known_since(config, wish.arguments, wish.engine)
    engine = knowledge(wish.engine)
    # Hosts whose driver allows only releases that do not know the model are not searched for.
    stack = engine.plan({}, wish.accelerator, wish.release, least)
    fit = engine.fit(
        config,
        wish.arguments,
        extra_args=wish.extra_args,
        metadata={"metadata": {"total_size": known_bytes}},
        quantization=asked.get("quantization"),
        release=stack["release"],
    )
    if not config and not known_bytes:
        fit = {**fit, "unknown": True, "why": _why_unknown(asked)}
    return {
        "fit": fit,
        "least_release": least,
        "least_driver": stack["least_driver"],
        "engine": {
            "name": wish.engine,
            "accelerator": wish.accelerator,
            "release": wish.release,
            "least_release": least,
        },
    }


def _why_unknown(asked: Mapping[str, Any]) -> str:
    """Why nothing is computed, with what the hub said if it was asked."""
    if asked.get("skipped"):
        said = "give inferops_model_config"
    else:
        said = asked.get("note") or asked.get("msg") or "the hub has none"
    return f"its memory is not computed, because its config.json is not known ({said})"
