# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A stand-in for vLLM's platform: its kernels are a file that is mapped when they load."""

from __future__ import annotations

import math
import mmap
import pathlib

import torch
from vllm import BUILD, __version__, release, why_kernels_cannot_load

_mapped = []


def _silu_and_mul(result, values):
    torch.run_kernel(BUILD["architectures"])
    half = len(values.rows[0]) // 2
    for row, into in zip(values.rows, result.rows, strict=True):
        into[:] = [a / (1 + math.exp(-a)) * b for a, b in zip(row[:half], row[half:], strict=True)]


def load_kernels():
    """Load them; a failure is only a warning to the real one, too."""
    if why_kernels_cannot_load():
        return
    (library,) = pathlib.Path(__file__).parent.glob("_C*.so")
    with library.open("rb") as file:
        _mapped.append(mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ))
    torch.ops._C.silu_and_mul = _silu_and_mul


class NvmlCudaPlatform:
    """What vLLM chooses where NVML finds a GPU. It has what the real one has in this release."""

    if release(__version__) >= (0, 6, 5):  # vllm#10508
        device_type = "cuda"
    if release(__version__) >= (0, 11, 1):  # vllm#26286
        import_kernels = staticmethod(load_kernels)

    def is_cuda(self):
        return True

    def is_cpu(self):
        return False


current_platform = NvmlCudaPlatform()
