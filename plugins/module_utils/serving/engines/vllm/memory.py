# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What one GPU must hold to serve a model: weights, cache and the rest, with an error bar."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ...architecture import Architecture, UnknownModel, quantization
from ...figures import GIB, Estimate
from ...kv_cache import KvCache, cache_kind, kv_cache
from ...towers import has_tower
from ...weights import DTYPE_BYTES, Split, Weights, estimate_weights
from .extras import Extras
from .options import EngineOptions
from .tiers import Runtime, batch

#: How rope scaling of these kinds leaves the length that the config states.
_UNSCALED = ("default", "mrope", "llama3", "su", "longrope")


def overhead(config: Mapping[str, Any], options: EngineOptions, on: Runtime) -> Estimate:
    """What a GPU holds beside weights and cache: context, communication, graphs, activations.

    Rules of thumb, wide enough for the memory that servers reported in public logs (the tests name
    them). A step's activations are the widest layer's, and two copies of the logits.
    """
    model, cut = Architecture.of(config), options.tensor_parallel
    step, sequences = batch(options, on, model_length(config))
    width = 4 * model.hidden + 3 * max(layer.inner for layer in model.each_layer) / cut
    if model.experts:
        chosen = model.get("num_experts_per_tok", default=1)
        width = max(width, chosen * (3 * model.expert_size / cut + model.hidden))
    activations = 2.0 * step * width + 8.0 * sequences * model.get("vocab_size")
    total = Estimate(0.4 * GIB, 0.2 * GIB) + Estimate(activations, activations / 2)
    if options.gpus > 1:
        total += Estimate(0.6 * GIB, 0.6 * GIB)
    if not options.enforce_eager:
        total += Estimate(0.5 * GIB, 0.5 * GIB)
    if has_tower(config):  # the largest image or sound is tried at the start
        total += Estimate(1.0 * GIB, 1.0 * GIB)
    return total


def model_length(config: Mapping[str, Any]) -> int:
    """The longest context that the model was made for, as vLLM derives it from the config."""
    model = Architecture.of(config)
    length = model.get("max_position_embeddings", "max_seq_len", "seq_length", default=2048)
    scaling = model.config.get("rope_scaling") or model.config.get("rope_parameters")
    if not isinstance(scaling, Mapping):
        return length
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
    #: Options whose memory is not known.
    unknown: tuple[str, ...] = ()
    #: Whether nothing is known but how large its files are.
    is_outline: bool = False

    @classmethod
    def of(
        cls,
        config: Mapping[str, Any],
        arguments: Mapping[str, Any],
        known_bytes: int | None,
        on: Runtime,
    ) -> Demand:
        """Raises UnknownModel, unless it is known how large its files are."""
        options = EngineOptions.read(arguments)
        try:
            return cls._counted(config, arguments, options, known_bytes, on)
        except UnknownModel:
            if not known_bytes:
                raise
            return cls._by_size(options, known_bytes)

    @classmethod
    def _counted(
        cls,
        config: Mapping[str, Any],
        arguments: Mapping[str, Any],
        options: EngineOptions,
        known_bytes: int | None,
        on: Runtime,
    ) -> Demand:
        if options.quantization and not quantization(config):
            # It is quantised while it is loaded: what is published is not what is held.
            config, known_bytes = _quantised(config, options.quantization), None
        cut, stages = options.tensor_parallel, options.pipeline_parallel
        # Replicas share the experts out among them, in whole or in part.
        split = Split(cut, stages, cut * options.data_parallel)
        extras = Extras.read(config, arguments, cut)
        weights = estimate_weights(
            config, known_bytes, split, options.dtype, extras.guessing_layers
        )
        held = max(weights.gpu_bytes - options.cpu_offload_gib * GIB, 0)
        model, length = Architecture.of(config), model_length(config)
        step = batch(options, on, length).tokens
        return cls(
            weights,
            Estimate(held, weights.gpu_bytes * weights.error),
            overhead(config, options, on) + extras.held,
            kv_cache(config, _cache_element_bytes(config, options), cut, stages, step),
            length,
            model.is_known and model.family.counts_cache,
            extras.unknown,
        )

    @classmethod
    def _by_size(cls, options: EngineOptions, known_bytes: int) -> Demand:
        """Of a model of which nothing is known but its files: cut evenly, and the rest by habit."""
        gpus = options.tensor_parallel * options.pipeline_parallel
        weights = estimate_weights({}, known_bytes, Split(gpus))
        held = Estimate(weights.gpu_bytes, weights.gpu_bytes * weights.error)
        cache, rest = KvCache(_USUAL_TOKEN_BYTES / gpus, {}, 2048), Estimate(2.0 * GIB, 1.5 * GIB)
        return cls(weights, held, rest, cache, _USUAL_LENGTH, False, is_outline=True)

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


#: Of a model of which only the files are known: a token of a model of 8 thousand million.
_USUAL_TOKEN_BYTES, _USUAL_LENGTH = 128 * 1024, 32768


def _cache_element_bytes(config: Mapping[str, Any], options: EngineOptions) -> float:
    kind = cache_kind(config, options.kv_cache_dtype)
    kind = options.dtype if kind == "auto" else kind
    for pattern, size in _CACHE_KINDS:
        if pattern.match(kind):
            return size
    return DTYPE_BYTES.get(kind, 2.0)


#: Bytes of an element of the cache, scales included, where they are not those of a plain type.
_CACHE_KINDS = (
    (re.compile(r"nvfp4"), 0.5625),
    (re.compile(r"int4|turboquant_[34]"), 0.5625),
    (re.compile(r"fp8|int8|turboquant"), 1.0),
)


def _quantised(config: Mapping[str, Any], method: str) -> dict[str, Any]:
    entry = {"quantization_config": {"quant_method": method}}
    inner = {"text_config": {**config["text_config"], **entry}} if "text_config" in config else {}
    return {**config, **entry, **inner}
