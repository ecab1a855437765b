# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is read of llama.cpp's metrics (tools/server/server-context.cpp)."""

from __future__ import annotations

from ..engine import Sample
from ..prometheus import parse as parse_figures

METRICS = {
    "requests_running": ("llamacpp:requests_processing",),
    "requests_waiting": ("llamacpp:requests_deferred",),
    "prompt_tokens": ("llamacpp:prompt_tokens_total",),
    # Counted when a request has ended, which may take minutes: until then only steps move.
    "generation_tokens": ("llamacpp:tokens_predicted_total",),
    "steps": ("llamacpp:n_decode_total",),
}


def parse(text: str) -> Sample:
    """The figures in an answer of `/metrics`."""
    return parse_figures(text, METRICS, tuple(METRICS))
