# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What quantisers write of a model is read as vLLM reads it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.inferops.gpu.plugins.module_utils.serving.architecture import (
    UnknownModel,
    with_quantization,
)
from ansible_collections.inferops.gpu.plugins.module_utils.serving.engines.vllm.estimate import (
    estimate,
)
from ansible_collections.inferops.gpu.plugins.module_utils.serving.modules import Modules
from ansible_collections.inferops.gpu.plugins.module_utils.serving.packing import packing_of
from ansible_collections.inferops.gpu.plugins.module_utils.serving.tensors import Tensor, tensors
from ansible_collections.inferops.gpu.plugins.module_utils.serving.weights import (
    checkpoint_bytes,
    estimate_weights,
)

MODELS = json.loads((Path(__file__).parent / "fixtures" / "models.json").read_text())
LLAMA: dict[str, Any] = MODELS[0]["config"]
PLAIN = checkpoint_bytes(LLAMA)
MLP, ATTENTION = 32 * 3 * 4096 * 14336, 32 * (2 * 4096 * 4096 + 2 * 1024 * 4096)
NVFP4 = 4 + 8 / 16


def spared(quantization: dict[str, Any]) -> float:
    """Bytes that it makes the files smaller by."""
    return PLAIN - checkpoint_bytes({**LLAMA, "quantization_config": quantization})


def test_what_modelopt_wrote_beside_the_config_counts_where_the_config_says_nothing() -> None:
    beside = {
        "producer": {"name": "modelopt"},
        "quantization": {"quant_algo": "NVFP4", "group_size": 16, "exclude_modules": ["lm_head"]},
    }
    config = with_quantization(LLAMA, beside)
    assert PLAIN - checkpoint_bytes(config) == pytest.approx(
        (MLP + ATTENTION) * (16 - NVFP4) / 8, rel=0.001
    )
    named = {**LLAMA, "quantization_config": {"quant_method": "fp8"}}
    assert with_quantization(named, beside) == named
    fit = estimate(LLAMA, quantization=json.dumps(beside))
    assert fit["vram_gib"] < estimate(LLAMA)["vram_gib"] / 2


def test_mixed_precision_counts_each_module_by_its_own() -> None:
    layers = {
        f"model.language_model.layers.{number}.{name}": {"quant_algo": kind}
        for number in range(32)
        for name, kind in (
            *((f"mlp.{part}_proj", "W4A16_NVFP4") for part in ("gate", "up", "down")),
            *((f"self_attn.{part}_proj", "FP8") for part in ("q", "k", "v")),
        )
    }
    beside = {"quantization": {"quant_algo": "MIXED_PRECISION", "quantized_layers": layers}}
    half = 32 * (4096 * 4096 + 2 * 1024 * 4096)
    expected = MLP * (16 - NVFP4) / 8 + half
    for config in (
        with_quantization(LLAMA, beside),
        # The config may name the method and leave the modules to the file beside it.
        with_quantization(
            {**LLAMA, "quantization_config": {"quant_method": "modelopt"}},
            beside,
        ),
    ):
        assert PLAIN - checkpoint_bytes(config) == pytest.approx(expected, rel=0.001)


@pytest.mark.parametrize(
    "given",
    [
        # GPTQModel's rules and AutoRound's entries, as expressions and as names.
        {"quant_method": "gptq", "dynamic": {"-:.*self_attn.*": {}}},
        {"quant_method": "gptq", "dynamic": {"+:.*self_attn.*": {"bits": 16}}},
        {"quant_method": "auto-round", "extra_config": {".*self_attn.*": {"bits": 16}}},
        {
            "quant_method": "auto-round",
            "extra_config": {
                f"model.layers.{layer}.self_attn.{part}_proj": {"bits": 16}
                for layer in range(32)
                for part in "qkvo"
            },
        },
    ],
)
def test_modules_may_be_left_out_or_packed_in_another_way(given: dict[str, Any]) -> None:
    all_bits = {"bits": 4, "group_size": 128}
    packing = packing_of({**LLAMA, "quantization_config": {**all_bits, **given}})
    for tensor in tensors(LLAMA):
        packed = packing(tensor)
        assert (packed is None) == (not tensor.linear or "self_attn" in tensor.name)
    eight = {"quant_method": "gptq", "dynamic": {"+:.*down.*": {"bits": 8}}}
    packing = packing_of({**LLAMA, "quantization_config": {**all_bits, **eight}})
    found = {t.name: p.bits for t in tensors(LLAMA) if (p := packing(t)) is not None}
    assert {bits for name, bits in found.items() if name.endswith("down_proj")} == {8}
    assert {bits for name, bits in found.items() if not name.endswith("down_proj")} == {4}


@pytest.mark.parametrize(
    ("entry", "kept"),
    [
        (["*self_attn*"], ATTENTION),
        (["model.layers.*.self_attn"], ATTENTION),
        (["language_model.model.layers.*.self_attn.*"], ATTENTION),
        (["re:.*self_attn.*"], ATTENTION),
        (["re:.*\\.(q|k|v|o)_proj$"], ATTENTION),
        (["q_proj", "k_proj", "v_proj", "o_proj"], ATTENTION),
        ([f"model.layers.{number}.self_attn" for number in range(32)], ATTENTION),
        (["model.layers.1*"], (MLP + ATTENTION) * 11 / 32),
        (["model.layers.1"], (MLP + ATTENTION) / 32),
        (["lm_head", "re:.*vision.*"], 0),
    ],
)
def test_lists_of_what_stays_are_read_with_their_wildcards(entry: list[str], kept: float) -> None:
    quantization = {"quant_method": "fp8", "modules_to_not_convert": entry}
    assert spared(quantization) == pytest.approx(MLP + ATTENTION - kept, rel=0.001)


def test_groups_name_the_modules_that_they_are_for() -> None:
    eight = {"num_bits": 8, "strategy": "channel"}
    four = {"num_bits": 4, "strategy": "tensor_group", "group_size": 16}
    quantization = {
        "quant_method": "compressed-tensors",
        "config_groups": {
            "group_0": {"weights": eight, "targets": ["re:.*self_attn.*"]},
            "group_1": {"weights": four, "targets": ["re:.*mlp.*"]},
        },
        "ignore": ["re:.*o_proj"],
    }
    expected = MLP * (16 - NVFP4) / 8 + ATTENTION - 32 * 4096 * 4096
    assert spared(quantization) == pytest.approx(expected, rel=0.002)


@pytest.mark.parametrize(
    ("weight", "bits"),
    [
        ({"dtype": "fp8_e4m3", "qscheme": "per_channel"}, 8),
        ({"dtype": "fp4", "qscheme": "per_group", "group_size": 32}, 4 + 8 / 32),
        ([{"dtype": "fp8_e4m3"}, {"dtype": "int4", "qscheme": "per_channel"}], 4),
    ],
)
def test_quark_says_how_it_packs_in_its_own_words(weight: Any, bits: float) -> None:
    quantization = {"quant_method": "quark", "global_quant_config": {"weight": weight}}
    quantization["exclude"] = ["lm_head"]
    assert spared(quantization) == pytest.approx((MLP + ATTENTION) * (16 - bits) / 8, rel=0.002)


def test_experts_may_be_smaller_than_the_rest() -> None:
    mixture = {**LLAMA, "num_experts": 8, "moe_intermediate_size": 1024}
    packed = {**mixture, "quantization_config": {"quant_method": "fp8"}}
    smaller = {**packed, "expert_dtype": "fp4"}
    routed = 32 * 8 * 3 * 4096 * 1024
    assert checkpoint_bytes(packed) - checkpoint_bytes(smaller) == pytest.approx(
        routed * (8 - 4.25) / 8, rel=0.002
    )


@pytest.mark.parametrize(
    "quantization",
    [
        {"quant_method": "modelopt", "quant_algo": "BRANDNEW"},
        {"quant_method": "quark", "global_quant_config": {"weight": {"dtype": "brandnew"}}},
        {"quant_method": "brandnew"},
        {"bits": 4, "mode": "affine"},
    ],
)
def test_a_packing_that_is_not_known_is_never_guessed(quantization: dict[str, Any]) -> None:
    with pytest.raises(UnknownModel, match="packs weights is not known"):
        estimate_weights({**LLAMA, "quantization_config": quantization})


def test_no_expression_of_a_stranger_is_tried_for_ever() -> None:
    tensor = Tensor("model.layers.0." + "a" * 30, 1, 1, layer=0)
    assert tensor in Modules(["re:.*a+$"])
    # Each matches at once here, and takes for ever where it does not.
    for endless in ("re:(.+)+", "re:(.|a)*", "re:" + ".*" * 20, "*" * 20, "re:" + "." * 2000 + "?"):
        assert tensor not in Modules([endless])
    assert tensor not in Modules(["re:("])
    many = {"quant_method": "fp8", "ignore": [f"re:.*{number}$" for number in range(1000)]}
    assert "a list of 1000 modules" in estimate({**LLAMA, "quantization_config": many})["why"]
    # Names of modules by layer are looked up, and those of what sees are not looked for.
    named = [f"model.layers.{number}.mlp" for number in range(32)]
    named += [f"model.visual.blocks.{number}.attn.qkv" for number in range(1000)]
    assert spared({"quant_method": "fp8", "ignore": named}) == pytest.approx(ATTENTION, rel=0.001)


def test_a_cache_is_as_small_as_the_checkpoint_was_made_for() -> None:
    token = estimate(LLAMA)["kv_bytes_per_token"]
    for told in (
        {"kv_cache_quant_algo": "FP8"},
        {"kv_cache_scheme": {"num_bits": 8, "type": "float"}},
        {"kv_cache_scheme": "FP8"},
    ):
        packed = {"quant_method": "modelopt", "quant_algo": "FP8", **told}
        config = {**LLAMA, "quantization_config": packed}
        assert estimate(config)["kv_bytes_per_token"] == token / 2
        plain = estimate(config, {"kv_cache_dtype": "bfloat16"})
        assert plain["kv_bytes_per_token"] == token
