# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The KV cache computed from a config.json, held against what real servers logged."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.inferops.gpu.plugins.module_utils.serving.kv_cache import kv_cache

FIXTURES = Path(__file__).parent / "fixtures"
LOGS: list[dict[str, Any]] = json.loads((FIXTURES / "kv_cache_logs.json").read_text())
BY_NAME = {
    entry["model"]: entry["config"] for entry in json.loads((FIXTURES / "models.json").read_text())
}
LLAMA = BY_NAME["meta-llama/Llama-3.1-8B-Instruct"]
GPT_OSS = BY_NAME["openai/gpt-oss-20b"]
GEMMA = BY_NAME["google/gemma-2-9b-it"]
GIB = 1024**3

AVAILABLE = re.compile(r"(?:KV cache memory: |kv_cache_size=|Explicitly set \()([\d.]+)")
TOKENS = re.compile(r"(?:KV cache size: |stored in KV cache \()([\d,]+)")


def found(pattern: re.Pattern[str], entry: dict[str, Any]) -> float:
    hit = pattern.search("\n".join(entry["lines"]))
    assert hit is not None
    return float(hit[1].replace(",", ""))


@pytest.mark.parametrize("entry", LOGS, ids=lambda entry: str(entry["model"]))
def test_as_many_tokens_fit_as_the_real_server_logged(entry: dict[str, Any]) -> None:
    cache = kv_cache(
        entry["config"], entry.get("element_bytes", 2.0), tensor_parallel=entry["tensor_parallel"]
    )
    tokens = cache.reported_tokens(found(AVAILABLE, entry) * GIB, entry["max_model_len"])
    # 10 % are asked for; the rest is that the log rounds the memory to 0.01 GiB.
    assert tokens == pytest.approx(found(TOKENS, entry), rel=0.015)


def test_latent_attention_needs_what_vllm_said_it_needs() -> None:
    # "max seq len (32768), (0.95 GiB KV cache is needed" for DeepSeek-V2-Lite-Chat (vLLM issue
    # 15871), on each of any number of GPUs.
    for cut in (1, 2):
        cache = kv_cache(BY_NAME["deepseek-ai/DeepSeek-V2-Lite"], tensor_parallel=cut)
        assert cache.bytes_for(32768) / GIB == pytest.approx(0.95, abs=0.005)


def test_a_token_of_llama_takes_128_kib_and_half_of_it_in_fp8() -> None:
    assert kv_cache(LLAMA).bytes_per_token == 128 * 1024
    assert kv_cache(LLAMA, element_bytes=1).bytes_per_token == 64 * 1024


def test_heads_are_shared_out_until_each_gpu_has_one() -> None:
    each = [kv_cache(LLAMA, tensor_parallel=cut).bytes_per_token for cut in (1, 2, 8, 16)]
    assert each == [131072, 65536, 16384, 16384]


def test_a_pipeline_shares_out_the_layers() -> None:
    assert kv_cache(LLAMA, pipeline_parallel=4).bytes_per_token == 32768


def test_windows_keep_the_cache_of_a_long_text_small() -> None:
    layer = 2 * 8 * 64 * 2
    cache = kv_cache(GPT_OSS, step_tokens=2048)
    assert cache.bytes_per_token == 24 * layer
    # 12 layers keep all, 12 a window of 128 and one step of 2048, in whole blocks and one more.
    assert cache.bytes_for(131072) == 12 * layer * 131072 + 12 * layer * (2176 + 16)


def test_within_its_window_a_text_is_kept_by_every_layer() -> None:
    cache = kv_cache(GEMMA)
    assert cache.bytes_for(1024) == 1024 * cache.bytes_per_token


@pytest.mark.parametrize(
    ("config", "windows"),
    [
        ({**LLAMA, "sliding_window": 4096}, {4096: 32}),
        ({**LLAMA, "sliding_window": 4096, "use_sliding_window": False}, {}),
        (
            {**LLAMA, "sliding_window": 4096, "use_sliding_window": True, "max_window_layers": 20},
            {4096: 12},
        ),
        (GEMMA, {4096: 21}),
        (
            {**LLAMA, "model_type": "gemma3_text", "sliding_window": 1024},
            {1024: 27},
        ),
    ],
)
def test_which_layers_keep_a_window_follows_the_family(
    config: dict[str, Any], windows: dict[int, int]
) -> None:
    cache = kv_cache(config)
    per_layer = cache.bytes_per_token / config["num_hidden_layers"]
    layers = {size: round(each / per_layer) for size, each in cache.window_bytes.items()}
    assert layers == windows


def test_layers_without_attention_keep_nothing_for_a_token() -> None:
    kinds = ["linear_attention", "linear_attention", "linear_attention", "full_attention"] * 8
    assert kv_cache({**LLAMA, "layer_types": kinds}).bytes_per_token == 32768


def test_the_longest_text_that_fits_is_found_in_whole_blocks() -> None:
    cache = kv_cache(LLAMA)
    assert cache.tokens_in(GIB, 131072) == 8192
    assert cache.tokens_in(GIB - 1, 131072) == 8176
    assert cache.tokens_in(100 * GIB, 131072) == 131072
    assert cache.tokens_in(-GIB, 131072) == 0
