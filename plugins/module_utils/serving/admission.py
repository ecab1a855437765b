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
from typing import Any, NamedTuple

from ..common.vllm_words import having
from .engine_options import EngineOptions
from .engines.registry import spelling
from .engines.spelling import Spelling
from .given import given_options

USUAL_CONNECTIONS = 1024
"""Where nobody says how many the engine works on at once: as many as its largest defaults."""

HELD_PER_CONNECTION, LEAST_HELD = 4, 256
"""How many times as many the engine may hold, and how many at least: a request may be a batch."""


class Admission(NamedTuple):
    """`arguments` are options of the engine, none where its release has none for this."""

    max_connections: int
    arguments: dict[str, int]


def behind_proxy(
    engine: str,
    arguments: Mapping[str, Any],
    extra_args: Sequence[str],
    stack: Mapping[str, Any],
) -> Admission:
    """Of an engine that this plan of a stack has; where it names no release, nobody knows which.
    Raises ValueError naming an option that is none."""
    words = spelling(engine)
    if not words.tables:
        return Admission(_seats(words, arguments, extra_args), {})
    given, _unread = given_options(arguments, extra_args)
    options = EngineOptions.read(given)
    at_once = options.max_num_seqs
    seats = at_once * options.data_parallel if at_once else USUAL_CONNECTIONS
    bound = words.options["requests_held"]
    has_bound = stack.get("vllm_version") in having(f"--{bound.replace('_', '-')}")
    held = max(seats * HELD_PER_CONNECTION, LEAST_HELD)
    return Admission(seats, {bound: held} if has_bound else {})


def _seats(words: Spelling, arguments: Mapping[str, Any], extra_args: Sequence[str]) -> int:
    """How many requests an engine that no table is about works on at once, by its own words."""
    given = words.asked(arguments, extra_args) if words.asked else {}
    told = int(words.number(given, "requests_at_once"))
    return told if told > 0 else int(words.usual.get("requests_at_once", USUAL_CONNECTIONS))
