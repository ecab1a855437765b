# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the kernel said of killed and crashed processes and of GPUs (Linux: ABI/testing/dev-kmsg).

A server cannot write down that it was killed for want of memory or that its GPU fell off the bus.
"""

from __future__ import annotations

import os
import re
import time
from pathlib import Path

KMSG = Path("/dev/kmsg")
RECORD_BYTES = 8192
MAX_LINES = 200

_TELLING = re.compile(r"oom-kill:|[Kk]ill(?:ed)? process|NVRM: |traps: |: segfault at")


def since(started_at: float | None, path: Path = KMSG) -> list[str]:
    """The telling messages since that time, in seconds since the epoch, at most the last 200.

    Empty where this user may not read them, as in most containers.
    """
    if started_at is None:
        return []
    seconds_after_boot = time.monotonic() - (time.time() - started_at)
    lines = []
    for record in _records(path):
        fields, message = record.partition(";")[::2]
        numbers = fields.split(",")
        told = len(numbers) >= 3 and numbers[2].isdigit() and _TELLING.search(message)
        if told and int(numbers[2]) / 1e6 >= seconds_after_boot:
            lines.append(message)
    return lines[-MAX_LINES:]


def _records(path: Path) -> list[str]:
    """What the ring buffer holds now; lines that begin with a space belong to the one before."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except OSError:
        return []
    read: list[bytes] = []
    try:
        while record := _next(descriptor):
            read.append(record)
    except OSError:
        # The end of the ring buffer, or no right to read what could be opened.
        pass
    finally:
        os.close(descriptor)
    lines = b"".join(read).decode(errors="replace").splitlines()
    return [line for line in lines if not line.startswith(" ")]


def _next(descriptor: int) -> bytes:
    """The next record; one that was overwritten before it could be read is passed over."""
    while True:
        try:
            return os.read(descriptor, RECORD_BYTES)
        except BrokenPipeError:
            continue
