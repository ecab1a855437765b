# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Failures of what is installed."""

from __future__ import annotations

from .entry import OF_VLLM, PARALLELISM, QUANTIZATION, TROUBLESHOOTING, VLLM, VLLM_ISSUES, Failure

INSTALLATION = (
    Failure(
        "c_compiler_missing",
        (r"Failed to find C compiler",),
        "There is no C compiler, and kernels are compiled on the host.",
        "Install the package build-essential.",
        "host packages",
        f"{VLLM_ISSUES}/15329",
    ),
    Failure(
        "python_headers_missing",
        (r"Python\.h: No such file or directory",),
        "The headers of Python are not installed, and kernels are compiled on the host.",
        "Install the package python3-dev, or take a Python that brings them.",
        "host packages",
        f"{VLLM_ISSUES}/15329",
    ),
    Failure(
        "nvcc_missing",
        (r"Could not find nvcc", r"nvcc: not found", r"No such file or directory: 'nvcc'"),
        "A kernel library wants the CUDA compiler, which is not installed.",
        "Install kernels that are compiled already, or the CUDA toolkit.",
        "stack",
        f"{VLLM_ISSUES}/49497",
    ),
    Failure(
        "libc_too_old",
        (r"version [`']GLIBC(?:XX)?_[\d.]+' not found",),
        "The host's system libraries are older than the packages need.",
        "Take a newer host image, or an older vLLM.",
        "host image",
        f"{VLLM_ISSUES}/39609",
    ),
    Failure(
        "torch_exchanged",
        (r"undefined symbol: _ZNK?(?:3c10|5torch|2at)",),
        "PyTorch was exchanged after vLLM had been installed.",
        "Install the stack again from its lock.",
        "stack",
        f"{VLLM_ISSUES}/13608",
    ),
    Failure(
        "torchvision_mismatch",
        (r"operator torchvision::nms does not exist",),
        "torchvision does not belong to the installed PyTorch.",
        "Install the stack again from its lock.",
        "stack",
        TROUBLESHOOTING,
    ),
    Failure(
        "numpy_too_new",
        (
            r"No module named 'numpy\.lib\.function_base'",
            r"NumPy 1\.x cannot be run in",
            r"_ARRAY_API not found",
        ),
        "numpy is newer than this vLLM supports.",
        "Install the stack again from its lock.",
        "stack",
        f"{VLLM_ISSUES}/5587",
    ),
    Failure(
        "transformers_mismatch",
        (
            r"has no attribute '?all_special_tokens_extended",
            r"cannot import name '\w+' from 'transformers\b",
        ),
        "The installed transformers is newer or older than this vLLM works with.",
        "Install the stack again from its lock.",
        "stack",
        f"{VLLM_ISSUES}/30466",
    ),
    Failure(
        "vllm_metadata",
        (r"No package metadata was found for vllm",),
        "The installed distribution of vLLM has another name.",
        "Start it by its module, python -m vllm.entrypoints.openai.api_server.",
        "stack",
        TROUBLESHOOTING,
        engine=OF_VLLM,
    ),
    Failure(
        "vllm_missing",
        (r"No module named '?vllm(?:$|[^.\w])",),
        "vLLM is not installed in this environment.",
        "Correct python, or install the stack first.",
        "python",
        f"{VLLM}/getting_started/installation/",
        engine=OF_VLLM,
    ),
    Failure(
        "vllm_incomplete",
        (r"No module named 'vllm\.",),
        "Parts of the installed vLLM are missing, or a folder named vllm hides it.",
        "Install the stack again from its lock, and start it in a folder without vllm.",
        "stack",
        TROUBLESHOOTING,
        engine=OF_VLLM,
    ),
    Failure(
        "ray_missing",
        (r"Failed to import Ray",),
        "Ray is asked for and not installed.",
        "Install ray into the environment, or set distributed_executor_backend to mp.",
        "stack",
        PARALLELISM,
        engine=OF_VLLM,
    ),
    Failure(
        "package_missing",
        (r"Please install (?P<package>[\w.<>=-]+) (?:via|by running|with) `pip install",),
        "The model needs the package {package}, which is not installed.",
        "Install it together with vLLM, in the stack.",
        "stack",
        QUANTIZATION,
    ),
)
