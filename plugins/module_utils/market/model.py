# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Offers, rentals and orders: one vocabulary with units for every provider."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from .errors import RequestRefused
from .mark import Mark


@dataclass(frozen=True)
class Offer:
    """Something rentable. Prices are for the whole offer, VRAM is per GPU."""

    provider: str
    id: str
    machine_id: str
    gpu_name: str
    gpu_count: int
    vram_gib: float
    compute_capability: str
    driver_version: str
    cuda_version: str
    price_usd_per_hour: float
    disk_gib: float
    ram_gib: float
    cpu_cores: float
    download_mbit_per_second: float
    upload_mbit_per_second: float
    download_usd_per_gib: float
    upload_usd_per_gib: float
    reliability: float
    verified: bool
    country: str
    max_duration_hours: float
    direct_ports: int

    def to_dict(self) -> dict[str, Any]:
        """The offer as plain data, as modules return it."""
        return asdict(self)


@dataclass(frozen=True)
class Order:
    """What a create asks for beside the offer itself."""

    mark: Mark
    image: str
    disk_gib: int
    ssh_public_key: str
    ports: tuple[int, ...] = ()


def check_public_key(text: str) -> str:
    """Return *text* when it is one public SSH key, else raise RequestRefused."""
    words = text.split()
    known = len(words) >= 2 and words[0].startswith(("ssh-", "ecdsa-", "sk-"))
    if not known or "\n" in text.strip() or "'" in text:
        raise RequestRefused(
            "ssh_public_key is not a public SSH key. Give the one line of the file that ends in "
            ".pub, such as: ssh-ed25519 AAAA... name"
        )
    return text.strip()


#: What a rental can be doing, in the words of this collection.
STARTING, RUNNING, STOPPED, FAILED = "starting", "running", "stopped", "failed"


@dataclass(frozen=True)
class Endpoint:
    """A host and a port that can be connected to."""

    host: str
    port: int


@dataclass(frozen=True)
class Rental:
    """What we pay for, as its provider shows it."""

    provider: str
    id: str
    label: str
    mark: Mark | None
    status: str
    status_text: str
    price_usd_per_hour: float
    started_at: float
    machine_id: str
    gpu_name: str
    gpu_count: int
    driver_version: str
    ssh_user: str
    ssh: tuple[Endpoint, ...]
    ports: dict[str, Endpoint]
    console_url: str

    def cost_usd(self, now: float) -> float:
        """What the rental has cost so far by its hourly price, rounded to 0.0001 dollars."""
        hours = max(0.0, now - self.started_at) / 3600 if self.started_at else 0.0
        return round(hours * self.price_usd_per_hour, 4)

    def to_dict(self) -> dict[str, Any]:
        """The rental as plain data, as modules return it."""
        data = asdict(self)
        data["ssh"] = [asdict(endpoint) for endpoint in self.ssh]
        return data
