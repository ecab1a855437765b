# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How many bytes a model's weights take: as published, or computed from its config.json."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import ceil
from typing import Any, NamedTuple

from .architecture import Architecture, UnknownModel, quantization, text_config
from .packing import Choice, UnknownPacking, packing_of
from .tensors import Tensor, tensors
from .towers import has_tower, tower_tensors

#: Bytes of one element that is not packed, by torch's, vLLM's and safetensors' names.
DTYPE_BYTES: dict[str, float] = {
    **dict.fromkeys(("float32", "float", "F32"), 4.0),
    **dict.fromkeys(("bfloat16", "float16", "half", "BF16", "F16"), 2.0),
    **dict.fromkeys(("F8_E4M3", "F8_E5M2", "F8_E8M0"), 1.0),
}


class Source(NamedTuple):
    """Where a figure is from, and the share by which it may be off. `make fit` holds it to that."""

    words: str
    error: float


#: A published size counts padding and what is not loaded; the others were within these shares of
#: what was published for the models of `make fit`.
PUBLISHED = Source("published", 0.01)
COMPUTED = Source("computed from its config", 0.02)
UNCHECKED = Source("computed from its config, for a family that was never measured", 0.1)
PACKED = Source("computed from its config", 0.05)
WITH_TOWER = Source("computed from its config, what it sees with by its outline", 0.1)
UNTOLD_TOWER = Source("computed from its config, without what it sees or hears with", 0.15)
#: Of an architecture that is not known only the outline is: wide enough not to refuse it wrongly.
ERROR_GUESSED = 0.3
#: Files with less than this share of what the config implies are not the model's weights.
_LEAST_SHARE = 0.1
#: Of files of which nothing but their size is known, cut into equal parts.
_CUT_EVENLY = 0.1


class Split(NamedTuple):
    """Over how many GPUs weights are spread, and how."""

    tensor: int = 1
    pipeline: int = 1
    #: GPUs that share the experts out among them; 1 where each set of replicas has them all.
    experts: int = 1


WHOLE = Split()


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
        return self.error >= ERROR_GUESSED


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
    return _stored_bytes(config, _packing(config), _stored_element_bytes(config))


def _stored_bytes(config: Mapping[str, Any], packing: Choice, element_bytes: float) -> int:
    return round(sum(_size(tensor, packing, element_bytes) for tensor in _all(config)))


def _all(config: Mapping[str, Any]) -> Iterator[Tensor]:
    yield from tensors(config)
    yield from _tower(config)


def _tower(config: Mapping[str, Any]) -> list[Tensor]:
    """What it sees and hears with; nothing where its config does not tell (a wider error)."""
    try:
        return list(tower_tensors(config))
    except UnknownModel:
        return []


def _size(tensor: Tensor, packing: Choice, element_bytes: float, held: bool = False) -> float:
    """In its file, or *held* in memory."""
    packed = packing(tensor)
    if packed is None:
        return tensor.elements * element_bytes
    return packed.held(tensor) if held else packed.size(tensor)


def _packing(config: Mapping[str, Any]) -> Choice:
    try:
        return packing_of(config)
    except UnknownPacking as error:
        raise UnknownModel(
            f"How {error} packs weights is not known, so the model's memory cannot be computed."
        ) from error


def estimate_weights(
    config: Mapping[str, Any],
    known_bytes: int | None = None,
    split: Split | None = None,
    dtype: str = "auto",
    guessing_layers: bool = False,
) -> Weights:
    """The weights as a server loads them. ``known_bytes`` is what the publisher states.

    With *guessing_layers* those layers are loaded too that guess further tokens.
    """
    if known_bytes and not _is_plausible(config, known_bytes):
        known_bytes = None
    if known_bytes:
        try:
            packing = packing_of(config)
        except UnknownPacking:  # the shares of the tensors are then as if it were not packed
            packing = _unpacked
    else:
        packing = _packing(config)
    try:
        return _estimate(config, packing, known_bytes, split or WHOLE, dtype, guessing_layers)
    except UnknownModel:
        if not known_bytes:
            raise
        gpus = (split or WHOLE).tensor * (split or WHOLE).pipeline
        error = PUBLISHED.error if gpus == 1 else _CUT_EVENLY
        source = "published, its architecture is not known"
        return Weights(known_bytes, round(known_bytes / gpus), error, source, known_bytes)


def _is_plausible(config: Mapping[str, Any], known_bytes: int) -> bool:
    """Whether files of this size can be those of the model: adapters, say, are far smaller."""
    try:
        return known_bytes > _LEAST_SHARE * _stored_bytes(config, packing_of(config), 2.0)
    except (UnknownModel, UnknownPacking):
        return True


def _unpacked(tensor: Tensor) -> None:
    return None


def _estimate(
    config: Mapping[str, Any], packing: Choice, known_bytes: int | None, split: Split, dtype: str,
    guessing_layers: bool,
) -> Weights:  # fmt: skip
    model = Architecture.of(config)
    # Left to itself vLLM loads 32 bit checkpoints as 16 bit ones.
    element = DTYPE_BYTES.get(dtype, 2.0)
    stage = ceil(model.layers / split.pipeline) / model.layers
    total = gpu = 0.0
    for tensor in _all(config):
        extra = tensor.layer is not None and tensor.layer >= model.layers
        if extra and not guessing_layers:
            continue
        loaded = _size(tensor, packing, element, held=True)
        total += loaded
        # A stage of a pipeline holds its layers; what stands beside them is counted on each.
        share = 1 if tensor.layer is None or extra else stage
        parts = min(tensor.parts, split.tensor)
        gpu += loaded * share / (max(parts, split.experts) if tensor.routed else parts)
    each = _stored_element_bytes(config, known_bytes)
    stored = _stored_bytes(config, packing, each)
    scale = known_bytes / _likeliest(config, packing, each, known_bytes) if known_bytes else 1.0
    source = PUBLISHED if known_bytes else _source(config, model)
    return Weights(
        round(total * scale), round(gpu * scale), source.error, source.words, known_bytes or stored
    )


def _likeliest(
    config: Mapping[str, Any], packing: Choice, element_bytes: float, known_bytes: int
) -> float:
    """What the files hold: some have a copy of the output embedding though it is the input one,
    some none though it is not, and some lack the layers that guess tokens.
    """
    model = Architecture.of(config)
    stored = _stored_bytes(config, packing, element_bytes)
    extra = sum(
        _size(tensor, packing, element_bytes)
        for tensor in tensors(config)
        if tensor.layer is not None and tensor.layer >= model.layers
    )
    head = model.get("vocab_size") * model.hidden * element_bytes * (1 if model.is_tied else -1)
    variants = (stored - extra, stored + head, stored - extra + head)
    nearest = min(variants, key=lambda size: abs(size - known_bytes))
    near = abs(nearest - known_bytes) < PUBLISHED.error * known_bytes
    return nearest if near and abs(stored - known_bytes) > abs(nearest - known_bytes) else stored


def _source(config: Mapping[str, Any], model: Architecture) -> Source:
    if not model.is_known:
        return Source(f"guessed: {model.model_type or 'its type'} is not known", ERROR_GUESSED)
    if has_tower(config):
        if not _tower(config):
            return Source("guessed: what it sees with is not counted", ERROR_GUESSED)
        return WITH_TOWER
    if model.may_have_tower:
        return UNTOLD_TOWER
    if not model.family.checked:
        return UNCHECKED
    return PACKED if quantization(config) else COMPUTED


def _stored_element_bytes(config: Mapping[str, Any], known_bytes: int | None = None) -> float:
    """Bytes of an element in the files: by name, else by what is published, else 16 bits."""
    inner = text_config(config)
    if known_bytes and not quantization(config):
        # Old checkpoints of 32 bits say nothing, and some say 16: their size does not err.
        return 4.0 if known_bytes > 1.5 * _stored_bytes(config, _unpacked, 2.0) else 2.0
    named = inner.get("torch_dtype") or inner.get("dtype")
    if named:
        return DTYPE_BYTES.get(str(named).removeprefix("torch."), 2.0)
    return 4.0 if Architecture.of(config).family.encoder else 2.0
