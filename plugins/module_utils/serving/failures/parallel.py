# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Failures of several GPUs together."""

from __future__ import annotations

from .entry import NCCL, OF_VLLM, PARALLELISM, Failure

PARALLEL = (
    Failure(
        "too_few_gpus",
        (
            r"World size \(\d+\) is larger than the number of available GPUs",
            r"world_size \(\d+\) (?:is less than than|must be less than or equal to)",
            r"number of required GPUs exceeds the total number of available GPUs",
            r"set tensor_parallel_size .{0,500} less than max local gpu count",
        ),
        "More GPUs are asked for than the host has.",
        "Lower tensor_parallel_size times pipeline_parallel_size, or rent more GPUs.",
        "tensor_parallel_size",
        PARALLELISM,
        engine=OF_VLLM,
    ),
    Failure(
        "heads_not_divisible",
        (
            r"Total number of attention heads \(\d+\) must be divisible by tensor parallel size",
            r"AssertionError: \d+ is not divisible by \d+",
        ),
        "The model's attention heads cannot be spread evenly over that many GPUs.",
        "Set tensor_parallel_size to 1, 2, 4 or 8, as divides the number of heads.",
        "tensor_parallel_size",
        PARALLELISM,
        engine=OF_VLLM,
    ),
    Failure(
        "shared_memory_small",
        (
            r"Error while creating shared memory segment",
            r"ncclShmOpen",
            r"/shm\.h:\d+ NCCL WARN",
            r"Bus error",
            r"unable to allocate shared memory\(shm\)",
            r"No space left on device:? '?/dev/shm",
        ),
        "The shared memory of the container (/dev/shm) is too small for several GPUs.",
        "Give the container more (--shm-size=16g or --ipc=host), or rent another host.",
        "/dev/shm",
        NCCL,
        signals=("SIGBUS",),
    ),
    Failure(
        "nccl",
        (r"NCCL error\b.{0,500} unhandled (?:system|cuda) error", r"\bnccl\w+Error: "),
        "The GPUs cannot talk to each other (NCCL).",
        "Set NCCL_DEBUG=INFO and read its lines; NCCL_P2P_DISABLE=1 helps on some consumer GPUs.",
        "environment",
        NCCL,
    ),
)
