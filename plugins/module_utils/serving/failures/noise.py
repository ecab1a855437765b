# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lines that prove nothing, however bad they look, and lines that prove little."""

from __future__ import annotations

from .entry import Noise

NOISE = (
    Noise(r"Found ulimit of \d+ and failed to automatically increase", "a warning, not the limit"),
    Noise(r"destroy_process_group\(\) was not called", "said at every end"),
    Noise(r"resource_tracker: There appear to be \d+ leaked", "said at every forced end"),
    Noise(r"nanobind: leaked|^ - leaked |nanobind: this is likely", "said at every end"),
    Noise(r"\[shutdown\] .{0,500}force killing", "how vLLM ends its engine, also on request"),
    Noise(r"\b(?:Future|Deprecation)Warning\b", "for developers"),
    Noise(r"^File \"", "where it happened, not what"),
    Noise(r"^No module named 'vllm\.(?:commit_id|_version)'", "a build without its own version"),
    Noise(r"Triton is (?:not )?installed", "usual on machines without GPU"),
)

# What is said in passing: true, but survived. It counts only where the server ended badly and
# nothing else says why.
IN_PASSING = (
    Noise(r"\bUserWarning\b|\bRuntimeWarning\b", "a warning of a library"),
    Noise(r"\bNCCL INFO\b", "how NCCL looks for its ways"),
    Noise(r"thrown while requesting|Retrying in \d+s", "a download that is tried again"),
    Noise(r"\bSM \d{1,2}\.\w{1,2} requires CUDA\b", "FlashInfer often finds another way"),
    Noise(r"is not compatible with the current PyTorch", "a warning of PyTorch"),
    Noise(
        r"maximum context length is|VLLMValidationError|BadRequestError", "one request was refused"
    ),
    Noise(r"^raise ", "source text inside a traceback: what it says follows, unless it was cut"),
    Noise(r"NumPy 1\.x cannot be run in|_ARRAY_API not found", "often works all the same"),
)
