# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What vLLM takes for a step when nothing is said, by its release and the GPU.

As the sources of every release of the compatibility table have it for its server: since 0.8 in
vllm/engine/arg_utils.py (_set_default_args_v1, then get_batch_defaults), before that in
SchedulerConfig of vllm/config.py.
"""

from __future__ import annotations

from typing import NamedTuple

from ....common.engines.vllm.words import releases
from ...figures import GIB
from .options import EngineOptions


class Batch(NamedTuple):
    """Tokens read in one step, and sequences served at once."""

    tokens: int
    sequences: int


class Runtime(NamedTuple):
    """What vLLM chooses by: the least GPU of a server, and its own release ("" for the newest)."""

    gpu_bytes: float = 0.0
    gpu_name: str = ""
    release: str = ""


class _Tier(NamedTuple):
    """A step on GPUs of this memory at least, whose names hold one of these, and none of those."""

    batch: Batch
    least_gib: int = 0
    named: tuple[str, ...] = ()
    but: tuple[str, ...] = ()

    def takes(self, on: Runtime) -> bool:
        name = on.gpu_name.lower()
        enough = on.gpu_bytes >= self.least_gib * GIB
        hit = not self.named or any(part in name for part in self.named)
        return enough and hit and not any(part in name for part in self.but)


class _Defaults(NamedTuple):
    """Those of a release and of the later ones, until the next row."""

    since: str
    tiers: tuple[_Tier, ...]
    #: Whether a prompt is read in one step, unless the context is long.
    whole_prompts: bool = False


#: Longer contexts are read in parts where prompts are read whole otherwise.
_LONG_CONTEXT, _LEAST_WHOLE = 32768, 2048
_REST = _Tier(Batch(2048, 256))
_LARGE, _LARGEST = Batch(8192, 1024), Batch(16384, 1024)
#: From old to new.
_DEFAULTS = (
    _Defaults("0.6.0", (_Tier(Batch(512, 256)),), whole_prompts=True),
    _Defaults("0.6.5", (_REST,), whole_prompts=True),
    # The first whose engine is the one of today.
    _Defaults("0.8.3", (_Tier(_LARGE, named=("h100", "h200")), _Tier(Batch(2048, 1024)))),
    _Defaults("0.8.4", (_Tier(_LARGE, named=("h100", "h200")), _REST)),
    _Defaults("0.8.5", (_Tier(_LARGE, 70), _REST)),
    # An A100 has the memory, and is too slow for such steps (#17885).
    _Defaults("0.9.0", (_Tier(_LARGE, 70, but=("a100",)), _REST)),
    _Defaults("0.28.0", (_Tier(_LARGEST, 160), _Tier(_LARGE, 70, but=("a100",)), _REST)),
    # So is a GB10, which shares the memory of its machine.
    _Defaults("0.33.0", (_Tier(_LARGEST, 160), _Tier(_LARGE, 70, but=("a100", "gb10")), _REST)),
)


def batch(options: EngineOptions, on: Runtime, length: int = 0) -> Batch:
    """One step of a model with contexts of this length. What was given counts."""
    defaults = _of_release(on.release)
    tokens, sequences = next(tier.batch for tier in defaults.tiers if tier.takes(on))
    if defaults.whole_prompts:
        tokens = _of_whole_prompts(options.max_model_len, length, tokens)
    more = 2 if options.performance_mode == "throughput" else 1
    tokens = options.max_num_batched_tokens or tokens * more
    return Batch(tokens, options.max_num_seqs or min(sequences * more, tokens))


def _of_release(release: str) -> _Defaults:
    """The row of a release; the newest one for what is not known."""
    order = releases()
    if release not in order:
        return _DEFAULTS[-1]
    at = order.index(release)
    return next(row for row in reversed(_DEFAULTS) if order.index(row.since) <= at)


def _of_whole_prompts(asked: int | None, length: int, part: int) -> int:
    """Tokens of a step that reads a whole prompt. The context may still be chosen, and be as long
    as is read at once: then that is the most.
    """
    if asked and asked > _LONG_CONTEXT:
        return part
    return max(asked or min(length, _LONG_CONTEXT), _LEAST_WHOLE)
