# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the kernel said of killed and crashed processes and of GPUs (Linux: ABI/testing/dev-kmsg).

A server cannot write down that it was killed for want of memory or that its GPU fell off the bus.
The log belongs to the machine: containers rarely see it, and then only what the launcher counted
is known.
"""

from __future__ import annotations

import os
import re
import time
from pathlib import Path
from typing import Any, NamedTuple

KMSG = Path("/dev/kmsg")
RECORD_BYTES = 8192
MAX_LINES = 200
MOST_PER_GPU = 20
COUNTED = "The control group's memory events count an out-of-memory kill since the server's start."

_TELLING = re.compile(r"oom-kill:|[Kk]ill(?:ed)? process|NVRM: |traps: |: segfault at")
_XID = re.compile(r"NVRM: Xid \(PCI:([0-9a-fA-F:.]+)\): (\d+)(?:, (.*))?")


class Said(NamedTuple):
    """One message and when it came, in seconds since boot."""

    seconds_after_boot: float
    message: str


def since(started_at: float | None, path: Path = KMSG, oom_kills: int | None = None) -> list[str]:
    """The telling messages since that time, in seconds since the epoch, at most the last 200.

    Where this user may not read them, as in most containers, `oom_kills` as the launcher counted
    them makes a line of its own.
    """
    if started_at is None:
        return []
    counted = [COUNTED] if oom_kills else []
    seconds_after_boot = time.monotonic() - (time.time() - started_at)
    lines = [
        said.message
        for said in _messages(path) or []
        if said.seconds_after_boot >= seconds_after_boot and _TELLING.search(said.message)
    ]
    return [*counted, *lines][-MAX_LINES:]


def xids(path: Path = KMSG) -> dict[str, list[dict[str, Any]]] | None:
    """Xid messages of this boot by PCI address, oldest first; None when the log is closed to us."""
    messages = _messages(path)
    if messages is None:
        return None
    found: dict[str, list[dict[str, Any]]] = {}
    for said in messages:
        event = _XID.search(said.message)
        if event and event[1].count(":") == 2:
            found.setdefault(pci_address(event[1]), []).append(
                {
                    "xid": int(event[2]),
                    "message": (event[3] or "").strip(),
                    "seconds_after_boot": int(said.seconds_after_boot),
                }
            )
    return {address: events[-MOST_PER_GPU:] for address, events in found.items()}


def pci_address(text: str) -> str:
    """00000000:65:00.0 and 0000:65:00 name the same slot, 0:65:00 here."""
    domain, bus, device = text.split(".")[0].lower().split(":")
    return f"{int(domain, 16):x}:{bus}:{device}"


def _messages(path: Path) -> list[Said] | None:
    """What the ring buffer holds now, oldest first; None when it is closed to us.

    A record is "priority,sequence,microseconds since boot,flags;message". Lines that begin with a
    space belong to the record before.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except OSError:
        return None
    read: list[bytes] = []
    try:
        while record := _next(descriptor):
            read.append(record)
    except BlockingIOError:
        pass  # the end of the ring buffer
    except OSError:
        return None
    finally:
        os.close(descriptor)
    messages = []
    for line in b"".join(read).decode(errors="replace").splitlines():
        fields, _semicolon, message = line.partition(";")
        numbers = fields.split(",")
        if not line.startswith(" ") and len(numbers) >= 3 and numbers[2].isdigit():
            messages.append(Said(int(numbers[2]) / 1e6, message))
    return messages


def _next(descriptor: int) -> bytes:
    """The next record; one that was overwritten before it could be read is passed over."""
    while True:
        try:
            return os.read(descriptor, RECORD_BYTES)
        except BrokenPipeError:
            continue
