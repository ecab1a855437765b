# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a server leaves on the disk and can be without: caches, unfinished downloads, old logs.

Only paths that the engine and its libraries name in their documentation are ever looked at.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

from .layout import Layout

MIB = 1024 * 1024


def old_logs(layout: Layout) -> Iterator[Path]:
    """Logs that were rotated away; the one in use stays."""
    for server in layout.servers():
        yield from server.folder.glob("server.log.*")


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
