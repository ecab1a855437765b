# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A stand-in for vLLM that imports, fails to import and loads kernels as the real one does."""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import json
import pathlib
import sys

import numpy
import torch
import transformers

BUILD = json.loads(pathlib.Path(__file__).with_name("build.json").read_text())
__version__ = BUILD["version"]


def release(version):
    """The first three numbers of a version."""
    return tuple(int(number) for number in version.partition("+")[0].split(".")[:3])


if BUILD["numpy_1"] and release(numpy.__version__) >= (2, 0):
    raise ModuleNotFoundError(BUILD["failures"]["numpy_2"])
if BUILD["aimv2"] and release(transformers.__version__) >= (4, 54):
    raise ValueError(BUILD["failures"]["aimv2"])


def why_kernels_cannot_load():
    """The dynamic loader's words, or None."""
    if (torch.version.cuda or "").split(".")[0] != str(BUILD["cuda"]):
        return BUILD["failures"]["other_cuda"].format(cuda=BUILD["cuda"])
    if torch.__version__.partition("+")[0] != BUILD["torch"]:
        return BUILD["failures"]["other_torch"]
    return None


class _KernelLoader(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Imports ``vllm._C...``, or tells why that fails."""

    def find_spec(self, name, path=None, target=None):
        if name.startswith("vllm._C"):
            return importlib.machinery.ModuleSpec(name, self)
        return None

    def create_module(self, spec):
        if why_kernels_cannot_load():
            raise ImportError(why_kernels_cannot_load())

    def exec_module(self, module):
        pass


sys.meta_path.insert(0, _KernelLoader())
