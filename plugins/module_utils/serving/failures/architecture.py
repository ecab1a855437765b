# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Failures to load the code of a model's architecture.

They rank behind those of the installation, which are what mostly breaks that code, and broken
before unsupported: some versions call both by the latter name.
"""

from __future__ import annotations

from .entry import MODELS, OF_VLLM, YIELDING, Failure

ARCHITECTURE = (
    Failure(
        "architecture_broken",
        (
            r"Model architectures \[.{0,500}\] failed to be inspected",
            r"Error in inspecting model arch",
        ),
        "The code of the model's architecture cannot be imported.",
        "See the traceback before it; mostly a package of another version is installed.",
        "stack",
        MODELS,
        # What broke it stands in the same log, and is the cause.
        kind=YIELDING,
        engine=OF_VLLM,
    ),
    Failure(
        "architecture_unsupported",
        (
            r"Model architectures \[(?P<names>[^\]]{0,2000})\] are not supported",
            r"Model architecture '?(?P<names>\w{1,100})'? "
            r"(?:was supported in vLLM until|is not supported)",
            r"The Transformers implementation of (?P<names>\S{1,100}) is not compatible with vLLM",
            r"\b[Aa]rchitecture '?(?P<names>[\w.-]{1,100})'? (?:is )?not (?:yet )?supported\b",
            r"Unknown gguf model_type: (?P<names>\S{1,100})",
        ),
        "This vLLM version does not know the model's architecture ({names}).",
        "Install a newer vLLM, or serve the model with another engine.",
        "engine version",
        MODELS,
        kind=YIELDING,
        engine=OF_VLLM,
    ),
)
