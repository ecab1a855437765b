# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a config describes that an outline of its model would miss.

A family that is not known is counted as Llama is, with a wide error. That is no estimate where the
config speaks of parts that Llama has not: a mixture of experts in words of its own is easily taken
for a dense model of an eighth of its size, and a GPU is rented in vain.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

#: How deep entries of entries are looked at.
_DEPTH = 2
_OF_EXPERTS = re.compile(r"expert|(?:^|_)moe_num")
_OF_A_STATE = re.compile(
    r"mamba|(?:^|_)ssm|(?:^|_)lru|rwkv|recurren|attn_type|layer_period|layer_group|block_types"
    r"|lightning|(?:^|_)retention"
)
_OF_SENSES = re.compile(r"vision|image|audio|speech|(?:^|_)img")
_BESIDE = ("residual_moe", "parallel_attn_mlp_res")


def uncounted(config: Mapping[str, Any], has_experts: bool, has_states: bool) -> str:
    """The name of an entry that says so; empty without one."""
    for name, value in _entries(config, _DEPTH):
        if not has_experts and _OF_EXPERTS.search(name) and _is_many(value):
            return name
        if not has_states and _OF_A_STATE.search(name) and value:
            return name
        if name in _BESIDE and value:
            return name
        if _OF_SENSES.search(name) and isinstance(value, Mapping) and value:
            return name
    return ""


def _entries(config: Mapping[str, Any], depth: int) -> Iterator[tuple[str, Any]]:
    for key, value in config.items():
        name = str(key).lower()
        if name.endswith("_config") and _OF_SENSES.search(name):
            continue  # an encoder, which is counted by itself
        yield name, value
        if isinstance(value, Mapping) and depth:
            yield from _entries(value, depth - 1)


def _is_many(value: Any) -> bool:
    """Whether it is a number above 1, or holds one."""
    if isinstance(value, (list, tuple)):
        return any(map(_is_many, value))
    return isinstance(value, (int, float)) and not isinstance(value, bool) and value > 1
