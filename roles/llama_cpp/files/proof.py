# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Prove llama.cpp: it loads, and can compute on the accelerator that is asked for."""

from __future__ import annotations

import json
import os

import xllamacpp

expected_version = os.environ["INFEROPS_EXPECTED"]
if xllamacpp.__version__ != expected_version:
    raise SystemExit(
        f"xllamacpp {xllamacpp.__version__} is imported, the plan says {expected_version}"
    )
# Each device is opened for it, and so are the driver and its libraries.
devices = xllamacpp.get_device_info()
cpu = xllamacpp.ggml_backend_dev_type.GGML_BACKEND_DEVICE_TYPE_CPU
gpus = [device for device in devices if device["type"] != cpu]
if os.environ["INFEROPS_ACCELERATOR"] == "cuda" and not gpus:
    raise SystemExit(
        "llama.cpp sees no GPU, so it would compute on the CPU. Its build for CUDA needs driver "
        "570 or newer: look at nvidia-smi on the host, or set inferops_accelerator to cpu."
    )
print(
    json.dumps(
        {
            "version": xllamacpp.__version__,
            "devices": [f"{device['name']}: {device['description']}" for device in devices],
            "features": " ".join(xllamacpp.get_system_info().split()),
        }
    )
)
