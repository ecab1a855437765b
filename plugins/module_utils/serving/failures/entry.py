# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an entry of the catalogue consists of, and the pages that entries refer to."""

from __future__ import annotations

from typing import NamedTuple

VLLM = "https://docs.vllm.ai/en/latest"
VLLM_ISSUES = "https://github.com/vllm-project/vllm/issues"
MEMORY = f"{VLLM}/configuration/conserving_memory/"
ENGINE_ARGUMENTS = f"{VLLM}/configuration/engine_args/"
TROUBLESHOOTING = f"{VLLM}/usage/troubleshooting/"
QUANTIZATION = f"{VLLM}/features/quantization/"
MODELS = f"{VLLM}/models/supported_models/"
PARALLELISM = f"{VLLM}/serving/parallelism_scaling/"
HUB_VARIABLES = (
    "https://huggingface.co/docs/huggingface_hub/package_reference/environment_variables"
)
GATED = "https://huggingface.co/docs/hub/models-gated"
CUDA_COMPATIBILITY = "https://docs.nvidia.com/deploy/cuda-compatibility/"
XID = "https://docs.nvidia.com/deploy/xid-errors/"
NCCL = "https://docs.nvidia.com/deeplearning/nccl/user-guide/docs/env.html"

OF_VLLM = "vllm"

ROOT = "root"
YIELDING = "yielding"
ENVELOPE = "envelope"


class Failure(NamedTuple):
    """One cause.

    signatures: regular expressions, searched in each line of the log.
    cause, remedy: sentences for a person; they may use the named groups of signatures and shapes.
    change: the option, variable or thing to change.
    kind: `root` says why, `yielding` does so unless a root is found, `envelope` only says that
        something went wrong elsewhere.
    shapes: regular expressions for a whole family of messages. They count only where it ended
        badly and no signature fits, in wrapped messages as well.
    last: regular expressions for the last two different things that were said calmly, where it
        ended badly and nothing says why.
    signals: names of signals that point here when no text does.
    kernel: regular expressions, searched in each line of the kernel's log.
    engine: the engine that says so; empty for what any engine, its libraries or the host may say.
    """

    id: str
    signatures: tuple[str, ...]
    cause: str
    remedy: str
    change: str
    link: str
    kind: str = ROOT
    shapes: tuple[str, ...] = ()
    last: tuple[str, ...] = ()
    signals: tuple[str, ...] = ()
    kernel: tuple[str, ...] = ()
    engine: str = ""


class Noise(NamedTuple):
    """A line that looks bad and means nothing."""

    signature: str
    why: str
