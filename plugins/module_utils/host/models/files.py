# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a folder holds a whole model, or a file is one."""

from __future__ import annotations

import json
import struct
from pathlib import Path

from ...hub.selection import OLD_WEIGHTS, WEIGHTS

INDEX, OLD_INDEX = "model.safetensors.index.json", "pytorch_model.bin.index.json"
CONFIGS = ("config.json", "params.json")
LENGTH_BYTES = 8
SINGLE, SINGLE_BEGIN = ".gguf", b"GGUF"
"""Of a file that has the model's config and tokenizer in it."""


def problems(folder: Path) -> list[str]:
    """What keeps a folder, or a GGUF file, from being a whole model, in sentences; nothing when it
    is one."""
    if folder.suffix == SINGLE and folder.is_file():
        return list(filter(None, [_ill_single(folder)]))
    if not folder.is_dir():
        return [f"There is no folder {folder}."]
    weights = _weights(folder)
    is_single = all(path.suffix == SINGLE for path in weights) and bool(weights)
    if not is_single and not any(size_of(folder / name) for name in CONFIGS):
        return [f"{folder} has no {CONFIGS[0]}: it is no model, or only a part of one."]
    if not weights:
        return [f"{folder} has no weights."]
    lacking = [path.name for path in weights if not size_of(path)]
    told = [f"Weights are missing or empty: {', '.join(lacking)}."] if lacking else []
    there = [path for path in weights if size_of(path)]
    looked = [_LOOKS[path.suffix](path) for path in there if path.suffix in _LOOKS]
    return told + [text for text in looked if text]


def _weights(folder: Path) -> list[Path]:
    """The files that the index names; without an index, all that look like weights.

    The index of old formats comes along with safetensors files, which are loaded in their place.
    """
    is_new = any(path for pattern in WEIGHTS for path in folder.glob(pattern))
    for index in (INDEX,) if is_new else (INDEX, OLD_INDEX):
        try:
            content = json.loads((folder / index).read_text())
            return [folder / name for name in sorted(set(content["weight_map"].values()))]
        except (OSError, ValueError, KeyError, AttributeError):
            continue
    for patterns in (WEIGHTS, (f"**/*{SINGLE}",), OLD_WEIGHTS):
        found = sorted(path for pattern in patterns for path in folder.glob(pattern))
        if found:
            return found
    return []


def _ill_safetensors(path: Path) -> str | None:
    """What is wrong with a file, by the lengths in its own header; None when nothing is."""
    size = size_of(path)
    try:
        with path.open("rb") as stream:
            (length,) = struct.unpack("<Q", stream.read(LENGTH_BYTES))
            if length > size:
                return f"{path.name} is cut short or damaged: its header is longer than the file."
            header = json.loads(stream.read(length))
        ends = [entry["data_offsets"][1] for name, entry in header.items() if name[:2] != "__"]
    except (OSError, ValueError, struct.error, KeyError, TypeError, IndexError, AttributeError):
        return f"{path.name} is damaged: its header cannot be read."
    announced = LENGTH_BYTES + length + max(ends, default=0)
    if announced == size:
        return None
    return f"{path.name} is cut short or damaged: it has {size} of {announced} bytes."


def _ill_single(path: Path) -> str | None:
    """What is wrong with a GGUF file, as far as its first letters tell; None when nothing is."""
    try:
        with path.open("rb") as stream:
            if stream.read(len(SINGLE_BEGIN)) == SINGLE_BEGIN:
                return None
    except OSError as error:
        return f"{path.name} cannot be read: {error}."
    return f"{path.name} is no GGUF file, or damaged: it does not begin like one."


_LOOKS = {".safetensors": _ill_safetensors, SINGLE: _ill_single}


def size_of(path: Path) -> int:
    """The bytes of a file; 0 where there is none."""
    try:
        return path.stat().st_size
    except OSError:
        return 0
