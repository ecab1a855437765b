# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a server holds beside its model because of its options: a draft, and room for adapters."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ...architecture import Architecture
from ...figures import Estimate
from ...tensors import linear_sizes
from .given import is_set

#: Ways of speculation that load nothing.
_WITHOUT_WEIGHTS = ("ngram", "ngram_gpu", "suffix", "[ngram]")
#: Ways that load a layer or a few beside the model.
_HEADS = ("eagle", "eagle3", "medusa", "mlp_speculator", "dflash", "dspark", "draft_head")
#: Words of a draft's draft vocabulary, where it has its own.
_DRAFT_WORDS = 32_000
#: The size that a model's name tells: 0.6B, 8b.
_SIZE = re.compile(r"(?<![\d.])(\d{1,4}(?:\.\d{1,3})?)[Bb](?![a-zA-Z])")
#: How small quantised files are, by a word of the model's name.
_SHRUNK = (("fp8", 0.5), ("int8", 0.5), ("w8a8", 0.5), ("4bit", 0.3), ("awq", 0.3), ("gptq", 0.3))
#: What vLLM takes when nothing is said.
_LORAS, _LORA_RANK = 1, 16


@dataclass(frozen=True)
class Extras:
    """Bytes on each GPU, and what cannot be told."""

    held: Estimate = field(default_factory=lambda: Estimate(0.0))
    #: Whether the model's own layers that guess tokens are loaded.
    guessing_layers: bool = False
    #: Options whose memory is not known.
    unknown: tuple[str, ...] = ()

    @classmethod
    def read(cls, config: Mapping[str, Any], options: Mapping[str, Any], cut: int) -> Extras:
        """From options as given_options gives them. Raises UnknownModel."""
        held, unknown, guessing = Estimate(0.0), [], False
        given = options.get("speculative_config")
        spoken = {"speculative_model": "model", "spec_model": "model", "spec_method": "method"}
        draft = {**{key: options[name] for name, key in spoken.items() if options.get(name)}}
        draft = {**draft, **given} if isinstance(given, Mapping) else draft
        if draft:
            method = str(draft.get("method") or _method(str(draft.get("model") or "")))
            guessing = method == "mtp" or method.endswith("_mtp")
            if method in _HEADS:
                held += _head(config, cut)
            elif method not in _WITHOUT_WEIGHTS and not guessing:
                size = _named_size(str(draft.get("model") or ""))
                held += Estimate(size / cut, size / cut * 0.4) if size else Estimate(0.0)
                unknown += [] if size else ["speculative_config"]
        if is_set(options.get("enable_lora")):
            adapters = _number(options.get("max_loras"), _LORAS)
            rank = _number(options.get("max_lora_rank"), _LORA_RANK)
            size = 2.0 * adapters * rank * linear_sizes(config) / cut
            held += Estimate(size, size / 2)
        return cls(held, guessing, tuple(unknown))


def _method(model: str) -> str:
    """The way of speculation that vLLM takes a draft's name for."""
    name = model.lower()
    return next((way for way in ("eagle3", "eagle", "medusa", "dflash") if way in name), "draft")


def _head(config: Mapping[str, Any], cut: int) -> Estimate:
    """A head of one layer like the model's, with what joins it to the model and its own words."""
    model = Architecture.of(config)
    hidden = model.hidden
    layer = 4 * hidden * hidden + 3 * hidden * (model.inner or 4 * hidden)
    size = 2.0 * (layer + 3 * hidden * hidden + _DRAFT_WORDS * hidden) / cut
    return Estimate(size, size / 2)


def _named_size(model: str) -> float:
    """Bytes of a model by the size in its name; 0 without one."""
    found = _SIZE.search(model.rpartition("/")[2])
    share = next((each for word, each in _SHRUNK if word in model.lower()), 1.0)
    return float(found[1]) * 2e9 * share if found else 0.0


def _number(value: Any, default: int) -> int:
    try:
        return int(value)
    except (TypeError, ValueError):
        return default
