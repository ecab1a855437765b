# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A stand-in for torch: small tensors, and a GPU that behaves as tests/matrix/physics.yml says.

It reads the host's driver and GPU from the file that also scripts nvidia-smi.
"""

from __future__ import annotations

import json
import os
import pathlib
import types

_BUILD = json.loads(pathlib.Path(__file__).with_name("build.json").read_text())
__version__ = _BUILD["version"]
float32 = "float32"
ops = types.SimpleNamespace(_C=types.SimpleNamespace())


def _gpu(index=0):
    """A GPU of the host, its driver being able to run this build; raises as torch does."""
    if _BUILD["cuda"] is None:
        raise AssertionError(_BUILD["failures"]["no_cuda"])
    with open(os.environ["INFEROPS_SIM_GPUS"], encoding="utf-8") as file:
        facts = json.load(file)
    branch = int(facts["driver_version"].split(".")[0])
    gpu = facts["gpus"][index]
    oldest, newest = gpu["drivers"]
    if branch < oldest or (newest and branch > newest):
        raise RuntimeError(_BUILD["failures"]["no_gpu"])
    if branch < _BUILD["least_driver"]:
        raise RuntimeError(_BUILD["failures"]["driver_too_old"].format(found=branch))
    return gpu


def _count():
    """How many GPUs a program sees, which never raises."""
    with open(os.environ["INFEROPS_SIM_GPUS"], encoding="utf-8") as file:
        return len(json.load(file)["gpus"])


def _index(device):
    return int(device.partition(":")[2] or 0)


def _capability(index=0):
    return tuple(int(number) for number in _gpu(index)["compute_cap"].split("."))


def run_kernel(architectures, device="cuda"):
    """What every kernel launch needs: code for this GPU's architecture, and a GPU that works."""
    index = _index(device)
    if _gpu(index).get("broken"):
        raise RuntimeError("CUDA error: uncorrectable ECC error encountered")
    major, minor = _capability(index)
    built = [tuple(int(number) for number in str(one).split(".")) for one in architectures]
    if not any(one[0] == major and one[1] <= minor for one in built):
        raise RuntimeError(_BUILD["failures"]["no_kernel"])


class Tensor:
    """Rows of numbers on a device."""

    def __init__(self, rows, device="cpu"):
        self.rows, self.device = rows, device

    def reshape(self, height, width):
        flat = [number for row in self.rows for number in row]
        return Tensor([flat[i * width : (i + 1) * width] for i in range(height)], self.device)

    def to(self, device):
        if device.startswith("cuda"):
            _gpu(_index(device))
        return Tensor(self.rows, device)

    def cpu(self):
        return self.to("cpu")

    def sum(self):
        return sum(number for row in self.rows for number in row)

    def numpy(self):
        import numpy

        return numpy.ndarray(self.rows[0])

    def __matmul__(self, other):
        if self.device.startswith("cuda"):
            run_kernel(_BUILD["architectures"], self.device)
        columns = list(zip(*other.rows, strict=True))
        product = [
            [sum(a * b for a, b in zip(row, column, strict=True)) for column in columns]
            for row in self.rows
        ]
        return Tensor(product, self.device)


def arange(count, dtype=None):
    return Tensor([list(range(count))])


def _filled(number, height, width, device):
    return Tensor([[number] * width for _row in range(height)]).to(device)


def ones(height, width, device="cpu"):
    return _filled(1.0, height, width, device)


def zeros(height, width, device="cpu"):
    return _filled(0.0, height, width, device)


def allclose(left, right):
    return left.rows == right.rows


def from_numpy(array):
    return Tensor([array.tolist()])


version = types.SimpleNamespace(cuda=_BUILD["cuda"])
cuda = types.SimpleNamespace(
    get_arch_list=lambda: [f"sm_{str(one).replace('.', '')}" for one in _BUILD["architectures"]],
    device_count=_count,
    get_device_capability=_capability,
    get_device_name=lambda index=0: _gpu(index)["name"],
)
