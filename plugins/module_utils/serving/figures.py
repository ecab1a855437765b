# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Figures that may be off by something, and how people read them."""

from __future__ import annotations

from dataclasses import dataclass

GIB = 1024**3


@dataclass(frozen=True)
class Estimate:
    """A number of bytes and by how much it may be off."""

    value: float
    error: float = 0.0

    def __add__(self, other: Estimate) -> Estimate:
        return Estimate(self.value + other.value, self.error + other.error)

    @property
    def low(self) -> float:
        return self.value - self.error

    @property
    def high(self) -> float:
        return self.value + self.error

    def __str__(self) -> str:
        return f"{gib(self.value)} ± {gib(self.error)} GiB"

    def shown(self) -> dict[str, float]:
        return {"value": gib(self.value), "error": gib(self.error)}


def gib(number: float) -> float:
    """Bytes as GiB for a person."""
    return round(number / GIB, 2)
