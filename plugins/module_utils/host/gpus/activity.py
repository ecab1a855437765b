# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How hard each GPU works now, how hot and how full it is, and what slows its clocks down.

Read from nvidia-smi's query output. What the driver does not tell is None; no driver, no entries.
"""

from __future__ import annotations

import subprocess
from typing import Any

from ..machine.tools import tool_environment

TIMEOUT_SECONDS = 15
FIELDS = "index,utilization.gpu,temperature.gpu,memory.used,memory.total"
REASONS_FIELDS = ("clocks_event_reasons.active", "clocks_throttle_reasons.active")
"""The name since driver 535, and the one before it."""

THROTTLING = {
    0x04: "power",
    0x08: "hardware",
    0x20: "heat",
    0x40: "heat",
    0x80: "power",
}
"""Bits of nvmlClocksEventReasons that mean slower than asked for. Idle clocks are none of them."""


def read() -> list[dict[str, Any]]:
    """One entry for each GPU: index, utilization_percent, temperature_celsius, memory_used_mib,
    memory_total_mib, throttled_by.
    """
    for reasons in REASONS_FIELDS:
        entries = _query(f"{FIELDS},{reasons}")
        if entries:
            return entries
    return []


def _query(fields: str) -> list[dict[str, Any]]:
    try:
        done = subprocess.run(
            ["nvidia-smi", f"--query-gpu={fields}", "--format=csv,noheader,nounits"],
            capture_output=True,
            text=True,
            check=False,
            timeout=TIMEOUT_SECONDS,
            env=tool_environment(),
        )
    except (OSError, subprocess.TimeoutExpired):
        return []
    return [] if done.returncode else parse(done.stdout)


def parse(output: str) -> list[dict[str, Any]]:
    """The entries in the answer of nvidia-smi; lines of another shape are left out."""
    entries = []
    for line in output.splitlines():
        cells = [cell.strip() for cell in line.split(",")]
        if len(cells) != 6 or not cells[0].isdigit():
            continue
        bits = _number(cells[5], 16)
        entries.append(
            {
                "index": int(cells[0]),
                "utilization_percent": _number(cells[1]),
                "temperature_celsius": _number(cells[2]),
                "memory_used_mib": _number(cells[3]),
                "memory_total_mib": _number(cells[4]),
                "throttled_by": None
                if bits is None
                else sorted({name for bit, name in THROTTLING.items() if bits & bit}),
            }
        )
    return entries


def _number(text: str, base: int = 10) -> int | None:
    """nvidia-smi writes "[N/A]" for what it does not know."""
    try:
        return int(text, base)
    except ValueError:
        return None
