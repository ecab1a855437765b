# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How many bytes a model's weights take: as published, or computed from its config.json."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil
from typing import Any

from .architecture import Architecture, UnknownModel, quantization, tensors, text_config
from .packing import METHODS, method_of, packing_of

#: Bytes of one element that is not packed, by torch's, vLLM's and safetensors' names.
DTYPE_BYTES: dict[str, float] = {
    **dict.fromkeys(("float32", "float", "F32"), 4.0),
    **dict.fromkeys(("bfloat16", "float16", "half", "BF16", "F16"), 2.0),
    **dict.fromkeys(("F8_E4M3", "F8_E5M2", "F8_E8M0"), 1.0),
}

#: Share by which the weights may be off: a published size counts padding and what is not loaded;
#: a computed one was within these shares of what was published for the models of the tests.
ERROR_PUBLISHED, ERROR_COMPUTED, ERROR_PACKED = 0.01, 0.02, 0.05
#: Of an architecture that is not known only the outline is: wide enough not to refuse it wrongly.
ERROR_GUESSED = 0.3


@dataclass(frozen=True)
class Weights:
    """Bytes in the memory of a server: of all GPUs together, and of the fullest one."""

    total_bytes: int
    gpu_bytes: int
    #: Share by which both may be off.
    error: float
    #: What they come from, for a person.
    source: str
    #: What their files hold.
    stored_bytes: int

    @property
    def are_guessed(self) -> bool:
        """Whether only the outline of the model is known, and nobody stated a size."""
        return self.error == ERROR_GUESSED


def published_bytes(metadata: Mapping[str, Any]) -> int | None:
    """Bytes as the publisher states them; None when nothing is stated.

    Takes the content of model.safetensors.index.json, or what the hub's API has under
    ``safetensors``: the number of parameters of each data type.
    """
    size = (metadata.get("metadata") or {}).get("total_size")
    if size:
        return int(size)
    counts = metadata.get("parameters") or {}
    # The hub counts what is packed into integers as if it were unpacked: 6.5 thousand million I32
    # stand for 0.8 in an AWQ checkpoint. Such counts say nothing about bytes.
    if not set(counts) <= set(DTYPE_BYTES):
        return None
    return int(sum(count * DTYPE_BYTES[name] for name, count in counts.items())) or None


def checkpoint_bytes(config: Mapping[str, Any]) -> int:
    """What the files of this model hold, computed from its config.json alone."""
    return _stored_bytes(config, _stored_element_bytes(config))


def _stored_bytes(config: Mapping[str, Any], element_bytes: float) -> int:
    size = packing_of(config, element_bytes)
    return round(sum(size(tensor) for tensor in tensors(config)))


def estimate_weights(
    config: Mapping[str, Any],
    known_bytes: int | None = None,
    tensor_parallel: int = 1,
    pipeline_parallel: int = 1,
    dtype: str = "auto",
) -> Weights:
    """The weights as a server loads them. ``known_bytes`` is what the publisher states."""
    model = Architecture.of(config)
    packed = quantization(config)
    if packed and not known_bytes and method_of(packed) not in METHODS:
        raise UnknownModel(
            f"How {method_of(packed) or 'its quantisation'} packs weights is not known, so the "
            "model's memory cannot be computed."
        )
    # Left to itself vLLM loads 32 bit checkpoints as 16 bit ones.
    size = packing_of(config, DTYPE_BYTES.get(dtype, 2.0))
    stage = ceil(model.layers / pipeline_parallel) / model.layers
    total = gpu = 0.0
    for tensor in tensors(config):
        if tensor.layer is not None and tensor.layer >= model.layers:
            continue
        loaded = size(tensor)
        total += loaded
        # A stage of a pipeline holds its layers; what stands beside them is counted on each.
        share = 1 if tensor.layer is None else stage
        gpu += loaded * share / min(tensor.parts, tensor_parallel)
    stored = _stored_bytes(config, _stored_element_bytes(config, known_bytes))
    scale = known_bytes / stored if known_bytes else 1.0
    if known_bytes:
        error, source = ERROR_PUBLISHED, "published"
    elif not model.is_known:
        error, source = ERROR_GUESSED, f"guessed: {model.model_type or 'its type'} is not known"
    elif config.get("vision_config"):
        error, source = ERROR_GUESSED, "guessed: what it sees with is not counted"
    else:
        error, source = ERROR_PACKED if packed else ERROR_COMPUTED, "computed from its config"
    return Weights(round(total * scale), round(gpu * scale), error, source, known_bytes or stored)


def _stored_element_bytes(config: Mapping[str, Any], known_bytes: int | None = None) -> float:
    """Bytes of an element in the files: by name, else by what is published, else 16 bits."""
    inner = text_config(config)
    named = inner.get("torch_dtype") or inner.get("dtype")
    if named:
        return DTYPE_BYTES.get(str(named).removeprefix("torch."), 2.0)
    # Old checkpoints of 32 bits say nothing: their size does.
    halves = _stored_bytes(config, 2.0)
    return 4.0 if known_bytes and not quantization(config) and known_bytes > 1.5 * halves else 2.0
