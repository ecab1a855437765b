# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What one GPU must hold to serve a model: weights, cache and the rest, with an error bar."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .architecture import Architecture, quantization
from .engine_options import GIB, EngineOptions
from .kv_cache import KvCache, kv_cache
from .weights import DTYPE_BYTES, Weights, estimate_weights

#: How rope scaling of these kinds leaves the length that the config states.
_UNSCALED = ("default", "mrope", "llama3", "su", "longrope")


@dataclass(frozen=True)
class Estimate:
    """A number of bytes and by how much it may be off."""

    value: float
    error: float = 0.0

    def __add__(self, other: Estimate) -> Estimate:
        return Estimate(self.value + other.value, self.error + other.error)

    @property
    def low(self) -> float:
        return self.value - self.error

    @property
    def high(self) -> float:
        return self.value + self.error

    def __str__(self) -> str:
        return f"{gib(self.value)} ± {gib(self.error)} GiB"

    def shown(self) -> dict[str, float]:
        return {"value": gib(self.value), "error": gib(self.error)}


def gib(number: float) -> float:
    """Bytes as GiB for a person."""
    return round(number / GIB, 2)


def overhead(config: Mapping[str, Any], options: EngineOptions, gpu_bytes: float) -> Estimate:
    """What a GPU holds beside weights and cache: context, communication, graphs, activations.

    Rules of thumb, wide enough for the memory that servers reported in public logs (the tests name
    them). A step's activations are the widest layer's, and two copies of the logits.
    """
    model, cut = Architecture.of(config), options.tensor_parallel
    step, sequences = options.batch(gpu_bytes)
    width = 4 * model.hidden + 3 * model.get("intermediate_size") / cut
    if model.experts:
        chosen = model.get("num_experts_per_tok", default=1)
        width = max(width, chosen * (3 * model.expert_size / cut + model.hidden))
    activations = 2.0 * step * width + 8.0 * sequences * model.get("vocab_size")
    total = Estimate(0.4 * GIB, 0.2 * GIB) + Estimate(activations, activations / 2)
    if options.gpus > 1:
        total += Estimate(0.6 * GIB, 0.6 * GIB)
    if not options.enforce_eager:
        total += Estimate(0.5 * GIB, 0.5 * GIB)
    return total


def model_length(config: Mapping[str, Any]) -> int:
    """The longest context that the model was made for, as vLLM derives it from the config."""
    model = Architecture.of(config)
    length = model.get("max_position_embeddings", "max_seq_len", "seq_length", default=2048)
    scaling = model.config.get("rope_scaling") or model.config.get("rope_parameters") or {}
    kind = str(scaling.get("rope_type") or scaling.get("type") or "default")
    if kind in _UNSCALED or not scaling.get("factor"):
        return length
    original = scaling.get("original_max_position_embeddings") if kind == "yarn" else None
    return int((original or length) * float(scaling["factor"]))


@dataclass(frozen=True)
class Demand:
    """One model with its options on GPUs of one size."""

    weights: Weights
    #: The part of the weights that is on the GPU.
    held: Estimate
    #: What is there beside weights and cache.
    rest: Estimate
    cache: KvCache
    #: The longest context of the model.
    length: int
    #: Whether the cache is counted as the family keeps it; an unknown one may keep far less.
    knows_cache: bool

    @classmethod
    def of(
        cls,
        config: Mapping[str, Any],
        options: EngineOptions,
        known_bytes: int | None,
        gpu_bytes: float,
    ) -> Demand:
        if options.quantization and not quantization(config):
            # It is quantised while it is loaded: what is published is not what is held.
            config, known_bytes = _quantised(config, options.quantization), None
        cut, stages = options.tensor_parallel, options.pipeline_parallel
        weights = estimate_weights(config, known_bytes, cut, stages, options.dtype)
        held = max(weights.gpu_bytes - options.cpu_offload_gib * GIB, 0)
        step = options.batch(gpu_bytes)[0]
        return cls(
            weights,
            Estimate(held, weights.gpu_bytes * weights.error),
            overhead(config, options, gpu_bytes),
            kv_cache(config, _cache_element_bytes(options), cut, stages, step),
            model_length(config),
            Architecture.of(config).is_known,
        )

    @property
    def base(self) -> Estimate:
        """All but the cache."""
        return self.held + self.rest

    def need(self, tokens: int, sequences: int = 1) -> Estimate:
        """What a GPU must hold to serve so many sequences of so many tokens each at once."""
        return self.base + Estimate(self.cache.bytes_for(tokens) * sequences)

    def least(self, tokens: int) -> float:
        """What it takes even if every estimate is too high."""
        return self.need(tokens).low if self.knows_cache else self.base.low


def _cache_element_bytes(options: EngineOptions) -> float:
    kind = options.dtype if options.kv_cache_dtype == "auto" else options.kv_cache_dtype
    return 1.0 if re.match(r"fp8|int8", kind) else DTYPE_BYTES.get(kind, 2.0)


def _quantised(config: Mapping[str, Any], method: str) -> dict[str, Any]:
    entry = {"quantization_config": {"quant_method": method}}
    inner = {"text_config": {**config["text_config"], **entry}} if "text_config" in config else {}
    return {**config, **entry, **inner}
