# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""vLLM's words for what remedies want of it."""

from __future__ import annotations

import re

from ..spelling import Spelling
from .admission import BOUND
from .knowledge import Vllm

VLLM = Spelling(
    options={
        "memory_share": "gpu_memory_utilization",
        "context_tokens": "max_model_len",
        "requests_at_once": "max_num_seqs",
        "requests_held": BOUND,
        "gpus_per_layer": "tensor_parallel_size",
        "eager": "enforce_eager",
        "number_format": "dtype",
        "quantization": "quantization",
        "no_direct_copies": "disable_custom_all_reduce",
        "pipeline_stages": "pipeline_parallel_size",
        "attention_kernel": "attention_backend",
        "cache_format": "kv_cache_dtype",
        "speculation": "speculative_config",
        "lora_rank": "max_lora_rank",
        "step_tokens": "max_num_batched_tokens",
    },
    variables={
        "engine_start_seconds": "VLLM_ENGINE_READY_TIMEOUT_S",
        "inner_port": "VLLM_PORT",
        "sampling_kernel": "VLLM_USE_FLASHINFER_SAMPLER",
        "matrix_kernel": "VLLM_USE_DEEP_GEMM",
        "worker_start": "VLLM_WORKER_MULTIPROC_METHOD",
        "own_address": "VLLM_HOST_IP",
    },
    values={("number_format", "float16"): "half"},
    usual={
        "memory_share": 0.9,
        "requests_at_once": 256,
        "gpus_per_layer": 1,
        "pipeline_stages": 1,
    },
    fitting_context=(
        re.compile(r"estimated maximum model length is (\d{1,15})"),
        re.compile(r"tokens that can be stored in KV cache \((\d{1,15})\)"),
        re.compile(r"derived max_model_len \(\w{1,60}=(\d{1,15})"),
    ),
    asked_context=(
        re.compile(r"max seq len \((\d{1,15})\)"),
        re.compile(r"Using max model len (\d{1,15})"),
    ),
    fitting_requests=(re.compile(r"available \w{1,20} cache blocks \((\d{1,9})\)"),),
    asked_rank=(re.compile(r"LoRA rank (\d{1,9}) is greater than"),),
    proof="import json, vllm; print(json.dumps({'vllm': vllm.__version__}))",
    knowledge=Vllm("vllm"),
    roles=("stack", "torch", "numpy", "vllm"),
    release_variable="inferops_vllm_version",
    help_url="https://docs.vllm.ai/en/latest/usage/troubleshooting/",
    asked_step=(re.compile(r"max_tokens_per_mm_item \((\d{1,9})\)"),),
)
