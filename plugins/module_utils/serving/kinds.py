# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a server answers with: text, or vectors and scores (vLLM's runner for pooling).

As vLLM decides it (vllm/config/model.py): by the options, else by the model's class, else by files
of Sentence Transformers beside it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .architecture import is_headless, text_config
from .families import FAMILIES

TEXT, VECTORS = "text", "vectors or scores"
#: Options that name it, and what of their values means vectors or scores.
_OPTIONS = {
    "runner": ("pooling",),
    "task": ("embed", "embedding", "score", "classify", "reward", "pooling", "token_embed"),
    "convert": ("embed", "classify", "reward"),
}
#: Values that ask for text.
_WRITES = ("generate",)
#: A file that Sentence Transformers puts beside a model that embeds.
_MODULES = "modules.json"


def kind_of(config: Mapping[str, Any], options: Mapping[str, Any], files: Sequence[str]) -> str:
    """Text, or vectors or scores; text where nothing says otherwise."""
    for name, values in _OPTIONS.items():
        given = str(options.get(name) or "").lower()
        if given in values:
            return VECTORS
        if given in _WRITES:
            return TEXT
    inner = text_config(config) if config else {}
    family = FAMILIES.get(str(inner.get("model_type") or ""))
    names = config.get("architectures")
    classes = [str(name) for name in names] if isinstance(names, (list, tuple)) else []
    if (family and family.encoder) or any(is_headless(name) for name in classes):
        return VECTORS
    return VECTORS if _MODULES in files else TEXT
