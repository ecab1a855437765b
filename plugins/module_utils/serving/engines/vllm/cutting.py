# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a model can be cut into as many parts as tensor_parallel_size asks for.

vLLM refuses it at the start where heads cannot be shared out, and where a part of a quantised
matrix would end within a group of values that share a scale. Experts are cut among the GPUs of all
replicas, unless each GPU has whole ones (expert parallelism).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ...architecture import Architecture, UnknownModel, quantization
from ...packing import Packing, UnknownPacking, method_of, packing_of
from ...tensors import Tensor, tensors
from .given import is_set
from .options import EngineOptions

#: Methods whose kernels need whole groups on each GPU. Others pad.
_WHOLE_GROUPS = ("fp8", "awq", "awq_marlin", "gptq", "gptq_marlin", "compressed-tensors")
#: Matrices that are cut along what goes in; the others are along what comes out.
_CUT_ALONG_INPUT = ("o_proj", "down_proj", "out_proj", "w2", "wo_b")


def cannot_cut(config: Mapping[str, Any], arguments: Mapping[str, Any]) -> str:
    """Why the model cannot be cut so, with what can; empty when it can or nobody knows."""
    options = EngineOptions.read(arguments)
    parts, replicas = options.tensor_parallel, options.data_parallel
    try:
        model = Architecture.of(config)
        reason = _why_not(config, model, arguments, parts, replicas)
        if not reason:
            return ""
        fitting = [
            str(other)
            for other in range(1, min(parts, 64) + 1)
            if not _why_not(config, model, arguments, other, replicas)
        ]
    except (UnknownModel, UnknownPacking):
        return ""
    asked = f"tensor_parallel_size {parts}" + (f" in {replicas} replicas" if replicas > 1 else "")
    other = _or(fitting) if fitting else "enable_expert_parallel, or fewer replicas"
    return f"{asked} does not suit the model: {reason}. Take {other}"


def _why_not(
    config: Mapping[str, Any],
    model: Architecture,
    arguments: Mapping[str, Any],
    parts: int,
    replicas: int,
) -> str:
    layers = [layer for layer in model.each_layer if layer.mixer]
    for heads in sorted({layer.heads for layer in layers}):
        if heads % parts:
            return f"its {heads} attention heads cannot be shared out among {parts} GPUs"
    # More GPUs than these have copies of one; latent attention has none.
    for heads in sorted({layer.kv_heads for layer in layers if layer.mixer == "attention"}):
        if heads and max(heads, parts) % min(heads, parts):
            return f"its {heads} key-value heads cannot be shared out among {parts} GPUs"
    if method_of(quantization(config)) not in _WHOLE_GROUPS or parts * replicas == 1:
        return ""
    packing = packing_of(config)
    experts_whole = is_set(arguments.get("enable_expert_parallel"))
    for tensor in tensors(config):
        extra = tensor.layer is not None and tensor.layer >= model.layers
        if extra or tensor.parts == 1 or (tensor.routed and experts_whole):
            continue
        packed = packing(tensor)
        # More GPUs than heads have copies of one.
        each = min(parts * (replicas if tensor.routed else 1), tensor.parts)
        for size, group in _cut_sizes(tensor, packed) if packed and each > 1 else ():
            if size % each or size // each % group:
                return (
                    f"{size} values of its {tensor.name.rpartition('.')[2]} make "
                    f"{size / each:g} for each GPU, which are no whole groups of {group}"
                )
    return ""


def _cut_sizes(tensor: Tensor, packed: Packing) -> Iterator[tuple[int, int]]:
    """The sizes that are cut, each with the group that must stay whole."""
    if tensor.name.endswith(_CUT_ALONG_INPUT):
        if packed.group > 0:
            yield tensor.columns, packed.group
    elif packed.block_rows > 1:
        yield tensor.rows, packed.block_rows


def _or(numbers: list[str]) -> str:
    return numbers[0] if len(numbers) == 1 else f"{', '.join(numbers[:-1])} or {numbers[-1]}"
