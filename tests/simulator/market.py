# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The simulated market itself: offers, the account, rentals with their hosts, and the bill."""

from __future__ import annotations

import itertools
import logging
import math
import re
import secrets
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from tests.rig import engine
from tests.simulator import offers as offer_table
from tests.simulator.agenda import Agenda
from tests.simulator.clock import Clock
from tests.simulator.hosts import ROOT, HostFailure, Hosts, HostSpec
from tests.simulator.offers import Offer
from tests.simulator.ways import ADDRESS, BOTH, DIRECT, PROXY, Port, open_ways

log = logging.getLogger(__name__)

ACCOUNT_KEY, ACCOUNT_OK = "simulated-account-key", "ok"
START_CREDIT_USD = 25.0
BOOT_SECONDS = 3.0
BOOT_STATUSES = (None, "created", "loading", "running")
STRANGERS_LABELS = (None, "", "sky-serve-1-head", "inferops", "inferops/of/others")
SYSTEMD_IMAGE = "systemd"  # an image whose name has this word runs systemd as PID 1


class OfferGone(Exception):
    """Nobody can rent this offer: it never was, or somebody took it."""


class NoRoom(Exception):
    """The GPUs of a stopped rental are somebody else's by now."""


class NoCredit(Exception):
    """The account has no credit left."""


@dataclass(frozen=True)
class Machines:
    """What the hosts of a marketplace are: containers, unless they are ``virtual`` machines.

    One of ``users`` logs in on each, the usual one comes first. Machines run systemd, and their
    start script once. Those with an address of their own are reached at port 22 of it.
    """

    users: tuple[str, ...] = (ROOT,)
    virtual: bool = False
    own_address: bool = False


@dataclass(frozen=True)
class Traits:
    """How a rental misbehaves, or how fast it boots.

    Seconds are simulated, but for ``boot_seconds``, which are real. ``never_ssh`` and
    ``black_hole`` name the ways to its SSH that are so. The machine really has ``vram_factor`` of
    the memory that its offer says, and so on. ``events`` happen so many seconds
    after it began to run.
    """

    boot_seconds: float = BOOT_SECONDS
    boot_statuses: tuple[str | None, ...] = BOOT_STATUSES
    status_msg: str = ""
    list_lag_seconds: float = 0.0
    hidden_seconds: float = 0.0
    stopped: bool = False
    never_ssh: str = ""
    black_hole: str = ""
    price_factor: float = 1.0
    attach_delay_seconds: float = 0.0
    driver_version: str | None = None
    gpu_count: int | None = None
    vram_factor: float = 1.0
    disk_factor: float = 1.0
    events: tuple[tuple[float, Callable[[Market, Rental], None]], ...] = ()


@dataclass
class Rental:
    """One rental; money in US dollars, times in simulated epoch seconds.

    A stranger belongs to somebody else who shares the account, and pays for it.
    """

    id: int
    offer: Offer
    wish: dict[str, Any]  # the body of the create
    label: str | None
    created_at: float
    settled_at: float
    traits: Traits
    user: str = ROOT
    address: str = ADDRESS
    stranger: bool = False
    api_key: str = field(default_factory=lambda: secrets.token_hex(32))
    keys: dict[int, str] = field(default_factory=dict)
    usable_at: dict[int, float] = field(default_factory=dict)  # keys that the host lacks until then
    status: str | None = None
    intended: str = "running"
    status_msg: str = ""
    ports: dict[str, int] = field(default_factory=dict)
    host_runs: bool = False
    ways: dict[str, Port] = field(default_factory=dict)
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
    def usd_per_hour(self) -> tuple[float, float]:
        """What its disk and its GPUs cost by the hour, as it is now. A stranger pays for itself."""
        if self.stranger:
            return 0.0, 0.0
        disk = offer_table.storage_usd_per_hour(self.offer, self.disk_gib)
        return disk, self.offer["dph_base"] if self.running else 0.0

    @property
    def proxy_port(self) -> int:
        """The port at the marketplace's proxy, 0 before there is a host behind it."""
        return self.ways[PROXY].port if PROXY in self.ways else 0

    @property
    def running(self) -> bool:
        return self.status == "running"

    def visible(self, now: float) -> bool:
        """Tell whether anything shows it already."""
        return now - self.created_at >= self.traits.hidden_seconds

    def listed(self, now: float) -> bool:
        """Tell whether lists show it already."""
        return self.visible(now) and now - self.created_at >= self.traits.list_lag_seconds

    def authorized_keys(self, now: float) -> tuple[str, ...]:
        """Return the keys that its host knows by now."""
        return tuple(
            key for number, key in self.keys.items() if self.usable_at.get(number, 0.0) <= now
        )


class Market:
    """Everything that the API serves. Safe to use from several threads.

    ``lock`` guards the data and is never held while a host is made or destroyed.
    """

    def __init__(self, hosts: Hosts, clock: Clock | None = None) -> None:
        self.hosts = hosts
        self.clock = clock or Clock()
        self.agenda, self.catching_up = Agenda(), threading.Lock()
        self.lock = threading.RLock()
        # An id is never used again, not even by a later process.
        self.ids = itertools.count(int(time.time()) % 100_000_000)
        self.rentals: dict[int, Rental] = {}
        self.ended: list[Rental] = []
        self.logs: dict[int, str] = {}  # by the number in their address
        self.uploaded: set[int] = set()
        #: What a provider's API puts into the environment of each host.
        self.variables_of: Callable[[Rental], dict[str, str]] = variables_of_vastai
        #: What a provider's hosts are.
        self.machines = Machines()
        #: Where a provider's console lets people write what is shown as a rental's label.
        self.write_label: Callable[[Rental, str], None] = write_label
        self.reset_account()

    def reset_account(self, seed: int = offer_table.DEFAULT_SEED) -> None:
        """Start afresh: the offers of this seed, full credit, no keys, default settings."""
        self.seed = seed
        self.boot_seconds = BOOT_SECONDS
        self.account = ACCOUNT_OK
        self.rate_limits = False
        self.engine = False
        self._login = ""
        self.too_frequent = 0
        self.credit_usd = START_CREDIT_USD
        self.account_keys: dict[int, str] = {}
        offers = offer_table.generate(self.clock.now(), seed)
        self.offers = {offer["id"]: offer for offer in offers}
        self.next_offer_id = max(self.offers) + 1
        self.taken: dict[int, list[Offer]] = {}  # rental id -> the offers that it took away
        self.queued: list[int] = []  # stopped rentals that start when their machine is free

    def reset(self, seed: int = offer_table.DEFAULT_SEED) -> None:
        """Destroy every rental and start afresh, with the offers of ``seed``."""
        self.destroy_all()
        with self.lock:
            self.ended.clear()
            self.clock = Clock()
            self.reset_account(seed)

    def destroy_all(self) -> None:
        """Destroy every rental, and forget what was to happen."""
        with self.catching_up:
            self.agenda.clear()
        for number in list(self.rentals):
            self.destroy(number)

    # --- offers ---

    def search(self) -> list[Offer]:
        """Return every offer that is for rent now."""
        with self.lock:
            return list(self.offers.values())

    # --- rentals ---

    def create(
        self,
        offer_id: int,
        wish: dict[str, Any],
        traits: Traits,
        keys: Iterable[str] | None = None,
    ) -> Rental:
        """Rent an offer. Raises OfferGone or NoCredit; starts the host in the background.

        A machine has one renter at a time: its other offers go away with this one. Its host lets in
        whom ``keys`` say, else whoever the account does.
        """
        with self.lock:
            self.settle()
            if offer_id not in self.offers:
                raise OfferGone
            if self.credit_usd <= 0:
                raise NoCredit
            rental = self.new_rental(self.offers[offer_id], wish, traits)
            rental.keys = dict(self.account_keys if keys is None else enumerate(keys))
            self.enter(rental)
        if traits.stopped:
            rental.status = rental.intended = "stopped"
        else:
            self.start_booting(rental)
        return rental

    def new_rental(self, offer: Offer, wish: dict[str, Any], traits: Traits) -> Rental:
        """Return a rental of an offer, at the price that its traits make of it."""
        now = self.clock.now()
        return Rental(
            id=next(self.ids),
            offer={**offer, "dph_base": offer["dph_base"] * traits.price_factor},
            wish=wish,
            label=wish.get("label"),
            created_at=now,
            settled_at=now,
            traits=traits,
            user=self.login,
            status_msg=traits.status_msg,
        )

    def enter(self, rental: Rental) -> None:
        """Put a rental into the books, and take its machine off the market."""
        with self.lock:
            machine = rental.offer["machine_id"]
            self.taken[rental.id] = [o for o in self.offers.values() if o["machine_id"] == machine]
            for taken in self.taken[rental.id]:
                del self.offers[taken["id"]]
            self.rentals[rental.id] = rental

    def start_booting(self, rental: Rental) -> None:
        """Boot in the background."""
        threading.Thread(target=self.boot, args=(rental,), daemon=True).start()

    def boot(self, rental: Rental) -> None:
        """Start the host and walk through the statuses of booting."""
        began = time.monotonic()
        with rental.host_lock:
            if rental.gone.is_set() or rental.ports or rental.intended == "stopped":
                return
            try:
                rental.ports = self.hosts.launch(self.spec(rental))
            except HostFailure as failure:
                log.warning("rental %s: %s", rental.id, failure)
                self.set_status(rental, "created", f"Error: OCI runtime create failed: {failure}")
                return
            rental.host_runs = True
            rental.address = self.hosts.address(rental.id)
            traits, own_way = rental.traits, (rental.address, rental.ports["22/tcp"])
            rental.ways = open_ways(own_way, traits.never_ssh, traits.black_hole)
            if DIRECT in rental.ways:
                rental.ports["22/tcp"] = rental.ways[DIRECT].port
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
                for seconds, event in rental.traits.events:
                    self.agenda.add(rental.running_since + seconds, partial(event, self, rental))
        log.info("rental %s is %s %s", rental.id, status, message or "")

    def spec(self, rental: Rental) -> HostSpec:
        """Return the host that a rental gets, which may not be what its offer says."""
        offer, wish, traits = rental.offer, rental.wish, rental.traits
        memory_mib = round(offer["gpu_ram"] * traits.vram_factor)
        gpus = [
            {
                "name": f"NVIDIA {offer['gpu_name']}",
                "uuid": f"GPU-{offer['machine_id']:08x}-0000-0000-0000-{index:012x}",
                "memory.total": memory_mib,
                "memory.used": 1,
                "memory.free": memory_mib - 1,
                "compute_cap": f"{offer['compute_cap'] / 100:.1f}",
                "temperature.gpu": 35,
            }
            for index in range(traits.gpu_count or offer["num_gpus"])
        ]
        driver_version = traits.driver_version or offer["driver_version"]
        short_disk_gib = rental.disk_gib * traits.disk_factor if traits.disk_factor < 1 else None
        asked = wish.get("env") or {}
        environment = {
            **self.variables_of(rental),
            **{key: str(value) for key, value in asked.items() if not key.startswith("-")},
        }
        return HostSpec(
            number=rental.id,
            container_ports=container_ports(asked),
            environment=environment,
            authorized_keys=rental.authorized_keys(self.clock.now()),
            onstart=wish.get("onstart") or "",
            onstart_once=self.machines.virtual,
            gpus={"driver_version": driver_version, "gpus": gpus},
            systemd=self.machines.virtual or SYSTEMD_IMAGE in str(wish.get("image") or ""),
            engine=self.engine or engine.NAME in str(wish.get("image") or ""),
            sshd=traits.never_ssh != BOTH,
            short_disk_gib=short_disk_gib,
            user=rental.user,
            own_address=self.machines.own_address,
            host_key=wish.get("host_key") or "",
        )

    def attach_key(self, rental: Rental, public_key: str) -> int:
        """Let a key into a rental's host, at once unless its traits delay it; return its id."""
        delay_seconds = rental.traits.attach_delay_seconds
        with self.lock:
            number = next(self.ids)
            rental.keys[number] = public_key
            if delay_seconds:
                rental.usable_at[number] = self.clock.now() + delay_seconds
                self.agenda.add(rental.usable_at[number], partial(self.authorize, rental))
        if not delay_seconds:
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
                self.hosts.authorize(rental.id, rental.authorized_keys(self.clock.now()))

    def set_state(self, rental: Rental, state: str) -> None:
        """Stop or start a rental; a stopped one still pays for its disk.

        Its GPUs are for rent meanwhile. Raises NoRoom when somebody has them by now; the start is
        queued then, as Vast.ai's is, until they are free.
        """
        with self.lock:
            self.settle()
            if state == "stopped":
                self.offer_again(rental.id)
            elif rental.intended == "stopped" and not self.take_back(rental):
                self.queued.append(rental.id)
                raise NoRoom
            rental.intended = state
        with rental.host_lock:
            if rental.gone.is_set():
                return
            if not rental.ports and state == "running":
                self.start_booting(rental)
                return
            self.run_host(rental, state == "running")
        self.set_status(rental, state)

    def run_host(self, rental: Rental, wanted: bool) -> None:
        """Stop or start a rental's host, if there is one that is not so already."""
        if rental.ports and rental.host_runs != wanted:
            (self.hosts.start if wanted else self.hosts.stop)(rental.id)
            rental.host_runs = wanted
            if wanted:
                rental.address = self.hosts.address(rental.id)

    def destroy(self, number: int) -> Rental | None:
        """End a rental and its host; return it, None when there was none.

        Its machine comes back to the market under new offer ids.
        """
        with self.lock:
            self.settle()
            rental = self.rentals.pop(number, None)
            if rental is None:
                return None
            rental.gone.set()
            self.ended.append(rental)
            self.offer_again(number)
        with rental.host_lock:
            self.remove_host(rental)
        self.start_queued()
        return rental

    def offer_again(self, number: int) -> None:
        """Let the machine of a rental come back to the market under new offer ids."""
        for offer in self.taken.pop(number, []):
            fresh = {"id": self.next_offer_id, "ask_contract_id": self.next_offer_id}
            self.offers[self.next_offer_id] = {**offer, **fresh}
            self.next_offer_id += 1

    def take_back(self, rental: Rental) -> bool:
        """Take a stopped rental's machine off the market again; tell whether it was there."""
        if rental.id in self.taken:
            return True
        machine = rental.offer["machine_id"]
        theirs = [offer for offer in self.offers.values() if offer["machine_id"] == machine]
        for offer in theirs:
            del self.offers[offer["id"]]
        if theirs:
            self.taken[rental.id] = theirs
        return bool(theirs)

    def start_queued(self) -> None:
        """Start what waits for a machine that has come free."""
        for number in self.queued[:]:
            rental = self.rentals.get(number)
            if rental is None or rental.offer["machine_id"] in {
                offer["machine_id"] for offer in self.offers.values()
            }:
                self.queued.remove(number)
                if rental is not None:
                    self.set_state(rental, "running")

    def remove_host(self, rental: Rental) -> None:
        """Destroy a rental's host and close the ways to it."""
        self.hosts.remove(rental.id)
        for way in rental.ways.values():
            way.close()
        rental.ports, rental.ways, rental.host_runs = {}, {}, False

    @property
    def login(self) -> str:
        """Who logs in on the hosts that are rented next."""
        return self._login or self.machines.users[0]

    @login.setter
    def login(self, user: str) -> None:
        """One of those that the provider has; empty is the usual one. Raises ValueError."""
        if user and user not in self.machines.users:
            raise ValueError(f"nobody logs in as {user!r} here: {', '.join(self.machines.users)}")
        self._login = user

    @property
    def strangers(self) -> int:
        """How many rentals of somebody else the account has."""
        return sum(rental.stranger for rental in self.rentals.values())

    @strangers.setter
    def strangers(self, count: int) -> None:
        """Give the account exactly so many, on the dearest machines. Raises ValueError."""
        for number in [rental.id for rental in self.rentals.values() if rental.stranger]:
            self.destroy(number)
        with self.lock:
            for position in range(count):
                if not self.offers:
                    raise ValueError(f"there are machines for {position} strangers only")
                dearest = max(self.offers.values(), key=lambda offer: offer["dph_base"])
                label = STRANGERS_LABELS[position % len(STRANGERS_LABELS)]
                rental = self.new_rental(dearest, {"image": "some/image", "label": label}, Traits())
                rental.stranger, rental.status = True, "running"
                self.enter(rental)

    # --- what happens to a rental by itself ---

    def later(self, seconds: float, action: Callable[[], object]) -> None:
        """Do something after simulated seconds."""
        self.agenda.add(self.clock.now() + seconds, action)

    def catch_up(self, until: float | None = None) -> None:
        """Do what was due by now, or by ``until`` in simulated epoch seconds.

        It is done when this returns, also what another thread has begun.
        """
        with self.catching_up:
            while action := self.agenda.take(self.clock.now() if until is None else until):
                try:
                    action()
                except RuntimeError as failure:
                    log.warning("an event failed: %s", failure)

    def die(self, rental: Rental, status: str) -> None:
        """Let a running host go down by itself."""
        with rental.host_lock:
            if rental.gone.is_set() or not rental.running:
                return
            self.run_host(rental, False)
        if status == "stopped":
            rental.intended = status
        self.set_status(rental, status)

    def wipe_keys(self, rental: Rental, keep_attached: bool) -> None:
        """Write the host's keys anew, without those that came another way than through the API.

        Without ``keep_attached`` those are lost as well, although the API goes on listing them.
        """
        if not keep_attached:
            rental.usable_at = dict.fromkeys(rental.keys, math.inf)
        self.authorize(rental)

    def relabel(self, rental: Rental, label: str) -> None:
        """Let somebody write a label in the console; {label} in it is what was there."""
        if not rental.gone.is_set():
            self.write_label(rental, label.replace("{label}", rental.label or ""))

    def reboot(self, rental: Rental) -> None:
        """Stop a host and start it again; its disk stays."""
        with rental.host_lock:
            if rental.gone.is_set() or not rental.running:
                return
            self.set_status(rental, "rebooting")
            self.run_host(rental, False)
            self.run_host(rental, True)
        self.set_status(rental, "running")

    def recycle(self, rental: Rental) -> None:
        """Destroy a host and make it anew in place: all that was on it is lost.

        The rental stays what it is, with its machine, its environment and its attached keys.
        """
        with rental.host_lock:
            if rental.gone.is_set() or not rental.ports:
                return
            self.set_status(rental, "recycling")
            self.remove_host(rental)
        self.start_booting(rental)

    def log_of(self, rental: Rental) -> str:
        """Return what a host has printed."""
        with rental.host_lock:
            return self.hosts.log(rental.id) if rental.ports else ""

    def machine_log_of(self, rental: Rental) -> str:
        """Return what a host's machine says of it: what it begins, and what of that fails."""
        image = rental.wish.get("image")
        said = [f"create container {image}", rental.status_msg]
        if rental.host_runs:
            said.append(f"start container for {image}: begin")
        return "".join(f"{line}\n" for line in said if line)

    def keep_log(self, lines: list[str]) -> int:
        """Keep a log to be read; return the number that nobody can guess."""
        number = secrets.randbits(64)
        self.logs[number] = "".join(f"{line}\n" for line in lines)
        return number

    def uploaded_log(self, number: int) -> str | None:
        """Return a log; None for an unknown one, and the first time, when it is on its way."""
        if number in self.uploaded:
            return self.logs[number]
        self.uploaded |= {number} & set(self.logs)
        return None

    def change_host_key(self, rental: Rental) -> None:
        """Let another SSH host key answer at the rental's address."""
        with rental.host_lock:
            if rental.host_runs and not rental.gone.is_set():
                self.hosts.change_host_key(rental.id)

    def resurrect(self, dead: Rental) -> None:
        """Bring a destroyed rental back, with its id and label, on a host that boots afresh."""
        with self.lock:
            rental = replace(
                dead,
                settled_at=self.clock.now(),
                status=None,
                ports={},
                host_runs=False,
                ways={},
                running_since=None,
                gone=threading.Event(),
                host_lock=threading.Lock(),
            )
            self.enter(rental)
        self.start_booting(rental)

    # --- money ---

    def settle(self) -> None:
        """Charge every rental up to now: its disk always, its GPUs while it runs."""
        with self.lock:
            now = self.clock.now()
            for rental in self.rentals.values():
                hours = (now - rental.settled_at) / 3600
                disk, gpu = (rate * hours for rate in rental.usd_per_hour)
                rental.storage_usd += disk
                rental.gpu_usd += gpu
                rental.settled_at = now
                self.credit_usd -= disk + gpu

    def advance(self, seconds: float) -> None:
        """Let simulated time pass and be paid for, with all that happens meanwhile.

        Raises ValueError when asked to go back: bills never shrink.
        """
        if seconds < 0:
            raise ValueError("advance_seconds must not be negative")
        target = self.clock.now() + seconds
        while (due := self.agenda.next_due()) is not None and due <= target:
            self.jump(due)
            self.catch_up(due)
        self.jump(target)
        self.catch_up()

    def jump(self, simulated: float) -> None:
        """Move the clock to a simulated time, unless that has passed."""
        with self.lock:
            self.settle()
            self.clock.advance_to(simulated)
            self.settle()

    def rescale(self, scale: float) -> None:
        """Change how fast simulated time runs."""
        with self.lock:
            self.settle()
            self.clock.rescale(scale)


def variables_of_vastai(rental: Rental) -> dict[str, str]:
    """What Vast.ai puts into the environment of an instance."""
    return {
        "CONTAINER_ID": str(rental.id),
        "CONTAINER_API_KEY": rental.api_key,
        "VAST_CONTAINERLABEL": f"C.{rental.id}",
    }


def write_label(rental: Rental, label: str) -> None:
    """The label itself."""
    rental.label = label


def container_ports(asked: Iterable[str]) -> tuple[str, ...]:
    """Return ``22/tcp`` and what keys such as ``-p 8000:8000`` or ``-p 53:53/udp`` ask for."""
    ports = ["22/tcp"]
    for key in asked:
        found = re.fullmatch(r"-p\s+\d+:(\d+)(/udp)?", key.strip())
        if found:
            ports.append(f"{found[1]}{found[2] or '/tcp'}")
    return tuple(dict.fromkeys(ports))
