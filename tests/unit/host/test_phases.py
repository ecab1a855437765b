# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The progress of a start is read from lines that real servers wrote."""

from __future__ import annotations

import pytest

from ansible_collections.inferops.gpu.plugins.module_utils.host.engines.vllm import phases

pytestmark = pytest.mark.vllm

BAR = "Loading safetensors checkpoint shards"


@pytest.mark.parametrize(
    ("line", "text"),
    [
        (
            "(APIServer pid=1) INFO 11-20 15:13:35 [utils.py:2] non-default args: {'port': 1}",
            "reading the configuration",
        ),
        (
            "INFO 11-20 15:13:35 [model.py:733] Resolved architecture: LlamaForCausalLM",
            "configuring LlamaForCausalLM",
        ),
        (
            "(EngineCore_0 pid=12) INFO 11-05 12:19:32 [core.py:7] Initializing a V1 LLM engine",
            "starting the engine",
        ),
        (f"\r{BAR}:   0% Completed | 0/4 [00:00<?, ?it/s]", "loading weights 0/4"),
        (f"{BAR}:  25% Completed | 1/4 [00:01]\r{BAR}:  50% Completed | 2/4 [00:02]", "2/4"),
        ("Model loading took 14.98 GiB memory and 9.1 seconds", "weights loaded"),
        ("Dynamo bytecode transform time: 5.2 s", "compiling"),
        ("GPU KV cache size: 643,232 tokens", "reserving the KV cache"),
        ("Capturing CUDA graphs (mixed prefill-decode): 10%", "capturing CUDA graphs"),
        ("INFO:     Application startup complete.", "serving"),
    ],
)
def test_a_line_of_the_log_shows_the_phase(line: str, text: str) -> None:
    assert (phases.current(line) or "").endswith(text)


def test_the_last_phase_counts_and_other_lines_do_not() -> None:
    log = "Starting to load model x...\nModel loading took 1 GiB\nINFO something else\n"
    assert phases.current(log) == "weights loaded"
    assert phases.current("INFO something else\n") is None
    assert phases.current("") is None
