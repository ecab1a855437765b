# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a model sees and hears with: encoders beside the language model, as far as configs tell.

They are vision transformers of one kind: an embedding of patches, layers of attention and a
network of two or three matrices, and a projection to the language model's size. Quantisers leave
them alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from .architecture import Architecture, UnknownModel
from .tensors import ANY, Tensor

#: Entries of a config that describe an encoder.
_ENTRIES = ("vision_config", "audio_config", "vision_encoder", "visual")
_NAMES: dict[str, tuple[str, ...]] = {
    "hidden": ("embed_dim", "vt_hidden_size", "hidden_size", "width", "d_model"),
    "layers": ("depth", "vt_num_hidden_layers", "num_hidden_layers", "layers", "encoder_layers"),
    "inner": ("intermediate_size", "vt_intermediate_size", "encoder_ffn_dim"),
    "patch": ("patch_size",),
    "frames": ("temporal_patch_size", "patch_temporal"),
    "merge": ("spatial_merge_size", "merge_size"),
    "positions": ("num_position_embeddings", "position_embedding_size"),
}
#: Encoders whose network has a gate too.
_GATED = ("qwen2_5_vl", "pixtral", "gemma4_vision")


def has_tower(config: Mapping[str, Any]) -> bool:
    """Whether the model sees or hears as well."""
    return any(_thinking(config).get(name) for name in _ENTRIES)


def _thinking(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """The part that reads and writes text, of models that also speak."""
    part = config.get("thinker_config")
    return part if isinstance(part, Mapping) else config


def tower_tensors(config: Mapping[str, Any]) -> Iterator[Tensor]:
    """The tensors of the encoders. Raises UnknownModel where a config does not describe one."""
    model = Architecture.of(config)
    for entry in _ENTRIES:
        given = _thinking(config).get(entry)
        if not given:
            continue
        if not isinstance(given, Mapping) or not _figure(given, "hidden"):
            raise UnknownModel(f"The model's {entry} does not say how large it is.")
        yield from _tower(model, given, "audio_tower" if "audio" in entry else "vision_tower")


def _figure(given: Mapping[str, Any], name: str, default: int = 0) -> int:
    values = (given.get(spelling) for spelling in _NAMES[name])
    return next((int(value) for value in values if isinstance(value, int) and value), default)


def _tower(model: Architecture, given: Mapping[str, Any], name: str) -> Iterator[Tensor]:
    kind = str(given.get("model_type") or model.model_type)
    size, layers = _figure(given, "hidden"), _figure(given, "layers")
    inner = _figure(given, "inner") or int(float(given.get("mlp_ratio") or 4) * size)
    matrices = 3 if kind.startswith(_GATED) else 2
    patch = _figure(given, "patch", 14) ** 2 * 3 * _figure(given, "frames", 1)
    yield Tensor(f"{name}.patch_embed", size, patch + 1)
    yield Tensor(f"{name}.positions", _positions(given), size)
    attention = Tensor(f"{name}.attention", size, 4 * (size + 1), layers, ANY)
    network = Tensor(f"{name}.mlp", inner, matrices * (size + 1), layers, ANY)
    yield from (attention, network, Tensor(f"{name}.norms", 4, size, layers))
    merged = size * max(_figure(given, "merge", 1), _merge(given)) ** 2
    copies = 1 + len(given.get("deepstack_visual_indexes") or [])
    # A merger of patches has two matrices; without one there is a projection alone.
    if merged > size:
        yield Tensor("multi_modal_projector.linear_1", merged, merged + 1, copies, ANY)
    out = Tensor("multi_modal_projector.linear_2", model.hidden, merged + 1, copies, ANY)
    yield out


def _merge(given: Mapping[str, Any]) -> int:
    sizes = given.get("merge_kernel_size")
    return int(sizes[0]) if isinstance(sizes, (list, tuple)) and sizes else 1


def _positions(given: Mapping[str, Any]) -> int:
    """Learned positions: as many as are named, or as an image has patches, or none."""
    named = _figure(given, "positions")
    if named:
        return named * (2 if given.get("position_embedding_size") else 1)
    image = given.get("image_size")
    if isinstance(image, int) and not given.get("rope_mode"):
        return (image // _figure(given, "patch", 14)) ** 2
    return 0
