# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How many requests an engine behind a proxy is sent at once, and how many it may hold at most.

The proxy sends as many as the engine works on at once, and lets others wait, or go to another
engine. One request may still hold hundreds of prompts, so the engine has a bound of its own: what
it refuses the proxy can send on, and what waits for ever it cannot.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ....common.engines.vllm.words import having
from ..knowledge import USUAL_CONNECTIONS, Admission
from .given import given_options
from .options import EngineOptions

BOUND = "max_num_queued_reqs"
"""What is worked on or waits; what is beyond is refused with 503 (vllm/config/scheduler.py)."""

HELD_PER_CONNECTION, LEAST_HELD = 4, 256
"""How many times as many the engine may hold, and how many at least: a request may be a batch."""


def behind_proxy(
    arguments: Mapping[str, Any],
    extra_args: Sequence[str],
    stack: Mapping[str, Any],
) -> Admission:
    """Of an engine that this plan of a stack has; where it names no release, nobody knows which.
    Raises ValueError naming an option that is none."""
    given, _unread = given_options(arguments, extra_args)
    options = EngineOptions.read(given)
    at_once = options.max_num_seqs
    seats = at_once * options.data_parallel if at_once else USUAL_CONNECTIONS
    has_bound = stack.get("vllm_version") in having(f"--{BOUND.replace('_', '-')}")
    held = max(seats * HELD_PER_CONNECTION, LEAST_HELD)
    return Admission(seats, {BOUND: held} if has_bound else {})
