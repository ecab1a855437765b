# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Failures that show only in how the processes ended."""

from __future__ import annotations

from .entry import MEMORY, OF_VLLM, TROUBLESHOOTING, VLLM, XID, YIELDING, Failure

# The names that the processes of a server have in the kernel's log, cut to 15 characters there.
OURS = r"(?:python|pt_main_thread|vllm|VLLM::|ray)"

ENDINGS = (
    Failure(
        "host_out_of_memory",
        (
            r"died unexpectedly \(exit code: -9\)",
            r"Failed core proc\(s\): \{[^}]{0,500}: -9\b",
            r"node running low on memory",
            r"can't allocate memory|\[Errno 12\]|^MemoryError",
            r"\bstd::bad_alloc\b|Cannot allocate memory \(12\)",
        ),
        "A process was killed by SIGKILL, mostly by the kernel because the host's memory was full.",
        "Rent a host with more memory, or lower what the server takes of it (swap space, KV cache "
        "on the CPU, number of workers).",
        "host memory",
        MEMORY,
        signals=("SIGKILL",),
        kernel=(
            r"[Kk]ill(?:ed)? process \d+,? \(" + OURS,
            r"oom-kill:.{0,500}\btask=" + OURS,
            r"memory events count an out-of-memory kill",
        ),
    ),
    Failure(
        "illegal_instruction",
        (
            r"died unexpectedly \(exit code: -4\)",
            r"Failed core proc\(s\): \{[^}]{0,500}: -4\b",
            r"Illegal instruction",
        ),
        "The program uses an instruction that this processor does not have.",
        "On the CPU set dtype to float32; else rent a host with a newer processor.",
        "dtype",
        f"{VLLM}/getting_started/installation/cpu/",
        signals=("SIGILL",),
        kernel=(r"traps: " + OURS + r".{0,500} invalid opcode",),
    ),
    Failure(
        "crash",
        (
            r"died unexpectedly \(exit code: -(?:6|11)\)",
            r"Failed core proc\(s\): \{[^}]{0,500}: -(?:6|11)\b",
            r"Segmentation fault|SIGSEGV received|Segfault encountered",
        ),
        "A process crashed inside native code.",
        "Mostly packages that do not fit together: install the stack again from its lock. If it "
        "stays, set enforce_eager to true.",
        "stack",
        TROUBLESHOOTING,
        signals=("SIGSEGV", "SIGABRT"),
        kernel=(OURS + r".{0,40}: segfault at",),
    ),
    Failure(
        "engine_hung",
        (
            r"RPC call to \w+ timed out",
            r"Engine iteration timed out",
            r"Watchdog caught collective operation timeout",
        ),
        "A worker stopped answering: a GPU program or the communication between GPUs hangs.",
        "Set NCCL_P2P_DISABLE=1 and disable_custom_all_reduce, or rent another host; if it is "
        "neither, set enforce_eager, and look at the kernel's log for Xid.",
        "restart",
        TROUBLESHOOTING,
        # GPUs that do not reach each other directly hang in the first thing that they do together.
        last=(
            r"^(?![^\n]{0,4000}(?:[Ll]oad|[Cc]ompil|Dynamo|[Cc]aptur|[Ww]arm|download))[^\n]{1,4096}\n"
            r"[^\n]{0,80}No available shared memory broadcast block found",
        ),
        engine=OF_VLLM,
    ),
    Failure(
        "engine_start_timeout",
        (r"Timed out waiting for engine core processes to start",),
        "The engine needed longer to load than vLLM waits.",
        "Raise VLLM_ENGINE_READY_TIMEOUT_S in the environment, or download the model first.",
        "VLLM_ENGINE_READY_TIMEOUT_S",
        f"{VLLM}/configuration/env_vars/",
        kind=YIELDING,
        engine=OF_VLLM,
    ),
    Failure(
        "terminated",
        (),
        "Somebody ended the server with SIGTERM or SIGINT while it started.",
        "Start it again, and find out who stops it (another play, the supervisor, a reboot).",
        "nothing",
        TROUBLESHOOTING,
        signals=("SIGTERM", "SIGINT"),
    ),
    Failure(
        "gpu_error_unknown",
        (),
        "The GPU's driver reported an error that this collection does not know.",
        "Look its number up in NVIDIA's list. If it comes again, rent another host.",
        "host",
        XID,
        kernel=(r"NVRM: Xid \([^)]{1,60}\): (?!45\b)\d{1,9}\b",),
    ),
)
