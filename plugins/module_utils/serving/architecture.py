# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a model is made of: the tensors that its config.json implies.

One description serves dense models and mixtures of experts, grouped and latent attention. What
families do differently and do not write into their config.json stands in FAMILIES, as their classes
in Hugging Face's transformers have it (src/transformers/models/<family>).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any


class UnknownModel(ValueError):
    """The config.json is none of a model that can be counted; the text says what it lacks."""


@dataclass(frozen=True)
class Family:
    """What models of one ``model_type`` have beside what their config.json says."""

    tied: bool = False
    """Whether input and output embedding are one when the config does not say so."""
    qkv_bias: bool = False
    output_bias: bool = False
    mlp_bias: bool = False
    norms: int = 2
    """Norms of the hidden size in each layer."""
    head_norms: str = ""
    """Norms of queries and keys: "" for none, "head" of one head's size, "all" of all heads'."""
    router_bias: bool = False


#: Families that differ from Llama. An unknown one is counted as Llama, with a wider error bar.
FAMILIES: dict[str, Family] = {
    "llama": Family(),
    "mistral": Family(),
    "mixtral": Family(),
    "phi3": Family(),
    "granite": Family(),
    "granitemoe": Family(tied=True),
    "qwen2": Family(qkv_bias=True),
    "qwen2_moe": Family(qkv_bias=True),
    "qwen3": Family(head_norms="head"),
    "qwen3_moe": Family(head_norms="head"),
    "deepseek_v2": Family(),
    "deepseek_v3": Family(),
    "kimi_k2": Family(),
    "gemma": Family(tied=True),
    "gemma2": Family(tied=True, norms=4),
    "gemma3_text": Family(tied=True, norms=4, head_norms="head"),
    "olmo2": Family(head_norms="all"),
    "olmoe": Family(head_norms="all"),
    "glm4": Family(norms=4, qkv_bias=True),
    "gpt_oss": Family(qkv_bias=True, output_bias=True, mlp_bias=True, router_bias=True),
}


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

    @property
    def elements(self) -> int:
        return self.rows * self.columns * self.copies


#: Tensors that may be cut into any number of parts.
ANY = 1 << 20


def text_config(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """The language model's part: models that also see or hear keep it in an entry of its own."""
    inner = config.get("text_config") or config.get("llm_config")
    if not inner:
        return config
    shared = ("quantization_config", "tie_word_embeddings", "torch_dtype", "dtype")
    return {**{key: config[key] for key in shared if key in config}, **inner}


def quantization(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """The config's entry about quantisation, whatever its name; empty without one."""
    found = text_config(config)
    return found.get("quantization_config") or found.get("compression_config") or {}


@dataclass(frozen=True)
class Architecture:
    """The figures of a config.json under one name each, whatever the family calls them."""

    config: Mapping[str, Any]

    def __post_init__(self) -> None:
        for needed in ("hidden_size", "num_hidden_layers", "num_attention_heads", "vocab_size"):
            if not isinstance(self.config.get(needed), int):
                raise UnknownModel(
                    f"The model's config.json has no {needed}, so its memory cannot be computed."
                )

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> Architecture:
        return cls(text_config(config))

    def get(self, *names: str, default: int = 0) -> int:
        """The first of these entries that the config has a number for."""
        known = (self.config.get(name) for name in names)
        return next((int(value) for value in known if value), default)

    @property
    def model_type(self) -> str:
        return str(self.config.get("model_type", ""))

    @property
    def family(self) -> Family:
        return FAMILIES.get(self.model_type, Family())

    @property
    def is_known(self) -> bool:
        return self.model_type in FAMILIES

    @property
    def hidden(self) -> int:
        return self.get("hidden_size")

    @property
    def layers(self) -> int:
        return self.get("num_hidden_layers")

    @property
    def heads(self) -> int:
        return self.get("num_attention_heads")

    @property
    def kv_heads(self) -> int:
        return self.get("num_key_value_heads", default=self.heads)

    @property
    def head_size(self) -> int:
        return self.get("head_dim", default=self.hidden // self.heads)

    @property
    def is_latent(self) -> bool:
        """Whether attention keeps one compressed vector instead of keys and values (MLA)."""
        return bool(self.get("kv_lora_rank"))

    @property
    def experts(self) -> int:
        return self.get("n_routed_experts", "num_local_experts", "num_experts")

    @property
    def expert_size(self) -> int:
        return self.get("moe_intermediate_size", "intermediate_size")

    @property
    def extra_layers(self) -> int:
        """Layers that guess further tokens. Checkpoints hold them; a server does not load them."""
        return self.get("num_nextn_predict_layers")

    @property
    def is_tied(self) -> bool:
        return bool(self.config.get("tie_word_embeddings", self.family.tied))

    def has_experts(self, layer: int) -> bool:
        """Whether this layer is a mixture of experts."""
        if not self.experts or layer in (self.config.get("mlp_only_layers") or []):
            return False
        if layer < self.get("first_k_dense_replace"):
            return False
        step = self.get("decoder_sparse_step", default=1)
        return (layer + 1) % step == 0 and layer % self.get("moe_layer_freq", default=1) == 0


def tensors(config: Mapping[str, Any]) -> Iterator[Tensor]:
    """Every tensor of a checkpoint with this config.json. Raises UnknownModel."""
    model = Architecture.of(config)
    vocabulary, hidden = model.get("vocab_size"), model.hidden
    yield Tensor("model.embed_tokens", vocabulary, hidden, parts=ANY)
    if not model.is_tied:
        yield Tensor("lm_head", vocabulary, hidden, parts=ANY)
    yield Tensor("model.norm", hidden, 1)
    for layer in range(model.layers):
        yield from _layer(model, layer)
    for layer in range(model.layers, model.layers + model.extra_layers):
        yield from _layer(model, layer)
        yield Tensor("embed_tokens", vocabulary, hidden, layer=layer)
        yield Tensor("shared_head.head", vocabulary, hidden, layer=layer)
        yield Tensor("eh_proj", hidden, 2 * hidden, layer=layer)
        yield Tensor("norms", 3, hidden, layer=layer)


def _layer(model: Architecture, layer: int) -> Iterator[Tensor]:
    prefix = f"model.layers.{layer}"
    yield Tensor(f"{prefix}.norms", model.family.norms, model.hidden, layer=layer)
    attention = _latent_attention if model.is_latent else _attention
    yield from attention(model, f"{prefix}.self_attn", layer)
    if model.has_experts(layer):
        yield from _experts(model, f"{prefix}.mlp", layer)
    else:
        yield from _feed_forward(model, f"{prefix}.mlp", layer, model.get("intermediate_size"))


def _linear(
    name: str, out: int, into: int, layer: int, parts: int = 1, copies: int = 1, bias: bool = False
) -> Iterator[Tensor]:
    yield Tensor(name, out, into, copies, parts, layer, linear=True)
    if bias:
        yield Tensor(f"{name}.bias", out, 1, copies, parts, layer)


def _attention(model: Architecture, name: str, layer: int) -> Iterator[Tensor]:
    hidden, family, config = model.hidden, model.family, model.config
    queries, keys = model.heads * model.head_size, model.kv_heads * model.head_size
    bias = bool(config.get("attention_bias", family.qkv_bias))
    # Where the config speaks of a bias it means all four projections, except in families that
    # have one for queries, keys and values alone.
    output_bias = bias and (family.output_bias or not family.qkv_bias)
    kv_parts = model.kv_heads
    yield from _linear(f"{name}.q_proj", queries, hidden, layer, model.heads, bias=bias)
    yield from _linear(f"{name}.k_proj", keys, hidden, layer, kv_parts, bias=bias)
    yield from _linear(f"{name}.v_proj", keys, hidden, layer, kv_parts, bias=bias)
    yield from _linear(f"{name}.o_proj", hidden, queries, layer, model.heads, bias=output_bias)
    if family.head_norms:
        sizes = (model.head_size,) * 2 if family.head_norms == "head" else (queries, keys)
        yield Tensor(f"{name}.q_norm", sizes[0], 1, layer=layer)
        yield Tensor(f"{name}.k_norm", sizes[1], 1, layer=layer)
    if model.model_type == "gpt_oss":
        yield Tensor(f"{name}.sinks", model.heads, 1, layer=layer)


def _latent_attention(model: Architecture, name: str, layer: int) -> Iterator[Tensor]:
    hidden, heads = model.hidden, model.heads
    rank, query_rank = model.get("kv_lora_rank"), model.get("q_lora_rank")
    rotated, plain = model.get("qk_rope_head_dim"), model.get("qk_nope_head_dim")
    value, query = model.get("v_head_dim"), heads * (rotated + plain)
    if query_rank:
        yield from _linear(f"{name}.q_a_proj", query_rank, hidden, layer)
        yield Tensor(f"{name}.q_a_layernorm", query_rank, 1, layer=layer)
        yield from _linear(f"{name}.q_b_proj", query, query_rank, layer, heads)
    else:
        yield from _linear(f"{name}.q_proj", query, hidden, layer, heads)
    yield from _linear(f"{name}.kv_a_proj_with_mqa", rank + rotated, hidden, layer)
    yield Tensor(f"{name}.kv_a_layernorm", rank, 1, layer=layer)
    yield from _linear(f"{name}.kv_b_proj", heads * (plain + value), rank, layer, heads)
    yield from _linear(f"{name}.o_proj", hidden, heads * value, layer, heads)


def _feed_forward(
    model: Architecture, name: str, layer: int, size: int, copies: int = 1
) -> Iterator[Tensor]:
    bias = bool(model.config.get("mlp_bias", model.family.mlp_bias))
    for part in ("gate_proj", "up_proj"):
        yield from _linear(f"{name}.{part}", size, model.hidden, layer, ANY, copies, bias)
    yield from _linear(f"{name}.down_proj", model.hidden, size, layer, ANY, copies, bias)


def _experts(model: Architecture, name: str, layer: int) -> Iterator[Tensor]:
    experts, hidden, size = model.experts, model.hidden, model.expert_size
    yield Tensor(f"{name}.gate", experts, hidden, layer=layer)
    if model.family.router_bias or model.config.get("topk_method") == "noaux_tc":
        yield Tensor(f"{name}.gate.bias", experts, 1, layer=layer)
    yield from _feed_forward(model, f"{name}.experts.0", layer, size, experts)
    shared = model.get("shared_expert_intermediate_size")
    if shared:
        yield Tensor(f"{name}.shared_expert_gate", 1, hidden, layer=layer)
    shared = shared or model.get("n_shared_experts") * size
    if shared:
        yield from _feed_forward(model, f"{name}.shared_experts", layer, shared)
