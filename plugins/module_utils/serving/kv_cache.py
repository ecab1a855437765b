# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a server keeps for each token that it has read: keys and values, or what stands for them.

As vLLM counts it (vllm/v1/kv_cache_interface.py): whole blocks of tokens; a layer with a sliding
window keeps the window and one step of prefill; with more GPUs than key-value heads each GPU keeps
a copy of one head; latent attention (MLA) keeps its vector on every GPU.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil
from typing import Any

from .architecture import Architecture

BLOCK_TOKENS = 16


@dataclass(frozen=True)
class KvCache:
    """The cache of one GPU, as bytes that a token takes in all layers that keep it."""

    #: Of the layers that keep every token.
    full_bytes: float
    #: Of those that keep a window, by its size.
    window_bytes: Mapping[int, float]
    #: Tokens that are read in one step.
    step_tokens: int

    @property
    def bytes_per_token(self) -> int:
        """What one more token takes while it is within every window."""
        return round(self.full_bytes + sum(self.window_bytes.values()))

    def bytes_for(self, tokens: int) -> int:
        """What one sequence of so many tokens takes at most."""
        total = self.full_bytes * _whole_blocks(tokens)
        for window, each in self.window_bytes.items():
            total += each * min(
                _whole_blocks(tokens),
                _whole_blocks(window - 1 + self.step_tokens) + BLOCK_TOKENS,
            )
        return round(total)

    def tokens_in(self, available_bytes: float, up_to: int) -> int:
        """The longest sequence that this memory holds, no longer than ``up_to``."""
        if self.bytes_for(up_to) <= available_bytes:
            return up_to
        fits, too_long = 0, up_to
        while too_long - fits > BLOCK_TOKENS:
            middle = (fits + too_long) // 2
            if self.bytes_for(middle) <= available_bytes:
                fits = middle
            else:
                too_long = middle
        return fits // BLOCK_TOKENS * BLOCK_TOKENS

    def reported_tokens(self, available_bytes: float, max_model_len: int) -> int:
        """What vLLM's log calls the KV cache size: full-length sequences times their length."""
        return int(available_bytes / self.bytes_for(max_model_len) * max_model_len)


def kv_cache(
    config: Mapping[str, Any],
    element_bytes: float = 2.0,
    tensor_parallel: int = 1,
    pipeline_parallel: int = 1,
    step_tokens: int = 2048,
) -> KvCache:
    """The cache of a model with this config.json on one of its GPUs."""
    model = Architecture.of(config)
    each = _layer_elements(model, tensor_parallel) * element_bytes
    share = ceil(model.layers / pipeline_parallel) / model.layers
    full, windows = 0.0, dict[int, float]()
    for window in layer_windows(model):
        if window:
            windows[window] = windows.get(window, 0.0) + each * share
        else:
            full += each * share
    return KvCache(full, windows, step_tokens)


def _layer_elements(model: Architecture, tensor_parallel: int) -> int:
    if model.is_latent:
        return model.get("kv_lora_rank") + model.get("qk_rope_head_dim")
    heads = ceil(model.kv_heads / tensor_parallel)
    return heads * (model.head_size + model.get("v_head_dim", default=model.head_size))


def layer_windows(model: Architecture) -> list[int]:
    """For each layer that keeps a cache the size of its window, 0 where it keeps every token."""
    config, layers = model.config, range(model.layers)
    window = model.get("sliding_window")
    kinds = config.get("layer_types")
    if kinds:
        sizes = {
            "full_attention": 0,
            "sliding_attention": window,
            "chunked_attention": model.get("attention_chunk_size"),
        }
        return [sizes[kind] for kind in kinds if kind in sizes]
    if not window or config.get("use_sliding_window") is False:
        return [0] * model.layers
    if model.model_type == "gemma2":
        return [0 if layer % 2 else window for layer in layers]
    if model.model_type == "gemma3_text":
        pattern = model.get("sliding_window_pattern", default=6)
        return [0 if (layer + 1) % pattern == 0 else window for layer in layers]
    if config.get("use_sliding_window"):
        first = model.get("max_window_layers")
        return [window if layer >= first else 0 for layer in layers]
    return [window] * model.layers


def _whole_blocks(tokens: int) -> int:
    return ceil(tokens / BLOCK_TOKENS) * BLOCK_TOKENS
