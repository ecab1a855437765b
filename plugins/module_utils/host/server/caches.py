# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a server leaves on the disk and can be without: caches, unfinished downloads, old logs.

Only paths that the engine and its libraries name in their documentation are ever looked at.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

from .layout import Layout, inductor_cache

HUB_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*/[A-Za-z0-9][A-Za-z0-9._-]*")
MIB = 1024 * 1024


def hub_caches(environment: Mapping[str, str], download_dir: str | None) -> list[Path]:
    """Where models that were downloaded for a server may lie."""
    home = Path(environment.get("HF_HOME") or "~/.cache/huggingface")
    cache = environment.get("HF_HUB_CACHE") or home / "hub"
    folders = [Path(cache), *([Path(download_dir)] if download_dir else [])]
    return [folder.expanduser() for folder in folders]


def compiled(environment: Mapping[str, str]) -> list[Path]:
    """Folders of compiled kernels and graphs; they are filled again by the next start."""
    root = Path(environment.get("VLLM_CACHE_ROOT") or "~/.cache/vllm").expanduser()
    triton = Path(environment.get("TRITON_CACHE_DIR") or "~/.triton/cache").expanduser()
    inductor = Path(environment.get("TORCHINDUCTOR_CACHE_DIR") or inductor_cache())
    return [path for path in (root / "torch_compile_cache", triton, inductor) if path.is_dir()]


def unfinished(caches: list[Path]) -> Iterator[Path]:
    """Downloads that were cut off."""
    for cache in caches:
        yield from cache.glob("models--*/blobs/*.incomplete")


def old_logs(layout: Layout) -> Iterator[Path]:
    """Logs that were rotated away; the one in use stays."""
    for server in layout.servers():
        yield from server.folder.glob("server.log.*")


def downloaded(model: str, caches: list[Path]) -> Iterator[Path]:
    """The folders of one model of the hub. Raises ValueError for what is no name of one."""
    if not HUB_ID.fullmatch(model):
        raise ValueError(f"model: {model!r} was not downloaded from the hub, so it is not deleted.")
    for cache in caches:
        folder = cache / f"models--{model.replace('/', '--')}"
        if folder.is_dir():
            yield folder


def size_mib(path: Path) -> float:
    """What a file, or all files below a folder, take on the disk."""
    files = [path] if path.is_file() else [found for found in path.rglob("*") if found.is_file()]
    return round(sum(file.lstat().st_blocks * 512 for file in files) / MIB, 1)


def remove(path: Path) -> None:
    """Delete a file or a whole folder; a link is deleted, never what it leads to."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()
