# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Verda's API v1 over the simulated market: login, types, instances, disks, scripts and keys.

After its OpenAPI document of September 2026, and what others were seen to be told: an instance that
is being made is not ended, ids come as bare text, and one that has ended is shown by its id.
Chosen where that leaves it open: verified machines are its own, each country is a location, and an
instance that somebody ends in the console leaves its disk detached.
"""

from __future__ import annotations

import itertools
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from tests.simulator import offers as offer_table
from tests.simulator.dialect import Dialect, Saying, Where, after, in_body
from tests.simulator.market import (
    ACCOUNT_KEY,
    ACCOUNT_OK,
    Machines,
    Market,
    NoCredit,
    OfferGone,
    Rental,
    Traits,
)
from tests.simulator.offers import Offer
from tests.simulator.web import Reply, Request, json_reply

MACHINES = Machines(virtual=True, own_address=True)
CLIENT_ID = "simulated-client-id"
TOKEN_SECONDS = 3600.0
#: Each kind of thing has ids of its own.
INSTANCE, DISK, SCRIPT, KEY = "5eed0000", "d15c0000", "5c210000", "4e700000"
#: Where a client keeps its mark, which moves from one to the other.
MARK_TAG = "inferops"
MARK_TAGS = (MARK_TAG, "inferops-moved")
NEW_IMAGE, OLD_IMAGE = "ubuntu-24.04-cuda-13.0-open-docker", "ubuntu-22.04-cuda-12.4-docker"
LEAST_DISK_GB, DISK_USD_PER_GB_MONTH, HOURS_PER_MONTH = 50, 0.2, 730
MOST_TAGS, MOST_SCRIPTS, LONGEST_KEY, LONGEST_VALUE = 10, 100, 63, 127
NEEDED = ("instance_type", "image", "hostname", "location_code")
HOSTNAME = re.compile(r"(?=.*[A-Za-z])[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?")
NO_CAPACITY = "No capacity available"
NO_INSTANCE = "Invalid instance id"
WRONG_OS = "Operating system is not valid for this instance type"


class Refused(Exception):
    """A refusal, as it has them all."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.reply = json_reply({"code": code, "message": message}, status)


@dataclass
class Disk:
    """What an instance starts from: attached, detached, in the trash, or gone for good."""

    id: str
    rental: int
    name: str
    size: int
    tags: list[dict[str, str]]
    created_at: float
    location: str = "FI-01"
    state: str = "attached"
    deleted_at: float | None = None


@dataclass
class Things:
    """What a project has beside its instances, by id."""

    disks: dict[str, Disk] = field(default_factory=dict)
    scripts: dict[str, dict[str, Any]] = field(default_factory=dict)
    keys: dict[str, dict[str, Any]] = field(default_factory=dict)


#: Where its paths begin.
BASE = "/v1"


class Api:
    """Answers every request under /v1/."""

    def __init__(self, market: Market) -> None:
        self.market = market
        market.variables_of = lambda rental: {}
        market.write_label = write_tag
        self.things = Things()
        #: When each token ends.
        self.tokens: dict[str, float] = {}
        self.numbers = itertools.count(1)

    def answer(self, request: Request, traits: Traits, from_host: bool) -> Reply:
        """Answer one request; ``traits`` are those of a rental that it may make."""
        try:
            for method, pattern, is_open, handler in ROUTES:
                found = re.fullmatch(f"{BASE}{pattern}", request.path)
                if found and method == request.method:
                    if not is_open:
                        self.let_in(request, from_host)
                    with self.market.lock:
                        self.lose_disks()
                    return handler(self, request, traits, **found.groupdict())
            raise Refused(404, "not_found", f"Cannot {request.method} {request.path}")
        except Refused as refused:
            return refused.reply
        except (ValueError, KeyError, TypeError) as reason:
            return Refused(400, "invalid_request", f"Invalid request: {reason}").reply

    def let_in(self, request: Request, from_host: bool) -> None:
        """Raise Refused without a token of the project that has not ended."""
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        state = self.market.account
        ends = self.tokens.get(token, 0.0)
        if from_host or ends <= self.market.clock.now() or state not in (ACCOUNT_OK, "read-only"):
            raise Refused(401, "unauthorized_request", "Access token is missing or invalid")
        if state == "read-only" and request.method != "GET":
            raise Refused(403, "forbidden_action", "Insufficient scope")

    def lose_disks(self) -> None:
        """Leave the disks of instances that were ended in another way."""
        for disk in self.things.disks.values():
            if disk.state == "attached" and disk.rental not in self.market.rentals:
                disk.state = "detached"

    def new_id(self, kind: str, number: int | None = None) -> str:
        """An id in the form of all of them."""
        return f"{kind}-0000-4000-8000-{next(self.numbers) if number is None else number:012d}"

    def find(self, instance: str) -> Rental:
        """The rental behind an id, also one that has ended. Raises Refused for no such one."""
        known = [*self.market.rentals.values(), *self.market.ended]
        for rental in known:
            if instance_id(rental) == instance and rental.visible(self.market.clock.now()):
                return rental
        raise Refused(404, "not_found", NO_INSTANCE)


def instance_id(rental: Rental) -> str:
    """The id that its instance has."""
    return f"{INSTANCE}-0000-4000-8000-{rental.id:012d}"


def number_of(instance: str) -> int:
    """That of a rental in the books, from its instance's id."""
    return int(instance.rpartition("-")[2])


# --- the login ---


def token(api: Api, request: Request, _traits: Traits) -> Reply:
    """A token for two credentials, or for the token that renews."""
    given = request.json()
    if given.get("grant_type") == "client_credentials":
        known = (given.get("client_id"), given.get("client_secret")) == (CLIENT_ID, ACCOUNT_KEY)
    elif given.get("grant_type") == "refresh_token":
        known = str(given.get("refresh_token")).removeprefix("again-") in api.tokens
    else:
        raise Refused(400, "invalid_request", "unsupported grant type")
    if not known:
        raise Refused(401, "unauthorized_request", "Invalid client id or client secret")
    fresh = secrets.token_urlsafe(24)
    api.tokens[fresh] = api.market.clock.now() + TOKEN_SECONDS
    told = {"access_token": fresh, "refresh_token": f"again-{fresh}", "token_type": "Bearer"}
    return json_reply(told | {"expires_in": TOKEN_SECONDS, "scope": "cloud-api-v1"})


def balance(api: Api, _request: Request, _traits: Traits) -> Reply:
    """What the project has."""
    api.market.settle()
    return json_reply({"amount": round(api.market.credit_usd, 4), "currency": "usd"})


# --- what can be had ---


def own_offers(api: Api) -> list[Offer]:
    """The machines that are Verda's."""
    return [one for one in api.market.search() if one["verification"] == "verified"]


def type_name(gpu: offer_table.Gpu, count: int) -> str:
    """Such as 1H100SXM.22V."""
    return f"{count}{re.sub('[^A-Za-z0-9]', '', gpu.name).upper()}.{22 * count}V"


def type_of(offer: Offer) -> str:
    """The type of instance that a machine serves as."""
    gpu = next(one for one in offer_table.GPUS if one.name == offer["gpu_name"])
    return type_name(gpu, offer["num_gpus"])


def location(offer: Offer) -> str:
    """The one of its country."""
    return f"{str(offer['geolocation']).rsplit(', ', 1)[-1]}-01"


def parts(gpu: offer_table.Gpu, count: int) -> dict[str, Any]:
    """What a type and an instance tell alike of their machine; memory is that of all GPUs."""
    vram = round(gpu.ram_mib / 1024)
    return {
        "cpu": {"description": f"{22 * count} CPU", "number_of_cores": 22 * count},
        "gpu": {"description": f"{count}x {gpu.name} {vram}GB", "number_of_gpus": count},
        "gpu_memory": {
            "description": f"{vram * count}GB GPU RAM",
            "size_in_gigabytes": vram * count,
        },
        "memory": {"description": f"{128 * count}GB RAM", "size_in_gigabytes": 128 * count},
        "storage": {"description": "dynamic"},
    }


def type_row(gpu: offer_table.Gpu, count: int) -> dict[str, Any]:
    """A type of instance; its prices are texts."""
    price = gpu.usd_per_hour * count
    newer = gpu.arch not in ("pascal", "volta")
    return {
        **parts(gpu, count),
        "id": f"c01dd00d-0000-4000-8000-{offer_table.GPUS.index(gpu):06d}{count:06d}",
        "instance_type": type_name(gpu, count),
        "name": f"{gpu.name} {round(gpu.ram_mib / 1024)}GB",
        "model": gpu.name,
        "display_name": f"NVIDIA {gpu.name}",
        "manufacturer": "NVIDIA",
        "description": "Dedicated Hardware Instance",
        "best_for": [],
        "p2p": "",
        "price_per_hour": f"{price:.4f}",
        "spot_price": f"{price / 2:.4f}",
        "max_dynamic_price": f"{price * 2:.4f}",
        "currency": "usd",
        "supported_os": [NEW_IMAGE, OLD_IMAGE] if newer else [OLD_IMAGE],
    }


def all_types() -> dict[str, dict[str, Any]]:
    """Every type of instance, by its name."""
    rows = [type_row(gpu, count) for gpu in offer_table.GPUS for count in gpu.counts]
    return {row["instance_type"]: row for row in rows}


def types(_api: Api, request: Request, _traits: Traits) -> Reply:
    """All of them, whether or not there are any; and one without a GPU, and another maker's."""
    gpu = offer_table.GPUS[0]
    cpu = type_row(gpu, 1) | {"instance_type": "CPU.4V.16G", "name": "CPU Node"}
    cpu |= {"gpu": {"description": "", "number_of_gpus": 0}, "gpu_memory": {}}
    other = type_row(gpu, 1) | {"instance_type": "1MI300X.20V", "manufacturer": "AMD"}
    currency = {"currency": request.query.get("currency", "usd")}
    return json_reply([row | currency for row in (*all_types().values(), cpu, other)])


def availability(api: Api, _request: Request, _traits: Traits) -> Reply:
    """The types that each location has now."""
    found: dict[str, set[str]] = {}
    for offer in own_offers(api):
        found.setdefault(location(offer), set()).add(type_of(offer))
    return json_reply(
        [{"location_code": one, "availabilities": sorted(found[one])} for one in sorted(found)]
    )


def one_availability(api: Api, request: Request, _traits: Traits, kind: str) -> Reply:
    """Whether one type can be had, anywhere or at one place."""
    place = request.query.get("location_code")
    found = [one for one in own_offers(api) if type_of(one) == kind]
    return json_reply(any(place in (None, location(one)) for one in found))


def locations(_api: Api, _request: Request, _traits: Traits) -> Reply:
    """Each country has one."""
    countries = sorted({place.rsplit(", ", 1)[-1] for place, _weight in offer_table.PLACES})
    return json_reply(
        [{"code": f"{one}-01", "name": f"{one} 1", "country_code": one} for one in countries]
    )


def volume_types(_api: Api, request: Request, _traits: Traits) -> Reply:
    """What disks cost."""
    currency = request.query.get("currency", "usd")
    return json_reply(
        [
            {
                "type": kind,
                "price": {"price_per_month_per_gb": price, "cps_per_gb": 0, "currency": currency},
                "is_shared_fs": "Shared" in kind,
                "burst_bandwidth": 2500,
                "continuous_bandwidth": 2000,
                "internal_network_speed": 50,
                "iops": "100k",
                "throughput_gbps": 4,
            }
            for kind, price in (("NVMe_Shared", 0.2), ("NVMe", DISK_USD_PER_GB_MONTH))
        ]
    )


def images(_api: Api, _request: Request, _traits: Traits) -> Reply:
    """The systems that a disk can begin with."""
    return json_reply(
        [
            {
                "id": f"1a9e0000-0000-4000-8000-{number:012d}",
                "image_type": name,
                "name": name,
                "is_default": not number,
                "is_cluster": False,
                "details": [],
                "category": "ubuntu",
            }
            for number, name in enumerate((NEW_IMAGE, OLD_IMAGE))
        ]
    )


# --- instances ---


def create(api: Api, request: Request, traits: Traits) -> Reply:
    """Deploy one: 202 with its id as bare text."""
    market, wish = api.market, request.json()
    check_wish(api, wish)
    kind, place = wish["instance_type"], wish["location_code"]
    with market.lock:
        known = all_types().get(kind)
        if known is None:
            raise Refused(404, "not_found", "Instance type not found")
        if wish["image"] in (NEW_IMAGE, OLD_IMAGE) and wish["image"] not in known["supported_os"]:
            raise Refused(400, "invalid_request", WRONG_OS)
        fitting = [
            one for one in own_offers(api) if type_of(one) == kind and location(one) == place
        ]
        if not fitting:
            raise Refused(503, "service_unavailable", NO_CAPACITY)
        offer = fitting[0]
        # All of one type cost the same, and so do all disks.
        costs = {"dph_base": float(known["price_per_hour"]), "storage_cost": DISK_USD_PER_GB_MONTH}
        market.offers[offer["id"]] = offer | costs
        keys = [api.things.keys[one]["key"] for one in listed(wish.get("ssh_key_ids"))]
        try:
            rental = market.create(offer["id"], as_wish(api, wish), traits, keys)
        except OfferGone:
            raise Refused(503, "service_unavailable", NO_CAPACITY) from None
        except NoCredit:
            raise Refused(402, "insufficient_funds", "Not enough funds") from None
        disk = wish.get("os_volume") or {"name": "OS-NVMe", "size": LEAST_DISK_GB}
        made = Disk(
            id=api.new_id(DISK, rental.id),
            rental=rental.id,
            name=disk["name"],
            size=int(disk["size"]),
            location=place,
            tags=[new_tag(api, one) for one in disk.get("tags") or ()],
            created_at=market.clock.now(),
        )
        api.things.disks[made.id] = made
    return Reply(202, instance_id(rental).encode(), {"Content-Type": "text/html; charset=utf-8"})


def check_wish(api: Api, wish: dict[str, Any]) -> None:
    """Raise Refused for what no instance can be made of."""
    problems = [f"{name} should not be empty" for name in NEEDED if not wish.get(name)]
    if not HOSTNAME.fullmatch(str(wish.get("hostname"))):
        problems.append("hostname is not valid")
    disk = wish.get("os_volume") or {"name": "OS-NVMe", "size": LEAST_DISK_GB}
    if not disk.get("name") or not isinstance(disk.get("size"), int):
        problems.append("os_volume needs a name and a size")
    elif disk["size"] < LEAST_DISK_GB:
        problems.append("os_volume is too small")
    if disk.get("on_spot_discontinue") and not wish.get("is_spot"):
        problems.append("on_spot_discontinue is for spot instances")
    tags = [*(wish.get("tags") or ()), *(disk.get("tags") or ())]
    problems += [f"tag {one} is too long" for one in tags if not is_tag(one)]
    if not listed(wish.get("ssh_key_ids")):
        problems.append("ssh_key_ids should not be empty")
    problems += [
        f"{one} is no SSH key"
        for one in listed(wish.get("ssh_key_ids"))
        if one not in api.things.keys
    ]
    script = wish.get("startup_script_id")
    if script and script not in api.things.scripts:
        problems.append("startup_script_id is no script")
    if problems:
        raise Refused(400, "invalid_request", ", ".join(problems))


def listed(value: Any) -> list[str]:
    """One or several, as it takes them."""
    return [value] if isinstance(value, str) else list(value or ())


def as_wish(api: Api, wish: dict[str, Any]) -> dict[str, Any]:
    """A rental request in the market's words."""
    script = api.things.scripts.get(wish.get("startup_script_id") or "")
    return {
        "image": wish["image"],
        "label": wish.get("description"),
        "disk": (wish.get("os_volume") or {}).get("size", LEAST_DISK_GB),
        "onstart": script["script"] if script else "",
        "instance": wish | {"tags": [new_tag(api, one) for one in wish.get("tags") or ()]},
    }


def status_of(rental: Rental, ended: bool) -> str:
    """Its one of many states."""
    if ended:
        return "discontinued"
    if rental.intended == "stopped" or rental.status in ("stopped", "exited"):
        return "offline"
    if "failed" in rental.status_msg:
        return "installation_failed"
    states = {None: "ordered", "running": "running", "unknown": "unknown"}
    return states.get(rental.status, "provisioning")


def somebody_elses(rental: Rental) -> dict[str, Any]:
    """What a stranger has asked for, who marks nothing."""
    told = {"hostname": "theirs", "description": rental.label, "image": NEW_IMAGE, "tags": []}
    return {**told, "instance_type": type_of(rental.offer)}


def instance_row(api: Api, rental: Rental) -> dict[str, Any]:
    """An instance as Verda shows it."""
    wish, offer = rental.wish.get("instance") or somebody_elses(rental), rental.offer
    ended = rental.id not in api.market.rentals
    status = status_of(rental, ended)
    gpu = next(one for one in offer_table.GPUS if one.name == offer["gpu_name"])
    there = status not in ("ordered", "discontinued")
    disk = api.new_id(DISK, rental.id)
    return {
        **parts(gpu, offer["num_gpus"]),
        "id": instance_id(rental),
        "ip": rental.address if status == "running" else None,
        "status": status,
        "created_at": moment(rental.created_at),
        "hostname": wish["hostname"],
        "description": wish.get("description") or "",
        "tags": wish["tags"],
        "location": location(offer),
        "price_per_hour": round(offer["dph_base"], 6),
        "is_spot": bool(wish.get("is_spot")),
        "instance_type": wish["instance_type"],
        "image": wish["image"],
        "os_name": wish["image"],
        "startup_script_id": wish.get("startup_script_id"),
        "ssh_key_ids": listed(wish.get("ssh_key_ids")),
        "os_volume_id": disk if there else None,
        "jupyter_token": secrets.token_hex(16),
        "contract": "PAY_AS_YOU_GO",
        "pricing": "FIXED_PRICE",
        "volume_ids": [disk] if there else [],
    }


def moment(seconds: float) -> str:
    """Epoch seconds to the millisecond."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")[:-6] + "Z"


def instances(api: Api, request: Request, _traits: Traits) -> Reply:
    """All that have not ended, without pages; of one status, where that is asked for."""
    with api.market.lock:
        now = api.market.clock.now()
        rows = [instance_row(api, one) for one in api.market.rentals.values() if one.listed(now)]
    wanted = request.query.get("status")
    return json_reply([row for row in rows if wanted in (None, row["status"])])


def instance(api: Api, _request: Request, _traits: Traits, instance: str) -> Reply:
    """One of them, also one that has ended."""
    with api.market.lock:
        return json_reply(instance_row(api, api.find(instance)))


def act(api: Api, request: Request, _traits: Traits) -> Reply:
    """Do something with one or several; only their end is done here."""
    given = request.json()
    ids = listed(given.get("id"))
    if given.get("action") not in ("delete", "discontinue") or not ids:
        raise Refused(400, "invalid_request", "action is not valid")
    results = []
    for one in ids:
        try:
            if not end(api, one, given) and len(ids) == 1:
                return Reply(204)
        except Refused as refused:
            if len(ids) == 1:
                raise
            results.append({"instanceId": one, "status": "error", "error": str(refused)})
        else:
            results.append({"instanceId": one, "status": "success"})
    failed = any(one["status"] == "error" for one in results)
    return json_reply(
        [one | {"action": given["action"]} for one in results], 207 if failed else 202
    )


def end(api: Api, instance: str, given: dict[str, Any]) -> bool:
    """End one with the disks that are named; tell whether it was there."""
    rental = api.find(instance)
    if rental.id not in api.market.rentals:
        return False
    status = status_of(rental, False)
    if status in ("ordered", "provisioning"):
        article = "an" if status == "ordered" else "a"
        message = f"Can't discontinue {article} {status} instance"
        raise Refused(403, "forbidden_action", message)
    api.market.destroy(rental.id)
    disk = api.things.disks[api.new_id(DISK, rental.id)]
    disk.state = "detached"
    named, permanently = given.get("volume_ids"), bool(given.get("delete_permanently"))
    if named is None:
        named, permanently = [disk.id], False
    for one in named:
        trash(api, api.things.disks[one], permanently)
    return True


# --- tags ---


def is_tag(given: Any) -> bool:
    """Whether a tag has no more letters than are kept."""
    key, value = str(given.get("key", "")), str(given.get("value", ""))
    return 0 < len(key) <= LONGEST_KEY and len(value) <= LONGEST_VALUE


def new_tag(api: Api, given: dict[str, str]) -> dict[str, str]:
    """A tag with an id."""
    return {
        "id": f"tag_{next(api.numbers):022d}",
        "key": given["key"].lower(),
        "value": given.get("value", ""),
    }


def set_label(rental: Rental) -> None:
    """Let the books show what the tag of the mark has."""
    tags = [one for one in rental.wish["instance"]["tags"] if one["key"] in MARK_TAGS]
    rental.label = f"{MARK_TAG}/{tags[-1]['value']}" if tags else None


def write_tag(rental: Rental, label: str) -> None:
    """Let somebody write a mark's tag in the console; without a text there is none."""
    tags = rental.wish["instance"]["tags"]
    others = [one for one in tags if one["key"] not in MARK_TAGS]
    value = label.removeprefix(f"{MARK_TAG}/")
    kept = {"id": "tag_by_hand", "key": MARK_TAG, "value": value}
    rental.wish["instance"]["tags"] = [*others, kept] if label else others
    set_label(rental)


def add_tag(api: Api, request: Request, _traits: Traits, instance: str) -> Reply:
    """Add one; a key has one value."""
    with api.market.lock:
        rental, given = api.find(instance), request.json()
        tags = rental.wish["instance"]["tags"]
        if not is_tag(given) or len(tags) >= MOST_TAGS:
            raise Refused(400, "invalid_request", "tag is not valid")
        if given["key"].lower() in (one["key"] for one in tags):
            raise Refused(409, "conflict", "Tag is already linked")
        made = new_tag(api, given)
        tags.append(made)
        set_label(rental)
    return json_reply(made, 201)


def drop_tag(api: Api, _request: Request, _traits: Traits, instance: str, tag: str) -> Reply:
    """Remove one, by its id or its key."""
    with api.market.lock:
        rental = api.find(instance)
        tags = rental.wish["instance"]["tags"]
        left = [one for one in tags if tag not in (one["id"], one["key"])]
        if left == tags:
            raise Refused(404, "not_found", "Instance or tag not found")
        rental.wish["instance"]["tags"] = left
        set_label(rental)
    return Reply(204)


# --- disks ---


def trash(api: Api, disk: Disk, permanently: bool = False) -> None:
    """Delete it, for good or for 96 hours."""
    disk.state = "gone" if permanently else "trash"
    disk.deleted_at = api.market.clock.now()


def disk_row(disk: Disk) -> dict[str, Any]:
    """A disk as Verda shows it."""
    monthly = disk.size * DISK_USD_PER_GB_MONTH
    has_instance = disk.state == "attached"
    owner = f"{INSTANCE}-0000-4000-8000-{disk.rental:012d}"
    row: dict[str, Any] = {
        "id": disk.id,
        "instance_id": owner if has_instance else None,
        "instances": [{"id": owner}] if has_instance else [],
        "name": disk.name,
        "created_at": moment(disk.created_at),
        "status": "deleted" if disk.state in ("trash", "gone") else disk.state,
        "size": disk.size,
        "is_os_volume": True,
        "target": "vda",
        "type": "NVMe",
        "location": disk.location,
        "ssh_key_ids": [],
        "contract": "PAY_AS_YOU_GO",
        "base_hourly_cost": monthly / HOURS_PER_MONTH,
        "monthly_price": monthly,
        "currency": "usd",
        "tags": disk.tags,
    }
    if disk.deleted_at is None:
        unused = ("pseudo_path", "create_directory_command", "mount_command")
        return row | dict.fromkeys((*unused, "filesystem_to_fstab_command"), "") | {"long_term": {}}
    return row | {
        "deleted_at": moment(disk.deleted_at),
        "is_permanently_deleted": disk.state == "gone",
    }


def disks_in(*states: str) -> Callable[..., Reply]:
    """A route for the disks in these states."""

    def told(api: Api, _request: Request, _traits: Traits) -> Reply:
        """Disks, without pages: not those in the trash, which have a path of their own."""
        rows = [disk_row(one) for one in api.things.disks.values() if one.state in states]
        return json_reply(rows)

    return told


def one_disk(api: Api, _request: Request, _traits: Traits, disk: str) -> Reply:
    """One of them, also one that was deleted."""
    if disk not in api.things.disks:
        raise Refused(404, "not_found", "Invalid volume id")
    return json_reply(disk_row(api.things.disks[disk]))


def delete_disk(api: Api, request: Request, _traits: Traits, disk: str) -> Reply:
    """Delete one that no instance has."""
    found = api.things.disks.get(disk)
    if found is None:
        raise Refused(404, "not_found", "Invalid volume id")
    if found.state == "attached":
        raise Refused(403, "forbidden_action", "Volume is attached to a running instance")
    if found.state == "gone":
        return Reply(204)
    trash(api, found, bool(request.json().get("is_permanent")))
    return Reply(202)


# --- scripts and keys ---


def scripts(api: Api, request: Request, _traits: Traits) -> Reply:
    """A page of them, the newest first, by a part of their names."""
    size = min(int(request.query.get("pageSize", "10")), 100)
    first = (int(request.query.get("page", "1")) - 1) * size
    wanted = request.query.get("name", "")
    rows = [one for one in reversed(api.things.scripts.values()) if wanted in one["name"]]
    reply = json_reply(rows[first : first + size])
    reply.headers["X-Total-Count"] = str(len(rows))
    return reply


def add_script(api: Api, request: Request, _traits: Traits) -> Reply:
    """A new one, as far as the quota goes: 201 with its id as bare text."""
    given = request.json()
    if len(api.things.scripts) >= MOST_SCRIPTS:
        raise Refused(400, "invalid_request", "Startup script limit exceeded")
    row = {"id": api.new_id(SCRIPT), "name": given["name"], "script": given["script"]}
    api.things.scripts[row["id"]] = row | {"created_at": moment(api.market.clock.now())}
    return Reply(201, row["id"].encode(), {"Content-Type": "text/html; charset=utf-8"})


def keys(api: Api, _request: Request, _traits: Traits) -> Reply:
    """All of them, without pages."""
    return json_reply(list(api.things.keys.values()))


def add_key(api: Api, request: Request, _traits: Traits) -> Reply:
    """A new one, also one that is there already: 201 with its id as bare text."""
    given = request.json()
    row = {"id": api.new_id(KEY), "name": given["name"], "key": given["key"]}
    api.things.keys[row["id"]] = row | {"fingerprint": None, "created_by_user_id": None}
    return Reply(201, row["id"].encode(), {"Content-Type": "text/html; charset=utf-8"})


def drop(kind: str) -> Callable[..., Reply]:
    """A route that deletes a script or a key, whether or not an instance has it."""

    def dropped(api: Api, _request: Request, _traits: Traits, thing: str) -> Reply:
        """Delete one of them, by its id."""
        if getattr(api.things, kind).pop(thing, None) is None:
            raise Refused(404, "not_found", f"{kind} not found")
        return Reply(200)

    return dropped


def one_of(kind: str) -> Callable[..., Reply]:
    """A route that tells a script or a key by its id: as a list of one, as the client reads it."""

    def told(api: Api, _request: Request, _traits: Traits, thing: str) -> Reply:
        """One of them, by its id, in a list."""
        found = getattr(api.things, kind).get(thing)
        if found is None:
            raise Refused(404, "not_found", f"{kind} not found")
        return json_reply([found])

    return told


def drop_several(kind: str) -> Callable[..., Reply]:
    """A route that deletes the scripts or keys that are named, or none where one is unknown."""

    def dropped(api: Api, request: Request, _traits: Traits) -> Reply:
        """Delete those that are named; none, where one is unknown."""
        named, things = request.json()[kind], getattr(api.things, kind)
        if not set(named) <= set(things):
            raise Refused(404, "not_found", f"{kind} not found")
        for one in named:
            del things[one]
        return Reply(200)

    return dropped


Handler = Callable[..., Reply]
#: Method, path, whether everybody may ask, and what answers.
ROUTES: tuple[tuple[str, str, bool, Handler], ...] = (
    ("POST", "/oauth2/token", True, token),
    ("GET", "/balance", False, balance),
    ("GET", "/instance-types", True, types),
    ("GET", "/instance-availability", False, availability),
    ("GET", "/instance-availability/(?P<kind>[^/]+)", False, one_availability),
    ("GET", "/locations", False, locations),
    ("GET", "/volume-types", True, volume_types),
    ("GET", "/images", False, images),
    ("GET", "/instances", False, instances),
    ("POST", "/instances", False, create),
    ("PUT", "/instances", False, act),
    ("GET", "/instances/(?P<instance>[^/]+)", False, instance),
    ("POST", "/instances/(?P<instance>[^/]+)/tags", False, add_tag),
    ("DELETE", "/instances/(?P<instance>[^/]+)/tags/(?P<tag>[^/]+)", False, drop_tag),
    ("GET", "/volumes", False, disks_in("attached", "detached")),
    ("GET", "/volumes/trash", False, disks_in("trash")),
    ("GET", "/volumes/(?P<disk>[^/]+)", False, one_disk),
    ("DELETE", "/volumes/(?P<disk>[^/]+)", False, delete_disk),
    ("GET", "/scripts", False, scripts),
    ("POST", "/scripts", False, add_script),
    ("DELETE", "/scripts", False, drop_several("scripts")),
    ("GET", "/scripts/(?P<thing>[^/]+)", False, one_of("scripts")),
    ("DELETE", "/scripts/(?P<thing>[^/]+)", False, drop("scripts")),
    ("GET", "/ssh-keys", False, keys),
    ("POST", "/ssh-keys", False, add_key),
    ("DELETE", "/ssh-keys/(?P<thing>[^/]+)", False, drop("keys")),
    # The paths before, which the official client for Python has.
    ("GET", "/sshkeys", False, keys),
    ("POST", "/sshkeys", False, add_key),
    ("DELETE", "/sshkeys", False, drop_several("keys")),
    ("GET", "/sshkeys/(?P<thing>[^/]+)", False, one_of("keys")),
    ("DELETE", "/sshkeys/(?P<thing>[^/]+)", False, drop("keys")),
)


# --- what faults are about ---


def error(status: int, code: str, message: str) -> Saying:
    """An error as it is told."""
    return status, {"code": code, "message": message}


def released(request: Request, _told: Reply | None) -> Saying:
    """The instances that were to end."""
    done = {"status": "success", "action": "delete"}
    return 202, [{"instanceId": one, **done} for one in DIALECT.ids(request)]


def changed(request: Request, _told: Reply | None) -> Saying:
    """The tag that was to be added."""
    return 201, {"id": "tag_of_nothing", **request.json()}


def left_disks(api: Api) -> list[tuple[str, Rental]]:
    """What bills without an instance: disks that are detached or in the trash."""
    api.lose_disks()
    ended = {rental.id: rental for rental in api.market.ended}
    left = [one for one in api.things.disks.values() if one.state in ("detached", "trash")]
    return [(f"disk-{one.id}", ended[one.rental]) for one in left if one.rental in ended]


TOO_FREQUENT = error(429, "too_many_requests", "Too many requests")
DIALECT = Dialect(
    requests={
        "search": Where("GET", "^/v1/instance-types$"),
        "create": Where("POST", "^/v1/instances$"),
        "list": Where("GET", "^/v1/instances$"),
        "read": Where("GET", "^/v1/instances/[^/]+$"),
        "rows": Where("GET", "^/v1/instances(/[^/]+)?$"),
        "destroy": Where("PUT", "^/v1/instances$"),
        "change": Where("POST", "^/v1/instances/[^/]+/tags$"),
        "user": Where("GET", "^/v1/balance$"),
        "account": Where("GET", "^/v1/balance$"),
    },
    sayings={
        "no offers": (200, None),
        "offer gone": error(503, "service_unavailable", NO_CAPACITY),
        "bad key": error(401, "unauthorized_request", "Access token is missing or invalid"),
        "too frequent": TOO_FREQUENT,
        "quota": TOO_FREQUENT,
        "timeout": error(408, "timeout", "Request timeout"),
        "invalid": error(400, "invalid_request", "image is not valid"),
        "done without id": (202, ""),
        "phantom id": (202, f"{INSTANCE}-0000-4000-8000-099999999999"),
        "withdrawn": error(410, "gone", "This version is no longer served"),
        "no such rental": error(404, "not_found", NO_INSTANCE),
        "nothing to end": error(404, "not_found", NO_INSTANCE),
        "released": released,
        "changed": changed,
    },
    shows={
        "exited": {"status": "offline"},
        "an odd status": {"status": "hibernating"},
        "no values": dict.fromkeys(
            ("price_per_hour", "ip", "gpu", "gpu_memory", "created_at", "os_volume_id",
             "volume_ids", "startup_script_id", "ssh_key_ids")
        ),
        "odd values": {"price_per_hour": "n/a", "created_at": "soon", "gpu": ["1x"]},
        "odd labels": {"description": 17, "tags": 17},
    },
    features=frozenset(
        ("silence", "new statuses", "overlap", "second mark", "own prices", "forgets")
    ),
    rental_id=(INSTANCE + "-0000-4000-8000-{:012d}").format,
    number=after(f"{INSTANCE}-0000-4000-8000-"),
    ids=in_body("id"),
    beside=left_disks,
    credentials={"client_id": CLIENT_ID, "client_secret": ACCOUNT_KEY},
    api_path=BASE,
    image=OLD_IMAGE,
)  # fmt: skip


def take(market: Market, offer_id: str) -> None:
    """Let somebody else rent an offer: all machines that serve as this type in a location."""
    for offer in market.search():
        if f"{type_of(offer)}.{location(offer)}" == offer_id:
            del market.offers[offer["id"]]


def carried(api: Api, body: Any) -> str:
    """What a request to rent took along: its body, and the script that was made for it."""
    return f"{body} {api.things.scripts[body['startup_script_id']]['script']}"
