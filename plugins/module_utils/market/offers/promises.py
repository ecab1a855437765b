# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Does a host keep what its offer promised? Advertised beside measured, and what is broken."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import inf
from typing import Any

from ..model import NOT_TOLD
from ..wish import version_key

#: Cards list slightly less than they are sold with, and drivers keep some for themselves.
_VRAM_SHARE = 0.95
#: One connection, or one writing process, never reaches the speed of a large machine: only so much
#: of what was advertised is expected from it.
_MOST_EXPECTED_MBIT_PER_SECOND = 300.0
_MOST_EXPECTED_MB_PER_SECOND = 500.0
_MIB_PER_GIB = 1024.0


@dataclass(frozen=True)
class Promise:
    """One line of the comparison; ``measured`` is None when nobody looked.

    ``promised`` is what the offer says, None when it says nothing: then nothing is compared.
    ``advertised`` is as much of it as is expected from this measurement, and ``least`` what is
    accepted.
    """

    name: str
    promised: Any
    advertised: Any
    least: Any
    measured: Any
    kept: bool

    def to_dict(self) -> dict[str, Any]:
        """The line as plain data. What nobody promised or measured counts as kept."""
        return {
            "name": self.name,
            "advertised": self.advertised,
            "measured": self.measured,
            "kept": self.kept,
        }

    def receipt(self) -> dict[str, Any]:
        """The line as it is kept on file.

        What nobody promised or measured is neither kept nor broken.
        """
        return {
            "promised": self.promised,
            "least": self.least,
            "measured": self.measured,
            "kept": None if None in (self.promised, self.measured) else self.kept,
        }

    def __str__(self) -> str:
        if self.measured is None:
            return f"{self.name} not measured"
        if self.promised is None:
            return f"{self.name} {self.measured} (promise {NOT_TOLD})"
        return f"{self.name} {self.measured} of {self.promised}{'' if self.kept else ' BROKEN'}"


def compare(
    offer: Mapping[str, Any],
    gpu: Mapping[str, Any],
    host: Mapping[str, Any],
    speed: Mapping[str, Any],
    disk_gib: float,
    speed_share: float,
) -> list[Promise]:
    """The promises of *offer* beside what gpu_info (gpu, host) and host_speed measured.

    A rental serves as an offer that does not tell its disk's speed.
    *disk_gib* is what was rented; speeds may fall to *speed_share* of what can be expected.
    """
    cards = gpu.get("gpus") or []
    sizes_mib = [card["memory_total_mib"] for card in cards]
    # A card that does not tell its memory breaks no promise; no card at all does.
    vram_gib = None if None in sizes_mib else min(sizes_mib, default=0) / _MIB_PER_GIB
    driver = gpu.get("driver_version")
    free_mib = host.get("disk_free_mib")
    count, wanted_driver = offer["gpu_count"], offer.get("driver_version") or None
    return [
        Promise("gpus", count, count, count, len(cards), len(cards) >= count),
        _at_least("vram_gib", offer.get("vram_gib"), _rounded(vram_gib, 2), _VRAM_SHARE),
        Promise(
            "driver",
            wanted_driver,
            wanted_driver,
            wanted_driver,
            driver or None,
            not driver or not wanted_driver or version_key(driver) >= version_key(wanted_driver),
        ),
        # The image takes its part of the disk.
        _at_least(
            "disk_gib",
            disk_gib,
            None if free_mib is None else _rounded(free_mib / _MIB_PER_GIB, 1),
            0.5,
        ),
        _at_least(
            "disk_mb_per_second",
            offer.get("disk_mb_per_second"),
            speed.get("disk_mb_per_second"),
            speed_share,
            _MOST_EXPECTED_MB_PER_SECOND,
        ),
        _at_least(
            "download_mbit_per_second",
            offer.get("download_mbit_per_second"),
            speed.get("download_mbit_per_second"),
            speed_share,
            _MOST_EXPECTED_MBIT_PER_SECOND,
        ),
    ]


def _at_least(
    name: str,
    promised: float | None,
    measured: float | None,
    share: float,
    most_expected: float = inf,
) -> Promise:
    if promised is None:
        return Promise(name, None, None, None, measured, True)
    advertised = min(promised, most_expected)
    least = round(advertised * share, 2)
    kept = measured is None or measured >= advertised * share
    return Promise(name, promised, advertised, least, measured, kept)


def _rounded(number: float | None, digits: int) -> float | None:
    return None if number is None else round(number, digits)
