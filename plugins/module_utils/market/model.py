# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Offers, rentals and orders: one vocabulary with units for every provider."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from .errors import RequestRefused
from .mark import Mark


@dataclass(frozen=True)
class Offer:
    """Something rentable. Prices are for the whole offer, VRAM is per GPU.

    ``price_usd_per_hour`` includes ``disk_usd_per_hour``, the disk that the wish asks for.
    """

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
    disk_usd_per_hour: float
    disk_gib: float
    disk_mb_per_second: float
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
    """What a create asks for beside the offer itself.

    ``host_key`` travels with the create where the provider lets it; None leaves the host's own.
    ``created_at`` is the time of the create in epoch seconds.
    """

    mark: Mark
    image: str
    disk_gib: int
    ssh_public_key: str
    created_at: int
    host_key: HostKey | None = None
    ports: tuple[int, ...] = ()


def check_public_key(text: str) -> str:
    """Return *text* when it is one public SSH key, else raise RequestRefused."""
    words = text.split()
    known = len(words) >= 2 and words[0].startswith(("ssh-", "ecdsa-", "sk-"))
    if not known or "\n" in text.strip() or "'" in text:
        raise RequestRefused(
            "ssh_public_key is not a public SSH key.",
            remedy="Give the one line of the file that ends in .pub: ssh-ed25519 AAAA... name",
        )
    return text.strip()


#: What a rental can be doing, in the words of this collection. A silent one has lost its
#: heartbeat: it may come back, a failed one never does.
STARTING, RUNNING, SILENT, STOPPED, FAILED = "starting", "running", "silent", "stopped", "failed"
#: Nobody can use these any more, though they may bill.
DEAD = (STOPPED, FAILED)
#: Its row in a list is odd: nothing but its id and its mark is known.
UNREADABLE = "unreadable"


@dataclass(frozen=True)
class Endpoint:
    """A host and a port that can be connected to."""

    host: str
    port: int


@dataclass(frozen=True)
class Rental:
    """What we pay for, as its provider shows it.

    ``seniority`` sorts the rentals of a provider by their creation and never changes.
    ``started_at`` is in epoch seconds, 0 while the provider gives none.
    """

    provider: str
    id: str
    seniority: str
    label: str
    mark: Mark | None
    status: str
    status_text: str
    price_usd_per_hour: float
    started_at: float
    machine_id: str
    gpu_name: str
    gpu_count: int
    vram_gib: float
    driver_version: str
    download_mbit_per_second: float
    ssh_user: str
    ssh: tuple[Endpoint, ...]
    ports: dict[str, Endpoint]
    console_url: str

    @property
    def precedence(self) -> tuple[bool, str]:
        """Sorts the rentals of one name: the oldest that lives counts, the dead come last."""
        return self.status in DEAD, self.seniority

    def cost_usd(self, now: float) -> float:
        """What the rental has cost so far by its hourly price, in dollars."""
        return cost_usd(self.price_usd_per_hour, self.started_at, now)

    def to_dict(self) -> dict[str, Any]:
        """The rental as plain data, as modules return it."""
        data = asdict(self)
        data["ssh"] = [asdict(endpoint) for endpoint in self.ssh]
        return data

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Rental:
        """The rental that :meth:`to_dict` made *data* from."""
        return cls(
            **{
                **data,
                "mark": Mark(**data["mark"]) if data["mark"] else None,
                "ssh": tuple(Endpoint(**endpoint) for endpoint in data["ssh"]),
                "ports": {port: Endpoint(**way) for port, way in data["ports"].items()},
            }
        )


def cost_usd(price_usd_per_hour: float, started_at: float, now: float) -> float:
    """Dollars from *started_at* to *now* (epoch seconds), to 0.0001; 0 when it has not started."""
    hours = max(0.0, now - started_at) / 3600 if started_at else 0.0
    return round(hours * price_usd_per_hour, 4)


def rental_cost_usd(rental: Mapping[str, Any], now: float) -> float:
    """What a rental, as modules return it, has cost until *now*; an empty one has cost nothing."""
    mark = rental.get("mark") or {}
    since = rental.get("started_at") or mark.get("created_at")
    return cost_usd(float(rental.get("price_usd_per_hour") or 0), float(since or 0), now)


@dataclass(frozen=True)
class HostKey:
    """One Ed25519 host key: the OpenSSH PEM text, and the two words that clients pin.

    Keys are the same when their public halves are: the PEM text holds random padding.
    """

    private: str = field(repr=False, compare=False)
    public: str
