# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the hub's own client keeps on a host: its cache of models."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

HUB_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*/[A-Za-z0-9][A-Za-z0-9._-]*")


def hub_caches(environment: Mapping[str, str], download_dir: str | None) -> list[Path]:
    """Where models that were downloaded for a server may lie."""
    home = Path(environment.get("HF_HOME") or "~/.cache/huggingface")
    cache = environment.get("HF_HUB_CACHE") or home / "hub"
    folders = [Path(cache), *([Path(download_dir)] if download_dir else [])]
    return [folder.expanduser() for folder in folders]


def unfinished(caches: list[Path]) -> Iterator[Path]:
    """Downloads that were cut off."""
    for cache in caches:
        yield from cache.glob("models--*/blobs/*.incomplete")


def downloaded(model: str, caches: list[Path]) -> Iterator[Path]:
    """The folders of one model of the hub. Raises ValueError for what is no name of one."""
    if not HUB_ID.fullmatch(model):
        raise ValueError(f"model: {model!r} was not downloaded from the hub, so it is not deleted.")
    for cache in caches:
        folder = cache / f"models--{model.replace('/', '--')}"
        if folder.is_dir():
            yield folder
