# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How much disk to rent, and how much is downloaded to it: the model's files, and its stack."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

#: Beyond what is known to lie there: logs, caches, and estimates that are too low.
_SPARE_SHARE, _SPARE_GIB = 0.1, 10.0
#: What a model downloads of which nothing is known.
_UNKNOWN_DOWNLOAD_GIB = 10


@dataclass(frozen=True)
class DiskNeeds:
    """What lies on the disk that is rented, in GiB.

    ``model_gib`` is 0 where the model's size is unknown or it lies elsewhere, and the stack's are 0
    where the image has it.
    """

    model: str
    model_gib: float
    stack_gib: float
    stack_download_gib: float
    reserve_gib: float

    @property
    def least_gib(self) -> float:
        """With less than this it cannot be served."""
        return self.model_gib + self.stack_gib + self.reserve_gib

    @property
    def disk_gib(self) -> int:
        """What to rent where nobody says, unless the provider's usual disk is larger."""
        return math.ceil(self.least_gib * (1 + _SPARE_SHARE) + _SPARE_GIB)

    @property
    def download_gib(self) -> float:
        """What a new host has to fetch."""
        if not self.model_gib:
            return _UNKNOWN_DOWNLOAD_GIB
        return round(self.model_gib + self.stack_download_gib, 1)

    @property
    def refused_below_gib(self) -> float:
        """A disk smaller than this is refused; 0 where the model's size is not known."""
        return self.least_gib if self.model_gib else 0.0

    def to_dict(self) -> dict[str, Any]:
        """The needs as plain data."""
        return {
            "model_gib": self.model_gib,
            "stack_gib": self.stack_gib,
            "least_gib": self.least_gib,
            "disk_gib": self.disk_gib,
            "download_gib": self.download_gib,
            "refused_below_gib": self.refused_below_gib,
            "why": self.why,
        }

    @property
    def why(self) -> str:
        """What a refusal says after the disk's size."""
        return (
            f"{self.model} takes {self.model_gib:.1f} GiB, its stack {self.stack_gib:.1f} GiB, and "
            f"some has to stay free: set it to {math.ceil(self.least_gib)} or more, or leave it "
            "open."
        )


def model_gib(
    model: str, lies_elsewhere: bool, asked_gib: float = 0.0, computed_gib: float = 0.0
) -> float:
    """The size of the model's files on the rented disk; 0 where it is unknown or none are there.

    What the hub was asked for its files goes before what was computed from the model's config.
    """
    if lies_elsewhere or model.startswith("/"):
        return 0.0
    return asked_gib or computed_gib
