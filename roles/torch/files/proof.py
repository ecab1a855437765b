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


def prove(device: str) -> None:
    """Multiply matrices there; ends the program when the result is wrong."""
    left = torch.arange(64, dtype=torch.float32).reshape(8, 8)
    there = left.to(device)
    product = (there @ there).cpu()
    if not torch.allclose(product, left @ left):
        raise SystemExit(f"torch computes wrong results on {device}")


def require_kernels(index: int) -> None:
    """End the program when this build has no code for this GPU."""
    capability = torch.cuda.get_device_capability(index)
    if not any(suits(architecture, *capability) for architecture in architectures):
        raise SystemExit(
            f"torch {torch.__version__} has no kernels for compute capability "
            f"{capability[0]}.{capability[1]} of GPU {index}, only {' '.join(architectures)}"
        )


device = os.environ["INFEROPS_TORCH_DEVICE"]
expected = os.environ["INFEROPS_EXPECTED"]
if torch.__version__.partition("+")[0] != expected.partition("+")[0]:
    raise SystemExit(f"torch {torch.__version__} is imported, the lock says {expected}")
architectures = torch.cuda.get_arch_list() if device == "cuda" else []
names = ["CPU"]
if device == "cuda":
    # Without any, the first look at GPU 0 says why.
    names = []
    for number in range(max(torch.cuda.device_count(), 1)):
        require_kernels(number)
        prove(f"cuda:{number}")
        names.append(torch.cuda.get_device_name(number))
else:
    prove(device)
print(
    json.dumps(
        {
            "version": torch.__version__,
            "device": device,
            "cuda": torch.version.cuda,
            "architectures": architectures,
            "device_names": names,
        }
    )
)
