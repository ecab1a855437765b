# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which modules a quantiser's list names: in full, by a part, by wildcards or by an expression.

The same module is model.layers.0.mlp in one file, language_model.model.layers.0.mlp in another and
layers.0.mlp in a third: what stands before the layers does not count. Lists name thousands, so they
are sorted by layer once.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from fnmatch import translate

from .tensors import Tensor

#: What may stand before "layers" where an expression expects something there.
_PREFIXES = ("model.", "model.language_model.", "language_model.model.", "")
_BEFORE_LAYERS = re.compile(r"^[\w.]*?(?=layers\.)")
#: What sees and hears is never packed, so its modules need not be looked for.
_OF_A_TOWER = re.compile(r"visual|vision|audio")
_LAYER = re.compile(r"layers\.(\d{1,4})(?:\.|$)")
#: Expressions come from whoever published the model. One that repeats what repeats, or repeats
#: often, could take for ever; no quantiser writes such, and it names nothing here.
_MOST_CHARACTERS, _MOST_REPEATS = 1000, 8
#: So are many expressions that are tried on every module.
_MOST_ANYWHERE = 300
_REPEATED_GROUP = re.compile(r"[)][*+{]")


class Modules:
    """A quantiser's list."""

    def __init__(self, patterns: Iterable[str]) -> None:
        self._anywhere: list[re.Pattern[str]] = []
        self._by_layer: dict[int, list[re.Pattern[str]]] = {}
        for pattern in patterns:
            if _OF_A_TOWER.search(pattern) and not pattern.startswith("re:"):
                continue
            layer = None if pattern.startswith("re:") else _LAYER.search(pattern)
            place = self._by_layer.setdefault(int(layer[1]), []) if layer else self._anywhere
            place.extend(_expression(pattern))
        if len(self._anywhere) > _MOST_ANYWHERE:
            raise ValueError(f"a list of {len(self._anywhere)} modules that name no layer")

    def __contains__(self, tensor: Tensor) -> bool:
        bare = _BEFORE_LAYERS.sub("", tensor.name, count=1)
        names = [f"{prefix}{bare}" for prefix in _PREFIXES]
        own = self._by_layer.get(-1 if tensor.layer is None else tensor.layer, [])
        if any(one.match(bare) for one in own):
            return True
        return any(one.match(name) for one in self._anywhere for name in names)


def _repeats(pattern: str) -> bool:
    """Whether it repeats too often to be tried."""
    return sum(pattern.count(sign) for sign in "*+{") > _MOST_REPEATS


def _expression(pattern: str) -> list[re.Pattern[str]]:
    """A pattern as an expression over names without what stands before the layers."""
    if pattern.startswith("re:"):
        text = pattern[3:]
        if len(text) > _MOST_CHARACTERS or _repeats(text) or _REPEATED_GROUP.search(text):
            return []
        try:
            return [re.compile(text)]
        except re.error:  # it names nothing that can be found
            return []
    wanted = _BEFORE_LAYERS.sub("", pattern, count=1)
    if "*" in wanted:
        if _repeats(wanted):
            return []
        # A module that is named stands for all of its parts.
        return [re.compile(translate(wanted)), re.compile(translate(f"{wanted}.*"))]
    return [re.compile(rf"(?:.*\.)?{re.escape(wanted)}(?:\.|$)")]
