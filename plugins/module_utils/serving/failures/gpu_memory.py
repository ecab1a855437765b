# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Failures for want of memory on the GPU."""

from __future__ import annotations

from .entry import MEMORY, OF_VLLM, TROUBLESHOOTING, VLLM_ISSUES, Failure

GPU_MEMORY = (
    Failure(
        "gpu_memory_occupied",
        (
            r"Free memory on device(?: \S+)? \((?P<free>[\d.]+)/(?P<total>[\d.]+) GiB\) on startup "
            r"is less than desired GPU memory utilization",
        ),
        "Something else already uses the GPU: only {free} of {total} GiB are free.",
        "Stop what uses it (an earlier server, if any), or lower gpu_memory_utilization.",
        "gpu_memory_utilization",
        f"{VLLM_ISSUES}/25837",
        engine=OF_VLLM,
    ),
    Failure(
        "context_exceeds_kv_cache",
        (
            r"To serve at least one request with the models?'s max seq len \((?P<length>\d+)\)",
            r"The model's max seq len \((?P<length>\d+)\) is larger than the maximum number of "
            r"tokens that can be stored in KV cache",
        ),
        "A context of {length} tokens needs more GPU memory than is left for it.",
        "Set max_model_len to the estimate in the message, or raise gpu_memory_utilization.",
        "max_model_len",
        MEMORY,
        engine=OF_VLLM,
    ),
    Failure(
        "no_kv_cache_memory",
        (
            r"No available memory for the cache blocks",
            r"Cannot auto-fit max_model_len: not enough GPU memory",
            r"^# (?:cuda|GPU) blocks: 0\b",
        ),
        "The model's weights leave no GPU memory for the KV cache.",
        "Raise gpu_memory_utilization, take a smaller or quantised model, or more GPUs "
        "(tensor_parallel_size).",
        "gpu_memory_utilization",
        MEMORY,
        engine=OF_VLLM,
    ),
    Failure(
        "state_cache_blocks",
        (r"max_num_seqs \(\d+\) exceeds available \w+ cache blocks \((?P<blocks>\d+)\)",),
        "Each request needs a block of this hybrid model's state cache, and only {blocks} fit.",
        "Lower max_num_seqs to that number, or raise gpu_memory_utilization.",
        "max_num_seqs",
        MEMORY,
        engine=OF_VLLM,
    ),
    Failure(
        "sampler_warm_up_memory",
        (r"CUDA out of memory occurred when warming up sampler",),
        "The GPU memory does not suffice for the sampler with that many sequences.",
        "Lower max_num_seqs or gpu_memory_utilization.",
        "max_num_seqs",
        MEMORY,
        engine=OF_VLLM,
    ),
    Failure(
        "gpu_memory_changed",
        (r"Error in memory profiling\. Initial free memory",),
        "Another process released GPU memory while the server measured it.",
        "Start again when nothing else uses the GPU.",
        "other processes on the GPU",
        TROUBLESHOOTING,
        engine=OF_VLLM,
    ),
    Failure(
        "gpu_out_of_memory",
        (
            r"OutOfMemoryError: CUDA out of memory",
            r"CUDA out of memory\. Tried to allocate",
            r"CUDA error: out of memory",
            r"Cuda failure 2 'out of memory'",
            r"Triton Error \[CUDA\]: out of memory|CUBLAS_STATUS_ALLOC_FAILED",
            r"from cudaGetDeviceCount\(\)\..{0,200}\bError 2: out of memory",
        ),
        "The GPU ran out of memory.",
        "While weights load: take a smaller or quantised model, or more GPUs "
        "(tensor_parallel_size). Later: lower gpu_memory_utilization, max_num_seqs or "
        "max_model_len.",
        "gpu_memory_utilization",
        MEMORY,
        # PyTorch asks the driver for what to say of it, and that fails in parts of a GPU.
        shapes=(r"NVML_SUCCESS == r INTERNAL ASSERT FAILED at .{0,80}Allocator",),
    ),
)
