# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A simulated market whose time stands still unless somebody sleeps, and the truth about it."""

from __future__ import annotations

import math
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tests.drills import operations
from tests.drills.controller import make_key_pair
from tests.drills.operations import UNHEARD, Answer, Leash, Operation
from tests.simulator.app import DEFAULT_PROVIDER, Observer, Simulator
from tests.simulator.catalogue import HEALTHY, NamedFault
from tests.simulator.dialect import Dialect, no_keys
from tests.simulator.faults import Fault, parse
from tests.simulator.hosts import HostSpec, PretendHosts
from tests.simulator.market import Market, Rental
from tests.simulator.offers import storage_usd_per_hour
from tests.simulator.ways import ADDRESS, BOTH, DIRECT, PROXY, PROXY_ADDRESS
from tests.simulator.web import Request

SCOPE, NAME = "fleet", "gpu-1"
#: Rentals that nobody may touch: another name of the scope, and the same name in another one.
INNOCENTS = ((SCOPE, "gpu-2"), ("other-team", NAME))
INNOCENT_HOURS = 10 * 365 * 24
DISK_GIB = 20
#: How long a rental lasts, where the dialect has no other hours.
LIFETIME_HOURS = 24.0
#: Times the dialect's price, of which some offers cost less in every market, and none the third: it
#: ends the life of nearly every rental before its hours do.
BUDGET_HOURS = 9.0
#: Enough for a year of bills: only a fault may make an account poor.
CREDIT_USD = 100_000.0
#: How a rental is that nobody can use any more, and what such a one may say while it starts.
DEAD, CONTAINER_FAILS = ("stopped", "exited"), "OCI runtime create failed"
#: These happen to the controller, not to the market, which therefore knows nothing of them.
FOLDER_UNUSABLE = NamedFault(
    "controller-folder-unusable",
    "The folder in which a controller shares listings, claims and its pace cannot be used.",
    "humanmade/altis-local-server #651",
)
FOLDER_LOST = NamedFault(
    "controller-folder-lost-and-lists-behind",
    "The controller's folder is emptied, and four lists in a row that are whole miss everything.",
    "skypilot #4431",
    ({"kind": "list_without", "label": "", "times": 4},),
)
#: They end the next operation without a word: it is killed once such a call of it is done.
KILLED_AFTER_CREATE = NamedFault(
    "module-killed-after-create",
    "A module is killed when its rental request has been carried out, and its play goes on.",
    "dstack #3453",
)
KILLED_AFTER_DESTROY = NamedFault(
    "module-killed-after-destroy",
    "A module is killed when its release has been carried out, and its play goes on.",
    "dstack #3453",
)
KILLED_AFTER = {KILLED_AFTER_CREATE.name: "create", KILLED_AFTER_DESTROY.name: "destroy"}
#: Or its play hears nothing of what it says.
TASK_TIMES_OUT = NamedFault(
    "task-times-out",
    "A limit for every task ends the wait for a module, which does its work to the end unheard.",
    "ansible/ansible lib/ansible/executor/task_executor.py",
)
CONTROLLER_FAULTS = (
    FOLDER_UNUSABLE,
    FOLDER_LOST,
    KILLED_AFTER_CREATE,
    KILLED_AFTER_DESTROY,
    TASK_TIMES_OUT,
)
ENDING = (KILLED_AFTER_CREATE, KILLED_AFTER_DESTROY, TASK_TIMES_OUT)
#: Its limit is Ansible's for tasks, which those are not that need no market and no host.
NOT_TASKS = ("inventory", "offer_check")
#: Whoever waits for a host that boots in real time gives it so much of the market's: the slowest
#: one boots within the least patience of a provider.
NAP_SHARE = 0.04
BOOTED_SECONDS = 5.0
#: What the product says where lists alone tell what is rented.
LISTS_ALONE = "is known by its lists alone"
#: Where a connection ends at a host that shows the key which came with its request.
FIRST_KEY = "first host key"


#: What image, model and packages are where nobody says so: 8 and 10 GiB.
DOWNLOAD_GB = 18 * 2**30 / 10**9


@dataclass(frozen=True)
class Row:
    """One rental as it is in truth. ``listed`` is what an honest list would show by now.

    A ``dead`` one can be used by nobody any more. ``came_with`` is the label of its request.
    """

    id: str
    scope: str
    name: str
    nonce: str
    deadline: float
    created_at: float
    listed: bool
    label: str
    came_with: str
    price_usd_per_hour: float
    download_usd: float
    dead: bool

    @property
    def is_changed(self) -> bool:
        """Whether somebody has written into its label, and no mark alone is left."""
        return " " in self.label or self.label.count("/") < 5

    @property
    def most_usd(self) -> float:
        """What it can cost until its deadline."""
        return (self.deadline - self.created_at) / 3600 * self.price_usd_per_hour


@dataclass(frozen=True)
class Truth:
    """What there is at one moment, in epoch seconds of the market.

    Rentals are oldest first, the dead after the living: the first of a name is the one that counts.
    No rental may last longer, cost more an hour, and no more in all.
    """

    now: float
    rows: tuple[Row, ...]
    lifetime_hours: float
    most_usd_per_hour: float
    budget_usd: float

    def ids(self) -> set[str]:
        """The ids of all rentals."""
        return {row.id for row in self.rows}

    def of_scope(self) -> list[Row]:
        """The rentals of the fleet."""
        return [row for row in self.rows if row.scope == SCOPE]

    def of_name(self) -> list[Row]:
        """The rentals of the name that operations are about."""
        return [row for row in self.of_scope() if row.name == NAME]


class Hosts(PretendHosts):
    """Pretended hosts that remember which of them show another host key than at first.

    One that was made anew shows the key that came with its request, until somebody replaces it.
    ``script_keys`` are those whom a start script lets in.
    """

    def __init__(self) -> None:
        super().__init__()
        self.script_keys: Callable[[str], tuple[str, ...]] = no_keys
        self.strangers: set[int] = set()
        self.made_anew: set[int] = set()

    def launch(self, spec: HostSpec) -> dict[str, int]:
        self.strangers.discard(spec.number)
        if spec.number in self.host_keys:
            self.made_anew.add(spec.number)
        ports = super().launch(spec)
        self.keys[spec.number] += self.script_keys(spec.onstart)
        return ports

    def change_host_key(self, number: int) -> None:
        super().change_host_key(number)
        self.strangers.add(number)


@dataclass
class Planned:
    """A fault that is under way, with its orders, or the requests made before its settings.

    ``ended`` counts the operations that it has ended.
    """

    fault: NamedFault
    orders: list[Fault]
    requests_before: int
    ended: int = 0


@dataclass
class World:
    """One market with its innocents, and a controller that operates on it."""

    provider: str = DEFAULT_PROVIDER
    #: What the provider says of itself.
    can: Mapping[str, Any] = field(default_factory=dict)
    #: The scope's, which seals the marks of the innocents, and who those are.
    secret: str = ""
    names: tuple[tuple[str, str], ...] = INNOCENTS
    hosts: Hosts = field(default_factory=Hosts)
    folder_usable: bool = True
    planned: list[Planned] = field(default_factory=list)
    met: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.market = Market(self.hosts)
        self.simulator = Simulator(self.market, observe=self.observe, provider=self.provider)
        self.dialect = self.simulator.dialect
        self.hosts.script_keys = self.dialect.script_keys
        self.most_usd_per_hour = self.dialect.usd_per_hour
        # A budget ends nearly no life after whole hours.
        whole_hours = self.dialect.whole_hours
        self.lifetime_hours = float(whole_hours or LIFETIME_HOURS)
        self.budget_usd = math.inf if whole_hours else BUDGET_HOURS * self.most_usd_per_hour
        self.leash = Leash()
        #: Whether the last operation was shown lists that are behind, and nothing else tells; and
        #: whether it may have been misled, by those or by a label.
        self.saw_lists_alone = self.is_misled = False
        self.watch: Observer = unwatched
        self.folder = Path(tempfile.mkdtemp(prefix="inferops-faults-"))
        self.key_file = make_key_pair(self.folder)
        self.public_key = self.key_file.with_suffix(".pub").read_text().strip()

    def close(self) -> None:
        """Stop the market and forget the controller."""
        self.simulator.close()
        shutil.rmtree(self.folder)

    def begin(self, seed: int) -> None:
        """A market with the offers of this seed, the innocents, and a fresh controller."""
        self.watch = unwatched
        self.fresh_controller()
        self.lift()
        self.simulator.control.reset({"seed": seed})
        self.market.rescale(0)
        self.market.boot_seconds = 0
        self.market.credit_usd = CREDIT_USD
        self.met.clear()
        self.innocents = self.rent_innocents()

    def fresh_controller(self) -> None:
        """Take away whatever the controller remembered."""
        self.controller_dir = tempfile.mkdtemp(dir=self.folder)
        #: Whether it has said that it knows by lists alone what is rented.
        self.has_doubted = False
        self.set_folder_usable(self.folder_usable)

    def set_folder_usable(self, usable: bool) -> None:
        """Put a file in the way of what the controller shares, or take it away."""
        shared = Path(self.controller_dir) / "market"
        self.folder_usable = usable
        if usable and shared.is_file():
            shared.unlink()
        elif not usable:
            shutil.rmtree(shared, ignore_errors=True)
            shared.touch()

    def rent_innocents(self) -> list[Rental]:
        """Rent the dearest machines for ten years, past all rules of the product and the market."""
        answer = self.perform(
            "rent_by_hand",
            names=self.names,
            secret=self.secret,
            hours=INNOCENT_HOURS,
            most_hours=self.dialect.whole_hours,
            public_key=self.public_key,
            disk_gib=DISK_GIB,
            image=self.dialect.image,
        )
        if answer.problem:
            raise RuntimeError(answer.problem)
        rentals = [self.market.rentals[self.dialect.number(one)] for one in answer.result["ids"]]
        for rental in rentals:
            self.dialect.prolong(self.simulator.api, rental, INNOCENT_HOURS)
        # Their ports are there a moment before their statuses say so.
        limit = time.monotonic() + BOOTED_SECONDS
        while not all(one.running for one in rentals) and time.monotonic() < limit:
            time.sleep(0.001)
        self.await_boots()
        return rentals

    def rental(self, rental_id: str) -> Rental | None:
        """The one that has an id of its provider's, if there is one."""
        return self.market.rentals.get(self.dialect.number(rental_id)) if rental_id else None

    # --- faults ---

    def plan(self, faults: Iterable[NamedFault]) -> None:
        """Let these faults begin, beside those that are under way."""
        for fault in faults:
            orders = [parse(order, self.dialect) for order in fault.orders]
            with self.simulator.faults.lock:
                self.simulator.faults.planned = [*self.simulator.faults.planned, *orders]
            self.simulator.control.settings(fault.settings_in(self.dialect))
            if fault is FOLDER_UNUSABLE:
                self.set_folder_usable(False)
            if fault is FOLDER_LOST:
                self.fresh_controller()
            self.planned.append(Planned(fault, orders, self.requests()))

    def lift(self) -> None:
        """Let all faults end, and count which were met."""
        for one in self.planned:
            if one.orders:
                self.met[one.fault.name] += sum(order.met for order in one.orders)
            elif one.fault in ENDING:
                self.met[one.fault.name] += one.ended
            else:
                self.met[one.fault.name] += self.requests() - one.requests_before
        self.planned.clear()
        self.simulator.faults.replace([])
        self.simulator.control.settings(HEALTHY)
        self.set_folder_usable(True)
        self.market.credit_usd = CREDIT_USD

    def observe(self, phase: str, request: Request, number: int) -> None:
        """Kill the operation when a call is done that a planned fault waits for."""
        self.watch(phase, request, number)
        for one in self.planned:
            call = KILLED_AFTER.get(one.fault.name)
            if phase != "after" or not call or one.ended:
                continue
            if self.dialect.requests[call].matches(request):
                one.ended += 1
                self.leash.pull()

    def is_unheard(self, operation: Operation) -> bool:
        """Whether a planned fault takes away what this operation says, and count it."""
        for one in self.planned:
            is_task = operation.kind not in NOT_TASKS
            if one.fault is TASK_TIMES_OUT and is_task and not one.ended:
                one.ended += 1
                return True
        return False

    def met_by(self, kind: str, shows: str = "") -> int:
        """How many answers have met faults of a kind that are under way, and show this."""
        return sum(
            order.met
            for one in self.planned
            for order in one.orders
            if order.kind == kind and order.parameters.get("shows", "") == shows
        )

    def requests(self) -> int:
        """How many requests the API has been asked since the beginning."""
        return len(self.simulator.journal.entries())

    # --- operations ---

    def perform(self, kind: str, **options: Any) -> Answer:
        """Let the controller do something."""
        market = {
            "provider": self.provider,
            "api_url": self.simulator.url + self.dialect.api_path,
            **self.dialect.credentials,
            "controller_dir": self.controller_dir,
        }
        if kind == "inventory":
            source = Path(self.controller_dir) / "fleet.rentals.yml"
            lines = {"plugin": "inferops.gpu.rentals", "scope": SCOPE, **market}
            source.write_text("".join(f"{key}: {value}\n" for key, value in lines.items()))
            options = {"source": str(source)}
        elif kind != "offer_check":
            options = {**market, **options}
        operation, self.leash = Operation(kind, options), Leash()
        unheard, behind = self.is_unheard(operation), self.met_by("list_without")
        odd = self.met_by("row_is", "an odd environment")
        answer = operations.run(operation, self.serve, self.leash)
        self.await_boots()
        # Where lists alone tell what is rented, nobody can know that all of them are behind.
        was_behind = self.met_by("list_without") > behind
        self.saw_lists_alone = self.is_misled = was_behind and not self.can.get("tells_charges")
        # Warnings are printed, on lines of their own length.
        self.has_doubted |= LISTS_ALONE in " ".join(str(answer.result.get("said")).split())
        # Or whose a rental is whose label was changed, while its second mark is no such thing.
        if self.met_by("row_is", "an odd environment") > odd:
            self.is_misled |= any(row.is_changed for row in self.truth().of_scope())
        if unheard and not answer.problem:
            return Answer(UNHEARD, answer.seconds, silent=True)
        return answer

    def serve(self, word: str, given: Any) -> Any:
        """What an operation's process asks for."""
        if word == "now":
            return self.market.clock.now()
        if word == "probe":
            return self.probe_at(*given)
        if word == "host key replaced":
            self.hosts.made_anew.discard(self.dialect.number(given))
            return None
        if self.boots_slowly():
            time.sleep(given * NAP_SHARE)
        self.market.advance(given)
        return None

    def probe(self, rental_id: str) -> dict[str, Any]:
        """How far the better one of both ways would get, where there are two."""
        direct = self.probe_at(rental_id, ADDRESS)
        if "proxy" not in self.dialect.features:
            return direct
        proxied = self.probe_at(rental_id, PROXY_ADDRESS)
        return proxied if proxied["stage"] == "ready" else direct

    def probe_at(self, rental_id: str, host: str) -> dict[str, Any]:
        """How far a fresh SSH connection to one of its addresses would get, as fields of a Probe.

        Only keys that the API knows of count: the worst that a provider may do to those that came
        another way.
        """
        number = self.dialect.number(rental_id)
        rental = self.market.rentals.get(number)
        ways = (BOTH, PROXY if host == PROXY_ADDRESS else DIRECT)
        if rental is None or not rental.running or rental.traits.never_ssh in ways:
            return {"stage": "refused", "detail": "connection refused"}
        if rental.traits.black_hole in ways:
            return {"stage": "black-holed", "detail": "timed out"}
        if number in self.hosts.strangers:
            return {"stage": "host key", "detail": "another key than pinned", "final": True}
        if not self.is_ours(self.hosts.keys.get(number, ())):
            return {"stage": "login", "detail": "authentication failed"}
        if number in self.hosts.made_anew:
            return {"stage": FIRST_KEY, "detail": "the key that came with the request"}
        return {"stage": "ready", "detail": ""}

    def is_ours(self, keys: Iterable[str]) -> bool:
        """Whether our key is among these, whatever is written behind it."""
        return self.public_key.split()[:2] in (key.split()[:2] for key in keys)

    def keys_of(self, rental: Rental) -> list[str]:
        """Whom a rental should let in, by what its provider was told."""
        return [*rental.keys.values(), *self.dialect.script_keys(rental.wish.get("onstart") or "")]

    def is_to_blame(self, rental_id: str) -> bool:
        """Whether it is the host's fault, and nobody else's, that nobody can log in to it."""
        rental = self.rental(rental_id)
        if rental is not None and not self.is_ours(self.keys_of(rental)):
            return self.probe(rental_id)["stage"] not in ("login", "ready")
        return self.probe(rental_id)["stage"] != "ready"

    def measured(self, rental_id: str) -> dict[str, Any]:
        """What gpu_info finds on a host, as options of offer_check."""
        spec = self.hosts.specs[self.dialect.number(rental_id)]
        cards = [{"memory_total_mib": gpu["memory.total"]} for gpu in spec.gpus["gpus"]]
        gpu = {"driver_version": spec.gpus["driver_version"], "gpus": cards}
        free_mib = round((spec.short_disk_gib or DISK_GIB * 0.9) * 1024)
        return {"gpu": gpu, "host": {"disk_free_mib": free_mib}, "disk_gib": DISK_GIB}

    # --- time ---

    def pass_time(self, seconds: float) -> None:
        """Let simulated time pass."""
        self.market.advance(seconds)
        self.await_boots()

    def boots_slowly(self) -> bool:
        """Whether some host is still on its way, in real seconds."""
        return any(
            rental.traits.boot_seconds > 0 and rental.status != rental.traits.boot_statuses[-1]
            for rental in list(self.market.rentals.values())
        )

    def await_boots(self) -> None:
        """Wait for what boots at once, which takes a thread's time, and then for what is due."""
        limit = time.monotonic() + BOOTED_SECONDS
        while time.monotonic() < limit and any(
            not rental.ports and rental.intended == "running" and not rental.stranger
            for rental in list(self.market.rentals.values())
        ):
            time.sleep(0.001)
        self.market.catch_up()

    # --- the truth ---

    def truth(self) -> Truth:
        """What there is now."""
        with self.market.lock:
            now = self.market.clock.now()
            rentals = sorted(self.market.rentals.values(), key=lambda one: one.id)
            ours = [row(one, now, self.dialect) for one in rentals if not one.stranger]
            beside = self.dialect.beside(self.simulator.api)
            shown = [(shown_id, row(one, now, self.dialect)) for shown_id, one in beside]
        ours += [replace(one, id=shown_id, dead=True) for shown_id, one in shown]
        rows = tuple(sorted(ours, key=lambda one: one.dead))
        return Truth(now, rows, self.lifetime_hours, self.most_usd_per_hour, self.budget_usd)

    def disturbed(self) -> list[str]:
        """What happened to the innocents."""
        return [
            f"rental {one.id} ({one.label}) of nobody's business was touched"
            for one in self.innocents
            if not (
                (seen := self.market.rentals.get(one.id))
                and seen.running
                and seen.label == one.wish["label"]
            )
        ]


def unwatched(_phase: str, _request: Request, _number: int) -> None:
    """Watch nothing."""


def row(rental: Rental, now: float, dialect: Dialect) -> Row:
    """A rental as a row of the truth, by the mark in its label, or else by the one it came with."""
    label = dialect.mark(rental.label or "")
    words = [word for word in label.split() if word.count("/") >= 5]
    mark = words[0] if words else dialect.mark(rental.wish["label"])
    _product, scope, name, nonce, _version, deadline = mark.split("/")[:6]
    gb = DOWNLOAD_GB if "traffic" in dialect.features else 0.0
    return Row(
        id=dialect.rental_id(rental.id),
        scope=scope,
        name=name,
        nonce=nonce,
        deadline=float(int(deadline, 36)),
        created_at=rental.created_at,
        listed=rental.listed(now),
        label=label,
        came_with=dialect.mark(rental.wish["label"]),
        price_usd_per_hour=rental.offer["dph_base"]
        + storage_usd_per_hour(rental.offer, rental.disk_gib),
        download_usd=gb * rental.offer["inet_down_cost"],
        dead=rental.status in DEAD or CONTAINER_FAILS in rental.status_msg,
    )
