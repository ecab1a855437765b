# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One GPU as everything here speaks of it, whoever was asked about it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

MIB = 1024 * 1024


class GpuError(Exception):
    """The driver cannot be asked; the text is the reason in plain words.

    `code` is NVML's own number for it, None when somebody else was asked.
    """

    def __init__(self, reason: str, code: int | None = None) -> None:
        super().__init__(reason)
        self.code = code


@dataclass(frozen=True)
class Gpu:
    """One GPU; None is what the driver does not tell.

    `processes` holds pid and memory_used_mib as the driver names them: inside a container these
    are PIDs of the machine around it, or nothing at all. `processes_shown` says which it is: all,
    hidden or unknown.
    """

    index: int
    name: str
    uuid: str
    compute_capability: str | None
    memory_total_mib: int | None
    memory_used_mib: int | None
    memory_free_mib: int | None
    temperature_celsius: int | None
    processes: list[dict[str, int | None]] = field(default_factory=list)
    processes_shown: str = "unknown"
    utilization_percent: int | None = None
    pci_bus_id: str | None = None
    ecc: dict[str, Any] | None = None
    mig: dict[str, Any] | None = None
    peers: list[dict[str, Any]] | None = None
    xids: list[dict[str, Any]] | None = None


@dataclass(frozen=True)
class Answer:
    """What one source says: the driver, its GPUs, and trouble with single ones of them."""

    driver_version: str | None
    cuda_driver_version: str | None
    gpus: list[Gpu]
    problems: list[str] = field(default_factory=list)


def cuda_version(number: int | None) -> str | None:
    """12080 is 12.8: see cuDriverGetVersion in the CUDA driver API."""
    return f"{number // 1000}.{number % 1000 // 10}" if number else None
