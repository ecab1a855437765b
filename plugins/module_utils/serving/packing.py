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
from dataclasses import dataclass, replace
from math import ceil
from typing import Any

from .architecture import quantization, text_config
from .modules import Modules
from .tensors import Tensor


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
    #: What kernels fill the size of an expert up to, once it is loaded.
    whole: int = 1

    def size(self, tensor: Tensor) -> float:
        into, out = tensor.columns, tensor.rows
        one = into * out * self.bits / 8
        one += self.scales(tensor) * (self.scale_bytes + self.zero_bits / 8)
        return (one + into * self.index_bytes) * tensor.copies

    def held(self, tensor: Tensor) -> float:
        """What it takes in memory."""
        if self.whole == 1 or not tensor.routed:
            return self.size(tensor)
        down = tensor.name.endswith(("down_proj", "w2"))
        size = tensor.columns if down else tensor.rows
        return self.size(tensor) * ceil(size / self.whole) * self.whole / size

    def scales(self, tensor: Tensor) -> int:
        """How many scales each copy of a tensor has."""
        groups = ceil(tensor.columns / self.group) if self.group > 0 else 1
        return groups * (1 if self.group < 0 else ceil(tensor.rows / self.block_rows))


NVFP4 = Packing(4, 16, scale_bytes=1)
MXFP4 = Packing(4, 32, scale_bytes=1)
MXFP8 = Packing(8, 32, scale_bytes=1)
FP8 = Packing(8, -1, scale_bytes=4)
#: A packing for a name of a module, None where it stays as it was.
Choice = Callable[[Tensor], "Packing | None"]
#: The precisions that NVIDIA's ModelOpt names.
_ALGORITHMS: dict[str, Packing] = {
    "FP8": FP8,
    "FP8_PER_CHANNEL_PER_TOKEN": Packing(8, scale_bytes=4),
    "FP8_PB_WO": Packing(8, 128, 128, scale_bytes=4),
    "NVFP4": NVFP4,
    "NVFP4_AWQ": NVFP4,
    "W4A16_NVFP4": NVFP4,
    "W4A8_NVFP4_FP8": NVFP4,
    "MXFP4": MXFP4,
    "MXFP8": MXFP8,
    "W4A8_MXFP4_FP8": MXFP4,
    "W4A16_AWQ": Packing(4, 128),
    "INT4_AWQ": Packing(4, 128),
}


#: Names of the list of what stays as it was.
_KEPT = (
    "modules_to_not_convert",
    "ignored_layers",
    "ignore",
    "exclude_modules",
    "exclude",
    "llm_int8_skip_modules",
)


#: What only expressions have, and no name of a module.
_OF_EXPRESSIONS = re.compile(r"[*+?()\[\]|^$\\]")


class UnknownPacking(ValueError):
    """How weights are packed is not known; the text names it."""


def packing_of(config: Mapping[str, Any]) -> Choice:
    """How each tensor of a model with this config.json is packed. Raises UnknownPacking."""
    given = quantization(config)
    if not given:
        return lambda tensor: None
    experts = MXFP4 if text_config(config).get("expert_dtype") == "fp4" else None
    choose = _reader(given)

    def packing(tensor: Tensor) -> Packing | None:
        if not tensor.linear:
            return None
        return experts if experts and tensor.routed and _is_plain(given) else choose(tensor)

    return packing


def _is_plain(given: Mapping[str, Any]) -> bool:
    """Whether modules have no precisions of their own, which then count."""
    return not given.get("quantized_layers") and not given.get("config_groups")


def method_of(given: Mapping[str, Any]) -> str:
    """Name of the method of a quantization_config."""
    named_so = given.get("quant_method") or ("modelopt" if given.get("quant_algo") else "")
    return str(named_so).lower()


def _reader(given: Mapping[str, Any]) -> Choice:
    method = method_of(given)
    if given.get("quantized_layers"):
        return _each_module(given)
    if method in ("compressed-tensors", "quark"):
        return (_groups if method == "compressed-tensors" else _quark)(given)
    packing = _whole(method, given)
    kept = _kept(given)
    if method == "mxfp4":
        return lambda tensor: packing if tensor.routed and tensor not in kept else None
    own = _own_packings(method, given)

    def choose(tensor: Tensor) -> Packing | None:
        if tensor in kept:
            return None
        return next((other for modules, other in own if tensor in modules), packing)

    return choose


def _own_packings(method: str, given: Mapping[str, Any]) -> list[tuple[Modules, Packing | None]]:
    """What modules have in the place of the packing of all: by GPTQModel's rules, whose names are
    expressions behind a sign, and by AutoRound's entries. None where they stay as they were.
    """
    rules = given.get("dynamic") if method.startswith("gptq") else given.get("extra_config")
    found: list[tuple[str, Packing | None]] = []
    for name, entry in rules.items() if isinstance(rules, Mapping) else ():
        sign, _colon, rest = str(name).partition(":")
        is_signed = sign in ("+", "-")
        pattern = rest if is_signed else str(name)
        if is_signed or _OF_EXPRESSIONS.search(pattern):
            pattern = f"re:{pattern}"
        changed = {**given, **entry} if isinstance(entry, Mapping) else given
        plain = sign == "-" or float(changed.get("bits") or 4) >= 16
        found.append((pattern, None if plain else _whole(method, changed)))
    return _by_packing(found)


def _by_packing(
    named: Iterable[tuple[str, Packing | None]],
) -> list[tuple[Modules, Packing | None]]:
    """Modules by how they are packed: lists of them are long, and few packings are in them."""
    names: dict[Packing | None, list[str]] = {}
    for name, packing in named:
        names.setdefault(packing, []).append(name)
    return [(Modules(patterns), packing) for packing, patterns in names.items()]


def _kept(given: Mapping[str, Any]) -> Modules:
    """What stays as it was, whatever the list is called."""
    lists = (given.get(name) for name in _KEPT)
    return Modules(
        str(name) for names in lists if isinstance(names, (list, tuple)) for name in names
    )


def _whole(method: str, given: Mapping[str, Any]) -> Packing:
    """The packing of methods that have one for all modules."""
    bits = float(given.get("bits") or given.get("w_bit") or 4)
    group = int(given.get("group_size") or given.get("q_group_size") or 128)
    if method.startswith("awq"):
        return Packing(bits, group, zero_bits=bits)
    if method.startswith("gptq") or method in ("auto-round", "inc"):
        # A group of -1 means that all of a row shares a scale.
        return Packing(bits, max(group, 0), zero_bits=bits, index_bytes=4)
    if method in ("fp8", "fbgemm_fp8", "deepspeedfp"):
        block = given.get("weight_block_size")
        if block:
            # Powers of two take a byte.
            scale = 1 if given.get("scale_fmt") == "ue8m0" and given.get("scale_bytes") else 4
            return Packing(8, int(block[1]), int(block[0]), scale_bytes=scale)
        return Packing(8, 0 if method == "fbgemm_fp8" else -1, scale_bytes=4)
    if method == "bitsandbytes":
        # 64 values share a scale, itself 8 bits: doubly quantised, as its 4 bit form is by default.
        eight = bool(given.get("load_in_8bit"))
        return Packing(8, scale_bytes=4) if eight else Packing(4, 64, scale_bytes=1)
    if method == "mxfp4":
        return replace(MXFP4, whole=256)
    if method in ("mxfp8", "experts_int8", "int8"):
        return MXFP8 if method == "mxfp8" else Packing(8, scale_bytes=4)
    if method.startswith("modelopt"):
        return _algorithm(given)
    raise UnknownPacking(method or "its quantisation")


def _algorithm(given: Mapping[str, Any]) -> Packing:
    name = str(given.get("quant_algo") or "").upper()
    if name not in _ALGORITHMS:
        raise UnknownPacking(f"ModelOpt's {name or 'algorithm'}")
    return _ALGORITHMS[name]


def _each_module(given: Mapping[str, Any]) -> Choice:
    """ModelOpt's mixed precision: each module that is named has its own, the others have none."""
    layers = given.get("quantized_layers")
    entries = layers.items() if isinstance(layers, Mapping) else ()
    packings = _by_packing((str(name), _algorithm(entry)) for name, entry in entries)
    # Where the checkpoint as a whole has a method of its own, it is that of all others.
    without = {key: given[key] for key in given if key not in ("quantized_layers", "ignore")}
    rest = _reader(without) if method_of(given) == "fp8" else None

    def choose(tensor: Tensor) -> Packing | None:
        for modules, packing in packings:
            if tensor in modules:
                return packing
        return rest(tensor) if rest else None

    return choose


def _groups(given: Mapping[str, Any]) -> Choice:
    """compressed-tensors: groups of modules with a scheme each; the first that names one counts."""
    kept = _kept(given)
    groups = given.get("config_groups")
    read: list[tuple[Modules | None, Packing]] = []
    for group in groups.values() if isinstance(groups, Mapping) else ():
        targets = [str(target) for target in group.get("targets") or ("Linear",)]
        every = "Linear" in targets
        read.append((None if every else Modules(targets), _scheme(group, given)))

    def choose(tensor: Tensor) -> Packing | None:
        if tensor in kept:
            return None
        found = (packing for modules, packing in read if modules is None or tensor in modules)
        return next(found, None)

    return choose


def _scheme(group: Mapping[str, Any], given: Mapping[str, Any]) -> Packing:
    weights = group.get("weights") or {}
    bits = float(weights.get("num_bits") or 8)
    zero_bits = 0.0 if weights.get("symmetric", True) else bits
    strategy = weights.get("strategy") or ("group" if weights.get("group_size") else "channel")
    form = str(group.get("format") or given.get("format") or "")
    if strategy == "tensor":
        return Packing(bits, -1)
    if strategy == "block":
        rows, columns = weights.get("block_structure") or (128, 128)
        return Packing(bits, int(columns), int(rows))
    size = max(int(weights.get("group_size") or 0), 0) if "group" in strategy else 0
    scale_bytes = 1 if strategy == "tensor_group" or form.startswith("mxfp4") else 2
    return Packing(bits, size, zero_bits=zero_bits, scale_bytes=scale_bytes)


#: Bits of a value by AMD Quark's names.
_QUARK_BITS = {"fp8": 8, "int8": 8, "uint8": 8, "fp4": 4, "mx": 4, "int4": 4, "uint4": 4, "fp6": 6}


def _quark(given: Mapping[str, Any]) -> Choice:
    """AMD Quark: one scheme for all, or one of its own for modules that are named."""
    kept = _kept(given)
    whole = _quark_scheme(given.get("global_quant_config") or {})
    layers = given.get("layer_quant_config") or {}
    own = [(Modules((str(name),)), _quark_scheme(entry or {})) for name, entry in layers.items()]

    def choose(tensor: Tensor) -> Packing | None:
        if tensor in kept:
            return None
        return next((packing for modules, packing in own if tensor in modules), whole)

    return choose


def _quark_scheme(entry: Mapping[str, Any]) -> Packing | None:
    weight = entry.get("weight")
    if isinstance(weight, list):  # several steps: the last is what is stored
        weight = weight[-1] if weight else None
    if not isinstance(weight, Mapping):
        return None
    kind = str(weight.get("dtype") or "")
    bits = next((size for name, size in _QUARK_BITS.items() if kind.startswith(name)), 0)
    if not bits:
        raise UnknownPacking(f"Quark's {kind or 'scheme'}")
    scheme, group = str(weight.get("qscheme") or ""), int(weight.get("group_size") or 0)
    if scheme == "per_tensor":
        return Packing(bits, -1, scale_bytes=4)
    if group > 0:
        small = kind.startswith(("fp4", "mx", "fp6"))
        return Packing(bits, group, scale_bytes=1 if small else 2)
    return Packing(bits, scale_bytes=4)
