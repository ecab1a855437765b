# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a folder holds a whole model."""

from __future__ import annotations

import json
import struct
from pathlib import Path

from ...hub.selection import OLD_WEIGHTS, WEIGHTS

INDEX, OLD_INDEX = "model.safetensors.index.json", "pytorch_model.bin.index.json"
CONFIGS = ("config.json", "params.json")
LENGTH_BYTES = 8


def problems(folder: Path) -> list[str]:
    """What keeps a folder from being a whole model, in sentences; nothing when it is one."""
    if not folder.is_dir():
        return [f"There is no folder {folder}."]
    if not any(size_of(folder / name) for name in CONFIGS):
        return [f"{folder} has no {CONFIGS[0]}: it is no model, or only a part of one."]
    weights = _weights(folder)
    if not weights:
        return [f"{folder} has no weights."]
    lacking = [path.name for path in weights if not size_of(path)]
    told = [f"Weights are missing or empty: {', '.join(lacking)}."] if lacking else []
    whole = [path for path in weights if path.suffix == ".safetensors" and size_of(path)]
    return told + [text for text in map(_ill_safetensors, whole) if text]


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
    for patterns in (WEIGHTS, ("*.gguf",), OLD_WEIGHTS):
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


def size_of(path: Path) -> int:
    """The bytes of a file; 0 where there is none."""
    try:
        return path.stat().st_size
    except OSError:
        return 0
