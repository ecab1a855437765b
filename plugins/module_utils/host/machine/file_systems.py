# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which file system a file is on, and how much of it the page cache holds."""

from __future__ import annotations

import ctypes
import mmap
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

MOUNTS = Path("/proc/self/mounts")
#: Of all files together so many stretches are looked at, or one of each file where that is more.
SAMPLES, SAMPLE_BYTES = 256, 2**20
_ESCAPED = re.compile(r"\\([0-7]{3})")


def file_system_of(path: Path, mounts: Path = MOUNTS) -> str | None:
    """The type of the file system that serves a path, such as ext4; None where nobody tells."""
    real, best, found = os.path.realpath(path), "", None
    try:
        lines = mounts.read_text(errors="replace").splitlines()
    except OSError:
        return None
    for line in lines:
        _device, place, kind, *_rest = [*line.split(" "), "", "", ""]
        place = _ESCAPED.sub(lambda escaped: chr(int(escaped[1], 8)), place)
        is_above = real == place or real.startswith(place.rstrip("/") + "/")
        # Of two mounts in one place the later one is seen.
        if place and is_above and len(place) >= len(best):
            best, found = place, kind
    return found or None


def cached_share(files: Sequence[Path]) -> float | None:
    """How much of these files memory holds, from 0 to 1, by samples; None where nobody can tell.

    The kernel tells it of files that we own or may write, and says 1 of any other.
    """
    try:
        sizes = {file: file.stat().st_size for file in files}
        step = max(SAMPLE_BYTES, sum(sizes.values()) // SAMPLES)
        step -= step % mmap.ALLOCATIONGRANULARITY
        told = [
            held
            for file, size in sizes.items()
            for offset in range(0, size, step)
            for held in _held(file, offset, min(SAMPLE_BYTES, size - offset))
        ]
    except (AttributeError, OSError, ValueError):
        return None
    return sum(told) / len(told) if told else None


def _held(file: Path, offset: int, size: int) -> list[int]:
    """For each page of a stretch, whether memory holds it. Nothing is read for that."""
    pages = (ctypes.c_ubyte * -(-size // mmap.PAGESIZE))()
    libc: Any = ctypes.CDLL(None, use_errno=True)
    with file.open("rb") as stream, mmap.mmap(
        # A view that could be written to tells its address; it is a private one.
        stream.fileno(), size, mmap.MAP_PRIVATE, mmap.PROT_READ | mmap.PROT_WRITE, offset=offset
    ) as view:  # fmt: skip
        first = ctypes.c_char.from_buffer(view)
        address = ctypes.c_void_p(ctypes.addressof(first))
        failed = libc.mincore(address, ctypes.c_size_t(size), pages)
        del first  # or the view could not be closed
    if failed:
        raise OSError(ctypes.get_errno(), "mincore")
    return [page & 1 for page in pages]
