# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where vLLM and its libraries keep what they have compiled, and what decides whether it fits."""

from __future__ import annotations

import getpass
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ....common.engines.vllm.words import canonical, options_of, read
from ..engine import Wish

PACKAGES = ("vllm", "torch", "triton", "flashinfer-python")
"""What compiles, or whose sources are compiled."""

LEFT_HERE = frozenset({"cubins"})
"""Folders of FlashInfer's that hold what it has downloaded."""

WITHOUT_INFLUENCE = frozenset(
    {
        # vllm/config: what compute_hash of the configurations leaves out.
        *("gpu_memory_utilization", "kv_cache_memory_bytes", "enable_prefix_caching", "seed"),
        *("load_format", "safetensors_load_strategy", "download_dir", "ignore_patterns"),
        *("served_model_name", "disable_log_stats", "max_logprobs", "generation_config"),
        # The server around the engine.
        *("host", "port", "api_key", "root_path", "chat_template", "response_role"),
        *("enable_auto_tool_choice", "tool_call_parser", "reasoning_parser", "uvicorn_log_level"),
        *("enable_log_requests", "disable_log_requests", "max_log_len", "hf_token"),
    }
)
"""Options that change nothing of what is compiled."""

_VARIABLES = ("VLLM_", "TORCH", "TRITON_", "FLASHINFER_", "CUDA_", "DG_")
"""How variables begin that may change what is compiled."""

_VARIABLES_WITHOUT_INFLUENCE = frozenset(
    {
        # Where it lies is a fact of its own.
        *("VLLM_CACHE_ROOT", "TORCHINDUCTOR_CACHE_DIR", "TRITON_CACHE_DIR", "DG_JIT_CACHE_DIR"),
        *("FLASHINFER_WORKSPACE_BASE", "TRITON_HOME"),
        *("VLLM_API_KEY", "VLLM_HOST_IP", "VLLM_PORT", "VLLM_ENGINE_READY_TIMEOUT_S"),
        *("VLLM_LOGGING_LEVEL", "VLLM_ENABLE_STARTUP_PLAN", "CUDA_VISIBLE_DEVICES"),
    }
)


def inductor_cache() -> Path:
    """Where torch keeps compiled kernels, unless TORCHINDUCTOR_CACHE_DIR names a folder."""
    return Path(tempfile.gettempdir()) / f"torchinductor_{getpass.getuser()}"


def compiled(environment: Mapping[str, str]) -> dict[str, Path]:
    """Folders of compiled kernels and graphs, filled again by the next start; the graphs first.

    As vLLM 0.6 to 0.33 have them. Those of torch.compile were beside each other before 0.28, and
    Triton's is taken into them only where vLLM does not compile ahead of time.
    """
    cache = Path(environment.get("XDG_CACHE_HOME") or "~/.cache")
    root = Path(environment.get("VLLM_CACHE_ROOT") or cache / "vllm")
    triton_home = Path(environment.get("TRITON_HOME") or "~")
    flashinfer_home = Path(environment.get("FLASHINFER_WORKSPACE_BASE") or "~")
    folders = {
        "graphs": root / "torch_compile_cache",
        "whole_graphs": root / "torch_aot_compile",
        "models": root / "modelinfos",
        "tuning": root / "flashinfer_autotune_cache",
        "startup": root / "startup_plan",
        "deep_gemm": Path(environment.get("DG_JIT_CACHE_DIR") or root / "deep_gemm"),
        "triton": Path(environment.get("TRITON_CACHE_DIR") or triton_home / ".triton" / "cache"),
        "inductor": Path(environment.get("TORCHINDUCTOR_CACHE_DIR") or inductor_cache()),
        "flashinfer": flashinfer_home / ".cache" / "flashinfer",
    }
    return {name: folder.expanduser() for name, folder in folders.items()}


def deciding(wish: Wish, environment: Mapping[str, str]) -> dict[str, Any]:
    """The options and variables that may change what is compiled."""
    known = options_of(None)
    named = {canonical(name, known): value for name, value in wish.arguments.items()}
    words = read(wish.extra_args, known)
    options = {**named, **words.arguments}
    return {
        "options": {
            name: value
            for name, value in options.items()
            if value is not None and name.partition(".")[0] not in WITHOUT_INFLUENCE
        },
        "words": [*map(str, words.unknown), *words.loose],
        "variables": {
            name: value
            for name, value in environment.items()
            if name.startswith(_VARIABLES) and name not in _VARIABLES_WITHOUT_INFLUENCE
        },
    }
