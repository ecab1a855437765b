# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Failures are explained: the right cause first, on logs of real servers and on known texts.

The files in fixtures/ are logs of vLLM 0.32.0, shortened, each named after its cause; those named
healthy_* are of servers that worked. SAMPLES holds texts of causes that need hardware or services
to provoke, as the programs print them.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.inferops.gpu.plugins.module_utils.serving.diagnosis import (
    diagnose,
    explain,
)
from ansible_collections.inferops.gpu.plugins.module_utils.serving.failures import FAILURES, find

FIXTURES = Path(__file__).with_name("fixtures")
LOGS = sorted(path for path in FIXTURES.glob("*.log") if not path.name.startswith("healthy_"))
HEALTHY = sorted(FIXTURES.glob("healthy_*.log"))
ENVELOPE = (
    "RuntimeError: Engine core initialization failed. See root cause above. "
    "Failed core proc(s): {'EngineCore': 1}"
)

SAMPLES = [
    (
        "gpu_memory_occupied",
        "ValueError: Free memory on device cuda:1 (19.77/22.05 GiB) on startup is less than "
        "desired GPU memory utilization (0.9, 19.84 GiB). Decrease GPU memory utilization",
    ),
    (
        "gpu_memory_occupied",
        "ValueError: Free memory on device (3.22/4.0 GiB) on startup is less than desired GPU "
        "memory utilization (0.9, 3.6 GiB).",
    ),
    (
        "context_exceeds_kv_cache",
        "ValueError: To serve at least one request with the models's max seq len (40960), "
        "(5.62 GiB KV cache is needed, which is larger than the available KV cache memory",
    ),
    (
        "context_exceeds_kv_cache",
        "ValueError: The model's max seq len (4096) is larger than the maximum number of tokens "
        "that can be stored in KV cache (3664).",
    ),
    ("no_kv_cache_memory", "ValueError: No available memory for the cache blocks. Try increasing"),
    (
        "sampler_warm_up_memory",
        "RuntimeError: CUDA out of memory occurred when warming up sampler with 1024 dummy "
        "requests.",
    ),
    ("gpu_memory_changed", "AssertionError: Error in memory profiling. Initial free memory 20 GiB"),
    (
        "gpu_out_of_memory",
        "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 1.71 GiB. GPU 0 has a "
        "total capacity of 22.30 GiB of which 1.52 GiB is free.",
    ),
    (
        "driver_too_old",
        "RuntimeError: The NVIDIA driver on your system is too old (found version 12040).",
    ),
    (
        "cuda_runtime_missing",
        "ImportError: libcudart.so.13: cannot open shared object file: No such file or directory",
    ),
    ("no_driver", "ImportError: libcuda.so.1: cannot open shared object file: No such file"),
    ("no_device", "RuntimeError: Failed to infer device type"),
    (
        "gpu_architecture",
        "RuntimeError: CUDA error: no kernel image is available for execution on the device",
    ),
    ("fabric_manager", "CUDA initialization: Error 802: system not yet initialized"),
    (
        "cuda_compat_shadows_driver",
        "Error 803: system has unsupported display driver / cuda driver combination",
    ),
    ("gpu_broken", "RuntimeError: CUDA error: uncorrectable ECC error encountered"),
    ("gpu_broken", "NVRM: Xid (PCI:0000:65:00): 79, GPU has fallen off the bus."),
    ("gpu_busy", "RuntimeError: CUDA error: CUDA-capable device(s) is/are busy or unavailable"),
    (
        "bfloat16_unsupported",
        "ValueError: Bfloat16 is only supported on GPUs with compute capability of at least 8.0. "
        "Your Tesla T4 GPU has compute capability 7.5.",
    ),
    (
        "quantization_unsupported_gpu",
        "ValueError: The quantization method fp8 is not supported for the current GPU. Minimum "
        "capability: 89. Current capability: 80.",
    ),
    (
        "quantization_mismatch",
        "ValueError: Quantization method specified in the model config (gptq) does not match the "
        "quantization method specified in the `quantization` argument (awq).",
    ),
    ("quantization_unknown", "ValueError: Unknown quantization method: foo. Must be one of"),
    (
        "architecture_broken",
        "ValueError: Model architectures ['XForCausalLM'] failed to be inspected. Please check "
        "the logs for more details.",
    ),
    (
        "too_few_gpus",
        "ValueError: World size (8) is larger than the number of available GPUs (2) in this node.",
    ),
    (
        "heads_not_divisible",
        "ValueError: Total number of attention heads (40) must be divisible by tensor parallel "
        "size (3).",
    ),
    (
        "shared_memory_small",
        "NCCL WARN Error while creating shared memory segment /dev/shm/nccl-x9aBcD (size 7340384)",
    ),
    ("nccl", "RuntimeError: NCCL error: unhandled cuda error (run with NCCL_DEBUG=INFO)"),
    (
        "model_gated",
        "OSError: You are trying to access a gated repo.\n401 Client Error.\nCannot access gated "
        "repo for url https://huggingface.co/meta-llama/x/resolve/main/config.json.",
    ),
    ("model_not_found", "huggingface_hub.errors.RepositoryNotFoundError: 404 Client Error."),
    ("xet_download", "RuntimeError: Data processing error: CAS service error : Reqwest Error"),
    ("disk_full", "OSError: [Errno 28] No space left on device: '/data/huggingface'"),
    ("port_taken", "OSError: [Errno 98] Address already in use"),
    (
        "port_taken",
        "[Errno 98] error while attempting to bind on address ('0.0.0.0', 8000): address already "
        "in use",
    ),
    (
        "port_taken_inside",
        "torch.distributed.DistNetworkError: The server socket has failed to listen on any local "
        "network address. port: 29500, useIpv6: false, code: -98, name: EADDRINUSE",
    ),
    (
        "port_privileged",
        "[Errno 13] error while attempting to bind on address ('127.0.0.1', 80): permission denied",
    ),
    (
        "c_compiler_missing",
        "RuntimeError: Failed to find C compiler. Please specify via CC environment variable.",
    ),
    ("python_headers_missing", "main.c:5:10: fatal error: Python.h: No such file or directory"),
    (
        "nvcc_missing",
        "RuntimeError: Could not find nvcc and default cuda_home='/usr/local/cuda' doesn't exist",
    ),
    (
        "libc_too_old",
        "ImportError: /lib/x86_64-linux-gnu/libc.so.6: version `GLIBC_2.34' not found (required "
        "by _C.abi3.so)",
    ),
    (
        "torch_exchanged",
        "ImportError: vllm/_C.abi3.so: undefined symbol: _ZN5torch3jit17parseSchemaOrNameE",
    ),
    ("torchvision_mismatch", "RuntimeError: operator torchvision::nms does not exist"),
    ("numpy_too_new", "ModuleNotFoundError: No module named 'numpy.lib.function_base'"),
    ("vllm_metadata", "PackageNotFoundError: No package metadata was found for vllm"),
    ("vllm_missing", "/usr/bin/python3: Error while finding module: No module named 'vllm'"),
    ("ray_missing", "ValueError: Failed to import Ray: No module named 'ray'. Please install Ray"),
    (
        "engine_start_timeout",
        "TimeoutError: Timed out waiting for engine core processes to start.",
    ),
    (
        "illegal_instruction",
        "Worker proc VllmWorker-0 died unexpectedly (exit code: -4), shutting down executor.",
    ),
    (
        "crash",
        "RuntimeError: Engine core initialization failed. See root cause above. Failed core "
        "proc(s): {'EngineCore': -11}",
    ),
]


@pytest.mark.parametrize("path", LOGS, ids=lambda path: path.stem)
def test_the_cause_of_a_real_failure_comes_first(path: Path) -> None:
    found = diagnose(path.read_text(), exit_code=1)
    assert found[0].id == path.stem
    assert all(line in path.read_text() for line in found[0].evidence)


@pytest.mark.parametrize(("cause", "text"), SAMPLES, ids=[sample[0] for sample in SAMPLES])
@pytest.mark.parametrize(
    "prefix",
    [
        "",
        "(EngineCore pid=8338) ERROR 11-20 15:40:43 [core.py:1512] ",
        "ERROR 11-05 12:19:32 [core.py:708] (EngineCore_0 pid=12) ",
    ],
    ids=["bare", "new", "old"],
)
def test_a_known_text_gives_its_cause_under_every_log_format(
    cause: str, text: str, prefix: str
) -> None:
    log = "\n".join(prefix + line for line in [*text.split("\n"), ENVELOPE])
    found = diagnose(log, exit_code=1)
    assert found[0].id == cause
    assert found[-1].id == "engine_failed"
    assert not any("pid=" in line for line in found[0].evidence)


def test_every_entry_of_the_catalogue_is_shown_to_work() -> None:
    shown = {sample[0] for sample in SAMPLES} | {path.stem for path in LOGS}
    assert {failure.id for failure in FAILURES if failure.signatures} - shown == set()
    assert len({failure.id for failure in FAILURES}) == len(FAILURES)


@pytest.mark.parametrize("path", HEALTHY, ids=lambda path: path.stem)
def test_a_healthy_log_gives_no_cause(path: Path) -> None:
    assert diagnose(path.read_text()) == []


@pytest.mark.parametrize(
    ("exit_code", "signal", "cause"),
    [
        (137, None, "host_out_of_memory"),
        (None, "SIGKILL", "host_out_of_memory"),
        (132, None, "illegal_instruction"),
        (None, "SIGILL", "illegal_instruction"),
        (None, "SIGSEGV", "crash"),
        (None, "SIGBUS", "shared_memory_small"),
        (143, None, "terminated"),
    ],
)
def test_the_way_it_ended_is_evidence_where_the_log_is_silent(
    exit_code: int | None, signal: str | None, cause: str
) -> None:
    failure = explain("INFO nothing to see", exit_code, signal)
    assert failure["cause_id"] == cause
    assert "ended by SIG" in failure["evidence"][0]
    assert failure["exit_code"] == exit_code


def test_a_text_that_says_why_outranks_the_signal() -> None:
    assert explain("OSError: [Errno 28] No space left", None, "SIGKILL")["cause_id"] == "disk_full"


def test_an_envelope_alone_is_called_one() -> None:
    failure = explain(ENVELOPE, exit_code=1)
    assert failure["cause_id"] == "engine_failed"
    assert "does not say why" in failure["cause"]


def test_an_unknown_failure_is_said_to_be_unknown_with_its_last_errors() -> None:
    failure = explain("INFO fine\nFooError: never seen before\nINFO bye\n", exit_code=1)
    assert failure["cause_id"] == "unknown"
    assert failure["evidence"] == ["FooError: never seen before"]
    assert explain("", exit_code=1)["evidence"] == []


def test_figures_of_the_log_stand_in_the_cause() -> None:
    occupied = next(text for cause, text in SAMPLES if cause == "gpu_memory_occupied")
    assert "only 19.77 of 22.05 GiB are free" in explain(occupied)["cause"]


def test_an_entry_is_found_by_its_id() -> None:
    assert find("disk_full") in FAILURES
    assert find("no such") is None
