# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Configs whose layers differ, or that are not as configs are: each ends in an answer."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.inferops.gpu.plugins.module_utils.serving.architecture import (
    Architecture,
    UnknownModel,
)
from ansible_collections.inferops.gpu.plugins.module_utils.serving.engines.vllm.estimate import (
    estimate,
)
from ansible_collections.inferops.gpu.plugins.module_utils.serving.kv_cache import kv_cache
from ansible_collections.inferops.gpu.plugins.module_utils.serving.weights import (
    checkpoint_bytes,
    estimate_weights,
)

MODELS = json.loads((Path(__file__).parent / "fixtures" / "models.json").read_text())
LLAMA: dict[str, Any] = MODELS[0]["config"]
MIXTURE = {
    **LLAMA,
    "num_hidden_layers": 8,
    "num_experts": 8,
    "moe_intermediate_size": 1024,
    "num_experts_per_tok": 2,
}
HYBRID = {
    "model_type": "nemotron_h",
    "hidden_size": 2688,
    "num_attention_heads": 32,
    "num_key_value_heads": 2,
    "head_dim": 128,
    "vocab_size": 131072,
    "intermediate_size": 1856,
    "n_routed_experts": 128,
    "moe_intermediate_size": 1856,
    "moe_shared_expert_intermediate_size": 3712,
    "mamba_num_heads": 64,
    "mamba_head_dim": 64,
    "n_groups": 8,
    "ssm_state_size": 128,
    "mamba_ssm_cache_dtype": "float32",
    "hybrid_override_pattern": "MEMEM*EMEMEM*EMEMEM*EMEMEM*EMEMEM*EMEMEMEM*EMEMEMEME",
    "max_position_embeddings": 262144,
}
GPU = {"memory_total_mib": 81559, "memory_used_mib": 500, "name": "NVIDIA H100 80GB HBM3"}


def kinds(config: dict[str, Any]) -> list[tuple[str, str]]:
    return [(layer.mixer, layer.feed) for layer in Architecture.of(config).each_layer]


@pytest.mark.parametrize(
    ("entries", "experts"),
    [
        ({}, 8),
        ({"moe_layer_freq": [0, 0, 1, 1, 1, 1, 1, 1]}, 6),
        ({"moe_layer_freq": 2}, 4),
        ({"mlp_layer_types": ["dense"] * 3 + ["sparse"] * 5}, 5),
        ({"first_k_dense_replace": 1}, 7),
        ({"interleave_moe_layer_step": 2}, 4),
        ({"mlp_only_layers": [0, 7]}, 6),
    ],
)
def test_which_layers_are_mixtures_is_read_from_lists_and_steps(
    entries: dict[str, Any], experts: int
) -> None:
    assert [feed for _mixer, feed in kinds({**MIXTURE, **entries})].count("experts") == experts


def test_layers_of_different_sizes_are_counted_each_by_its_own() -> None:
    sizes = [8192] * 16 + [14336] * 16
    each = {**LLAMA, "intermediate_size": sizes}
    spared = checkpoint_bytes(LLAMA) - checkpoint_bytes(each)
    assert spared == 16 * 3 * 4096 * (14336 - 8192) * 2


def test_blocks_may_lack_attention_or_a_network() -> None:
    whole = {"attention": {"n_heads_in_group": 8}, "ffn": {"ffn_mult": 2.625}}
    without = {"attention": {"no_op": True}, "ffn": {"ffn_mult": 2.625}}
    config = {**LLAMA, "model_type": "nemotron-nas", "num_key_value_heads": None}
    config |= {"intermediate_size": None, "block_configs": [whole] * 24 + [without] * 8}
    assert kv_cache(config).bytes_per_token == 24 * 2 * 4 * 128 * 2
    assert kinds(config)[-1] == ("", "dense")


def test_a_pattern_of_letters_names_mamba_attention_and_experts() -> None:
    names = [mixer or feed for mixer, feed in kinds(HYBRID)]
    assert len(names) == 52
    assert (names.count("mamba"), names.count("attention"), names.count("experts")) == (23, 6, 23)
    # 31577937344 parameters, as the hub counts nvidia/NVIDIA-Nemotron-3-Nano-30B-A3B-BF16.
    assert checkpoint_bytes(HYBRID) == pytest.approx(2 * 31577937344, rel=0.001)


def test_a_layer_that_remembers_takes_a_state_for_each_sequence() -> None:
    cache = kv_cache(HYBRID)
    # Two heads of 128 in six layers, whatever else; and two states of two megabytes in 23 layers.
    assert cache.bytes_per_token == 6 * 2 * 2 * 128 * 2
    assert cache.state_bytes == pytest.approx(2 * 23 * 64 * 64 * 128 * 4, rel=0.05)
    assert cache.sequences_in(cache.block_bytes * 856) == 856


def test_a_state_is_as_large_as_the_real_server_logged() -> None:
    # 5.98 GiB held 567978 tokens, with sequences of 131072 (noonghunna/club-3090 issue 612).
    qwen = {
        "model_type": "qwen3_5_moe_text",
        "hidden_size": 2048,
        "num_hidden_layers": 40,
        "num_attention_heads": 16,
        "num_key_value_heads": 2,
        "head_dim": 256,
        "vocab_size": 248320,
        "full_attention_interval": 4,
        "linear_num_key_heads": 16,
        "linear_num_value_heads": 32,
        "linear_key_head_dim": 128,
        "linear_value_head_dim": 128,
        "mamba_ssm_dtype": "float32",
        "num_experts": 256,
        "moe_intermediate_size": 512,
    }
    cache = kv_cache(qwen, element_bytes=1.0)
    told = cache.reported_tokens(5.98 * 1024**3, 131072)
    assert told == pytest.approx(567978, rel=0.002)


def test_sequences_are_limited_to_the_states_there_is_room_for() -> None:
    small = [{**GPU, "memory_total_mib": 79000}]
    fit = estimate(HYBRID, {}, small)
    assert fit["fits"] in ("yes", "tight")
    chosen = fit["arguments"]["max_num_seqs"]
    assert 1 < chosen < 1024
    assert "max_num_seqs" not in estimate(HYBRID, {"max_num_seqs": 8}, small)["arguments"]
    # Between what fits for sure and what cannot fit is what may.
    doubtful = estimate(HYBRID, {"max_num_seqs": 2 * chosen}, small)
    assert doubtful["fits"] == "tight"
    assert f"of the {2 * chosen} states that max_num_seqs asks for, " in doubtful["why"]
    assert "for sure" not in estimate(HYBRID, {"max_num_seqs": chosen}, small)["why"]
    # vLLM refuses to start with more (its issue 34094).
    refused = estimate(HYBRID, {"max_num_seqs": 4096}, small)
    assert (refused["fits"], "a state of as many sequences" in refused["why"]) == ("no", True)
    assert "max_num_seqs" not in estimate(LLAMA, {}, [GPU])["arguments"]


def test_a_kind_of_layer_that_nobody_knows_is_said_to_be_unknown() -> None:
    strange = {**LLAMA, "layer_types": ["brandnew_attention"] * 32}
    with pytest.raises(UnknownModel, match="Layers of kind brandnew_attention are not known"):
        estimate_weights(strange)
    fit = estimate(strange, {}, [GPU])
    assert (fit["fits"], fit["arguments"]) == ("unknown", {})


def test_files_of_known_size_settle_what_a_config_does_not() -> None:
    strange = {"model_type": "brandnew"}
    sized = {"metadata": {"metadata": {"total_size": 150 * 2**30}}}
    found = estimate(strange, **sized)
    assert found["vram_gib"] > found["least_vram_gib"] > 150
    assert estimate(strange, {"tensor_parallel_size": 4}, **sized)["vram_gib"] < 60
    assert estimate(strange, {}, [GPU], **sized)["fits"] == "no"
    assert (
        estimate(strange, {}, [{**GPU, "memory_total_mib": 300000}], **sized)["fits"] == "unknown"
    )


def test_files_that_cannot_be_the_models_weights_settle_nothing() -> None:
    adapter = {"metadata": {"metadata": {"total_size": 80 * 2**20}}}
    assert estimate(LLAMA, **adapter) == estimate(LLAMA)


def test_a_guess_asks_for_its_middle_and_tells_its_range() -> None:
    guess = estimate({**LLAMA, "model_type": "brandnew"})
    low, high = guess["vram_range_gib"]
    assert low < guess["vram_gib"] < high
    assert f"between {low} and {high}" in guess["why"]
    assert 0 < guess["least_vram_gib"] <= low


def test_the_range_is_told_with_where_it_is_from() -> None:
    fit = estimate(LLAMA, {}, [GPU])
    assert (fit["weights_source"], fit["weights_error"]) == ("computed from its config", 0.02)
    sees = {"text_config": LLAMA, "vision_config": {"hidden_size": 1024, "num_hidden_layers": 24}}
    assert estimate(sees, {}, [GPU])["weights_error"] == 0.1
    deaf = {**LLAMA, "architectures": ["BrandnewForConditionalGeneration"]}
    assert "without what it sees" in estimate(deaf, {}, [GPU])["weights_source"]


def test_what_reads_all_at_once_keeps_nothing_and_everything_else_something() -> None:
    encoder = {"model_type": "xlm-roberta", "hidden_size": 1024, "num_hidden_layers": 24}
    encoder |= {"num_attention_heads": 16, "vocab_size": 250002, "intermediate_size": 4096}
    assert estimate(encoder, {}, [GPU])["kv_bytes_per_token"] is None
    nothing = {**LLAMA, "block_configs": [{"attention": {"no_op": True}, "ffn": {}}] * 32}
    with pytest.raises(UnknownModel, match="keeps of a text is not known"):
        kv_cache(nothing)


def test_a_copy_of_the_output_embedding_in_the_files_is_not_counted_as_loaded() -> None:
    # Qwen3-0.6B: its files hold the embedding twice, a server once.
    small = {
        "model_type": "qwen3",
        "hidden_size": 1024,
        "num_hidden_layers": 28,
        "num_attention_heads": 16,
        "num_key_value_heads": 8,
        "head_dim": 128,
        "intermediate_size": 3072,
        "vocab_size": 151936,
        "tie_word_embeddings": True,
        "torch_dtype": "bfloat16",
    }
    loaded = estimate_weights(small, known_bytes=2 * 751632384)
    assert loaded.gpu_bytes == pytest.approx(estimate_weights(small).gpu_bytes, rel=0.001)
    assert loaded.stored_bytes == 2 * 751632384


def odd(value: Any, rng: random.Random) -> Any:
    """Something else in a value's place."""
    others = (None, "", "x", -1, 0, 10**30, float("inf"), float("nan"), [], {}, [value], True)
    return rng.choice((*others, [1] * 5, {"a": value}))


@pytest.mark.parametrize(
    "quantization",
    [
        {"quant_method": "gptq", "bits": "four"},
        {"quant_method": "fp8", "weight_block_size": [128]},
        {"quant_method": "compressed-tensors", "config_groups": {"group_0": "W4A16"}},
        {"quant_method": "modelopt", "quantized_layers": {"layers.0": 4}},
    ],
    ids=str,
)
def test_a_quantiser_that_wrote_something_odd_ends_in_an_answer(quantization: Any) -> None:
    fit = estimate({**LLAMA, "quantization_config": quantization}, {}, [GPU])
    assert (fit["fits"], fit["arguments"]) == ("unknown", {})
    assert fit["why"]


@pytest.mark.parametrize("seed", range(40))
def test_whatever_stands_in_a_config_ends_in_an_answer(seed: int) -> None:
    rng = random.Random(seed)
    for base in (LLAMA, MIXTURE, HYBRID, {"text_config": LLAMA, "vision_config": {"depth": 3}}):
        config = json.loads(json.dumps(base))
        for key in rng.sample(sorted(config), 2):
            config[key] = odd(config[key], rng)
        for name in rng.sample(
            ("layer_types", "block_configs", "moe_layer_freq", "rope_scaling"), 1
        ):
            config[name] = odd(1, rng)
        config["quantization_config"] = odd({"quant_method": "fp8"}, rng)
        for host in ({}, {"gpus": [GPU]}, {"ram_mib": 64000}):
            assert estimate(config, {}, **host)["why"]


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        # Each is how a published model says it: DBRX, ERNIE 4.5 VL, Jamba, RecurrentGemma, Falcon
        # H1, MiniMax M1, Grok 2, Phi 4 multimodal.
        ({"ffn_config": {"moe_num_experts": 16, "ffn_hidden_size": 10752}}, "moe_num_experts"),
        ({"moe_num_experts": [64, 64]}, "moe_num_experts"),
        ({"num_experts": 16, "attn_layer_period": 8}, "attn_layer_period"),
        ({"block_types": ["recurrent", "recurrent", "attention"]}, "block_types"),
        ({"mamba_d_ssm": 4096}, "mamba_d_ssm"),
        ({"attn_type_list": [0, 1] * 16}, "attn_type_list"),
        ({"num_local_experts": 8, "residual_moe": True}, "residual_moe"),
        ({"embd_layer": {"image_embd_layer": {"crop": 1}}}, "image_embd_layer"),
        ({"num_key_value_heads": [8, 4] * 16}, "num_key_value_heads"),
    ],
)
def test_a_family_that_is_not_known_is_not_guessed_where_an_outline_would_miss_parts(
    changes: dict[str, Any], word: str
) -> None:
    config = {**LLAMA, "model_type": "brandnew", "architectures": ["BrandnewForCausalLM"]}
    assert "guessed" in estimate(config)["weights_source"]
    fit = estimate({**config, **changes})
    assert (fit["fits"], fit["vram_gib"]) == ("unknown", 0)
    assert word in fit["why"]
    # What the hub says of its files settles how large it is.
    sized = estimate({**config, **changes}, metadata={"metadata": {"total_size": 100 * 2**30}})
    assert sized["vram_gib"] > 100


def test_a_model_is_known_by_its_class_where_its_type_has_another_name() -> None:
    renamed = {**LLAMA, "model_type": "mine", "architectures": ["LlamaForCausalLM"]}
    assert estimate(renamed)["weights_source"] == estimate(LLAMA)["weights_source"]


def test_a_figure_that_is_listed_for_every_layer_alike_is_that_figure() -> None:
    layers = LLAMA["num_hidden_layers"]
    listed = {**LLAMA, "num_key_value_heads": [LLAMA["num_key_value_heads"]] * layers}
    assert estimate(listed)["weights_gib"] == estimate(LLAMA)["weights_gib"]


def test_the_part_of_a_speaking_model_that_thinks_is_what_is_counted() -> None:
    thinker = {
        "text_config": {**LLAMA, "model_type": "qwen2_5_omni_text"},
        "audio_config": {"d_model": 1280, "encoder_layers": 32, "encoder_ffn_dim": 5120},
    }
    omni = {
        "model_type": "qwen2_5_omni",
        "architectures": ["Qwen2_5OmniModel"],
        "thinker_config": thinker,
        "talker_config": {"hidden_size": 896},
    }
    more = estimate(omni)["weights_gib"]["value"] - estimate(LLAMA)["weights_gib"]["value"]
    assert 1.0 < more < 1.5
