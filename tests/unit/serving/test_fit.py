# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a model fits, what is chosen for it, and what a refusal says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.inferops.gpu.plugins.module_utils.serving.engines.vllm.fit import (
    gpu_fit,
    ram_fit,
    search_fit,
)
from ansible_collections.inferops.gpu.plugins.module_utils.serving.engines.vllm.memory import (
    model_length,
    overhead,
)
from ansible_collections.inferops.gpu.plugins.module_utils.serving.engines.vllm.options import (
    EngineOptions,
)
from ansible_collections.inferops.gpu.plugins.module_utils.serving.engines.vllm.tiers import Runtime
from ansible_collections.inferops.gpu.plugins.module_utils.serving.figures import GIB

MODELS = json.loads((Path(__file__).parent / "fixtures" / "models.json").read_text())
BY_NAME = {entry["model"]: entry["config"] for entry in MODELS}
LLAMA = {
    **BY_NAME["meta-llama/Llama-3.1-8B-Instruct"],
    "max_position_embeddings": 131072,
    "rope_scaling": {"rope_type": "llama3", "factor": 8.0},
}


def gpus(total_mib: int = 24564, used_mib: int = 450, count: int = 1) -> list[dict[str, Any]]:
    return [{"memory_total_mib": total_mib, "memory_used_mib": used_mib}] * count


def test_a_model_that_fits_gets_the_usual_share_and_the_context_there_is_room_for() -> None:
    fit = gpu_fit(LLAMA, {}, gpus())
    assert fit["fits"] == "yes"
    assert fit["arguments"]["gpu_memory_utilization"] == 0.9
    # 15 GiB of weights leave about 4 of 24 GiB; 8192 tokens take one.
    assert 16384 <= fit["arguments"]["max_model_len"] < fit["largest_max_model_len"] < 49152


def test_a_gpu_with_room_for_the_whole_context_leaves_it_to_the_model() -> None:
    fit = gpu_fit(LLAMA, {}, gpus(81559))
    assert fit["arguments"] == {"gpu_memory_utilization": 0.9}
    assert fit["max_model_len"] == 131072


@pytest.mark.parametrize("used_mib", [450, 4000, 8000, 16000, 23000])
def test_never_is_more_chosen_than_is_free(used_mib: int) -> None:
    small = {**LLAMA, "num_hidden_layers": 2, "vocab_size": 1000}
    fit = gpu_fit(small, {}, gpus(used_mib=used_mib))
    share = fit["arguments"].get("gpu_memory_utilization", 0)
    assert share * 24564 <= 24564 - used_mib - 0.6 * 1024
    assert share <= 0.9


def test_the_fullest_gpu_decides_for_all() -> None:
    pair = [*gpus(used_mib=450), *gpus(used_mib=10000)]
    fit = gpu_fit(LLAMA, {"tensor_parallel_size": 2}, pair)
    assert fit["arguments"]["gpu_memory_utilization"] == 0.56


def test_what_the_user_set_is_honoured_however_it_is_written() -> None:
    given = {"gpu-memory-utilization": "0.85", "max-model-len": "8k"}
    fit = gpu_fit(LLAMA, given, gpus())
    assert (fit["fits"], fit["arguments"], fit["max_model_len"]) == ("yes", {}, 8000)


def test_vllm_itself_may_be_left_the_choice_of_the_context() -> None:
    fit = gpu_fit(LLAMA, {"max_model_len": "auto"}, gpus())
    assert fit["arguments"] == {"gpu_memory_utilization": 0.9}


def test_a_share_that_is_not_free_is_refused_with_one_that_is() -> None:
    fit = gpu_fit(LLAMA, {"gpu_memory_utilization": 0.9}, gpus(81559, 40000))
    assert fit["fits"] == "no"
    assert "asks for 71.68 GiB" in fit["why"]
    assert "40.58 of 79.65 GiB are free" in fit["why"]
    assert "set it to 0.5 or less" in fit["why"]
    lower = gpu_fit(LLAMA, {"gpu_memory_utilization": 0.5}, gpus(81559, 40000))
    assert lower["fits"] == "yes"


def test_a_context_that_cannot_fit_is_refused_with_one_that_can() -> None:
    fit = gpu_fit(LLAMA, {"max_model_len": 131072}, gpus())
    assert fit["fits"] == "no"
    most = fit["largest_max_model_len"]
    assert f"about {most} tokens fit" in fit["why"]
    assert gpu_fit(LLAMA, {"max_model_len": most}, gpus())["fits"] in ("yes", "tight")


def test_weights_that_cannot_fit_are_refused_with_what_would_help() -> None:
    fit = gpu_fit(LLAMA, {}, gpus(16376))
    assert (fit["fits"], fit["arguments"]) == ("no", {})
    assert "14.96 GiB of weights" in fit["why"]
    assert "tensor_parallel_size" in fit["why"]
    assert gpu_fit(LLAMA, {"tensor_parallel_size": 2}, gpus(16376, count=2))["fits"] == "yes"
    assert gpu_fit(LLAMA, {"cpu_offload_gb": 8}, gpus(16376))["fits"] != "no"
    assert gpu_fit(LLAMA, {"quantization": "fp8"}, gpus(16376))["fits"] == "yes"


def test_a_driver_that_does_not_tell_its_memory_refuses_nothing() -> None:
    unified = [{"memory_total_mib": None, "memory_used_mib": None}]
    fit = gpu_fit(LLAMA, {}, unified)
    assert (fit["fits"], fit["arguments"]) == ("unknown", {})


def test_more_gpus_than_there_are_is_refused() -> None:
    fit = gpu_fit(LLAMA, {"tensor_parallel_size": 4}, gpus(count=2))
    assert "ask for 4 GPUs and the host has 2" in fit["why"]


def test_what_may_fit_is_tight_and_is_not_refused() -> None:
    # vLLM served DeepSeek-R1-Distill-Qwen-14B on two cards of 24 GiB with 81536 tokens of cache
    # (vLLM issue 13061), which is more than the middle of the estimate has room for.
    config = {
        "model_type": "qwen2",
        "hidden_size": 5120,
        "intermediate_size": 13824,
        "num_attention_heads": 40,
        "num_hidden_layers": 48,
        "num_key_value_heads": 8,
        "vocab_size": 152064,
        "tie_word_embeddings": False,
        "max_position_embeddings": 131072,
    }
    wish = {"tensor_parallel_size": 2, "gpu_memory_utilization": 0.98, "max_model_len": 81536}
    assert gpu_fit(config, wish, gpus(count=2))["fits"] == "tight"


def test_where_nothing_is_safe_what_probably_fits_is_tried() -> None:
    config = {**BY_NAME["meta-llama/Llama-3.1-8B-Instruct"], "max_position_embeddings": 8192}
    fit = gpu_fit(config, {}, gpus(19000))
    assert fit["fits"] == "tight"
    assert fit["arguments"]["max_model_len"] > 0


def test_a_cache_of_a_given_size_bounds_the_context() -> None:
    fit = gpu_fit(LLAMA, {"kv_cache_memory_bytes": "1G"}, gpus())
    assert fit["arguments"]["max_model_len"] == 8192


def test_an_fp8_cache_holds_twice_the_context() -> None:
    plain, small = (
        gpu_fit(LLAMA, {"kv_cache_dtype": kind}, gpus())["largest_max_model_len"]
        for kind in ("auto", "fp8")
    )
    assert small == pytest.approx(2 * plain, rel=0.01)


@pytest.mark.parametrize(
    ("name", "arguments", "gpu_gib", "logged_gib"),
    [
        # 0.9 x 23.58 - 14.99 of weights - 3.81 of cache (vLLM issue 10517).
        (
            "meta-llama/Llama-3.1-8B-Instruct",
            {"max_num_batched_tokens": 20000},
            23.58,
            2.42,
        ),
        (
            "meta-llama/Llama-3.1-8B-Instruct",
            {"max_num_batched_tokens": 29000},
            23.58,
            3.34,
        ),
        # 71.29 - 14.96 - 53.29 (vLLM pull request 10511).
        (
            "meta-llama/Llama-3.1-8B-Instruct",
            {"max_num_batched_tokens": 8192, "max_num_seqs": 256},
            79.22,
            3.04,
        ),
    ],
)
def test_what_servers_held_beside_weights_and_cache_is_within_the_error_bar(
    name: str, arguments: dict[str, Any], gpu_gib: float, logged_gib: float
) -> None:
    rest = overhead(BY_NAME[name], EngineOptions.read(arguments), Runtime(gpu_gib * GIB))
    assert rest.low / GIB <= logged_gib <= rest.high / GIB


def test_what_all_sequences_need_at_once_and_how_many_fit_is_told() -> None:
    fit = gpu_fit(LLAMA, {"max_model_len": 8192, "max_num_seqs": 16}, gpus(81559))
    # A sequence takes 1 GiB. All of them need not fit: those that do not, wait.
    assert fit["need_all_gib"]["value"] == pytest.approx(fit["need_gib"]["value"] + 15, abs=0.02)
    assert fit["concurrency"] == pytest.approx(
        fit["available_gib"] - fit["need_gib"]["value"] + 1, 0.01
    )
    assert gpu_fit(LLAMA, {"max_model_len": 8192, "max_num_seqs": 256}, gpus())["fits"] == "yes"


def test_eager_servers_need_no_room_for_graphs() -> None:
    eager, usual = (
        overhead(LLAMA, EngineOptions.read({"enforce_eager": flag}), Runtime())
        for flag in (True, False)
    )
    assert eager.high < usual.high


def test_a_search_asks_for_a_card_that_will_hold_it() -> None:
    found = search_fit(LLAMA, {})
    assert found["max_model_len"] == 8192
    card = gpus(round(found["vram_gib"] * 1024))
    assert gpu_fit(LLAMA, {"max_model_len": 8192}, card)["fits"] == "yes"
    more = search_fit(LLAMA, {"max_model_len": 65536})["vram_gib"]
    half = search_fit(LLAMA, {"tensor_parallel_size": 2})["vram_gib"]
    assert half < found["vram_gib"] < more


@pytest.mark.parametrize(
    "options", [{}, {"max_model_len": 4096}, {"gpu_memory_utilization": 0.8}], ids=str
)
@pytest.mark.parametrize("model", BY_NAME)
def test_a_search_leaves_out_what_the_start_would_refuse_and_nothing_else(
    model: str, options: dict[str, Any]
) -> None:
    found = search_fit(BY_NAME[model], options)
    least = found["least_vram_gib"]
    assert least <= found["vram_gib"]
    fits = {
        gib: gpu_fit(BY_NAME[model], options, gpus(round(gib * 1024), 0, found["gpus"]))["fits"]
        for gib in (least - 0.3, least + 0.3)
        if least > 1
    }
    # Larger cards read more at once, and hold more for it.
    assert least > 69 or list(fits.values())[1:] != ["no"]
    assert list(fits.values())[:1] in ([], ["no"])


def test_a_host_without_gpu_is_measured_by_its_memory() -> None:
    assert ram_fit(LLAMA, {}, 64000, 4)["fits"] == "yes"
    refused = ram_fit(LLAMA, {}, 16000, 4)
    assert refused["fits"] == "no"
    assert "15.62 GiB of memory" in refused["why"]
    assert ram_fit(LLAMA, {"dtype": "float32"}, 30000, 4)["fits"] == "no"


@pytest.mark.parametrize(
    ("scaling", "length"),
    [
        (None, 32768),
        ({"type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32768}, 131072),
        ({"type": "linear", "factor": 2.0}, 65536),
        ({"rope_type": "llama3", "factor": 8.0}, 32768),
    ],
)
def test_the_context_is_as_long_as_vllm_derives_it(scaling: Any, length: int) -> None:
    config = {**LLAMA, "max_position_embeddings": 32768, "rope_scaling": scaling}
    assert model_length(config) == length


@pytest.mark.parametrize(
    ("written", "tokens"),
    [("8k", 8000), ("8K", 8192), (4096, 4096), ("1.5k", 1500), (-1, None), ("auto", None)],
)
def test_lengths_are_read_as_vllm_reads_them(written: Any, tokens: int | None) -> None:
    assert EngineOptions.read({"max_model_len": written}).max_model_len == tokens


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"max_model_len": "long"}, "max_model_len: 'long'"),
        ({"gpu_memory_utilization": "most"}, "gpu_memory_utilization: 'most'"),
    ],
)
def test_an_option_that_is_no_number_is_named(arguments: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        EngineOptions.read(arguments)


def test_a_family_that_nobody_knows_is_never_refused_by_a_guess() -> None:
    strange = {**LLAMA, "model_type": "brandnew"}
    for fit in (gpu_fit(strange, {}, gpus(4096)), ram_fit(strange, {}, 2048, 4)):
        assert (fit["fits"], fit["arguments"]) == ("unknown", {})
        assert "guessed" in fit["why"]
    # Its published size is known, and what it caches is not.
    wish = {"max_model_len": 131072}
    published = 16060522496
    assert gpu_fit(LLAMA, wish, gpus(), published)["fits"] == "no"
    assert gpu_fit(strange, wish, gpus(), published)["fits"] == "tight"
    assert gpu_fit(strange, wish, gpus(8192), published)["fits"] == "no"


def test_a_cache_of_a_given_size_may_take_all_that_is_free() -> None:
    wish = {"gpu_memory_utilization": 0.5, "max_model_len": 8192}
    assert gpu_fit(LLAMA, wish, gpus())["fits"] == "no"
    fit = gpu_fit(LLAMA, {**wish, "kv_cache_memory_bytes": "2G"}, gpus())
    assert fit["fits"] == "yes"
    assert "GiB that are free" in fit["why"]
