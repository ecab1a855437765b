# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is read of vLLM's metrics, under the names that its versions give them."""

from __future__ import annotations

from ..engine import Sample
from ..prometheus import parse as parse_figures

METRICS = {
    "requests_running": ("vllm:num_requests_running",),
    "requests_waiting": ("vllm:num_requests_waiting",),
    "kv_cache_usage": ("vllm:kv_cache_usage_perc", "vllm:gpu_cache_usage_perc"),
    "prompt_tokens": ("vllm:prompt_tokens_total",),
    "generation_tokens": ("vllm:generation_tokens_total",),
    "preemptions": ("vllm:num_preemptions_total",),
    "first_tokens": ("vllm:time_to_first_token_seconds_count",),
    "first_token_seconds": ("vllm:time_to_first_token_seconds_sum",),
}
"""What is read of a server, and under which names vLLM's versions publish it."""

ADDED = (
    *("requests_running", "requests_waiting", "prompt_tokens", "generation_tokens"),
    *("first_tokens", "first_token_seconds"),
)
"""Those that add up over several engines behind one port; of the others the highest counts."""


def parse(text: str) -> Sample:
    """The figures in an answer of `/metrics`."""
    return parse_figures(text, METRICS, ADDED)
