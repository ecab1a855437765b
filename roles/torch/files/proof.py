# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Prove torch: it is the lock's, it is built for this GPU, and it multiplies on the device."""

from __future__ import annotations

import json
import os

import torch


def suits(architecture: str, major: int, minor: int) -> bool:
    """Whether code for *architecture* runs on this GPU: machine code (sm_86) within its major
    version, intermediate code (compute_90) on anything as new."""
    kind, _underscore, number = architecture.partition("_")
    digits = "".join(character for character in number if character.isdigit())
    built = (int(digits[:-1]), int(digits[-1]))
    within = built[0] == major or kind == "compute"
    return within and built <= (major, minor)


device = os.environ["INFEROPS_TORCH_DEVICE"]
expected = os.environ["INFEROPS_EXPECTED"]
if torch.__version__.partition("+")[0] != expected.partition("+")[0]:
    raise SystemExit(f"torch {torch.__version__} is imported, the lock says {expected}")
architectures = torch.cuda.get_arch_list() if device == "cuda" else []
left = torch.arange(64, dtype=torch.float32).reshape(8, 8)
there = left.to(device)
if device == "cuda":
    capability = torch.cuda.get_device_capability(0)
    if not any(suits(architecture, *capability) for architecture in architectures):
        raise SystemExit(
            f"torch {torch.__version__} has no kernels for compute capability "
            f"{capability[0]}.{capability[1]}, only {' '.join(architectures)}"
        )
product = (there @ there).cpu()
if not torch.allclose(product, left @ left):
    raise SystemExit(f"torch computes wrong results on {device}")
print(
    json.dumps(
        {
            "version": torch.__version__,
            "device": device,
            "cuda": torch.version.cuda,
            "architectures": architectures,
            "device_name": torch.cuda.get_device_name(0) if device == "cuda" else "CPU",
        }
    )
)
