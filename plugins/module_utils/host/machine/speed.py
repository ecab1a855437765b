# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How fast this host's disk and network really are, measured in a few bounded seconds."""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path

from ansible.module_utils.urls import open_url

from ...common.private_files import private_folder

_CHUNK_BYTES = 1024 * 1024


def disk_mb_per_second(folder: Path, size_mib: int) -> float:
    """Write *size_mib* to a file in *folder*, flush it to the disk, and tell MB per second.

    Raises OSError, for a full disk above all.
    """
    folder = private_folder(folder)
    # Not zeros: some disks compress.
    block = os.urandom(_CHUNK_BYTES)
    with tempfile.NamedTemporaryFile(dir=folder, prefix=".speed-") as file:
        start = time.monotonic()
        for _number in range(size_mib):
            file.write(block)
        file.flush()
        os.fsync(file.fileno())
        seconds = time.monotonic() - start
    return size_mib * _CHUNK_BYTES / 1e6 / max(seconds, 1e-6)


def download_mbit_per_second(url: str, most_mib: int, most_seconds: float) -> float:
    """Read from *url* until so many MiB or seconds are over, and tell Mbit per second.

    Raises OSError when nothing can be read.
    """
    start = time.monotonic()
    read = 0
    with open_url(url, timeout=most_seconds, http_agent="inferops.gpu") as answer:
        while read < most_mib * _CHUNK_BYTES and time.monotonic() - start < most_seconds:
            chunk = answer.read(_CHUNK_BYTES)
            if not chunk:
                break
            read += len(chunk)
    if not read:
        raise OSError(f"{url} gave nothing to read")
    return read * 8 / 1e6 / max(time.monotonic() - start, 1e-6)
