# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Does a host keep what its offer promised? Advertised beside measured, and what is broken."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .wish import version_key

#: Cards list slightly less than they are sold with, and drivers keep some for themselves.
_VRAM_SHARE = 0.95
#: One connection, or one writing process, never reaches the speed of a large machine: only so much
#: of what was advertised is expected from it.
_MOST_EXPECTED_MBIT_PER_SECOND = 300.0
_MOST_EXPECTED_MB_PER_SECOND = 500.0
_MIB_PER_GIB = 1024.0


@dataclass(frozen=True)
class Promise:
    """One line of the comparison; ``measured`` is None when nobody looked."""

    name: str
    advertised: Any
    measured: Any
    kept: bool

    def to_dict(self) -> dict[str, Any]:
        """The line as plain data."""
        return {
            "name": self.name,
            "advertised": self.advertised,
            "measured": self.measured,
            "kept": self.kept,
        }


def compare(
    offer: Mapping[str, Any],
    gpu: Mapping[str, Any],
    host: Mapping[str, Any],
    speed: Mapping[str, Any],
    disk_gib: float,
    speed_share: float,
) -> list[Promise]:
    """The promises of *offer* beside what gpu_info (gpu, host) and host_speed measured.

    A rental serves as an offer that is silent about its disk's speed.
    *disk_gib* is what was rented; speeds may fall to *speed_share* of what can be expected.
    """
    cards = gpu.get("gpus") or []
    driver = gpu.get("driver_version")
    vram_gib = min((card["memory_total_mib"] for card in cards), default=0) / _MIB_PER_GIB
    free_mib = host.get("disk_free_mib")
    free_gib = None if free_mib is None else round(free_mib / _MIB_PER_GIB, 1)
    return [
        Promise("gpus", offer["gpu_count"], len(cards), len(cards) >= offer["gpu_count"]),
        _at_least("vram_gib", offer["vram_gib"], round(vram_gib, 2), _VRAM_SHARE),
        Promise(
            "driver",
            offer["driver_version"],
            driver,
            not driver
            or not offer["driver_version"]
            or version_key(driver) >= version_key(offer["driver_version"]),
        ),
        # The image takes its part of the disk.
        _at_least("disk_gib", disk_gib, free_gib, 0.5),
        _at_least(
            "disk_mb_per_second",
            min(offer.get("disk_mb_per_second", 0.0), _MOST_EXPECTED_MB_PER_SECOND),
            speed.get("disk_mb_per_second"),
            speed_share,
        ),
        _at_least(
            "download_mbit_per_second",
            min(offer["download_mbit_per_second"], _MOST_EXPECTED_MBIT_PER_SECOND),
            speed.get("download_mbit_per_second"),
            speed_share,
        ),
    ]


def _at_least(name: str, advertised: float, measured: float | None, share: float) -> Promise:
    return Promise(name, advertised, measured, measured is None or measured >= advertised * share)
