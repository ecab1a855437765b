# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Does a model fit: the figures of `fit`, from what users write and what hosts say."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from ...architecture import UnknownModel, with_quantization
from ...visible import UnknownDevice, visible
from ...weights import published_bytes
from ..knowledge import Wish, uncomputed, unknown
from .fit import gpu_fit, ram_fit, search_fit
from .given import given_options, overridden
from .options import EngineOptions

DEFAULT_KV_CACHE_GIB = 4.0
"""What vLLM takes on a CPU when VLLM_CPU_KVCACHE_SPACE is not set."""


class Unknown(Exception):
    """What is asked for cannot be computed; the text says why."""


def estimate(
    config: Mapping[str, Any] | str,
    arguments: Mapping[str, Any] | None = None,
    gpus: Sequence[Mapping[str, Any]] | None = None,
    memory_before_mib: Mapping[str, int] | None = None,
    visible_devices: str = "",
    ram_mib: float | None = None,
    kv_cache_gib: float = DEFAULT_KV_CACHE_GIB,
    metadata: Mapping[str, Any] | None = None,
    extra_args: Sequence[str] = (),
    quantization: Mapping[str, Any] | str | None = None,
    release: str = "",
) -> dict[str, Any]:
    """Filter model_fit documents it. Raises ValueError for an option that is none of vLLM's."""
    options, unread = given_options(arguments or {}, extra_args)
    compiles = not EngineOptions.read(options).enforce_eager
    known = published_bytes(metadata or {})
    overrides = options.get("hf_overrides") or {}
    try:
        if unread:
            raise Unknown(f"What {', '.join(unread)} changes is not computed")
        config = with_quantization(_content(config), _or_nothing(quantization))
        config = overridden(config, overrides)
        if gpus is not None:
            before = [_before(gpu, memory_before_mib or {}) for gpu in gpus]
            seen = _whole(visible(before, str(visible_devices)))
            fit = gpu_fit(config, options, seen, known, release)
        elif ram_mib is not None:
            fit = ram_fit(config, options, ram_mib, float(kv_cache_gib), known)
        else:
            fit = search_fit(config, options, known, release)
        fit = _with_additions(fit, fit.get("unknown_options", []))
        # What is impossible whatever GPU there is, is not worth one.
        refusal = f"cannot start so: {fit['why']}." if fit["fits"] == "no" else ""
        return {**fit, "refusal": refusal, "compiles": compiles}
    except (Unknown, UnknownDevice, UnknownModel) as error:
        # A new architecture is no reason to refuse it: vLLM will tell.
        why = str(error)
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        # The config is somebody else's file: whatever stands in it, it ends in an answer.
        why = f"The model's config.json is not as one is known to be: {error!r}"
    return uncomputed(why, compiles)


def _or_nothing(content: Mapping[str, Any] | str | None) -> Mapping[str, Any]:
    """A document as data; nothing where it is damaged."""
    try:
        return _content(content or {})
    except UnknownModel:
        return {}


def _content(config: Mapping[str, Any] | str) -> Mapping[str, Any]:
    """The config as data. What is damaged is unknown here; vLLM will say so when it is started."""
    try:
        content = json.loads(config) if isinstance(config, str) else config
    except (ValueError, RecursionError) as error:
        raise UnknownModel(f"The model's config.json is damaged: {error}.") from error
    if not isinstance(content, Mapping):
        raise UnknownModel("The model's config.json does not hold an object.")
    return content


def _before(gpu: Mapping[str, Any], memory_before_mib: Mapping[str, int]) -> dict[str, Any]:
    used = memory_before_mib.get(gpu.get("uuid", ""), gpu.get("memory_used_mib"))
    return {**gpu, "memory_used_mib": used}


def _whole(gpus: list[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """These GPUs, where a server has each of them as a whole."""
    divided = [str(gpu.get("index")) for gpu in gpus if (gpu.get("mig") or {}).get("enabled")]
    if divided:
        raise Unknown(f"GPU {', '.join(divided)} is divided (MIG), and a server has a part of it")
    return gpus


def _with_additions(fit: dict[str, Any], names: list[str]) -> dict[str, Any]:
    """The answer where these options take more memory still: never that it fits, nor how."""
    if not names:
        return fit
    why = f"{fit['why']}; what {', '.join(names)} takes beside it is not computed"
    fits = "no" if fit["fits"] == "no" else "unknown"
    return {**fit, "fits": fits, "why": why, "arguments": {}}


def on_host(look: Mapping[str, Any], wish: Wish) -> dict[str, Any]:
    """Whether the model fits on a host that module host_look has seen. Raises ValueError.

    A server that runs holds memory that it would give back. On GPUs it was noted how much is held
    without it; where it was not, nothing can be said.
    """
    on_cpu, server = wish.accelerator == "cpu", look["server"]
    if server["processes"] and (on_cpu or not server["memory_before_mib"]):
        return unknown("its server runs already")
    config = look["model"]["config"] or wish.model_config
    if not config:
        return unknown(
            "its config.json is neither on the host yet nor given by launch_model_config"
        )
    size = look["model"]["weights_bytes"]
    known: dict[str, Any] = {
        "extra_args": wish.extra_args,
        "metadata": {"metadata": {"total_size": size}} if size else {},
        "quantization": look["model"].get("quantization"),
        "release": str(wish.stack.get("vllm_version") or ""),
    }
    if on_cpu:
        space = wish.environment.get("VLLM_CPU_KVCACHE_SPACE")
        known["ram_mib"] = _ram_mib(look["host"])
        known["kv_cache_gib"] = float(space or DEFAULT_KV_CACHE_GIB)
    else:
        known["gpus"] = look["gpu"]["gpus"]
        known["memory_before_mib"] = server["memory_before_mib"]
        known["visible_devices"] = wish.environment.get("CUDA_VISIBLE_DEVICES") or ""
    return estimate(config, wish.arguments, **known)


def _ram_mib(host: Mapping[str, Any]) -> float:
    """What a server can get: the control group limits what the machine has free."""
    known = [host[name] for name in ("memory_available_mib", "memory_limit_mib") if host[name]]
    return float(min(known, default=0))
