# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What vLLM takes for a step when nothing is said, by the GPU (get_batch_defaults in its
vllm/engine/arg_utils.py, as of 0.32).
"""

from __future__ import annotations

from typing import NamedTuple

from .engine_options import GIB, EngineOptions


class Batch(NamedTuple):
    """Tokens read in one step, and sequences served at once."""

    tokens: int
    sequences: int


#: By the least memory of the GPU. Releases before the largest tier take that of the middle one for
#: it, which needs less.
_TIERS = ((160 * GIB, Batch(16384, 1024)), (70 * GIB, Batch(8192, 1024)))
_OTHERS = Batch(2048, 256)
#: It has the memory of the middle tier, and is too slow for its steps.
_SLOW = "a100"


def batch(options: EngineOptions, gpu_bytes: float, gpu_name: str = "") -> Batch:
    """One step on GPUs of this size and name."""
    tier = next((tier for least, tier in _TIERS if gpu_bytes >= least), _OTHERS)
    if _SLOW in gpu_name.lower() and gpu_bytes < _TIERS[0][0]:
        tier = _OTHERS
    tokens = options.max_num_batched_tokens or tier.tokens
    return Batch(tokens, options.max_num_seqs or min(tier.sequences, tokens))
