# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Offers, rentals and orders: one vocabulary with units for every provider.

An offer, a rental or an endpoint whose fields are not of their kind cannot be made: ValueError.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from .border import (
    check_count,
    check_host,
    check_id,
    check_numbers,
    check_port,
    check_prices,
    check_texts,
    check_user,
    check_versions,
    port_of,
)
from .errors import RequestRefused
from .gpus import gpu_key
from .mark import Mark

#: How people read None: the provider says nothing about it.
NOT_TOLD = "not told"
#: What plain data has beside the fields of an offer or a rental.
_GPU_KEY = "gpu"


def _without_gpu_key(data: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in data.items() if name != _GPU_KEY}


@dataclass(frozen=True)
class Offer:
    """Something rentable. Prices are for the whole offer, VRAM is per GPU.

    ``price_usd_per_hour`` includes ``disk_usd_per_hour``, the disk that the wish asks for. None is
    what the provider does not tell: it refuses nothing, and costs the offer one doubt.
    """

    provider: str
    id: str
    gpu_name: str
    gpu_count: int
    price_usd_per_hour: float
    disk_usd_per_hour: float = 0.0
    machine_id: str | None = None
    vram_gib: float | None = None
    compute_capability: str | None = None
    driver_version: str | None = None
    cuda_version: str | None = None
    disk_gib: float | None = None
    disk_mb_per_second: float | None = None
    ram_gib: float | None = None
    cpu_cores: float | None = None
    download_mbit_per_second: float | None = None
    upload_mbit_per_second: float | None = None
    download_usd_per_gib: float | None = None
    upload_usd_per_gib: float | None = None
    reliability: float | None = None
    verified: bool | None = None
    country: str | None = None
    max_duration_hours: float | None = None
    direct_ports: int | None = None

    def __post_init__(self) -> None:
        check_id(self.id)
        if self.machine_id is not None:
            check_id(self.machine_id)
        check_texts(self.gpu_name, self.country)
        check_versions(self.compute_capability, self.driver_version, self.cuda_version)
        check_count(self.gpu_count)
        check_numbers(self.vram_gib, self.disk_gib, self.disk_mb_per_second)
        check_numbers(self.ram_gib, self.cpu_cores, self.reliability, self.direct_ports)
        check_numbers(self.download_mbit_per_second, self.upload_mbit_per_second)
        check_numbers(self.max_duration_hours)
        check_prices(self.price_usd_per_hour, self.disk_usd_per_hour)
        check_prices(self.download_usd_per_gib, self.upload_usd_per_gib)

    def to_dict(self) -> dict[str, Any]:
        """The offer as plain data, as modules return it, with the key of its GPU."""
        return {**asdict(self), _GPU_KEY: gpu_key(self.gpu_name)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Offer:
        """The offer that :meth:`to_dict` made *data* from."""
        return cls(**_without_gpu_key(data))


@dataclass(frozen=True)
class Order:
    """What a rental request asks for beside the offer itself.

    ``host_key`` travels with the request where the provider lets it; None leaves the host's own.
    ``created_at`` is the time of the rental request in epoch seconds.
    """

    mark: Mark
    image: str
    disk_gib: int
    ssh_public_key: str
    created_at: int
    host_key: HostKey | None = None
    ports: tuple[int, ...] = ()
    registry: RegistryLogin | None = None


@dataclass(frozen=True)
class HostImage:
    """A container image that has the engine already, and what a host has to fetch of it in GiB."""

    name: str
    gib: float


#: What can stand in a command line as it is.
_REGISTRY_WORD = re.compile(r"""[^-\s'"`\\$][^\s'"`\\$]{0,999}""")


@dataclass(frozen=True)
class Account:
    """What an account has and may do; None for what is not told."""

    credit_usd: float | None = None
    may_rent: bool | None = None


@dataclass(frozen=True)
class RegistryLogin:
    """Who gets an image that not everybody gets."""

    host: str
    username: str = field(repr=False)
    password: str = field(repr=False)

    def __post_init__(self) -> None:
        for part in (self.host, self.username, self.password):
            if not _REGISTRY_WORD.fullmatch(part):
                raise ValueError(
                    "a part of its login is missing, begins with a dash, or has blanks or quotes"
                )

    @classmethod
    def for_image(
        cls, image: str, username: str | None, password: str | None
    ) -> RegistryLogin | None:
        """The login for the registry of *image*; None without one. Raises RequestRefused for half.

        As container engines read it, what is before the first slash is a registry where it has a
        dot or a port, and else the image is Docker Hub's.
        """
        if not username and not password:
            return None
        first, slash, _rest = image.partition("/")
        host = first if slash and ("." in first or ":" in first or first == "localhost") else ""
        try:
            return cls(host or "docker.io", username or "", password or "")
        except ValueError as error:
            raise RequestRefused(
                f"The image cannot be fetched so: {error}.",
                remedy="Set registry_username and registry_password, or neither of them.",
            ) from error


#: A reference as container engines read it, and no more: providers put it into a command line. Only
#: a registry before the first slash may have capitals, and a tag. Vast.ai has one tag of its own.
_IMAGE = re.compile(
    r"(?=.{1,300}$)"
    r"(?:[A-Za-z0-9][A-Za-z0-9-]*(?:(?:\.[A-Za-z0-9-]+)+(?::[0-9]{1,5})?|:[0-9]{1,5})/)?"
    r"[a-z0-9]+(?:[._-]+[a-z0-9]+)*(?:/[a-z0-9]+(?:[._-]+[a-z0-9]+)*)*"
    r"(?::[A-Za-z0-9_][A-Za-z0-9._-]*)?(?::?@[A-Za-z0-9][A-Za-z0-9._+:-]*)?"
)


def check_image(name: str) -> str:
    """Return *name* when it can be an image's, else raise RequestRefused."""
    if not _IMAGE.fullmatch(name):
        raise RequestRefused(
            f"{name[:100]!r} is no container image.",
            remedy="Name it as docker pull takes it, such as docker.io/library/debian:12.",
        )
    return name


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

    def __post_init__(self) -> None:
        check_host(self.host)
        check_port(self.port)


@dataclass(frozen=True)
class Rental:
    """What we pay for, as its provider shows it. None is what it does not tell, or not yet.

    ``label`` is what its provider shows in the field of the mark, and ``mark`` whose it is.
    ``claim`` is whose it says that it is: without a mark, nobody may be believed who wrote it.
    It bills ``price_usd_per_hour`` while it runs, and ``stopped_usd_per_hour`` when it does not.
    ``ends_at`` is when its machine's owner wants it back, in epoch seconds.
    ``seniority`` sorts the rentals of a provider by their creation and never changes; empty where
    the provider tells no order. ``started_at`` is in epoch seconds. What is the user's ``own`` is
    no rental at all: nobody rents it, and nobody ends it. One that ``is_ending`` has been released
    already, or is what is left of one: nobody can keep it. One that ``has_odd_label`` shows no text
    in the field of the mark: another answer about it may. One that ``is_interruptible`` may go to
    who pays more, which nobody has asked for.
    """

    provider: str
    id: str
    seniority: str
    label: str
    mark: Mark | None
    status: str
    status_text: str
    price_usd_per_hour: float | None
    started_at: float | None
    machine_id: str | None
    gpu_name: str
    gpu_count: int
    vram_gib: float | None
    driver_version: str | None
    download_mbit_per_second: float | None
    ssh_user: str
    ssh: tuple[Endpoint, ...]
    ports: dict[str, Endpoint]
    console_url: str
    stopped_usd_per_hour: float | None = None
    ends_at: float | None = None
    claim: Mark | None = None
    own: bool = False
    is_ending: bool = False
    has_odd_label: bool = False
    is_interruptible: bool = False

    def __post_init__(self) -> None:
        check_id(self.id)
        if self.machine_id is not None:
            check_id(self.machine_id)
        check_user(self.ssh_user)
        check_texts(self.gpu_name)
        check_versions(self.driver_version)
        check_numbers(self.started_at, self.ends_at, self.gpu_count, self.vram_gib)
        check_numbers(self.download_mbit_per_second)
        check_prices(self.price_usd_per_hour, self.stopped_usd_per_hour)
        for port in self.ports:
            check_port(port_of(port))

    @property
    def precedence(self) -> tuple[bool, str, str]:
        """Sorts the rentals of one name: the oldest that lives counts, the dead come last.

        Where the provider tells no order, the time of the request in the mark does, which unlike
        a start is there from the beginning and never changes.
        """
        created_at = self.mark.created_at if self.mark else 0
        return self.status in DEAD, self.seniority or f"{created_at:020d}", self.id

    @property
    def billed_usd_per_hour(self) -> float | None:
        """What it bills as it is now."""
        return _billed(self.status, self.price_usd_per_hour, self.stopped_usd_per_hour)

    @property
    def is_written_over(self) -> bool:
        """Whether somebody has written into its label: the mark is known from its second copy."""
        return self.mark is not None and Mark.decode(self.label) != self.mark

    @property
    def since(self) -> float:
        """From when on it bills, in epoch seconds: its start, else its request; 0 for unknown."""
        return billing_since(self.started_at, self.mark.created_at if self.mark else 0)

    def cost_usd(self, now: float) -> float:
        """What the rental has cost so far by its hourly price, in dollars."""
        return cost_usd(self.price_usd_per_hour, self.since, now)

    def to_dict(self) -> dict[str, Any]:
        """The rental as plain data, as modules return it, with the key of its GPU."""
        data = {**asdict(self), _GPU_KEY: gpu_key(self.gpu_name)}
        data["ssh"] = [asdict(endpoint) for endpoint in self.ssh]
        return data

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Rental:
        """The rental that :meth:`to_dict` made *data* from."""
        return cls(
            **{
                **_without_gpu_key(data),
                "mark": Mark(**data["mark"]) if data["mark"] else None,
                "claim": Mark(**data["claim"]) if data["claim"] else None,
                "ssh": tuple(Endpoint(**endpoint) for endpoint in data["ssh"]),
                "ports": {port: Endpoint(**way) for port, way in data["ports"].items()},
            }
        )


@dataclass(frozen=True)
class RentalLog:
    """The last lines of a rental's log: what its machine says of it, and what its container prints.

    As they were written: nobody has taken a secret out of them, or made them plain.
    """

    machine: str = ""
    container: str = ""


@dataclass(frozen=True)
class Charge:
    """What a rental has cost, by its provider's bills. ``label`` is what it shows there, if any.

    One that ``has_ended`` was billed for the last time so long ago that it bills no more.
    """

    label: str | None
    usd: float
    has_ended: bool = False


def billing_since(started_at: float | None, created_at: float | None) -> float:
    """The start of a rental, else the rental request in its mark; 0 when neither is known."""
    return started_at or float(created_at or 0)


def cost_usd(price_usd_per_hour: float | None, started_at: float | None, now: float) -> float:
    """Dollars from *started_at* to *now* (epoch seconds), to 0.0001.

    0 when it has not started, and while nobody knows its price.
    """
    hours = max(0.0, now - started_at) / 3600 if started_at else 0.0
    return round(hours * (price_usd_per_hour or 0.0), 4)


def is_dearer(one_usd: float, other_usd: float) -> bool:
    """Whether *one_usd* is above *other_usd* by more than 5 %, and by more than a cent."""
    return one_usd - other_usd > max(0.05 * other_usd, 0.01)


def rate(price_usd_per_hour: float | None) -> str:
    """An hourly price in words."""
    if price_usd_per_hour is None:
        return "at an unknown price"
    return f"{price_usd_per_hour:.4f} dollars an hour"


def rate_of(rental: Rental) -> str:
    """What *rental* bills in words; where its price is not told, with where a person sees it."""
    return _rate_or_place(rental.billed_usd_per_hour, rental.console_url)


def _rate_or_place(billed_usd_per_hour: float | None, console_url: str) -> str:
    place = f" (see {console_url})" if billed_usd_per_hour is None and console_url else ""
    return f"{rate(billed_usd_per_hour)}{place}"


def _billed(status: str, running: float | None, stopped: float | None) -> float | None:
    return stopped if status in DEAD and stopped is not None else running


def rental_billed_usd_per_hour(rental: Mapping[str, Any]) -> float | None:
    """What a rental, as modules return it, bills as it is now; None where that is not told."""
    prices = (rental.get("price_usd_per_hour"), rental.get("stopped_usd_per_hour"))
    return _billed(str(rental.get("status")), *prices)


def rental_rate(rental: Mapping[str, Any]) -> str:
    """As :func:`rate_of`, of a rental as modules return it."""
    return _rate_or_place(rental_billed_usd_per_hour(rental), str(rental.get("console_url") or ""))


def rental_since(rental: Mapping[str, Any]) -> float:
    """From when on a rental, as modules return it, bills; 0 for unknown."""
    return billing_since(rental.get("started_at"), (rental.get("mark") or {}).get("created_at"))


def rental_cost_usd(rental: Mapping[str, Any], now: float) -> float:
    """What a rental, as modules return it, has cost until *now*; an empty one has cost nothing."""
    return cost_usd(rental.get("price_usd_per_hour"), rental_since(rental), now)


@dataclass(frozen=True)
class HostKey:
    """One Ed25519 host key: the OpenSSH PEM text, and the two words that clients pin.

    Keys are the same when their public halves are: the PEM text holds random padding.
    """

    private: str = field(repr=False, compare=False)
    public: str
