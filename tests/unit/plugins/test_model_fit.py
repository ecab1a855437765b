# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What playbooks see of the memory estimate."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.inferops.gpu.plugins.filter.model_fit import model_fit

FIXTURES = Path(__file__).parents[1] / "serving" / "fixtures"
LLAMA = {
    **json.loads((FIXTURES / "models.json").read_text())[0]["config"],
    "max_position_embeddings": 131072,
}


def gpu(index: int, used_mib: int, total_mib: int = 24564) -> dict[str, Any]:
    """A GPU as gpu_info returns it."""
    return {
        "index": index,
        "uuid": f"GPU-{index}",
        "memory_total_mib": total_mib,
        "memory_used_mib": used_mib,
        "memory_free_mib": total_mib - used_mib,
    }


def test_a_second_deploy_chooses_the_same_while_the_server_fills_the_gpu() -> None:
    first = model_fit(LLAMA, {}, [gpu(0, 450)])
    again = model_fit(LLAMA, {}, [gpu(0, 22900)], memory_before_mib={"GPU-0": 450})
    assert again == first
    assert model_fit(LLAMA, {}, [gpu(0, 22900)])["fits"] == "no"


def test_only_the_gpus_that_the_server_will_see_count() -> None:
    both = [gpu(0, 22900), gpu(1, 450)]
    assert model_fit(LLAMA, {}, both)["fits"] == "no"
    for visible in ("1", " GPU-1", "1,0"):
        assert model_fit(LLAMA, {}, both, visible_devices=visible)["fits"] == "yes"


def test_a_name_that_is_none_of_the_gpus_is_no_reason_to_refuse() -> None:
    both = [gpu(0, 22900), {**gpu(1, 450), "uuid": "GPU-8932f937-d72c"}]
    assert model_fit(LLAMA, {}, both, visible_devices="GPU-8932f937")["fits"] == "yes"
    for name in ("MIG-4b3c", "GPU-", "7"):
        fit = model_fit(LLAMA, {}, both, visible_devices=name)
        assert (fit["fits"], fit["arguments"]) == ("unknown", {})
        assert f"CUDA_VISIBLE_DEVICES names {name}" in fit["why"]


def test_options_that_only_vllm_reads_are_no_reason_to_refuse() -> None:
    full = [gpu(0, 22900), gpu(1, 22900)]
    unread = {
        "config": ["--config", "a.yml"],
        "hf_overrides": ["--hf-overrides=x"],
        "tensor_parallel_size": ["-tp"],
    }
    for name, words in unread.items():
        fit = model_fit(LLAMA, {}, full, extra_args=words)
        assert (fit["fits"], fit["arguments"]) == ("unknown", {})
        assert name in fit["why"]
    assert model_fit(LLAMA, {}, full, extra_args=["--seed", "1"])["fits"] == "no"
    by_name = model_fit(LLAMA, {"config": "a.yml"}, [gpu(0, 22900)])
    assert (by_name["fits"], "config" in by_name["why"]) == ("unknown", True)


def test_a_config_that_is_overridden_is_computed_as_it_will_be() -> None:
    half = {"num_hidden_layers": 16}
    smaller = model_fit({**LLAMA, **half})["vram_gib"]
    assert smaller < model_fit(LLAMA)["vram_gib"]
    for options, words in (
        ({"hf_overrides": half}, []),
        ({"hf-overrides": json.dumps(half)}, []),
        ({"hf_overrides.num_hidden_layers": 16}, []),
        ({}, ["--hf-overrides", json.dumps(half)]),
        ({}, ["--hf_overrides.num_hidden_layers=16"]),
    ):
        assert model_fit(LLAMA, options, extra_args=words)["vram_gib"] == smaller
    nested = {"text_config": LLAMA, "model_type": "llava"}
    words = ["--hf-overrides.text_config.num_hidden_layers", "16"]
    assert model_fit(nested, extra_args=words)["vram_gib"] < model_fit(nested)["vram_gib"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"speculative_config": {"model": "a/draft"}}, []),
        ({}, ["--speculative-config", '{"model": "a/draft"}']),
        ({}, ["--speculative-config.num_speculative_tokens=3"]),
    ],
)
def test_memory_that_is_not_computed_is_never_said_to_fit(
    options: dict[str, Any], words: list[str]
) -> None:
    for host in ({"gpus": [gpu(0, 450)]}, {"ram_mib": 64000}):
        fit = model_fit(LLAMA, options, extra_args=words, **host)
        assert (fit["fits"], fit["arguments"]) == ("unknown", {})
        assert "takes beside it is not computed" in fit["why"]
    # What does not fit alone fits with more even less, and an offer needs at least so much.
    assert model_fit(LLAMA, options, [gpu(0, 22900)], extra_args=words)["fits"] == "no"
    assert model_fit(LLAMA, options, extra_args=words)["vram_gib"] == model_fit(LLAMA)["vram_gib"]


@pytest.mark.parametrize(
    ("options", "words", "least_gib", "most_gib"),
    [
        ({"speculative-config": '{"method": "ngram"}'}, [], 0, 0.01),
        ({"speculative_config": {"model": "Qwen/Qwen3-0.6B"}}, [], 1.0, 2.5),
        ({}, ["-sc", '{"model": "yuhuili/EAGLE3-LLaMA3.1-Instruct-8B"}'], 0.3, 1.6),
        ({}, ["--speculative-config.method=eagle", "--speculative-config.model", "a/b"], 0.3, 1.6),
        # 4 adapters of rank 64: 64 x 4 x 1.3 million inputs and outputs of two bytes.
        ({"enable_lora": True, "max_loras": 4, "max_lora_rank": 64}, [], 0.5, 1.6),
        ({}, ["--enable-lora"], 0.02, 0.2),
    ],
)
def test_drafts_and_adapters_are_estimated(
    options: dict[str, Any], words: list[str], least_gib: float, most_gib: float
) -> None:
    fit, alone = model_fit(LLAMA, options, extra_args=words), model_fit(LLAMA)
    more = fit["overhead_gib"]["value"] - alone["overhead_gib"]["value"]
    assert least_gib - 0.001 <= more <= most_gib
    assert (fit["vram_gib"] > alone["vram_gib"]) == (least_gib > 0)
    assert model_fit(LLAMA, options, [gpu(0, 450)], extra_args=words)["fits"] in ("yes", "tight")


def test_what_is_turned_off_takes_no_memory() -> None:
    off = {"enable_lora": False, "speculative_config": None}
    assert model_fit(LLAMA, off, [gpu(0, 450)])["fits"] == "yes"
    words = ["--no-enable-lora"]
    assert model_fit(LLAMA, {"enable_lora": True}, [gpu(0, 450)], extra_args=words)["fits"] == "yes"


def test_a_part_of_a_gpu_is_not_taken_for_the_whole() -> None:
    divided = {**gpu(0, 450), "mig": {"enabled": True}}
    fit = model_fit(LLAMA, {}, [divided, gpu(1, 450)])
    assert (fit["fits"], fit["arguments"]) == ("unknown", {})
    assert "GPU 0 is divided (MIG)" in fit["why"]
    assert model_fit(LLAMA, {}, [{**gpu(0, 450), "mig": {"enabled": False}}])["fits"] == "yes"
    assert model_fit(LLAMA, {}, [divided, gpu(1, 450)], visible_devices="1")["fits"] == "yes"


@pytest.mark.parametrize(
    ("words", "same_as"),
    [
        (["--max-model-len", "4k"], {"max_model_len": "4k"}),
        (["--max_model_len=4096", "--seed", "1"], {"max_model_len": 4096}),
        (["--kv-cache-dtype=fp8"], {"kv_cache_dtype": "fp8"}),
        (["-tp", "2"], {"tensor_parallel_size": 2}),
        (["-tp=2", "--enforce-eager"], {"tensor_parallel_size": 2, "enforce_eager": True}),
        (["--no-enforce-eager"], {"enforce_eager": False}),
        (["--gpu-memory-utilization", "0.7"], {"gpu-memory-utilization": 0.7}),
        (["--max-model", "4096"], {"max_model_len": 4096}),
        (["--tensor-parallel", "2"], {"tensor_parallel_size": 2}),
        (["--gpu-mem=0.7"], {"gpu_memory_utilization": 0.7}),
    ],
)
def test_words_of_the_command_line_count_as_options_do(
    words: list[str], same_as: dict[str, Any]
) -> None:
    given = {"max_model_len": 512, "max_num_seqs": 8}
    for host in ({}, {"gpus": [gpu(0, 450), gpu(1, 450)]}):
        fit = model_fit(LLAMA, given, extra_args=words, **host)
        assert fit == model_fit(LLAMA, {**given, **same_as}, **host)
        assert fit != model_fit(LLAMA, given, **host) or words == ["--no-enforce-eager"]


def test_the_published_size_is_used_when_it_is_known() -> None:
    index = {"metadata": {"total_size": 16060522496}, "weight_map": {}}
    assert model_fit(LLAMA, {}, [gpu(0, 450)], metadata=index)["weights_source"] == "published"


def test_without_a_gpu_it_says_what_to_look_for() -> None:
    assert 20 < model_fit(LLAMA)["vram_gib"] < 24


def test_a_cpu_is_measured_by_memory_and_chooses_nothing() -> None:
    fit = model_fit(LLAMA, {}, ram_mib=64000, kv_cache_gib=4)
    assert (fit["fits"], fit["arguments"]) == ("yes", {})


def test_a_model_that_nobody_knows_is_left_to_vllm() -> None:
    for given in ({}, {"gpus": [gpu(0, 450)]}, {"ram_mib": 1000}):
        fit = model_fit({"model_type": "brandnew"}, {}, **given)
        assert (fit["fits"], fit["arguments"]) == ("unknown", {})
        assert "no hidden_size" in fit["why"]


def test_a_config_may_be_the_text_of_its_file() -> None:
    assert model_fit(json.dumps(LLAMA), {}, [gpu(0, 450)]) == model_fit(LLAMA, {}, [gpu(0, 450)])
    assert model_fit('{"model_type": "lla')["why"].startswith("The model's config.json is damaged")
    assert model_fit("[]")["fits"] == "unknown"


def test_an_option_that_is_no_number_is_named() -> None:
    with pytest.raises(AnsibleFilterError, match="max_model_len: 'long'"):
        model_fit(LLAMA, {"max_model_len": "long"})
