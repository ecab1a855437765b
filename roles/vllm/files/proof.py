# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Prove vLLM: it imports, sees the accelerator, and a compiled kernel of it computes there."""

from __future__ import annotations

import importlib
import importlib.util
import json
import math
import os
import pathlib

import torch
import vllm
from vllm.platforms import current_platform


def loaded_kernels() -> list[str]:
    """vLLM's compiled libraries that are mapped into this process.

    Not sys.modules: some builds of the CPU wheel load their library, register its operators and
    have no Python module of that name.
    """
    maps = pathlib.Path("/proc/self/maps").read_text().splitlines()
    return sorted({line.rpartition("/")[2] for line in maps if "/vllm/_C" in line})


def device_of(platform: object) -> str | None:
    """The device that vLLM chose; before 0.6.5 its platform tells by methods alone (#10508)."""
    if named := getattr(platform, "device_type", None):
        return str(named)
    return next((name for name in ("cuda", "cpu") if getattr(platform, f"is_{name}")()), None)


def activation_of_one(device: str) -> float | None:
    """What vLLM's own kernel makes of ones: silu(1) * 1. None where it has no such kernel."""
    if not hasattr(torch.ops._C, "silu_and_mul"):
        return None
    result = torch.zeros(1, 8, device=device)
    torch.ops._C.silu_and_mul(result, torch.ones(1, 16, device=device))
    return float(result.cpu().sum()) / 8


expected_version = os.environ["INFEROPS_EXPECTED"]
if not vllm.__version__.startswith(expected_version):
    raise SystemExit(f"vLLM {vllm.__version__} is imported, the plan says {expected_version}")
expected_device = os.environ["INFEROPS_TORCH_DEVICE"]
# vLLM picks the kernels for this accelerator; a failure is only a warning to it. This module does
# so in every release, its platform's import_kernels() only after 0.11.0 (#26286).
importlib.import_module("vllm._custom_ops")
kernels = loaded_kernels()
if not kernels:
    # Import one by name for its error: libcudart, an undefined symbol, glibc.
    for file in sorted(pathlib.Path(vllm.__file__).parent.glob("_C*.so")):
        importlib.import_module(f"vllm.{file.name.split('.')[0]}")
    raise SystemExit("vLLM has no compiled kernels in this installation")
# Where it is there, the server imports it for every model, and one of another torch would end it.
if importlib.util.find_spec("torchvision"):
    importlib.import_module("torchvision")
device = device_of(current_platform)
if device != expected_device:
    raise SystemExit(f"vLLM sees the device {device!r} instead of {expected_device!r}")
activation = activation_of_one(expected_device)
if activation is not None and abs(activation - 1 / (1 + math.exp(-1))) > 0.001:
    raise SystemExit(f"vLLM's kernels compute wrong results on {expected_device}: {activation}")
print(
    json.dumps(
        {
            "version": vllm.__version__,
            "torch": torch.__version__,
            "kernels": kernels,
            "kernel_run": activation is not None,
            "platform": type(current_platform).__name__,
        }
    )
)
