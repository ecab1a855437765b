# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a model on the host says of itself, and where its weights lie."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ...hub.selection import WEIGHTS
from ..machine.file_systems import cached_share, file_system_of

CONFIG, INDEX = "config.json", "model.safetensors.index.json"
QUANTIZATION = "hf_quant_config.json"
MOST_CONFIG_BYTES = 8 * 1024 * 1024
_TOTAL_SIZE = re.compile(rb'"total_size": *([0-9]{1,16})\b')


def described(model: str, hub_dir: Path) -> dict[str, Any]:
    """`config` is the text of its config.json, `quantization` that of hf_quant_config.json, and
    `weights_bytes` what its index states. `weights` tells where they lie, as `placed` does.

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
        "weights": next(filter(None, map(placed, folders)), None),
    }


def placed(folder: Path) -> dict[str, Any] | None:
    """The `bytes` of a folder's safetensors files, their `file_system`, and the `cached_share` that
    memory holds already; None where there is no such file.
    """
    try:
        files = [path for pattern in WEIGHTS for path in sorted(folder.glob(pattern))]
        size = sum(path.stat().st_size for path in files)
    except OSError:
        return None
    if not files:
        return None
    share = cached_share(files)
    return {
        "bytes": size,
        "file_system": file_system_of(files[0]),
        "cached_share": None if share is None else round(share, 3),
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
