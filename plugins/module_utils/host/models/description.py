# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a model on the host says of itself: its config, and how large its weights are."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

CONFIG, INDEX = "config.json", "model.safetensors.index.json"
QUANTIZATION = "hf_quant_config.json"
MOST_CONFIG_BYTES = 8 * 1024 * 1024
_TOTAL_SIZE = re.compile(rb'"total_size": *([0-9]{1,16})\b')


def described(model: str, hub_dir: Path) -> dict[str, Any]:
    """`config` is the text of its config.json, `quantization` that of hf_quant_config.json, and
    `weights_bytes` what its index states.

    Each is None where it is not there. A *model* that is no folder is looked for in *hub_dir*, the
    cache of the hub's own client.
    """
    folders = [Path(model)]
    if not model.startswith("/"):
        cache = hub_dir.expanduser() / f"models--{model.replace('/', '--')}" / "snapshots"
        folders = list(cache.glob("*"))
    config, index = _newest(folders, CONFIG), _newest(folders, INDEX)
    quantization = _newest(folders, QUANTIZATION)
    size = _TOTAL_SIZE.search(index) if index else None
    return {
        "config": config.decode(errors="replace") if config else None,
        "quantization": quantization.decode(errors="replace") if quantization else None,
        "weights_bytes": int(size[1]) if size else None,
    }


def _newest(folders: Iterable[Path], name: str) -> bytes | None:
    """The content of the newest file of this name that can be read."""
    files = []
    for folder in folders:
        try:
            files.append(((folder / name).stat().st_mtime, folder / name))
        except OSError:
            continue
    for _time, file in sorted(files, reverse=True):
        try:
            with file.open("rb") as stream:
                return stream.read(MOST_CONFIG_BYTES)
        except OSError:
            continue
    return None
