# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the kernel's log tells about GPUs: NVIDIA's Xid messages.

The log belongs to the machine: containers rarely see it, and then nothing is known.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

LOG = Path("/dev/kmsg")
RECORD_BYTES = 8192
MOST_PER_GPU = 20
_XID = re.compile(r"NVRM: Xid \(PCI:([0-9a-fA-F:.]+)\): (\d+)(?:, (.*))?")


def xids(log: Path = LOG) -> dict[str, list[dict[str, Any]]] | None:
    """Xid messages of this boot by PCI address, oldest first; None when the log is closed to us."""
    try:
        handle = os.open(log, os.O_RDONLY | os.O_NONBLOCK)
    except OSError:
        return None
    found: dict[str, list[dict[str, Any]]] = {}
    try:
        while True:
            try:
                record = os.read(handle, RECORD_BYTES)
            except BrokenPipeError:  # the next record was overwritten meanwhile: go on after it
                continue
            except BlockingIOError:  # the end
                break
            except OSError:
                return None
            if not record:
                break
            for line in record.decode(errors="replace").splitlines():
                _note(line, found)
    finally:
        os.close(handle)
    return {address: events[-MOST_PER_GPU:] for address, events in found.items()}


def pci_address(text: str) -> str:
    """00000000:65:00.0 and 0000:65:00 name the same slot, 0:65:00 here."""
    domain, bus, device = text.split(".")[0].lower().split(":")
    return f"{int(domain, 16):x}:{bus}:{device}"


def _note(line: str, found: dict[str, list[dict[str, Any]]]) -> None:
    """A record is "priority,sequence,microseconds since boot,flags;message"."""
    head, _separator, message = line.partition(";")
    event = _XID.search(message)
    if not event or event[1].count(":") != 2:
        return
    moment = head.split(",")[2:3]
    found.setdefault(pci_address(event[1]), []).append(
        {
            "xid": int(event[2]),
            "message": (event[3] or "").strip(),
            "seconds_after_boot": int(moment[0]) // 1_000_000 if moment else None,
        }
    )
