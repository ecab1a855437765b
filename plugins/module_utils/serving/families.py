# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What families of models do differently, or leave out of their config.json.

By their ``model_type``, as their classes in Hugging Face's transformers
(src/transformers/models/<family>) and in vLLM (vllm/model_executor/models, vllm/models) have it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Family:
    """What models of one ``model_type`` have beside what their config.json says."""

    tied: bool = False
    """Whether input and output embedding are one when the config does not say so."""
    qkv_bias: bool = False
    output_bias: bool = False
    mlp_bias: bool = False
    gated: bool = True
    """Whether a feed-forward network has a gate beside its way up."""
    norms: int = 2
    """Norms of the hidden size in each layer."""
    norm_bias: bool = False
    head_norms: str = ""
    """Norms of queries and keys: "" for none, "head" of one head's size, "all" of all heads'."""
    router_bias: bool = False
    output_gate: str = ""
    """The gate on what attention gives: "" for none, "all" of all values, "head" one a head."""
    one_block: bool = False
    """Whether a layer is a mixer or a network, not both."""
    experts_beside: bool = False
    """Whether experts stand beside the dense network of their layer, not in its place."""
    positions: bool = False
    """Whether positions are learned and looked up, as many as the config names."""
    encoder: bool = False
    """Whether it reads all of a text at once, writes none, and so keeps nothing between steps."""
    attention: str = "self_attn"
    mlp: str = "mlp"
    expert_parts: tuple[str, str, str] = ("gate_proj", "up_proj", "down_proj")
    """Names of modules, by which quantisers tell what they left alone."""
    counts_cache: bool = True
    """Whether what it caches is known; otherwise nothing is refused for it."""
    checked: bool = True
    """Whether a model of it is among those that `make fit` holds to a published size."""


_LLAMA = Family()
_QWEN3 = Family(head_norms="head")
_QWEN3_NEXT = Family(head_norms="head", output_gate="all")
_DEEPSEEK = Family(router_bias=True)
_GEMMA4 = Family(tied=True, norms=4, head_norms="head", experts_beside=True)
_GPT2 = Family(
    tied=True,
    qkv_bias=True,
    output_bias=True,
    mlp_bias=True,
    gated=False,
    norm_bias=True,
    positions=True,
)
_NEOX = replace(_GPT2, tied=False, positions=False)
_BERT = replace(_GPT2, encoder=True)
_MINIMAX = Family(
    mlp="block_sparse_moe", expert_parts=("w1", "w3", "w2"), router_bias=True, head_norms="all"
)
_ENCODER = Family(tied=True, encoder=True, checked=False)
_NEMOTRON_H = Family(
    gated=False, norms=1, one_block=True, router_bias=True, attention="mixer", mlp="mixer"
)

#: As their classes have them, but held to no published size yet.
_UNCHECKED: dict[str, Family] = {
    **dict.fromkeys(("baichuan", "aquila", "minicpm", "ernie4_5", "ministral3"), _LLAMA),
    **dict.fromkeys(("ernie4_5_moe", "glm4v_moe_text", "hunyuan_v1_moe", "solar_open"), _DEEPSEEK),
    "afmoe": Family(norms=4, head_norms="head", output_gate="all", router_bias=True),
    "phimoe": Family(norm_bias=True),
    "qwen2_5_omni_text": Family(qkv_bias=True),
    "qwen3_omni_moe_text": _QWEN3,
    **dict.fromkeys(("seed_oss", "glm"), Family(qkv_bias=True)),
    **dict.fromkeys(("cohere", "cohere2"), Family(tied=True, norms=1)),
    **dict.fromkeys(("exaone4", "hunyuan_v1_dense", "dots1", "bailing_moe"), _QWEN3),
    "glm4v_text": Family(norms=4, qkv_bias=True),
    "lfm2_moe": Family(tied=True, head_norms="head", router_bias=True),
    "olmo": Family(norms=0),
    "bamba": Family(),
    **dict.fromkeys(("opt", "starcoder2"), _GPT2),
    "bloom": replace(_GPT2, positions=False),
    "phi": replace(_NEOX, norms=1),
    "arcee": Family(gated=False),
    "nemotron": Family(gated=False, norm_bias=True),
    "apertus": Family(gated=False, head_norms="head"),
    **dict.fromkeys(("modernbert", "nomic_bert", "new"), _ENCODER),
}

#: Families by model_type. An unknown one is counted as Llama, with a wider error bar.
FAMILIES: dict[str, Family] = {
    **{name: replace(family, checked=False) for name, family in _UNCHECKED.items()},
    **dict.fromkeys(("llama", "mistral", "phi3", "granite", "mimo", "llama4_text"), _LLAMA),
    **dict.fromkeys(("nemotron-nas", "deepseek_v2", "PanguEmbedded", "internlm2"), _LLAMA),
    "chatglm": Family(qkv_bias=True),
    "smollm3": Family(tied=True),
    "mixtral": Family(mlp="block_sparse_moe", expert_parts=("w1", "w3", "w2")),
    "granitemoe": Family(tied=True),
    "granitemoehybrid": Family(tied=True),
    "qwen": Family(qkv_bias=True),
    "qwen2": Family(qkv_bias=True),
    "qwen2_moe": Family(qkv_bias=True),
    "qwen2_vl": Family(qkv_bias=True),
    "qwen2_vl_text": Family(qkv_bias=True),
    "qwen2_5_vl": Family(qkv_bias=True),
    "qwen2_5_vl_text": Family(qkv_bias=True),
    **dict.fromkeys(("qwen3", "qwen3_moe"), _QWEN3),
    **dict.fromkeys(("qwen3_vl_text", "qwen3_vl_moe_text"), _QWEN3),
    **dict.fromkeys(("qwen3_next", "qwen3_5_text", "qwen3_5_moe_text"), _QWEN3_NEXT),
    **dict.fromkeys(("deepseek_v3", "kimi_k2", "mistral4"), _DEEPSEEK),
    **dict.fromkeys(("deepseek_v32", "glm_moe_dsa", "glm4_moe_lite"), _DEEPSEEK),
    "deepseek_v4": replace(_DEEPSEEK, attention="attn", mlp="ffn", counts_cache=False),
    "kimi_linear": replace(_DEEPSEEK, mlp="block_sparse_moe", expert_parts=("w1", "w3", "w2")),
    "mimo_v2_flash": Family(router_bias=True),
    "step3p7": Family(router_bias=True, head_norms="head", output_gate="head"),
    "laguna": Family(head_norms="head", output_gate="head", router_bias=True),
    "minimax_m2": _MINIMAX,
    **dict.fromkeys(("minimax_m3", "minimax_m3_vl"), replace(_MINIMAX, head_norms="head")),
    "muse_glimmer_text": Family(norms=4),
    "gemma": Family(tied=True),
    "gemma2": Family(tied=True, norms=4),
    "gemma3_text": Family(tied=True, norms=4, head_norms="head"),
    "gemma3n_text": Family(tied=True, norms=4, head_norms="head"),
    "gemma4_text": _GEMMA4,
    "olmo2": Family(head_norms="all"),
    "olmo3": Family(head_norms="all"),
    "olmoe": Family(head_norms="all"),
    "glm4": Family(norms=4, qkv_bias=True),
    "glm4_moe": Family(router_bias=True),
    "gpt_oss": Family(qkv_bias=True, output_bias=True, mlp_bias=True, router_bias=True),
    "nemotron_h": _NEMOTRON_H,
    "lfm2": Family(tied=True, head_norms="head"),
    "gpt2": _GPT2,
    "gpt_bigcode": _GPT2,
    **dict.fromkeys(("gpt_neox", "gpt_neox_reward_model"), _NEOX),
    "falcon": Family(tied=True, gated=False, norm_bias=True),
    **dict.fromkeys(("stablelm", "stablelm_epoch"), Family(norm_bias=True)),
    "bert": _BERT,
    "roberta": _BERT,
    "xlm-roberta": _BERT,
}

#: What a config leaves out where it is what its class says (transformers' configuration files).
#: Models that see mostly do so for their language model: of Gemma 3 4B it names four figures.
DEFAULTS: dict[str, Mapping[str, int]] = {
    "gemma": {
        "vocab_size": 256_000, "hidden_size": 3072, "intermediate_size": 24_576,
        "num_hidden_layers": 28, "num_attention_heads": 16, "num_key_value_heads": 16,
        "head_dim": 256, "max_position_embeddings": 8192,
    },
    "gemma2": {
        "vocab_size": 256_000, "hidden_size": 2304, "intermediate_size": 9216,
        "num_hidden_layers": 26, "num_attention_heads": 8, "num_key_value_heads": 4,
        "head_dim": 256, "max_position_embeddings": 8192, "sliding_window": 4096,
    },
    "gemma3_text": {
        "vocab_size": 262_208, "hidden_size": 2304, "intermediate_size": 9216,
        "num_hidden_layers": 26, "num_attention_heads": 8, "num_key_value_heads": 4,
        "head_dim": 256, "max_position_embeddings": 131_072, "sliding_window": 4096,
    },
    "llama": {
        "vocab_size": 32_000, "hidden_size": 4096, "intermediate_size": 11_008,
        "num_hidden_layers": 32, "num_attention_heads": 32, "max_position_embeddings": 2048,
    },
    "mistral": {
        "vocab_size": 32_000, "hidden_size": 4096, "intermediate_size": 14_336,
        "num_hidden_layers": 32, "num_attention_heads": 32, "num_key_value_heads": 8,
        "max_position_embeddings": 131_072,
    },
    "qwen2": {
        "vocab_size": 151_936, "hidden_size": 4096, "intermediate_size": 22_016,
        "num_hidden_layers": 32, "num_attention_heads": 32, "num_key_value_heads": 32,
        "max_position_embeddings": 32_768,
    },
}  # fmt: skip
