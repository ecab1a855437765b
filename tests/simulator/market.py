# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The simulated market itself: offers, the account, rentals with their hosts, and the bill."""

from __future__ import annotations

import itertools
import logging
import re
import secrets
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from tests.simulator import offers as offer_table
from tests.simulator.clock import Clock
from tests.simulator.hosts import HostFailure, Hosts, HostSpec
from tests.simulator.offers import Offer

log = logging.getLogger(__name__)

ACCOUNT_KEY = "simulated-account-key"
START_CREDIT_USD = 25.0
BOOT_SECONDS = 3.0
BOOT_STATUSES = (None, "created", "loading", "running")
SYSTEMD_IMAGE = "systemd"  # an image whose name has this word runs systemd as PID 1


class OfferGone(Exception):
    """Nobody can rent this offer: it never was, or somebody took it."""


class NoCredit(Exception):
    """The account has no credit left."""


@dataclass
class Traits:
    """How a rental misbehaves, or how fast it boots."""

    boot_seconds: float = BOOT_SECONDS
    boot_statuses: tuple[str | None, ...] = BOOT_STATUSES
    status_msg: str = ""
    list_lag_seconds: float = 0.0
    never_ssh: bool = False


@dataclass
class Rental:
    """One rental; money in US dollars, times in simulated epoch seconds."""

    id: int
    offer: Offer
    wish: dict[str, Any]  # the body of the create
    label: str | None
    created_at: float
    settled_at: float
    created_monotonic: float
    traits: Traits
    api_key: str = field(default_factory=lambda: secrets.token_hex(32))
    keys: dict[int, str] = field(default_factory=dict)
    status: str | None = None
    intended: str = "running"
    status_msg: str = ""
    ports: dict[str, int] = field(default_factory=dict)
    running_since: float | None = None
    gpu_usd: float = 0.0
    storage_usd: float = 0.0
    gone: threading.Event = field(default_factory=threading.Event)
    host_lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def disk_gib(self) -> float:
        return float(self.wish.get("disk") or 10)

    @property
    def charged_usd(self) -> float:
        return self.gpu_usd + self.storage_usd

    @property
    def running(self) -> bool:
        return self.status == "running"

    def listed(self) -> bool:
        """Tell whether lists show it already; a read by id always does."""
        return time.monotonic() - self.created_monotonic >= self.traits.list_lag_seconds


class Market:
    """Everything that the API serves. Safe to use from several threads.

    ``lock`` guards the data and is never held while a host is made or destroyed.
    """

    def __init__(self, hosts: Hosts, clock: Clock | None = None) -> None:
        self.hosts = hosts
        self.clock = clock or Clock()
        self.lock = threading.RLock()
        # An id is never used again, not even by a later process.
        self.ids = itertools.count(int(time.time()) % 100_000_000)
        self.rentals: dict[int, Rental] = {}
        self.reset_account()

    def reset_account(self) -> None:
        """Start afresh: all offers, full credit, no keys, default settings."""
        self.boot_seconds = BOOT_SECONDS
        self.credit_usd = START_CREDIT_USD
        self.account_keys: dict[int, str] = {}
        self.offers = {offer["id"]: offer for offer in offer_table.generate(self.clock.now())}
        self.next_offer_id = max(self.offers) + 1
        self.taken: dict[int, list[Offer]] = {}  # rental id -> the offers that it took away

    def reset(self) -> None:
        """Destroy every rental and start afresh."""
        for number in list(self.rentals):
            self.destroy(number)
        with self.lock:
            self.clock = Clock()
            self.reset_account()

    # --- offers ---

    def search(self) -> list[Offer]:
        """Return every offer that is for rent now."""
        with self.lock:
            return list(self.offers.values())

    # --- rentals ---

    def create(self, offer_id: int, wish: dict[str, Any], traits: Traits) -> Rental:
        """Rent an offer. Raises OfferGone or NoCredit; starts the host in the background.

        A machine has one renter at a time: its other offers go away with this one.
        """
        with self.lock:
            self.settle()
            if offer_id not in self.offers:
                raise OfferGone
            if self.credit_usd <= 0:
                raise NoCredit
            offer = self.offers[offer_id]
            now = self.clock.now()
            rental = Rental(
                id=next(self.ids),
                offer=offer,
                wish=wish,
                label=wish.get("label"),
                created_at=now,
                settled_at=now,
                created_monotonic=time.monotonic(),
                traits=traits,
                keys=dict(self.account_keys),
                status_msg=traits.status_msg,
            )
            machine = offer["machine_id"]
            self.taken[rental.id] = [o for o in self.offers.values() if o["machine_id"] == machine]
            for taken in self.taken[rental.id]:
                del self.offers[taken["id"]]
            self.rentals[rental.id] = rental
        threading.Thread(target=self.boot, args=(rental,), daemon=True).start()
        return rental

    def boot(self, rental: Rental) -> None:
        """Start the host and walk through the statuses of booting."""
        began = time.monotonic()
        with rental.host_lock:
            if rental.gone.is_set():
                return
            try:
                rental.ports = self.hosts.launch(self.spec(rental))
            except HostFailure as failure:
                log.warning("rental %s: %s", rental.id, failure)
                self.set_status(rental, "created", f"Error: OCI runtime create failed: {failure}")
                return
        statuses = rental.traits.boot_statuses
        step = rental.traits.boot_seconds / len(statuses)
        for number, status in enumerate(statuses, start=1):
            if rental.intended == "stopped":
                return
            self.set_status(rental, status)
            if number < len(statuses):
                rental.gone.wait(max(0.0, began + step * number - time.monotonic()))

    def set_status(self, rental: Rental, status: str | None, message: str | None = None) -> None:
        """Change a rental's status; what it cost until now is charged at the old one."""
        with self.lock:
            self.settle()
            rental.status = status
            if message is not None:
                rental.status_msg = message
            if rental.running and rental.running_since is None:
                rental.running_since = self.clock.now()
        log.info("rental %s is %s %s", rental.id, status, message or "")

    def spec(self, rental: Rental) -> HostSpec:
        """Return the host that a rental needs."""
        offer, wish = rental.offer, rental.wish
        gpus = [
            {
                "name": f"NVIDIA {offer['gpu_name']}",
                "uuid": f"GPU-{offer['machine_id']:08x}-0000-0000-0000-{index:012x}",
                "memory.total": offer["gpu_ram"],
                "memory.used": 1,
                "memory.free": offer["gpu_ram"] - 1,
                "compute_cap": f"{offer['compute_cap'] / 100:.1f}",
                "temperature.gpu": 35,
            }
            for index in range(offer["num_gpus"])
        ]
        asked = wish.get("env") or {}
        environment = {
            "CONTAINER_ID": str(rental.id),
            "CONTAINER_API_KEY": rental.api_key,
            "VAST_CONTAINERLABEL": f"C.{rental.id}",
            **{key: str(value) for key, value in asked.items() if not key.startswith("-")},
        }
        return HostSpec(
            number=rental.id,
            container_ports=container_ports(asked),
            environment=environment,
            authorized_keys=tuple(rental.keys.values()),
            onstart=wish.get("onstart") or "",
            gpus={"driver_version": offer["driver_version"], "gpus": gpus},
            systemd=SYSTEMD_IMAGE in str(wish.get("image") or ""),
            sshd=not rental.traits.never_ssh,
        )

    def attach_key(self, rental: Rental, public_key: str) -> int:
        """Let a key into a rental's host at once; return the key's id."""
        with self.lock:
            number = next(self.ids)
            rental.keys[number] = public_key
        self.authorize(rental)
        return number

    def detach_key(self, rental: Rental, number: int) -> bool:
        """Take a key away again; tell whether it was there."""
        with self.lock:
            if rental.keys.pop(number, None) is None:
                return False
        self.authorize(rental)
        return True

    def authorize(self, rental: Rental) -> None:
        """Write a rental's keys to its host, if that is there by now."""
        with rental.host_lock:
            if rental.ports and not rental.gone.is_set():
                self.hosts.authorize(rental.id, tuple(rental.keys.values()))

    def set_state(self, rental: Rental, state: str) -> None:
        """Stop or start a rental; a stopped one still pays for its disk."""
        with rental.host_lock:
            if rental.ports and not rental.gone.is_set() and state != rental.intended:
                (self.hosts.stop if state == "stopped" else self.hosts.start)(rental.id)
        rental.intended = state
        self.set_status(rental, state)

    def destroy(self, number: int) -> bool:
        """End a rental and its host; tell whether there was one.

        Its machine comes back to the market under new offer ids.
        """
        with self.lock:
            self.settle()
            rental = self.rentals.pop(number, None)
            if rental is None:
                return False
            rental.gone.set()
            for offer in self.taken.pop(number, []):
                fresh = {"id": self.next_offer_id, "ask_contract_id": self.next_offer_id}
                self.offers[self.next_offer_id] = {**offer, **fresh}
                self.next_offer_id += 1
        with rental.host_lock:
            self.hosts.remove(number)
        return True

    # --- money ---

    def settle(self) -> None:
        """Charge every rental up to now: its disk always, its GPUs while it runs."""
        with self.lock:
            now = self.clock.now()
            for rental in self.rentals.values():
                hours = (now - rental.settled_at) / 3600
                disk = offer_table.storage_usd_per_hour(rental.offer, rental.disk_gib) * hours
                gpu = rental.offer["dph_base"] * hours if rental.running else 0.0
                rental.storage_usd += disk
                rental.gpu_usd += gpu
                rental.settled_at = now
                self.credit_usd -= disk + gpu

    def advance(self, seconds: float) -> None:
        """Let simulated time pass and be paid for."""
        with self.lock:
            self.settle()
            self.clock.advance(seconds)
            self.settle()

    def rescale(self, scale: float) -> None:
        """Change how fast simulated time runs."""
        with self.lock:
            self.settle()
            self.clock.rescale(scale)


def container_ports(asked: Iterable[str]) -> tuple[str, ...]:
    """Return ``22/tcp`` and what keys such as ``-p 8000:8000`` or ``-p 53:53/udp`` ask for."""
    ports = ["22/tcp"]
    for key in asked:
        found = re.fullmatch(r"-p\s+\d+:(\d+)(/udp)?", key.strip())
        if found:
            ports.append(f"{found[1]}{found[2] or '/tcp'}")
    return tuple(dict.fromkeys(ports))
