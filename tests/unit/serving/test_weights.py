# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Weights computed from a config.json alone, held against what publishers state."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.inferops.gpu.plugins.module_utils.serving.architecture import UnknownModel
from ansible_collections.inferops.gpu.plugins.module_utils.serving.weights import (
    Split,
    checkpoint_bytes,
    estimate_weights,
    published_bytes,
)

MODELS: list[dict[str, Any]] = json.loads(
    (Path(__file__).parent / "fixtures" / "models.json").read_text()
)
BY_NAME = {entry["model"]: entry["config"] for entry in MODELS}
LLAMA = BY_NAME["meta-llama/Llama-3.1-8B-Instruct"]
BYTES = {"I32": 4, "F16": 2, "BF16": 2, "F32": 4, "F8_E4M3": 1}
GIB = 1024**3


def stated(entry: dict[str, Any]) -> int:
    """Bytes of the checkpoint by what is published of it."""
    if "total_size" in entry:
        return int(entry["total_size"])
    if "parameter_total" in entry:
        return int(entry["parameter_total"]) * BYTES["BF16"]
    return sum(count * BYTES[name] for name, count in entry["parameters"].items())


@pytest.mark.parametrize("entry", MODELS, ids=lambda entry: str(entry["model"]))
def test_the_config_alone_gives_the_published_size(entry: dict[str, Any]) -> None:
    # 10 % are asked for. It is arithmetic over the tensors, so only a forgotten one is off.
    assert checkpoint_bytes(entry["config"]) == pytest.approx(stated(entry), rel=0.001)


def test_the_published_models_are_of_every_kind() -> None:
    kinds = {kind for entry in MODELS for kind in entry["kinds"]}
    assert {"dense", "moe", "gqa", "mla", "awq", "fp8", "tied", "biases"} <= kinds
    assert len(MODELS) >= 12


def test_sizes_are_read_from_an_index_and_from_the_counts_of_the_hub() -> None:
    assert published_bytes({"metadata": {"total_size": 16060522496}}) == 16060522496
    assert published_bytes({"parameters": {"BF16": 10, "F32": 1}, "total": 11}) == 24
    assert published_bytes({}) is None


def test_packed_counts_of_the_hub_are_not_taken_for_bytes() -> None:
    # The hub says 6.5 thousand million I32 of the 7B AWQ checkpoint, whose files have 5.19 GiB.
    counts = {"I32": 6525288448, "F16": 1090328064}
    assert published_bytes({"parameters": counts}) is None


def test_what_is_published_wins_over_what_is_computed() -> None:
    known = estimate_weights(LLAMA, known_bytes=20 * GIB)
    assert known.gpu_bytes == pytest.approx(20 * GIB, rel=1e-6)
    assert (known.source, known.error < estimate_weights(LLAMA).error) == ("published", True)


def test_files_of_32_bits_are_loaded_as_16_even_where_the_config_does_not_name_them() -> None:
    whole = checkpoint_bytes(LLAMA)
    unnamed = {key: value for key, value in LLAMA.items() if key not in ("torch_dtype", "dtype")}
    for config in (unnamed, {**LLAMA, "torch_dtype": "float32"}):
        known = estimate_weights(config, known_bytes=2 * whole)
        assert known.gpu_bytes == pytest.approx(whole, rel=1e-3)
        assert known.stored_bytes == 2 * whole
    assert estimate_weights(unnamed, known_bytes=whole).gpu_bytes == pytest.approx(whole, rel=1e-3)
    kept = estimate_weights(unnamed, known_bytes=2 * whole, dtype="float32")
    assert kept.gpu_bytes == pytest.approx(2 * whole, rel=1e-3)


def test_layers_for_guessing_tokens_are_in_the_files_but_not_in_memory() -> None:
    config = BY_NAME["deepseek-ai/DeepSeek-R1"]
    # 11.5 thousand million parameters of its own and two copies of the embedding
    # (DeepSeek-V3's README_WEIGHTS.md).
    spared = checkpoint_bytes(config) - estimate_weights(config).total_bytes
    assert spared == pytest.approx(11.5e9 + 4 * 0.93e9, rel=0.02)


@pytest.mark.parametrize(
    ("name", "cut", "logged_gib"),
    [
        # "Loading model weights took 14.9888 GB", which are GiB (vLLM issue 10517).
        ("meta-llama/Llama-3.1-8B-Instruct", 1, 14.9888),
        # "model weights take 7.48GiB" (vLLM pull request 10511; Llama 3 has the same shape).
        ("meta-llama/Llama-3.1-8B-Instruct", 2, 7.48),
        # "Model loading took 14.2474 GiB" on each of four (vLLM issue 17469).
        ("Qwen/Qwen3-30B-A3B", 4, 14.2474),
    ],
)
def test_each_gpu_holds_what_vllm_logged(name: str, cut: int, logged_gib: float) -> None:
    held = estimate_weights(BY_NAME[name], split=Split(cut)).gpu_bytes / GIB
    assert held == pytest.approx(logged_gib, rel=0.01)


def test_more_gpus_than_key_value_heads_keep_copies_of_them() -> None:
    config = BY_NAME["Qwen/Qwen2.5-7B-Instruct"]  # 4 heads
    eight, one = (estimate_weights(config, split=Split(cut)).gpu_bytes for cut in (8, 1))
    assert eight > one / 8


def test_a_pipeline_cuts_the_layers_not_the_embeddings() -> None:
    half = estimate_weights(LLAMA, split=Split(pipeline=2)).gpu_bytes
    whole = estimate_weights(LLAMA).gpu_bytes
    assert whole / 2 < half < whole * 0.6


def test_32_bits_are_loaded_only_when_they_are_asked_for() -> None:
    stored = {**LLAMA, "torch_dtype": "float32"}
    assert checkpoint_bytes(stored) == 2 * checkpoint_bytes(LLAMA)
    assert estimate_weights(stored).total_bytes == estimate_weights(LLAMA).total_bytes
    assert estimate_weights(stored, dtype="float32").total_bytes == checkpoint_bytes(stored)


def test_what_a_quantiser_left_alone_counts_in_full() -> None:
    packed = {"quant_method": "fp8", "weight_block_size": [128, 128]}
    all_layers = checkpoint_bytes({**LLAMA, "quantization_config": packed})
    but_one = checkpoint_bytes(
        {
            **LLAMA,
            "quantization_config": {
                **packed,
                "modules_to_not_convert": ["model.layers.0.mlp.down_proj", "lm_head"],
            },
        }
    )
    assert but_one - all_layers == pytest.approx(4096 * 14336, rel=0.001)


@pytest.mark.parametrize(
    ("entry", "bits"),
    [
        # Weights, then a 16 bit scale and a zero point for each group.
        ({"quant_method": "awq", "bits": 4, "group_size": 128}, 4 + (16 + 4) / 128),
        ({"quant_method": "gptq", "bits": 4, "group_size": 32}, 4 + (16 + 4) / 32),
        ({"quant_method": "gptq", "bits": 8, "group_size": -1}, 8),
        ({"quant_method": "fp8"}, 8),
        ({"quant_method": "fp8", "weight_block_size": [128, 128]}, 8 + 32 / 128**2),
        (
            {
                "quant_method": "compressed-tensors",
                "ignore": ["lm_head"],
                "config_groups": {
                    "group_0": {"weights": {"num_bits": 4, "strategy": "group", "group_size": 128}}
                },
            },
            4 + 16 / 128,
        ),
        (
            {
                "quant_method": "compressed-tensors",
                "config_groups": {"group_0": {"weights": {"num_bits": 8, "strategy": "channel"}}},
            },
            8,
        ),
        ({"quant_method": "bitsandbytes", "load_in_4bit": True}, 4 + 8 / 64),
    ],
    ids=lambda value: str(value.get("quant_method")) if isinstance(value, dict) else None,
)
def test_every_way_of_packing_has_its_bits(entry: dict[str, Any], bits: float) -> None:
    plain = checkpoint_bytes(LLAMA)
    linear = 32 * (2 * 4096 * 4096 + 2 * 1024 * 4096 + 3 * 4096 * 14336)
    packed = checkpoint_bytes({**LLAMA, "quantization_config": entry})
    assert plain - packed == pytest.approx(linear * (16 - bits) / 8, rel=0.002)


def test_a_model_that_also_sees_is_read_by_its_language_part() -> None:
    nested = {"model_type": "mllama", "text_config": LLAMA, "vision_config": {}}
    assert checkpoint_bytes(nested) == checkpoint_bytes(LLAMA)


def test_an_unknown_family_is_counted_with_a_wide_error_bar_and_says_so() -> None:
    guessed = estimate_weights({**LLAMA, "model_type": "brandnew"})
    assert guessed.error > 5 * estimate_weights(LLAMA).error
    assert "brandnew" in guessed.source


def test_a_config_of_something_else_is_refused_by_what_it_lacks() -> None:
    with pytest.raises(UnknownModel, match="no hidden_size"):
        checkpoint_bytes({"model_type": "whisper"})


def test_a_packing_that_nobody_knows_is_not_guessed_but_a_published_size_counts() -> None:
    strange = {**LLAMA, "quantization_config": {"quant_method": "brandnew"}}
    with pytest.raises(UnknownModel, match="How brandnew packs"):
        estimate_weights(strange)
    assert estimate_weights(strange, known_bytes=GIB).gpu_bytes == pytest.approx(GIB, rel=1e-6)
