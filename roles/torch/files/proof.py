# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Prove torch: multiply on the device that the server will use, and compare with the CPU."""

from __future__ import annotations

import json
import os

import torch

device = os.environ["INFEROPS_TORCH_DEVICE"]
left = torch.arange(64, dtype=torch.float32).reshape(8, 8)
product = (left.to(device) @ left.to(device)).cpu()
if not torch.allclose(product, left @ left):
    raise SystemExit(f"torch computes wrong results on {device}")
print(
    json.dumps(
        {
            "version": torch.__version__,
            "device": device,
            "cuda": torch.version.cuda,
            "device_name": torch.cuda.get_device_name(0) if device == "cuda" else "CPU",
        }
    )
)
