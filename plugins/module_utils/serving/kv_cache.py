# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a server keeps for each token that it has read: keys and values, or what stands for them.

As vLLM counts it (vllm/v1/kv_cache_interface.py): whole blocks of tokens; a layer with a sliding
window keeps the window and one step of prefill; with more GPUs than key-value heads each GPU keeps
a copy of one head; latent attention (MLA) keeps its vector on every GPU. Layers that remember a
state keep two of it for each sequence, each in a block as large as one of the others: blocks grow
until it fits.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from math import ceil
from typing import Any

from .architecture import STATEFUL, Architecture, Layer, UnknownModel, quantization
from .tensors import has_index, mamba_state

BLOCK_TOKENS = 16
#: Blocks of state that one sequence holds: the one in work, and the last that can be shared.
STATES = 2
#: What DeepSeek V4 takes for a token in a layer. It compresses them, but vLLM 0.26 was seen to take
#: two states of 584 bytes for each, and an index of 132 (vLLM issue 51041).
_COMPRESSED_BYTES = 2 * 584 + 132


@dataclass(frozen=True)
class KvCache:
    """The cache of one GPU, as bytes that a token takes in all layers that keep it."""

    #: Of the layers that keep every token.
    full_bytes: float
    #: Of those that keep a window, by its size.
    window_bytes: Mapping[int, float]
    #: Tokens that are read in one step.
    step_tokens: int
    #: Bytes of the states of one sequence, whatever its length.
    state_bytes: float = 0.0
    #: Tokens of a block.
    block_tokens: int = BLOCK_TOKENS
    #: Bytes of the block that each sequence must at least have, where layers remember a state.
    block_bytes: float = 0.0

    @property
    def bytes_per_token(self) -> int:
        """What one more token takes while it is within every window."""
        return round(self.full_bytes + sum(self.window_bytes.values()))

    def bytes_for(self, tokens: int) -> int:
        """What one sequence of so many tokens takes at most."""
        total = self.full_bytes * self._whole_blocks(tokens) + self.state_bytes
        for window, each in self.window_bytes.items():
            total += each * min(
                self._whole_blocks(tokens),
                self._whole_blocks(window - 1 + self.step_tokens) + self.block_tokens,
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

    def sequences_in(self, available_bytes: float) -> int | None:
        """How many sequences have a state at once; None where layers remember none.

        vLLM refuses to start when max_num_seqs is higher.
        """
        return int(available_bytes / self.block_bytes) if self.block_bytes else None

    def _whole_blocks(self, tokens: int) -> int:
        return ceil(tokens / self.block_tokens) * self.block_tokens


@dataclass
class _Sum:
    """What the layers add up to."""

    full: float = 0.0
    windows: dict[int, float] = field(default_factory=dict)
    states: list[float] = field(default_factory=list)
    #: Layers of each kind, whose least decides how many share a block.
    kinds: Counter[str] = field(default_factory=Counter)
    #: Bytes of a token in one layer of attention.
    each: float = 0.0


def kv_cache(
    config: Mapping[str, Any],
    element_bytes: float = 2.0,
    tensor_parallel: int = 1,
    pipeline_parallel: int = 1,
    step_tokens: int = 2048,
) -> KvCache:
    """The cache of a model with this config.json on one of its GPUs. Raises UnknownModel."""
    model = Architecture.of(config)
    if model.family.encoder:
        return KvCache(0.0, {}, step_tokens)
    total = _Sum()
    for layer in model.each_layer:
        _add(total, model, layer, element_bytes, tensor_parallel)
    if not (total.full or total.windows or total.states):
        raise UnknownModel("What the model keeps of a text is not known.")
    share = ceil(model.layers / pipeline_parallel) / model.layers
    windows = {window: each * share for window, each in total.windows.items()}
    if not total.states:
        return KvCache(total.full * share, windows, step_tokens)
    state, block, together = max(total.states), BLOCK_TOKENS, min(total.kinds.values())
    if total.each:
        block = ceil(state / total.each / BLOCK_TOKENS) * BLOCK_TOKENS
        state = block * total.each
    return KvCache(
        total.full * share, windows, step_tokens, state * len(total.states) * STATES * share,
        block, state * together * share,
    )  # fmt: skip


def _add(total: _Sum, model: Architecture, layer: Layer, element: float, cut: int) -> None:
    if layer.mixer in STATEFUL:
        total.states.append(_state(model, layer, cut))
        total.kinds["state"] += 1
    elif layer.mixer and layer.mixer != "replaced" and not layer.shares_cache:
        each = sum(_token(model, layer, element, cut))
        if layer.window and not model.listed("compress_ratios"):
            total.windows[layer.window] = total.windows.get(layer.window, 0.0) + each
        else:
            total.full += each
        total.each = max(total.each, each)
        total.kinds[f"window {layer.window}"] += 1


def _token(model: Architecture, layer: Layer, element: float, cut: int) -> Iterator[float]:
    """Bytes of one token in a layer."""
    if model.listed("compress_ratios"):
        yield float(_COMPRESSED_BYTES)
        return
    if layer.mixer == "latent":
        yield (model.get("kv_lora_rank") + model.get("qk_rope_head_dim")) * element
        if has_index(model, layer.number):
            size = model.get("index_head_dim")
            yield size + 4 * ceil(size / 128)
        return
    yield ceil(layer.kv_heads / cut) * (layer.head_size + layer.value_size) * element
    sparse = model.config.get("sparse_attention_config")
    if isinstance(sparse, Mapping) and sparse.get("use_sparse_attention"):
        chosen = sparse.get("sparse_attention_freq") or []
        if layer.number < len(chosen) and chosen[layer.number]:
            yield float(sparse.get("sparse_index_dim") or 0) * 2


def _state(model: Architecture, layer: Layer, cut: int) -> float:
    """Bytes of what a layer remembers of one sequence, of its convolution and of its own."""
    named = str(model.config.get("mamba_ssm_cache_dtype") or model.config.get("mamba_ssm_dtype"))
    element = 4.0 if named == "float32" else 2.0
    if layer.mixer == "conv":
        size = model.get("conv_dim", default=model.hidden)
        return size * (model.get("conv_L_cache", default=3) - 1) * 2 / cut
    if layer.mixer == "kda":
        given = model.config.get("linear_attn_config") or {}
        heads, size = int(given.get("num_heads") or 0), int(given.get("head_dim") or 0)
        kernel = int(given.get("short_conv_kernel_size") or 4)
        return (3 * heads * size * (kernel - 1) * 2 + heads * size * size * 4) / cut
    if layer.mixer == "linear":
        key, value = model.get("linear_key_head_dim"), model.get("linear_value_head_dim")
        heads = model.get("linear_num_value_heads")
        mixed = 2 * model.get("linear_num_key_heads") * key + heads * value
        kernel = model.get("linear_conv_kernel_dim", default=4)
        return (mixed * (kernel - 1) * 2 + heads * key * value * element) / cut
    heads = model.get("mamba_num_heads", "mamba_n_heads")
    inner, state = heads * model.get("mamba_head_dim", "mamba_d_head"), mamba_state(model)
    groups = model.get("n_groups", "mamba_n_groups", default=1)
    mixed = inner + 2 * max(groups, cut) * state
    kernel = model.get("conv_kernel", "mamba_d_conv", default=4)
    return (mixed * (kernel - 1) * 2 + inner * state * element) / cut


def cache_kind(config: Mapping[str, Any], named: str) -> str:
    """The kv_cache_dtype that "auto" stands for: what a quantised checkpoint was made for."""
    if named != "auto":
        return named
    given = quantization(config)
    scheme = given.get("kv_cache_scheme")
    told = str(given.get("kv_cache_quant_algo") or (scheme if isinstance(scheme, str) else ""))
    if isinstance(scheme, Mapping) and scheme.get("num_bits") == 8:
        told = "FP8"
    return "fp8" if told.upper().startswith("FP8") else "auto"
