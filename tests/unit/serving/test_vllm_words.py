# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options reach vLLM as they are meant, whichever release is installed."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.inferops.gpu.plugins.module_utils.common.engines.vllm.words import (
    Unknown,
    options_of,
    read,
    words,
)

NEW, OLD = options_of("0.33.0"), options_of("0.8.4")


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (
            {"hf-overrides.rope_scaling.rope_type": "yarn"},
            "--hf-overrides.rope_scaling.rope_type yarn",
        ),
        ({"compilation_config.use_inductor": True}, "--compilation-config.use_inductor true"),
        (
            {"-cc.pass_config": {"fuse_act": False}},
            '--compilation-config.pass_config {"fuse_act": false}',
        ),
        ({"enable_prefix_caching": False}, "--no-enable-prefix-caching"),
        ({"enable_prefix_caching": "False"}, "--no-enable-prefix-caching"),
        ({"no_enable_prefix_caching": False}, "--enable-prefix-caching"),
        ({"disable_prefix_caching": True}, "--no-enable-prefix-caching"),
        ({"enforce_eager": "true"}, "--enforce-eager"),
        ({"enable_lora": "yes", "trust_remote_code": 1}, "--enable-lora --trust-remote-code"),
        ({"enable_lora": "off", "enforce_eager": "0"}, "--no-enable-lora --no-enforce-eager"),
        ({"enforce_eager": ""}, ""),
        ({"enforce_eager": "maybe"}, "--enforce-eager=maybe"),
        ({"disable_log_stats": False}, ""),
        ({"dtype": None, "quantization": False}, ""),
        ({"allowed_origins": ["a", "b"]}, '--allowed-origins ["a", "b"]'),
        ({"cudagraph_capture_sizes": [1, 2]}, "--cudagraph-capture-sizes 1 2"),
        ({"cudagraph_capture_sizes": []}, ""),
        # As surveys and -e give them.
        ({"cudagraph_capture_sizes": "[1, 2]"}, "--cudagraph-capture-sizes 1 2"),
        ({"middleware": '["a.b"]', "device_ids": "[0, 1]"}, "--device-ids 0,1 --middleware a.b"),
        ({"lora_modules": '{"name": "b"}'}, '--lora-modules {"name": "b"}'),
        ({"middleware": ["a.b", "c.d"]}, "--middleware a.b --middleware c.d"),
        ({"device_ids": [0, 1]}, "--device-ids 0,1"),
        ({"lora_modules": ["sql=/a", {"name": "b"}]}, '--lora-modules sql=/a {"name": "b"}'),
        ({"dp": 2, "-tp": 4}, "--data-parallel-size 2 --tensor-parallel-size 4"),
        ({"O": 3}, "--optimization-level 3"),
        ({"chat_template": "-> {{ x }}"}, "--chat-template=-> {{ x }}"),
        ({"seed": -1}, "--seed -1"),
        ({"option_of_a_plugin": True, "another": [1, 2]}, "--another 1 2 --option-of-a-plugin"),
    ],
)
def test_an_option_is_written_as_it_is_meant(arguments: dict[str, Any], line: str) -> None:
    assert " ".join(words(arguments, NEW)) == line


def test_an_option_is_written_as_its_release_takes_it() -> None:
    assert words({"enable_lora": False}, OLD) == []
    assert words({"enable_chunked_prefill": "on"}, OLD) == ["--enable-chunked-prefill", "true"]
    assert words({"enable_chunked_prefill": False}, OLD) == ["--enable-chunked-prefill", "false"]
    assert words({"O": 3}, OLD) == ["--compilation-config", "3"]


@pytest.mark.parametrize(
    ("line", "arguments"),
    [
        (
            "--tensor_parallel_size 2 --max-model-l 8k",
            {"tensor_parallel_size": 2, "max_model_len": "8k"},
        ),
        (
            "-tp=2 -O3 -qfp8",
            {"tensor_parallel_size": 2, "optimization_level": 3, "quantization": "fp8"},
        ),
        ("--enforce-eager --seed -1", {"enforce_eager": True, "seed": -1}),
        ("--no-enable-lora --disable-eplb", {"enable_lora": False, "enable_eplb": False}),
        ("--hf_overrides.a_b.c_d 1", {"hf_overrides.a_b.c_d": 1}),
        ("-cc.custom_ops+ none,all", {"compilation_config.custom_ops": ["none", "all"]}),
        ("--lora-modules a=/x b=/y --seed 1", {"lora_modules": ["a=/x", "b=/y"], "seed": 1}),
        ("--middleware a --middleware b", {"middleware": ["a", "b"]}),
        ('--limit-mm-per-prompt {"image":2}', {"limit_mm_per_prompt": {"image": 2}}),
    ],
)
def test_a_line_is_read_as_the_parser_reads_it(line: str, arguments: dict[str, Any]) -> None:
    assert read(line.split(), NEW) == (arguments, [], [])


def test_a_beginning_that_several_options_have_stands_for_none() -> None:
    with pytest.raises(Unknown) as refused:
        NEW.find("--max-num")
    assert "--max-num-seqs" in refused.value.several
