# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a model is made of: its figures under one name each, whatever its config.json calls them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from .families import DEFAULTS, FAMILIES, Family
from .outline import uncounted


class UnknownModel(ValueError):
    """The config.json is none of a model that can be counted; the text says what it lacks."""


#: What stands for the language model's part in the config of one that also sees or hears.
_INNER = ("text_config", "llm_config", "language_config", "thinker_config")
#: What that part may leave to the whole.
_SHARED = (
    "quantization_config", "tie_word_embeddings", "torch_dtype", "dtype", "architectures",
)  # fmt: skip
#: Classes of models that have no output embedding.
_HEADLESS = ("Model", "ForSequenceClassification", "ForTokenClassification", "ForRanking")
#: Classes that are called so too, and have one.
_WRITING = (
    "LMHeadModel", "ChatModel", "ChatGLMModel", "_D_Model", "OmniModel", "UltravoxModel",
)  # fmt: skip

#: Classes are called as types are: DeepseekV4ForCausalLM is that of deepseek_v4.
_CLASS = re.compile(r"(\w{1,80}?)For(?:CausalLM|ConditionalGeneration)$")
_FAMILY_OF_CLASS = {name.replace("_", ""): name for name in FAMILIES}

#: Names that families give to one figure.
_NAMES: dict[str, tuple[str, ...]] = {
    "hidden_size": ("n_embd", "n_embed", "d_model", "dim"),
    "num_hidden_layers": ("n_layer", "n_layers", "num_layers"),
    "num_attention_heads": ("n_head", "n_heads"),
    "num_key_value_heads": (
        "n_kv_heads",
        "num_kv_heads",
        "n_head_kv",
        "multi_query_group_num",
        "num_attention_groups",
    ),
    "vocab_size": ("padded_vocab_size",),
    "intermediate_size": ("hidden_dim", "ffn_hidden_size", "n_inner", "ffn_dim"),
    "head_dim": ("attention_head_dim", "kv_channels"),
    "n_routed_experts": ("num_local_experts", "num_experts", "moe_num_experts"),
    "moe_intermediate_size": ("expert_intermediate_size", "expert_ffn_hidden_size"),
    "num_experts_per_tok": ("top_k_experts", "num_experts_per_token", "moe_top_k", "moe_k"),
    "n_shared_experts": ("num_shared_experts", "moe_num_shared_experts", "num_shared_expert"),
    "first_k_dense_replace": ("moe_layer_start_index", "num_dense_layers"),
    "max_position_embeddings": ("n_positions", "n_ctx", "max_seq_len", "seq_length", "seq_len"),
}
_OF_SIZE = ("hidden_size", *_NAMES["hidden_size"])
#: What must be there to count anything.
_NEEDED = ("hidden_size", "num_hidden_layers", "num_attention_heads", "vocab_size")
#: Figures that are counted as one for all layers.
_ONE_FOR_ALL = (
    "hidden_size", "num_attention_heads", "num_key_value_heads", "n_routed_experts",
    "moe_intermediate_size",
)  # fmt: skip
#: The most that a figure of a real model is; what is larger would keep the sum busy for hours.
_MOST_LAYERS, _MOST_EXTRA, _MOST = 300, 64, 10**10


def text_config(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """The language model's part: models that also see or hear keep it in an entry of its own."""
    found = next((config[name] for name in _INNER if isinstance(config.get(name), Mapping)), None)
    if not found:
        return config
    has_inner = any(isinstance(found.get(name), Mapping) for name in _INNER)
    if not has_inner and not any(found.get(name) for name in _OF_SIZE):
        # It says little or nothing: the whole has the figures.
        return {**{k: v for k, v in config.items() if k not in _INNER}, **found}
    shared = {key: config[key] for key in (*_SHARED, "model_type") if config.get(key) is not None}
    return text_config({**shared, **{k: v for k, v in found.items() if v is not None}})


def quantization(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """The config's entry about quantisation, whatever its name and form; empty without one."""
    found = text_config(config)
    entry = found.get("quantization_config") or found.get("compression_config")
    if not isinstance(entry, Mapping):
        return {}
    # NVIDIA's ModelOpt wrote a file of its own, hf_quant_config.json, with one level more.
    inner = entry.get("quantization")
    return {**entry, "quant_method": "modelopt", **inner} if isinstance(inner, Mapping) else entry


def with_quantization(config: Mapping[str, Any], beside: Any) -> Mapping[str, Any]:
    """The config with what hf_quant_config.json says, where it says nothing itself, as vLLM does.

    Of a mixed one the modules' own precisions are taken from there as well: older exporters wrote
    them nowhere else.
    """
    if not isinstance(beside, Mapping):
        return config
    given = config.get("quantization_config")
    if not given:
        return {**config, "quantization_config": beside}
    told = beside.get("quantization")
    layers = told.get("quantized_layers") if isinstance(told, Mapping) else None
    if not layers or not isinstance(given, Mapping) or given.get("quantized_layers"):
        return config
    return {**config, "quantization_config": {**given, "quantized_layers": layers}}


@dataclass(frozen=True)
class Layer:
    """One layer: what mixes its tokens, what works on each, and their sizes."""

    number: int
    #: attention, latent, linear, kda, mamba, conv, or nothing.
    mixer: str
    #: dense, experts, or nothing.
    feed: str
    heads: int = 0
    kv_heads: int = 0
    head_size: int = 0
    value_size: int = 0
    #: Tokens that attention looks back to; 0 for all of them.
    window: int = 0
    #: Size of a dense network.
    inner: int = 0
    #: Whether values are the keys.
    one_key: bool = False
    #: Whether it reads the cache of an earlier layer and has none.
    shares_cache: bool = False


@dataclass(frozen=True)
class Architecture:
    """The figures of a config.json."""

    config: Mapping[str, Any]

    def __post_init__(self) -> None:
        for needed in _NEEDED:
            if not (self.layers if needed == "num_hidden_layers" else self.get(needed)):
                raise UnknownModel(
                    f"The model's config.json has no {needed}, so its memory cannot be computed."
                )
        if self.layers > _MOST_LAYERS or self.extra_layers > _MOST_EXTRA:
            raise UnknownModel(
                f"The model's config.json names {self.layers + self.extra_layers} layers."
            )
        for name in _ONE_FOR_ALL:
            for spelling in (name, *_NAMES.get(name, ())):
                if self.listed(spelling) and not self.get(name):
                    raise UnknownModel(f"Its {spelling} differs from part to part of the model.")
        missed = (
            "" if self.is_known else uncounted(self.config, bool(self.experts), self.has_states)
        )
        if missed:
            raise UnknownModel(
                f"Models of type {self.model_type} are not known, and its {missed} tells of parts "
                "that others have not, so its memory cannot be computed."
            )

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> Architecture:
        """Of a whole config. Raises UnknownModel."""
        found = text_config(config)
        named = str(found.get("model_type") or "")
        # A whole config names its sizes; only a part of one may leave all of them to its class.
        is_part = any(isinstance(config.get(name), Mapping) for name in _INNER)
        return cls({**DEFAULTS.get(named, {}), **found} if is_part else found)

    def get(self, *names: str, default: int = 0) -> int:
        """The first of these entries, or of their other names, that the config has a number for."""
        for name in names:
            for spelling in (name, *_NAMES.get(name, ())):
                value = self.config.get(spelling)
                if isinstance(value, (list, tuple)) and name != "num_hidden_layers":
                    value = self._alike(value)
                if isinstance(value, (int, float)) and _is_figure(value):
                    return int(value)
        return default

    def _alike(self, each: Sequence[Any]) -> Any:
        """What a list has for every layer alike; nothing where they differ."""
        same = len(each) == self.layers > 0 and each.count(each[0]) == len(each)
        return each[0] if same else None

    def listed(self, name: str) -> list[Any]:
        """An entry that has one item for each layer; empty where it is none."""
        value = self.config.get(name)
        return list(value) if isinstance(value, (list, tuple)) else []

    def of_layer(self, name: str, layer: int, default: int = 0) -> int:
        """A figure that may differ from layer to layer."""
        each = self.listed(name)
        if layer < len(each):
            return int(each[layer]) if _is_figure(each[layer]) else 0
        return self.get(name, default=default)

    @property
    def model_type(self) -> str:
        # Mistral's own format, params.json, names no type.
        own = "mistral" if "dim" in self.config and "n_layers" in self.config else ""
        named = str(self.config.get("model_type") or own)
        if named in FAMILIES:
            return named
        # vLLM goes by the class, whatever the type is called.
        classes = (_CLASS.match(str(name)) for name in self.listed("architectures"))
        by_class = (_FAMILY_OF_CLASS.get(found[1].lower()) for found in classes if found)
        return next(filter(None, by_class), named)

    @property
    def family(self) -> Family:
        # Networks without a gate are four times as wide as the hidden size, others are not.
        size = self.get("intermediate_size", default=4 * self.hidden)
        plain = size == 4 * self.hidden and not self.experts
        return FAMILIES.get(self.model_type) or Family(gated=not plain)

    @property
    def is_known(self) -> bool:
        return self.model_type in FAMILIES

    @property
    def hidden(self) -> int:
        return self.get("hidden_size")

    @property
    def layers(self) -> int:
        pattern = self.config.get("hybrid_override_pattern")
        listed = self.listed("layers_block_type") or self.listed("layer_types")
        letters = len(pattern) if isinstance(pattern, str) else 0
        return self.get("num_hidden_layers", default=len(listed) or letters)

    @property
    def heads(self) -> int:
        return self.get("num_attention_heads")

    @property
    def kv_heads(self) -> int:
        if self.model_type == "falcon" and not self.config.get("new_decoder_architecture"):
            return 1 if self.config.get("multi_query", True) else self.heads
        if self.model_type == "gpt_bigcode" and self.config.get("multi_query", True):
            return 1
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
        return self.get("n_routed_experts")

    @property
    def expert_size(self) -> int:
        return self.get("moe_intermediate_size", "intermediate_size")

    @property
    def inner(self) -> int:
        """The size of a dense network where layers do not differ."""
        if self.model_type == "qwen":  # both halves of its gated network in one figure
            return self.get("intermediate_size") // 2
        # What Granite's experts share is all that a model of it without experts has.
        own = "shared_intermediate_size" if self.model_type == "granitemoehybrid" else ""
        names = ("dense_intermediate_size", "intermediate_size_mlp", "intermediate_size")
        return self.get(own, *names, default=0 if self.experts else 4 * self.hidden)

    @property
    def extra_layers(self) -> int:
        """Layers that guess further tokens. Checkpoints hold them; a server does not load them."""
        return self.get("num_nextn_predict_layers", "mtp_num_hidden_layers")

    @property
    def is_tied(self) -> bool:
        named = (self.config.get(name) for name in ("tie_word_embeddings", "tied_embeddings"))
        return bool(next((one for one in named if one is not None), self.family.tied))

    @property
    def has_states(self) -> bool:
        """Whether layers remember a state."""
        return any(layer.mixer in STATEFUL for layer in self.each_layer)

    @property
    def may_have_tower(self) -> bool:
        """Whether its class sees or hears, though the config may not say with what."""
        names = self.listed("architectures")
        return any(str(name).endswith("ForConditionalGeneration") for name in names)

    @cached_property
    def each_layer(self) -> tuple[Layer, ...]:
        """Every layer. Raises UnknownModel for one of a kind that is not known."""
        return tuple(self._layer(number) for number in range(self.layers))

    def extra_layer(self, number: int) -> Layer:
        """A layer that guesses further tokens is as the last full one."""
        like = [layer for layer in self.each_layer if layer.mixer in ("attention", "latent")]
        feed = "experts" if self.experts else "dense"
        last = like[-1] if like else self.each_layer[-1]
        return Layer(
            number, last.mixer, feed, last.heads, last.kv_heads, last.head_size, last.value_size,
            inner=self.inner,
        )  # fmt: skip

    def _layer(self, number: int) -> Layer:
        mixer = self._mixer(number)
        window = self._windows[number] if mixer == "attention" else 0
        return Layer(
            number,
            mixer,
            self._feed(number),
            *self._heads_of(number, window),
            window=window,
            inner=self._inner_of(number) or self.inner,
            one_key=bool(self.config.get("attention_k_eq_v")) and not window,
            shares_cache=number >= self.layers - self.get("num_kv_shared_layers"),
        )

    def _heads_of(self, number: int, window: int) -> tuple[int, int, int, int]:
        """Heads of a layer, those of keys and values, and the sizes of a key and a value."""
        heads = self.of_layer("num_attention_heads_per_layer", number, self.heads)
        kv_heads, size = self.kv_heads, self.head_size
        grouped = (self._block(number).get("attention") or {}).get("n_heads_in_group")
        if grouped:
            kv_heads = heads // int(grouped)
        elif window:
            kv_heads = self.get("swa_num_key_value_heads", default=kv_heads)
            size = self.get("swa_head_dim", default=size)
        elif self.get("global_head_dim"):
            kv_heads = self.get("num_global_key_value_heads", default=kv_heads)
            size = self.get("global_head_dim")
        value = self.get("swa_v_head_dim" if window else "v_head_dim", "v_head_dim", default=size)
        return heads, kv_heads, size, value

    def _inner_of(self, number: int) -> int:
        """The size of a layer's dense network; 0 where it is that of all."""
        network = self._block(number).get("ffn")
        if network:
            return int(network.get("intermediate_size") or _multiplied(network, self.hidden))
        each = self.listed("intermediate_size")
        return self.of_layer("intermediate_size", number) if each else 0

    @property
    def has_head(self) -> bool:
        """Whether it writes text: what embeds or ranks has no output embedding."""
        names = [str(name) for name in self.listed("architectures")]
        return not self.family.encoder and not any(map(is_headless, names))

    def _block(self, number: int) -> Mapping[str, Any]:
        blocks = self.listed("block_configs")
        found = blocks[number] if number < len(blocks) else {}
        return found if isinstance(found, Mapping) else {}

    def _kind(self, number: int) -> str:
        """What the config calls this layer, if anything."""
        pattern = self.config.get("hybrid_override_pattern")
        if isinstance(pattern, str) and number < len(pattern):
            return _PATTERN.get(pattern[number], pattern[number])
        for name in ("layers_block_type", "layer_types"):
            each = self.listed(name)
            if number < len(each):
                return str(each[number])
        for name, other in (("full_attn_idxs", "conv"), ("attn_layer_indices", "mamba")):
            indexes = self.listed(name)
            if indexes:
                return "full_attention" if number in indexes else other
        linear = self.config.get("linear_attn_config")
        if isinstance(linear, Mapping):  # layers are counted from 1 there
            return "kda" if number + 1 in (linear.get("kda_layers") or []) else "full_attention"
        interval = self.get("full_attention_interval")
        if interval:
            return "full_attention" if (number + 1) % interval == 0 else "linear_attention"
        return "full_attention"

    def _mixer(self, number: int) -> str:
        attention = (self._block(number).get("attention") or {}) if self._block(number) else {}
        if attention.get("no_op") or attention.get("replace_with_linear"):
            return "" if attention.get("no_op") else "replaced"
        kind = self._kind(number)
        if kind not in _MIXERS:
            raise UnknownModel(f"Layers of kind {kind} are not known, so its memory is not either.")
        mixer = _MIXERS[kind]
        return "latent" if mixer == "attention" and self.is_latent else mixer

    def _feed(self, number: int) -> str:
        if self._block(number):
            return "" if (self._block(number).get("ffn") or {}).get("no_op") else "dense"
        if self.family.one_block:
            return {"moe": "experts", "mlp": "dense"}.get(self._kind(number), "")
        return "experts" if self.has_experts(number) else "dense"

    def has_experts(self, layer: int) -> bool:
        """Whether this layer is a mixture of experts."""
        kinds, chosen = self.listed("mlp_layer_types"), self.listed("moe_layer_freq")
        if not self.experts or layer in self.listed("mlp_only_layers"):
            return False
        if layer < len(kinds):
            return bool(kinds[layer] == "sparse")
        if layer < len(chosen):
            return bool(chosen[layer])
        named = self.config.get("moe_layers_enum")
        if isinstance(named, str):
            return str(layer) in named.split(",")
        if layer < self.get("first_k_dense_replace"):
            return False
        step = self.get("decoder_sparse_step", "interleave_moe_layer_step", default=1)
        return (layer + 1) % step == 0 and layer % self.get("moe_layer_freq", default=1) == 0

    @cached_property
    def _windows(self) -> list[int]:
        """For each layer how far its attention looks back, 0 where it sees every token."""
        layers = range(self.layers)
        window, chunk = self.get("sliding_window"), self.get("attention_chunk_size")
        pattern, kinds = self.listed("hybrid_layer_pattern"), self.listed("layer_types")
        if pattern:
            return [window if layer < len(pattern) and pattern[layer] else 0 for layer in layers]
        if kinds:
            sizes = {"sliding_attention": window, "chunked_attention": chunk}
            return [sizes.get(self._kind(layer), 0) for layer in layers]
        if self.model_type == "llama4_text":  # every fourth layer sees all
            return [0 if (layer + 1) % 4 == 0 else chunk for layer in layers]
        if not window or self.config.get("use_sliding_window") is False:
            return [0] * self.layers
        if self.model_type == "gemma2":
            return [0 if layer % 2 else window for layer in layers]
        if self.model_type == "gemma3_text":
            every = self.get("sliding_window_pattern", default=6)
            return [0 if (layer + 1) % every == 0 else window for layer in layers]
        if self.config.get("use_sliding_window"):
            first = self.get("max_window_layers")
            return [window if layer >= first else 0 for layer in layers]
        return [window] * self.layers


#: Letters of hybrid_override_pattern.
_PATTERN = {"M": "mamba", "*": "attention", "-": "mlp", "E": "moe"}
#: What mixes the tokens of a layer of each kind.
_MIXERS = {
    **dict.fromkeys(("full_attention", "attention", "sliding_attention"), "attention"),
    **dict.fromkeys(("chunked_attention", "global", "local"), "attention"),
    "linear_attention": "linear",
    "deepseek_sparse_attention": "attention",
    "kda": "kda",
    "mamba": "mamba",
    "conv": "conv",
    "mlp": "",
    "moe": "",
}


#: Those that remember a state, in the place of keys and values or beside them.
STATEFUL = ("linear", "kda", "mamba", "conv")


def is_headless(name: str) -> bool:
    """Whether a class of models writes no text, by its name."""
    return name.endswith(_HEADLESS) and not name.endswith(_WRITING)


def _is_figure(value: Any) -> bool:
    """Whether it is a number that something can be as large as."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 < value <= _MOST


def _multiplied(network: Mapping[str, Any], hidden: int) -> int:
    """The size that a multiple of two thirds of 4 times the hidden size is rounded up to."""
    multiple = network.get("ffn_mult")
    if not multiple:
        return 0
    size = int(2 * float(multiple) * hidden / 3)
    return -(-size // 256) * 256
