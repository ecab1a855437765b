# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How quantisation packs a matrix: the bytes of its values, scales and zero points.

Sources: AutoAWQ's WQLinear_GEMM and GPTQModel's quantised linear layer (values and zero points
packed into 32 bits, 16 bit scales for each group); DeepSeek-V3's README_WEIGHTS.md (FP8 with a
32 bit scale for each block); compressed-tensors' pack-quantized and float-quantized formats; the
OCP specification of MXFP4 (one byte of scale for 32 values) and NVIDIA's of NVFP4 (one for 16).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from math import ceil
from typing import Any

from .architecture import Tensor, quantization

Size = Callable[[Tensor], float]

#: Methods whose packing is known.
METHODS = (
    "awq",
    "gptq",
    "gptq_marlin",
    "auto-round",
    "fp8",
    "fbgemm_fp8",
    "compressed-tensors",
    "bitsandbytes",
    "mxfp4",
    "modelopt",
    "modelopt_fp4",
)


@dataclass(frozen=True)
class Packing:
    """How the matrices of linear layers are stored."""

    bits: float
    #: Input values that share a scale: 0 for all of a row, -1 for the whole matrix.
    group: int = 0
    #: Output rows that share it too, where scales belong to blocks.
    block_rows: int = 1
    scale_bytes: float = 2
    #: Bits of a zero point for each scale.
    zero_bits: float = 0
    #: Bytes for each input value, such as GPTQ's group index.
    index_bytes: int = 0
    #: What stays as it was: parts of module names, or "re:" with a regular expression.
    kept: tuple[str, ...] = ()

    def size(self, tensor: Tensor) -> float:
        into, out = tensor.columns, tensor.rows
        groups = ceil(into / self.group) if self.group > 0 else 1
        rows = 1 if self.group < 0 else ceil(out / self.block_rows)
        scales = groups * rows
        one = into * out * self.bits / 8 + scales * (self.scale_bytes + self.zero_bits / 8)
        return (one + into * self.index_bytes) * tensor.copies

    def keeps(self, name: str) -> bool:
        return any(_matches(pattern, name) for pattern in self.kept)


def packing_of(config: Mapping[str, Any], element_bytes: float) -> Size:
    """A function that gives the bytes of a tensor in a model with this config.json."""
    given = quantization(config)
    packing = _read(given) if given else None

    def size(tensor: Tensor) -> float:
        if packing is None or not tensor.linear or packing.keeps(tensor.name):
            return tensor.elements * element_bytes
        return packing.size(tensor)

    return size


def _matches(pattern: str, name: str) -> bool:
    """Quantisers name modules in full, by their last part, or by an expression."""
    if pattern.startswith("re:"):
        return re.match(pattern[3:], name) is not None
    return f".{pattern}." in f".{name}."


def _names(*lists: Iterable[str] | None) -> tuple[str, ...]:
    return tuple(name for names in lists for name in names or ())


def method_of(given: Mapping[str, Any]) -> str:
    """Name of the method of a quantization_config."""
    return str(given.get("quant_method") or given.get("quant_algo") or "").lower()


def _read(given: Mapping[str, Any]) -> Packing:
    """The packing that a quantization_config describes; an unknown method counts as 8 bits."""
    method = method_of(given)
    bits = float(given.get("bits") or given.get("w_bit") or 4)
    group = int(given.get("group_size") or given.get("q_group_size") or 128)
    kept = _names(
        given.get("modules_to_not_convert"),
        given.get("ignored_layers"),
        given.get("ignore"),
        given.get("exclude_modules"),
    )
    if method == "awq":
        return Packing(bits, group, zero_bits=bits, kept=kept)
    if method in ("gptq", "gptq_marlin", "auto-round"):
        # A group of -1 means that all of a row shares a scale.
        return Packing(bits, max(group, 0), zero_bits=bits, index_bytes=4, kept=kept)
    if method in ("fp8", "fbgemm_fp8"):
        block = given.get("weight_block_size")
        if block:
            return Packing(8, int(block[1]), int(block[0]), scale_bytes=4, kept=kept)
        return Packing(8, 0 if method == "fbgemm_fp8" else -1, scale_bytes=4, kept=kept)
    if method == "compressed-tensors":
        return _read_compressed(given, kept)
    if method == "bitsandbytes":
        # 64 values share a scale, itself 8 bits: doubly quantised, as its 4 bit form is by default.
        return Packing(8 if given.get("load_in_8bit") else 4, 64, scale_bytes=1, kept=kept)
    if method == "mxfp4":
        return Packing(4, 32, scale_bytes=1, kept=(*kept, "self_attn"))
    if method in ("modelopt", "modelopt_fp4") and "FP4" in str(given.get("quant_algo")):
        return Packing(4, 16, scale_bytes=1, kept=kept)
    return Packing(8, 0, kept=kept)


def _read_compressed(given: Mapping[str, Any], kept: tuple[str, ...]) -> Packing:
    groups = given.get("config_groups") or {}
    weights = next((group.get("weights") or {} for group in groups.values()), {})
    bits = float(weights.get("num_bits") or 8)
    zero_bits = 0.0 if weights.get("symmetric", True) else bits
    strategy = weights.get("strategy", "channel")
    if strategy == "tensor":
        return Packing(bits, -1, kept=kept)
    if strategy == "block":
        rows, columns = weights.get("block_structure") or (128, 128)
        return Packing(bits, int(columns), int(rows), kept=kept)
    group = int(weights.get("group_size") or 0) if strategy in ("group", "tensor_group") else 0
    scale_bytes = 1 if strategy == "tensor_group" else 2
    return Packing(bits, max(group, 0), zero_bits=zero_bits, scale_bytes=scale_bytes, kept=kept)
