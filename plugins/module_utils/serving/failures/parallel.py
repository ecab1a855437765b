# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Failures of several GPUs together."""

from __future__ import annotations

from .entry import NCCL, OF_VLLM, PARALLELISM, TROUBLESHOOTING, VLLM_ISSUES, Failure

PARALLEL = (
    Failure(
        "too_few_gpus",
        (
            r"World size \(\d+\) is larger than the number of available GPUs",
            r"world_size \(\d+\) (?:is less than than|must be less than or equal to)",
            r"number of required GPUs exceeds the total number of available GPUs",
            r"CUDA error: invalid device ordinal",
            r"Duplicate GPU detected ?: rank \d",
            r"--device-ids index \d{1,4} is out of range",
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
            r"experts=\d{1,6} must be divisible by \w{1,30}=\d",
            # What most models say of it: the line of their source, and no text.
            r"^assert (?:self\.)?(?:total_)?num_\w{0,12}heads % (?:self\.)?tp_size == 0\b",
        ),
        "The model's attention heads or experts cannot be spread evenly over that many GPUs.",
        "Set tensor_parallel_size to 1, 2, 4 or 8, as divides their number.",
        "tensor_parallel_size",
        PARALLELISM,
        shapes=(
            r"Error: .{0,80}\b(?:\w{0,40}heads?|\w{0,20}experts?|num_\w{1,12}_?groups?)\b.{0,60}"
            r"\b(?:divisible|divide|greater than|less than) .{0,10}"
            r"\b(?:[Tt]ensor[ _-]parallel|[Tt][Pp](?:[ _]size)?\b)",
            r"Error: [Tt]ensor[ _-]parallel\w{0,5} (?:world )?size\b.{0,40}"
            r"\b(?:greater|larger|more) than the number of (?:experts|heads|layers)",
            r"Error: .{0,60}\b(?:group_norm_size|(?:hidden|intermediate)[ _]\w{3,4})\b.{0,40}"
            r"\bdivisible by (?:[Tt]ensor[ _-]parallel|[Tt][Pp][ _]size)",
        ),
        engine=OF_VLLM,
    ),
    Failure(
        "pipeline_unsupported",
        (r"Pipeline parallelism is (?:not|only) supported (?:for|through)",),
        "This model cannot be split into the stages of a pipeline.",
        "Set pipeline_parallel_size to 1, and tensor_parallel_size to the number of GPUs.",
        "pipeline_parallel_size",
        PARALLELISM,
        shapes=(
            r"Error: .{0,60}\b[Pp]ipeline[ _]parallel\w{0,8}\b.{0,60}"
            r"(?:not (?:yet )?support|unsupported)",
            r"Error: .{0,80}(?:does not|doesn't) (?:yet )?support [Pp]ipeline[ _]parallel",
        ),
        engine=OF_VLLM,
    ),
    Failure(
        "fork_after_cuda",
        (r"Cannot re-initialize CUDA in forked subprocess",),
        "A worker was forked from a process that already used the GPU.",
        "Set VLLM_WORKER_MULTIPROC_METHOD=spawn in the environment.",
        "VLLM_WORKER_MULTIPROC_METHOD",
        f"{VLLM_ISSUES}/8893",
    ),
    Failure(
        "network_interface",
        (
            r"Gloo connectFullMesh failed",
            r"Unable to find (?:interface|address) for:?",
            r"no socket interface found",
            r"Timed out initializing process group in store based barrier",
            r"The client socket has (?:timed out|failed to connect)",
        ),
        "The workers do not find the network interface by which they reach each other: the host's "
        "own name leads nowhere.",
        "Set GLOO_SOCKET_IFNAME and NCCL_SOCKET_IFNAME to the interface (lo on a single host) and "
        "VLLM_HOST_IP to its address, or correct /etc/hosts.",
        "GLOO_SOCKET_IFNAME",
        TROUBLESHOOTING,
        # A peer that closes has died of something else.
        shapes=(r"Error: (?!.{0,300}(?:closed|reset) by peer).{0,200}\bgloo/transport/\w",),
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
            r"\bIncrease \S{1,40} \(e\.g\. --shm-size",
        ),
        "The shared memory of the container (/dev/shm) is too small for several GPUs.",
        "Give the container more (--shm-size=16g or --ipc=host), or rent another host.",
        "/dev/shm",
        NCCL,
        signals=("SIGBUS",),
    ),
    Failure(
        "nccl",
        (
            r"NCCL error\b.{0,500} unhandled (?:system|cuda) error",
            r"NCCL error\b.{0,500} (?:internal error|remote process exited|invalid \w{5,8})\b",
            r"\bnccl(?:\w{1,40}Error|Invalid(?:Usage|Argument)): ",
            # vLLM's own way around NCCL.
            r"\bcustom_all_reduce\.cuh:\d{1,5}\b",
            # Memory that the GPUs share by the switch between them.
            r"CUDA driver error: invalid device ordinal|Device does not support multicasting",
        ),
        "The GPUs cannot talk to each other (NCCL).",
        "Set NCCL_DEBUG=INFO and read its lines; NCCL_P2P_DISABLE=1 helps on some consumer GPUs, "
        "disable_custom_all_reduce where that is what fails.",
        "environment",
        NCCL,
    ),
)
