# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What options ask of a model: parts that it cannot be cut into, replicas, steps."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.inferops.gpu.plugins.module_utils.serving.engines.vllm.cutting import (
    cannot_cut,
)
from ansible_collections.inferops.gpu.plugins.module_utils.serving.engines.vllm.estimate import (
    estimate,
)
from ansible_collections.inferops.gpu.plugins.module_utils.serving.engines.vllm.given import (
    given_options,
)
from ansible_collections.inferops.gpu.plugins.module_utils.serving.engines.vllm.options import (
    EngineOptions,
)
from ansible_collections.inferops.gpu.plugins.module_utils.serving.engines.vllm.tiers import (
    Runtime,
    batch,
)
from ansible_collections.inferops.gpu.plugins.module_utils.serving.figures import GIB

MODELS = json.loads((Path(__file__).parent / "fixtures" / "models.json").read_text())
BY_NAME = {entry["model"]: entry["config"] for entry in MODELS}
LLAMA: dict[str, Any] = BY_NAME["meta-llama/Llama-3.1-8B-Instruct"]
MIXTURE: dict[str, Any] = BY_NAME["Qwen/Qwen3-30B-A3B"]
BLOCKS = {"quant_method": "fp8", "weight_block_size": [128, 128]}


@pytest.mark.parametrize(
    ("config", "options", "said"),
    [
        (LLAMA, {"tensor_parallel_size": 8}, ""),
        (LLAMA, {"tensor_parallel_size": 3}, "its 32 attention heads cannot be shared out among 3"),
        # More GPUs than key-value heads have copies of one.
        (LLAMA, {"tensor_parallel_size": 16}, ""),
        # Experts of 768 make 96 on each of eight GPUs, and 128 share a scale.
        (
            {**MIXTURE, "quantization_config": BLOCKS},
            {"tensor_parallel_size": 8},
            "no whole groups",
        ),
        ({**MIXTURE, "quantization_config": BLOCKS}, {"tensor_parallel_size": 2}, ""),
        # Replicas cut them among all of their GPUs, and the rest not at all.
        (
            {**MIXTURE, "quantization_config": BLOCKS},
            {"tensor_parallel_size": 2, "data_parallel_size": 4},
            "tensor_parallel_size 2 in 4 replicas does not suit the model: 768 values",
        ),
        (
            {**MIXTURE, "quantization_config": BLOCKS},
            {"data_parallel_size": 8},
            "Take enable_expert_parallel, or fewer replicas",
        ),
        (
            {**MIXTURE, "quantization_config": BLOCKS},
            {"data_parallel_size": 8, "enable_expert_parallel": True},
            "",
        ),
        # Of each replica of a model without experts all is there.
        ({**LLAMA, "quantization_config": BLOCKS}, {"data_parallel_size": 8}, ""),
        # Phi-4 has 40 heads and 10 of keys and values.
        (
            {**LLAMA, "num_attention_heads": 40, "num_key_value_heads": 10},
            {"tensor_parallel_size": 4},
            "its 10 key-value heads cannot be shared out among 4 GPUs. Take 1 or 2",
        ),
        # Whole experts are not cut.
        (
            {**MIXTURE, "quantization_config": BLOCKS},
            {"tensor_parallel_size": 8, "enable_expert_parallel": True},
            "",
        ),
        (MIXTURE, {"tensor_parallel_size": 8}, ""),
        # 29568 / 4 = 7392 (vLLM issue 13640).
        (
            {
                **LLAMA,
                "intermediate_size": 29568,
                "quantization_config": {"quant_method": "gptq", "bits": 4, "group_size": 128},
            },
            {"tensor_parallel_size": 4},
            "29568 values of its down_proj make 7392 for each GPU, which are no whole groups of",
        ),
        (
            {**MIXTURE, "quantization_config": {"quant_method": "bitsandbytes"}},
            {"tensor_parallel_size": 8},
            "",
        ),
    ],
)
def test_parts_that_a_model_cannot_be_cut_into_are_refused(
    config: dict[str, Any], options: dict[str, Any], said: str
) -> None:
    reason = cannot_cut(config, options)
    assert said in reason
    assert bool(reason) == bool(said)
    search = estimate(config, options)
    assert (search["fits"] == "no") == bool(said)
    assert bool(search["refusal"]) == bool(said)


def test_a_refusal_names_what_can_be_taken() -> None:
    packed = {**MIXTURE, "quantization_config": BLOCKS}
    assert cannot_cut(packed, {"tensor_parallel_size": 8}).endswith("Take 1 or 2")


def test_replicas_share_the_experts_out_among_them() -> None:
    one = estimate(MIXTURE)["weights_gib"]["value"]
    eight = estimate(MIXTURE, {"data_parallel_size": 8})
    assert eight["gpus"] == 8
    # What is beside the experts is on each GPU: about 1.5 of 30.5 thousand million parameters.
    assert eight["weights_gib"]["value"] == pytest.approx(one / 8 + 2.6, abs=0.4)
    # A model without experts is copied as a whole.
    assert (
        estimate(LLAMA, {"data_parallel_size": 8})["weights_gib"] == estimate(LLAMA)["weights_gib"]
    )


@pytest.mark.parametrize(
    ("memory_gib", "name", "release", "tokens", "sequences"),
    [
        (24, "NVIDIA GeForce RTX 4090", "", 2048, 256),
        (80, "NVIDIA H100 80GB HBM3", "", 8192, 1024),
        (80, "NVIDIA A100-SXM4-80GB", "", 2048, 256),
        (180, "NVIDIA B200", "", 16384, 1024),
        (119, "NVIDIA GB10", "", 2048, 256),
        (119, "NVIDIA GB10", "0.32.0", 8192, 1024),
        (180, "NVIDIA B200", "0.28.0", 16384, 1024),
        (180, "NVIDIA B200", "0.27.1", 8192, 1024),
        (80, "NVIDIA A100-SXM4-80GB", "0.9.0", 2048, 256),
        (80, "NVIDIA A100-SXM4-80GB", "0.8.5.post1", 8192, 1024),
        (94, "NVIDIA H100 NVL", "0.8.4", 8192, 1024),
        (96, "NVIDIA RTX PRO 6000 Blackwell", "0.8.4", 2048, 256),
        (24, "NVIDIA GeForce RTX 4090", "0.8.3", 2048, 1024),
    ],
)
def test_a_step_is_as_large_as_this_release_of_vllm_makes_it_on_this_gpu(
    memory_gib: int, name: str, release: str, tokens: int, sequences: int
) -> None:
    options, on = EngineOptions.read({}), Runtime(memory_gib * GIB, name, release)
    assert batch(options, on, 32768) == (tokens, sequences)
    given = EngineOptions.read({"max_num_batched_tokens": "4k", "max_num_seqs": 16})
    assert batch(given, on, 32768) == (4000, 16)


@pytest.mark.parametrize(
    ("arguments", "release", "step"),
    [
        ({}, "0.7.3", (8192, 256)),
        ({"max_model_len": 1024}, "0.7.3", (2048, 256)),
        ({"max_model_len": 131072}, "0.7.3", (2048, 256)),
        ({"max_model_len": 131072}, "0.6.4", (512, 256)),
        ({"performance_mode": "throughput"}, "0.32.0", (4096, 512)),
        ({"performance_mode": "throughput", "max_num_seqs": 8}, "0.32.0", (4096, 8)),
    ],
)
def test_a_step_is_a_whole_prompt_in_old_releases_and_twice_as_large_when_asked_for(
    arguments: dict[str, Any], release: str, step: tuple[int, int]
) -> None:
    assert batch(EngineOptions.read(arguments), Runtime(24 * GIB, "", release), 8192) == step


def test_the_release_that_will_run_decides_what_is_left_for_the_context() -> None:
    card = {"memory_total_mib": 81559, "memory_used_mib": 500, "name": "NVIDIA A100-SXM4-80GB"}
    rest = {
        release: estimate(LLAMA, {"max_model_len": 8192}, [card], release=release)
        for release in ("", "0.9.0", "0.8.5", "0.7.3")
    }
    value = {release: fit["overhead_gib"]["value"] for release, fit in rest.items()}
    assert value[""] == value["0.9.0"] < value["0.8.5"]
    assert value["0.9.0"] < value["0.7.3"]


def test_a_number_of_gpus_that_is_none_is_named() -> None:
    for size in (0, -1, "inf", "many"):
        with pytest.raises(ValueError, match="tensor_parallel_size"):
            estimate(LLAMA, {"tensor_parallel_size": size})


@pytest.mark.parametrize(
    ("words", "options"),
    [
        (["--tensor-parallel", "2"], {"tensor_parallel_size": 2}),
        (["--max-model=8k"], {"max_model_len": "8k"}),
        (["--max-num", "4"], {}),  # argparse refuses what may mean two
        (["--speculative-config.method", "mtp"], {"speculative_config": {"method": "mtp"}}),
        (["-sc", '{"method": "mtp"}'], {"speculative_config": {"method": "mtp"}}),
        (
            ["--hf-overrides.text_config.layers=2", "--hf-overrides.a", "x"],
            {"hf_overrides": {"text_config": {"layers": 2}, "a": "x"}},
        ),
        (["-ep"], {"enable_expert_parallel": True}),
        (["--no-enforce-eager", "--seed", "-1"], {"enforce_eager": False, "seed": -1}),
    ],
)
def test_shortened_and_dotted_options_are_seen(words: list[str], options: dict[str, Any]) -> None:
    assert given_options({}, words) == (options, [])
