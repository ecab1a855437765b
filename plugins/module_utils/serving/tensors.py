# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The tensors that a model's config.json implies.

One description serves dense models and mixtures of experts, grouped, latent, linear and no
attention. What families do differently beside their config.json stands in families.py.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from .architecture import Architecture, Layer


@dataclass(frozen=True)
class Tensor:
    """One tensor, or ``copies`` alike ones."""

    name: str
    rows: int
    columns: int
    copies: int = 1
    #: Into how many parts tensor parallelism can cut it; 1 means that each GPU holds all of it.
    parts: int = 1
    #: Number of the layer it belongs to; None for what stands beside the layers.
    layer: int | None = None
    #: Whether it is the matrix of a linear layer, the only thing that quantisation touches.
    linear: bool = False
    #: Whether it belongs to experts of which each GPU can hold some.
    routed: bool = False

    @property
    def elements(self) -> int:
        return self.rows * self.columns * self.copies


#: Tensors that may be cut into any number of parts.
ANY = 1 << 20


def tensors(config: Mapping[str, Any]) -> Iterator[Tensor]:
    """Every tensor of the language model in a checkpoint. Raises UnknownModel."""
    model = Architecture.of(config)
    yield from _beside(model)
    for layer in model.each_layer:
        yield from _layer(model, layer)
    for number in range(model.layers, model.layers + model.extra_layers):
        yield from _extra(model, number)


def linear_sizes(config: Mapping[str, Any]) -> int:
    """Inputs and outputs of all matrices that an adapter (LoRA) may stand beside."""
    linear = (tensor for tensor in tensors(config) if tensor.linear and not tensor.routed)
    return sum((tensor.rows + tensor.columns) * tensor.copies for tensor in linear)


def _beside(model: Architecture) -> Iterator[Tensor]:
    vocabulary, hidden, family = model.get("vocab_size"), model.hidden, model.family
    yield Tensor("model.embed_tokens", vocabulary, hidden, parts=ANY)
    if family.positions:
        yield Tensor("model.positions", model.get("max_position_embeddings"), hidden)
    if family.encoder:
        yield Tensor("model.token_types", model.get("type_vocab_size", default=1) + 2, hidden)
        yield Tensor("model.pooler", hidden, hidden + 1)
        return
    if not model.is_tied and model.has_head:
        yield Tensor("lm_head", vocabulary, hidden, parts=ANY)
    yield Tensor("model.norm", hidden, 1 + family.norm_bias)
    each = model.get("hidden_size_per_layer_input")
    if each:  # an embedding more for every layer (Gemma 3n and 4)
        rows = model.get("vocab_size_per_layer_input")
        yield Tensor("model.embed_tokens_per_layer", rows, model.layers * each, parts=ANY)
        yield Tensor("model.per_layer_model_projection", model.layers * each, hidden)
    if model.get("altup_num_inputs"):
        yield Tensor(
            "model.altup_projections", hidden, hidden, 2 * (model.get("altup_num_inputs") - 1)
        )
    if model.get("hc_mult"):
        yield Tensor("model.hc_head", model.get("hc_mult") ** 2, hidden)


def _extra(model: Architecture, number: int) -> Iterator[Tensor]:
    """A layer that guesses further tokens. DeepSeek's have copies of both embeddings."""
    vocabulary, hidden = model.get("vocab_size"), model.hidden
    yield from _layer(model, model.extra_layer(number))
    yield Tensor("eh_proj", hidden, 2 * hidden, layer=number)
    yield Tensor("norms", 3, hidden, layer=number)
    if model.model_type in ("deepseek_v3", "deepseek_v32", "glm4_moe"):
        yield Tensor("embed_tokens", vocabulary, hidden, layer=number)
        yield Tensor("shared_head.head", vocabulary, hidden, layer=number)


def _layer(model: Architecture, layer: Layer) -> Iterator[Tensor]:
    family, number, hidden = model.family, layer.number, model.hidden
    prefix = f"model.layers.{number}"
    yield Tensor(f"{prefix}.norms", family.norms * (1 + family.norm_bias), hidden, layer=number)
    if layer.mixer:
        yield from _MIXERS[layer.mixer](model, f"{prefix}.{family.attention}", layer)
    if layer.feed == "experts":
        beside = prefix if family.experts_beside else f"{prefix}.{family.mlp}"
        yield from _experts(model, beside, layer)
    if layer.feed == "dense" or (layer.feed == "experts" and family.experts_beside):
        yield from _feed_forward(model, f"{prefix}.{family.mlp}", number, layer.inner)
    each = model.get("hidden_size_per_layer_input")
    if each:
        yield from _linear(f"{prefix}.per_layer_input_gate", each, hidden, number)
        yield from _linear(f"{prefix}.per_layer_projection", hidden, each, number)
    if model.get("laurel_rank"):
        yield from _linear(f"{prefix}.laurel", 2 * model.get("laurel_rank"), hidden, number)
    if model.get("hc_mult"):  # one stream becomes several, mixed before each half of the layer
        several = model.get("hc_mult")
        yield Tensor(f"{prefix}.hc", 2 * (2 + several) * several, several * hidden, layer=number)


def _linear(
    name: str, out: int, into: int, layer: int, parts: int = 1, copies: int = 1,
    bias: bool = False, routed: bool = False,
) -> Iterator[Tensor]:  # fmt: skip
    yield Tensor(name, out, into, copies, parts, layer, linear=True, routed=routed)
    if bias:
        yield Tensor(f"{name}.bias", out, 1, copies, parts, layer, routed=routed)


def _attention(model: Architecture, name: str, layer: Layer) -> Iterator[Tensor]:
    hidden, family, config, number = model.hidden, model.family, model.config, layer.number
    heads, kv = layer.heads, layer.kv_heads
    queries, keys, values = (
        heads * layer.head_size, kv * layer.head_size, kv * layer.value_size,
    )  # fmt: skip
    bias = bool(config.get("attention_bias", family.qkv_bias))
    # Where the config speaks of a bias it means all four projections, except in families that
    # have one for queries, keys and values alone.
    output_bias = bias and (family.output_bias or not family.qkv_bias)
    if model.model_type == "glm4_moe":
        output_bias = False
    gates = {"all": queries, "head": heads}.get(family.output_gate, 0)
    yield from _linear(f"{name}.q_proj", queries, hidden, number, heads, bias=bias)
    if gates:
        yield from _linear(f"{name}.g_proj", gates, hidden, number, heads)
    if not layer.shares_cache or model.model_type == "gemma3n_text":
        yield from _linear(f"{name}.k_proj", keys, hidden, number, kv, bias=bias)
        if not layer.one_key:
            yield from _linear(f"{name}.v_proj", values, hidden, number, kv, bias=bias)
    out = heads * layer.value_size
    yield from _linear(f"{name}.o_proj", hidden, out, number, heads, bias=output_bias)
    if family.head_norms:
        sizes = (layer.head_size,) * 2 if family.head_norms == "head" else (queries, keys)
        yield Tensor(f"{name}.q_norm", sizes[0], 1, layer=number)
        yield Tensor(f"{name}.k_norm", sizes[1], 1, layer=number)
    if model.model_type in ("gpt_oss", "mimo_v2_flash"):
        yield Tensor(f"{name}.sinks", heads, 1, layer=number)
    yield from _sparse_index(model, f"{name}.indexer", number)


def _sparse_index(model: Architecture, name: str, layer: int) -> Iterator[Tensor]:
    """What chooses the tokens that sparse attention looks at, in families that say so so."""
    given = model.config.get("sparse_attention_config")
    if not isinstance(given, Mapping) or not given.get("use_sparse_attention"):
        return
    chosen = given.get("sparse_attention_freq") or []
    if layer < len(chosen) and chosen[layer]:
        size = int(given.get("sparse_index_dim") or 0)
        heads = int(given.get("sparse_num_index_heads") or 0)
        yield from _linear(f"{name}.q_proj", heads * size, model.hidden, layer)
        yield from _linear(f"{name}.k_proj", size, model.hidden, layer)


def _latent_attention(model: Architecture, name: str, layer: Layer) -> Iterator[Tensor]:
    hidden, heads, number = model.hidden, layer.heads, layer.number
    rank, query_rank = model.get("kv_lora_rank"), model.get("q_lora_rank")
    rotated, plain = model.get("qk_rope_head_dim"), model.get("qk_nope_head_dim")
    value, query = model.get("v_head_dim"), heads * (rotated + plain)
    if query_rank:
        yield from _linear(f"{name}.q_a_proj", query_rank, hidden, number)
        yield Tensor(f"{name}.q_a_layernorm", query_rank, 1, layer=number)
        yield from _linear(f"{name}.q_b_proj", query, query_rank, number, heads)
    else:
        yield from _linear(f"{name}.q_proj", query, hidden, number, heads)
    yield from _linear(f"{name}.kv_a_proj_with_mqa", rank + rotated, hidden, number)
    yield Tensor(f"{name}.kv_a_layernorm", rank, 1, layer=number)
    yield from _linear(f"{name}.kv_b_proj", heads * (plain + value), rank, number, heads)
    yield from _linear(f"{name}.o_proj", hidden, heads * value, number, heads)
    if model.config.get("mla_use_output_gate"):
        yield from _linear(f"{name}.g_proj", heads * value, hidden, number, heads)
    if has_index(model, number):
        size, index_heads = model.get("index_head_dim"), model.get("index_n_heads")
        yield from _linear(f"{name}.indexer.wq_b", index_heads * size, query_rank, number)
        yield from _linear(f"{name}.indexer.wk", size, hidden, number)
        yield Tensor(f"{name}.indexer.weights_proj", index_heads, hidden, layer=number)
        yield Tensor(f"{name}.indexer.k_norm", 2, size, layer=number)


def has_index(model: Architecture, layer: int) -> bool:
    """Whether a layer chooses the tokens that it looks at by an index of its own."""
    kinds = model.listed("indexer_types")
    return bool(model.get("index_head_dim")) and (layer >= len(kinds) or kinds[layer] == "full")


def _compressed_attention(model: Architecture, name: str, layer: Layer) -> Iterator[Tensor]:
    """DeepSeek V4: one head of keys that are values, compressed, and an output of groups."""
    hidden, number, size = model.hidden, layer.number, layer.head_size
    rank, groups = model.get("q_lora_rank"), model.get("o_groups", default=1)
    out, ratio = model.get("o_lora_rank"), _ratio(model, number)
    queries = layer.heads * size
    yield from _linear(f"{name}.wq_a", rank, hidden, number)
    yield from _linear(f"{name}.wq_b", queries, rank, number, layer.heads)
    yield from _linear(f"{name}.wkv", size, hidden, number)
    yield from _linear(f"{name}.wo_a", groups * out, queries // groups, number, groups)
    yield from _linear(f"{name}.wo_b", hidden, groups * out, number, groups)
    if ratio:
        wide = 2 if ratio == 4 else 1  # windows that overlap are kept twice
        yield Tensor(f"{name}.compressor", 2 * wide * size, hidden + ratio // 2, layer=number)
    if ratio == 4:
        index, index_heads = model.get("index_head_dim"), model.get("index_n_heads")
        yield from _linear(f"{name}.indexer.wq_b", index_heads * index, rank, number)
        yield Tensor(f"{name}.indexer.weights_proj", index_heads, hidden, layer=number)
        yield Tensor(f"{name}.indexer.compressor", 4 * index, hidden, layer=number)


def _ratio(model: Architecture, layer: int) -> int:
    """Tokens that one state of the cache stands for; 0 where there is only a window."""
    return model.of_layer("compress_ratios", layer) if model.listed("compress_ratios") else 0


def _linear_attention(model: Architecture, name: str, layer: Layer) -> Iterator[Tensor]:
    """Gated delta rule (Qwen3-Next and later)."""
    hidden, number = model.hidden, layer.number
    key_heads, heads = model.get("linear_num_key_heads"), model.get("linear_num_value_heads")
    keys = key_heads * model.get("linear_key_head_dim")
    values = heads * model.get("linear_value_head_dim")
    name = name.replace("self_attn", "linear_attn")
    mixed = 2 * keys + values
    yield from _linear(f"{name}.in_proj_qkv", mixed, hidden, number, key_heads)
    yield from _linear(f"{name}.in_proj_z", values, hidden, number, heads)
    for part in ("a", "b"):
        yield from _linear(f"{name}.in_proj_{part}", heads, hidden, number, heads)
    kernel = model.get("linear_conv_kernel_dim", default=4)
    yield Tensor(f"{name}.conv1d", mixed, kernel, parts=key_heads, layer=number)
    yield Tensor(f"{name}.states", heads, 2, layer=number)
    yield Tensor(f"{name}.norm", model.get("linear_value_head_dim"), 1, layer=number)
    yield from _linear(f"{name}.out_proj", hidden, values, number, heads)


def _delta_attention(model: Architecture, name: str, layer: Layer) -> Iterator[Tensor]:
    """Kimi's delta attention (KDA)."""
    hidden, number, given = model.hidden, layer.number, model.config.get("linear_attn_config") or {}
    heads, size = int(given.get("num_heads") or 0), int(given.get("head_dim") or 0)
    values, kernel = heads * size, int(given.get("short_conv_kernel_size") or 4)
    for part in ("q", "k", "v"):
        yield from _linear(f"{name}.{part}_proj", values, hidden, number, heads)
        yield Tensor(f"{name}.{part}_conv1d", values, kernel, parts=heads, layer=number)
    yield from _linear(f"{name}.f_a_proj", size, hidden, number)
    yield from _linear(f"{name}.f_b_proj", values, size, number, heads)
    if given.get("use_full_rank_gate"):
        yield from _linear(f"{name}.g_proj", values, hidden, number, heads)
    else:
        yield from _linear(f"{name}.g_a_proj", size, hidden, number)
        yield from _linear(f"{name}.g_b_proj", values, size, number, heads)
    yield from _linear(f"{name}.b_proj", heads, hidden, number, heads)
    yield Tensor(f"{name}.states", values + heads + size, 1, layer=number)
    yield from _linear(f"{name}.o_proj", hidden, values, number, heads)


def _mamba(model: Architecture, name: str, layer: Layer) -> Iterator[Tensor]:
    """Mamba 2."""
    hidden, number = model.hidden, layer.number
    heads = model.get("mamba_num_heads", "mamba_n_heads")
    inner = heads * model.get("mamba_head_dim", "mamba_d_head")
    groups, state = model.get("n_groups", "mamba_n_groups", default=1), mamba_state(model)
    mixed = inner + 2 * groups * state
    kernel = model.get("conv_kernel", "mamba_d_conv", default=4)
    yield from _linear(f"{name}.in_proj", inner + mixed + heads, hidden, number, heads)
    yield Tensor(f"{name}.conv1d", mixed, kernel + 1, parts=groups, layer=number)
    yield Tensor(f"{name}.states", heads, 3, layer=number)
    yield Tensor(f"{name}.norm", inner, 1, parts=heads, layer=number)
    yield from _linear(f"{name}.out_proj", hidden, inner, number, heads)


def mamba_state(model: Architecture) -> int:
    """The size of what a head of Mamba remembers."""
    return model.get("ssm_state_size", "mamba_d_state", default=128)


def _convolution(model: Architecture, name: str, layer: Layer) -> Iterator[Tensor]:
    """A short convolution (LFM2)."""
    hidden, number = model.hidden, layer.number
    size = model.get("conv_dim", default=hidden)
    yield from _linear(f"{name}.in_proj", 3 * size, hidden, number, ANY)
    yield Tensor(f"{name}.conv", size, model.get("conv_L_cache", default=3), layer=number)
    yield from _linear(f"{name}.out_proj", hidden, size, number, ANY)


def _replaced(model: Architecture, name: str, layer: Layer) -> Iterator[Tensor]:
    """One matrix in the place of attention (Nemotron-NAS)."""
    yield from _linear(f"{name}.linear_attn", model.hidden, model.hidden, layer.number)


def _chosen_attention(model: Architecture, name: str, layer: Layer) -> Iterator[Tensor]:
    compressed = bool(model.listed("compress_ratios"))
    yield from (_compressed_attention if compressed else _attention)(model, name, layer)


_MIXERS = {
    "attention": _chosen_attention,
    "latent": _latent_attention,
    "linear": _linear_attention,
    "kda": _delta_attention,
    "mamba": _mamba,
    "conv": _convolution,
    "replaced": _replaced,
}


def _feed_forward(
    model: Architecture, name: str, layer: int, size: int, copies: int = 1, into: int = 0,
    parts: tuple[str, str, str] = ("gate_proj", "up_proj", "down_proj"), routed: bool = False,
) -> Iterator[Tensor]:  # fmt: skip
    bias = bool(model.config.get("mlp_bias", model.family.mlp_bias))
    hidden = into or model.hidden
    for part in parts[:2] if model.family.gated else parts[1:2]:
        yield from _linear(f"{name}.{part}", size, hidden, layer, ANY, copies, bias, routed)
    yield from _linear(f"{name}.{parts[2]}", hidden, size, layer, ANY, copies, bias, routed)


def _experts(model: Architecture, name: str, layer: Layer) -> Iterator[Tensor]:
    experts, hidden, size, number = model.experts, model.hidden, model.expert_size, layer.number
    parts = model.family.expert_parts
    yield Tensor(f"{name}.gate", experts, hidden, layer=number)
    if model.family.router_bias or model.config.get("topk_method") == "noaux_tc":
        yield Tensor(f"{name}.gate.bias", experts, 1, layer=number)
    into = model.get("moe_latent_size", "routed_expert_hidden_size")
    if into:  # experts work on something smaller than the hidden size
        yield from _linear(f"{name}.fc1_latent_proj", into, hidden, number)
        yield from _linear(f"{name}.fc2_latent_proj", hidden, into, number)
    one = f"{name}.experts.0"
    yield from _feed_forward(model, one, number, size, experts, into or hidden, parts, routed=True)
    shared = shared_size(model)
    if model.get("shared_expert_intermediate_size") and model.model_type != "laguna":
        yield from _linear(f"{name}.shared_expert_gate", 1, hidden, number)
    if shared:
        kind = "shared_expert" if model.model_type.startswith("qwen") else "shared_experts"
        yield from _feed_forward(model, f"{name}.{kind}", number, shared)


def shared_size(model: Architecture) -> int:
    """The size of the expert that every token passes; 0 without one."""
    named = model.get(
        "shared_expert_intermediate_size", "moe_shared_expert_intermediate_size",
        "shared_intermediate_size", "share_expert_dim",
    )  # fmt: skip
    if named:
        return named
    if model.model_type == "llama4_text":
        return model.expert_size
    return model.get("n_shared_experts") * model.expert_size
