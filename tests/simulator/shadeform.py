# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Shadeform's API v1 over the simulated market: its types, instances and SSH keys.

After its OpenAPI document, 1.0.0. From others that speak to it: an error has a code and a text, and
most have status 409 (NVIDIA Brev); a delete and an update are answered by nothing (SkyPilot, its
Terraform provider); address, port and times are null until they are known (its quickstart).

Chosen where that leaves it open: verified machines alone are rented out, a region is a country, an
instance gets the cheapest machine that is free, and one that was deleted is shown for a while. A
name has what the name of a host may have. One logs in as ``shadeform``, or as ``root`` by a setting
of the market: whom each cloud lets in is in no document.
"""

from __future__ import annotations

import base64
import itertools
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from tests.simulator import offers as offer_table
from tests.simulator.dialect import Dialect, Saying, Where, after, in_path, without_query
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
from tests.simulator.offers import Gpu, Offer
from tests.simulator.ways import ADDRESS
from tests.simulator.web import Reply, Request, json_reply

MACHINES = Machines(("shadeform", "root"), virtual=True)
ID = "5eade000-0000-4000-8000-{:012d}"
KEY_ID = "0ce1000a-0000-4000-8000-{:012d}"
#: Two clouds, and how much more than the usual price each takes.
CLOUDS = {"hyperstack": 1.0, "massedcompute": 1.25}
SYSTEMS = (
    "ubuntu22.04",
    "ubuntu22.04_cuda12.8_shade_os",
    "ubuntu22.04_cuda12.2_shade_os",
    "ubuntu24.04_cuda12.10_shade_os",
)
#: For so long after its end an instance is shown as one that is being deleted.
DELETING_SECONDS = 60.0
STATUS = {None: "creating", "created": "pending_provider", "loading": "pending"}
REQUIRED = ("cloud", "region", "shade_instance_type", "name")
NAME = re.compile(r"[A-Za-z0-9_-]{1,63}")


class Refusal(Exception):
    """An error in its own shape."""

    def __init__(self, status: int, code: str, text: str) -> None:
        super().__init__(text)
        self.reply = json_reply({"error_code": code, "error": text}, status)


class Unknown(Refusal):
    """A key that nobody knows, which has a shape of its own."""

    def __init__(self, status: int = 401, text: str = "Invalid API key") -> None:
        super().__init__(status, "", text)
        self.reply = json_reply({"message": text}, status)


#: Where its paths begin.
BASE = "/v1"


class Api:
    """Answers every request under /v1/."""

    def __init__(self, market: Market) -> None:
        self.market = market
        market.variables_of = lambda rental: {}
        self.numbers = itertools.count(2)
        managed = {"name": "Shadeform Managed Key", "public_key": "ssh-rsa AAAAmanaged"}
        self.keys: dict[str, dict[str, Any]] = {
            KEY_ID.format(1): {"id": KEY_ID.format(1), **managed, "is_default": True}
        }
        self.deleted: dict[str, tuple[Rental, float]] = {}

    def answer(self, request: Request, traits: Traits, from_host: bool) -> Reply:
        """Answer one request; ``traits`` are those of a rental that it may make."""
        try:
            self.let_in(request, from_host)
            for method, pattern, handler in ROUTES:
                found = re.fullmatch(f"{BASE}{pattern}", request.path)
                if not found or method != request.method:
                    continue
                if handler is create:
                    return create(self, request, traits)
                return handler(self, request, **found.groupdict())
            raise Unknown(404, "Not Found")
        except Refusal as refusal:
            return refusal.reply
        except ValueError:
            return Refusal(400, "INVALID_REQUEST", "the body cannot be read").reply

    def let_in(self, request: Request, from_host: bool) -> None:
        """Raise Refusal unless the account's key comes along, which no host has."""
        state = self.market.account
        known = request.headers.get("x-api-key") == ACCOUNT_KEY and not from_host
        if not known or state not in (ACCOUNT_OK, "read-only"):
            raise Unknown
        if state == "read-only" and request.method != "GET":
            raise Unknown(403, "Forbidden")

    def find(self, name: str) -> Rental:
        """The rental behind an instance's id, once anything shows it. Raises Refusal."""
        number = name.rpartition("-")[2]
        rental = self.market.rentals.get(int(number)) if number.isdecimal() else None
        if rental is None or instance_id(rental) != name:
            raise Refusal(404, "NOT_FOUND", "Instance not found")
        if not rental.visible(self.market.clock.now()):
            raise Refusal(404, "NOT_FOUND", "Instance not found")
        return rental

    def end(self, rental: Rental) -> None:
        """Delete it."""
        if self.market.destroy(rental.id):
            self.deleted[instance_id(rental)] = rental, self.market.clock.now()

    def going(self) -> dict[str, Rental]:
        """What is still shown after its end."""
        now = self.market.clock.now()
        return {
            name: rental
            for name, (rental, at) in self.deleted.items()
            if 0 <= now - at < DELETING_SECONDS and rental.id not in self.market.rentals
        }

    def end_when_due(self, rental: Rental) -> None:
        """Delete it at the date that is set now, which a later one moves."""
        limits = asked(rental).get("auto_delete") or {}
        if not limits.get("date_threshold"):
            return
        left = seconds_of(limits["date_threshold"]) - self.market.clock.now()
        if left > 0:
            self.market.later(left, lambda: self.end_when_due(rental))
        elif not rental.gone.is_set():
            self.end(rental)


def instance_id(rental: Rental) -> str:
    """The id that its instance has."""
    return ID.format(rental.id)


def seconds_of(text: str) -> float:
    """A date in epoch seconds. Raises ValueError."""
    return datetime.fromisoformat(text).timestamp()


# --- what can be rented ---


def types(api: Api, request: Request) -> Reply:
    """Each kind of machine of each cloud, as far as the query asks for it."""
    rows = [row for row in all_types(api.market) if asked_for(row, request.query)]
    if request.query.get("available") == "true":
        for row in rows:
            row["availability"] = [one for one in row["availability"] if one["available"]]
        rows = [row for row in rows if row["availability"]]
    if "region" in request.query:
        places = {one["region"] for row in rows for one in row["availability"]}
        rows = [row for row in rows if places & {request.query["region"]}]
    if request.query.get("sort") == "price":
        rows.sort(key=lambda row: int(row["hourly_price"]))
    return json_reply({"instance_types": rows})


def asked_for(row: dict[str, Any], query: dict[str, str]) -> bool:
    """Whether a type is one that is asked for."""
    told = {
        "cloud": row["cloud"],
        "shade_instance_type": row["shade_instance_type"],
        "num_gpus": str(row["configuration"]["num_gpus"]),
        "gpu_type": row["configuration"]["gpu_type"],
    }
    return all(query.get(name, value) == value for name, value in told.items())


def all_types(market: Market) -> Iterator[dict[str, Any]]:
    """One row for each cloud, GPU and count, with where machines are free."""
    free = [one for one in market.search() if one["verification"] == "verified"]
    for cloud in CLOUDS:
        for gpu in offer_table.GPUS:
            for count in gpu.counts:
                found = [one for one in free if cloud_of(one) == cloud and is_of(one, gpu, count)]
                if found:
                    yield type_row(cloud, gpu, count, found)


def is_of(offer: Offer, gpu: Gpu, count: int) -> bool:
    """Whether a machine has so many of these GPUs."""
    return bool(offer["gpu_name"] == gpu.name and offer["num_gpus"] == count)


def cloud_of(offer: Offer) -> str:
    """Whose machine it is."""
    return list(CLOUDS)[int(offer["machine_id"]) % len(CLOUDS)]


def type_row(cloud: str, gpu: Gpu, count: int, found: list[Offer]) -> dict[str, Any]:
    """What is told of a kind of machine; some regions have it as an interruptible one as well."""
    kind = gpu_type(gpu) if count == 1 else f"{gpu_type(gpu)}x{count}"
    places = sorted({region(one): place_of(one) for one in found}.items())
    regular = [place(name, shown, True) for name, shown in places]
    spot = {**place(*places[0], True), "rental_type": "spot", "hourly_price": "0.01"}
    return {
        "cloud": cloud,
        "shade_instance_type": kind,
        "cloud_instance_type": f"gpu_{count}x_{gpu_type(gpu).lower()}",
        "configuration": configuration(gpu, count, found[0]) | {"os_options": list(SYSTEMS)},
        "hourly_price": cents(cloud, gpu, count),
        "deployment_type": "vm",
        "availability": [*regular, place("sold-out-1", "US, Sold Out, KS", False), spot],
        "boot_time": {"min_boot_in_sec": 180, "max_boot_in_sec": 600},
    }


def gpu_type(gpu: Gpu) -> str:
    """What it calls a GPU."""
    return gpu.name.replace(" ", "_")


def cents(cloud: str, gpu: Gpu, count: int) -> int:
    """What an hour costs, which is the same for every machine of a kind."""
    return round(gpu.usd_per_hour * count * CLOUDS[cloud] * 100)


def configuration(gpu: Gpu, count: int, offer: Offer) -> dict[str, Any]:
    """What a machine has."""
    return {
        "memory_in_gb": round(offer["cpu_ram"] / 1024),
        "storage_in_gb": round(offer["disk_space"]),
        "vcpus": round(offer["cpu_cores_effective"]),
        "num_gpus": count,
        "gpu_type": gpu_type(gpu),
        "interconnect": "pcie",
        "nvlink": False,
        "vram_per_gpu_in_gb": round(gpu.ram_mib / 1024),
        "gpu_manufacturer": "nvidia",
    }


def place(name: str, shown: str, free: bool) -> dict[str, Any]:
    """One region."""
    told = {"region": name, "available": free, "display_name": shown}
    return told | {"rental_type": "on_demand"}


def region(offer: Offer) -> str:
    """That of its country."""
    return f"{str(offer['geolocation']).rsplit(', ', 1)[-1].lower()}-1"


def place_of(offer: Offer) -> str:
    """Its country before all else."""
    where, _comma, country = str(offer["geolocation"]).rpartition(", ")
    return f"{country}, {where}"


# --- instances ---


def create(api: Api, request: Request, traits: Traits) -> Reply:
    """Rent one machine: 200 with its id and nothing else."""
    wish, market = request.json(), api.market
    kind, key = checked(api, wish)
    with market.lock:
        gpu, count = kind["configuration"]["gpu_type"], kind["configuration"]["num_gpus"]
        fitting = [
            one
            for one in market.search()
            if one["verification"] == "verified"
            and (cloud_of(one), region(one)) == (wish["cloud"], wish["region"])
            and (one["gpu_name"].replace(" ", "_"), one["num_gpus"]) == (gpu, count)
        ]
        if not fitting:
            raise Refusal(409, "OUT_OF_STOCK", "Out of stock")
        cheapest = min(fitting, key=lambda one: float(one["dph_base"]))
        factor = kind["hourly_price"] / 100 / cheapest["dph_base"] * traits.price_factor
        booked = {
            "label": "\n".join(wish.get("tags") or []),
            "image": wish.get("os") or "",
            "disk": kind["configuration"]["storage_in_gb"],
            "onstart": script_of(wish),
            "instance": {**wish, "type": kind},
        }
        try:
            rental = market.create(
                cheapest["id"], booked, replace(traits, price_factor=factor), [key["public_key"]]
            )
        except OfferGone:
            raise Refusal(409, "OUT_OF_STOCK", "Out of stock") from None
        except NoCredit:
            raise Refusal(409, "INSUFFICIENT_FUNDS", "Insufficient funds") from None
        rental.offer["storage_cost"] = 0.0  # its disk is in the price
    api.end_when_due(rental)
    return json_reply({"id": instance_id(rental)})


def checked(api: Api, wish: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """The type and the key of a rental request. Raises Refusal for what cannot be."""
    if not isinstance(wish, dict) or not all(isinstance(wish.get(one), str) for one in REQUIRED):
        raise Refusal(400, "INVALID_REQUEST", f"one of {', '.join(REQUIRED)} is missing")
    if not NAME.fullmatch(wish["name"]):
        raise Refusal(400, "INVALID_REQUEST", "name is invalid")
    seconds_of((wish.get("auto_delete") or {}).get("date_threshold") or "2006-01-02")
    kinds = [
        row
        for row in all_types(api.market)
        if (row["cloud"], row["shade_instance_type"])
        == (wish["cloud"], wish["shade_instance_type"])
    ]
    if not kinds:
        raise Refusal(409, "OUT_OF_STOCK", "Out of stock")
    if wish.get("os", SYSTEMS[0]) not in kinds[0]["configuration"]["os_options"]:
        raise Refusal(400, "INVALID_REQUEST", "os is not one of this instance type")
    default = next(one["id"] for one in api.keys.values() if one["is_default"])
    key = api.keys.get(wish.get("ssh_key_id") or default)
    if key is None:
        raise Refusal(400, "INVALID_REQUEST", "ssh key not found")
    return kinds[0], key


def script_of(wish: dict[str, Any]) -> str:
    """What it runs once it is active."""
    launch = wish.get("launch_configuration") or {}
    packed = (launch.get("script_configuration") or {}).get("base64_script") or ""
    return base64.b64decode(packed).decode()


def asked(rental: Rental) -> dict[str, Any]:
    """The rental request; a stranger's is not told."""
    told: dict[str, Any] = rental.wish.get("instance") or {}
    return told


def listed_row(rental: Rental, status: str) -> dict[str, Any]:
    """An instance as a list shows it: without its limits, keys and variables."""
    wish, runs = asked(rental), status == "active"
    kind = wish.get("type") or {}
    offer = rental.offer
    machine = {**(kind.get("configuration") or offer_machine(offer))}
    machine.pop("os_options", None)
    price = round(offer["dph_base"] * 100)
    return {
        "id": instance_id(rental),
        "cloud": wish.get("cloud", cloud_of(offer)),
        "region": wish.get("region", region(offer)),
        "shade_instance_type": wish.get("shade_instance_type", machine["gpu_type"]),
        "cloud_instance_type": kind.get("cloud_instance_type", "gpu_1x"),
        "cloud_assigned_id": f"vm-{offer['machine_id']}",
        "shade_cloud": wish.get("shade_cloud", True),
        "name": wish.get("name", "somebody-elses"),
        "configuration": machine | {"os": wish.get("os") or SYSTEMS[0]},
        "ip": ADDRESS if runs else None,
        "ssh_user": rental.user,
        "ssh_port": rental.ports.get("22/tcp") if runs else None,
        "status": status,
        "status_details": rental.status_msg,
        "cost_estimate": f"{rental.charged_usd:.2f}",
        "hourly_price": price,
        "rental_terms": {
            "rental_type": "on_demand",
            "hourly_price": f"{price / 100:.2f}",
            "ending_at": None,
        },
        **told_of(wish, "launch_configuration"),
        "tags": [tag for tag in (rental.label or "").split("\n") if tag],
        "port_mappings": [],
        "active_at": moment(rental.running_since),
        "created_at": moment(rental.created_at),
        "deleted_at": None,
    }


def info_row(rental: Rental, status: str) -> dict[str, Any]:
    """The same as a read of it alone shows it."""
    own = told_of(asked(rental), "ssh_key_id", "auto_delete", "envs", "volume_ids")
    return {**listed_row(rental, status), **own}


def offer_machine(offer: Offer) -> dict[str, Any]:
    """What a stranger's machine has."""
    gpu = next(one for one in offer_table.GPUS if one.name == offer["gpu_name"])
    return configuration(gpu, offer["num_gpus"], offer)


def told_of(wish: dict[str, Any], *names: str) -> dict[str, Any]:
    """These of its fields, where they are told."""
    return {name: wish[name] for name in names if wish.get(name) is not None}


def status_of(rental: Rental) -> str:
    """One of its words."""
    if rental.status in ("stopped", "exited") or "failed" in rental.status_msg:
        return "error"
    return STATUS.get(rental.status, "active" if rental.running else "pending")


def moment(seconds: float | None) -> str | None:
    """Epoch seconds as RFC 3339 has them."""
    if seconds is None:
        return None
    return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")


def instances(api: Api, request: Request) -> Reply:
    """All that are not deleted, without pages."""
    market = api.market
    with market.lock:
        now = market.clock.now()
        alive = [one for one in market.rentals.values() if one.listed(now)]
        rows = [listed_row(one, status_of(one)) for one in alive]
        rows += [listed_row(one, "deleting") for one in api.going().values()]
    return json_reply({"instances": rows})


def info(api: Api, request: Request, instance: str) -> Reply:
    """One of them."""
    with api.market.lock:
        going = api.going().get(instance)
        if going:
            return json_reply(info_row(going, "deleting"))
        rental = api.find(instance)
        return json_reply(info_row(rental, status_of(rental)))


def update(api: Api, request: Request, instance: str) -> Reply:
    """Change what the body has: null takes it away. Answered by nothing."""
    body = request.json()
    limits = body.get("auto_delete") or {}
    seconds_of(limits.get("date_threshold") or "2006-01-02")
    with api.market.lock:
        rental = api.find(instance)
        if "tags" in body:
            rental.label = "\n".join(body["tags"] or [])
        kept = {name: body[name] for name in ("name", "auto_delete", "alert") if name in body}
        rental.wish["instance"] = {**asked(rental), **kept}
    api.end_when_due(rental)
    return Reply()


def delete(api: Api, request: Request, instance: str) -> Reply:
    """Delete it, which is answered by nothing."""
    if instance not in api.going():
        api.end(api.find(instance))
    return Reply()


# --- the account's SSH keys ---


def ssh_keys(api: Api, request: Request) -> Reply:
    """All of them."""
    return json_reply({"ssh_keys": list(api.keys.values())})


def add_ssh_key(api: Api, request: Request) -> Reply:
    """One more, under a name that no other has."""
    body = request.json()
    with api.market.lock:
        if body["name"] in {key["name"] for key in api.keys.values()}:
            raise Refusal(409, "CONFLICT", "name must be unique")
        key_id = KEY_ID.format(next(api.numbers))
        told = {"name": body["name"], "public_key": body["public_key"]}
        api.keys[key_id] = {"id": key_id, **told, "is_default": False}
    return json_reply({"id": key_id})


Handler = Callable[..., Reply]
ROUTES: tuple[tuple[str, str, Handler], ...] = (
    ("GET", "/instances/types", types),
    ("POST", "/instances/create", create),
    ("GET", "/instances", instances),
    ("GET", "/instances/(?P<instance>[^/]+)/info", info),
    ("POST", "/instances/(?P<instance>[^/]+)/update", update),
    ("POST", "/instances/(?P<instance>[^/]+)/delete", delete),
    ("GET", "/sshkeys", ssh_keys),
    ("POST", "/sshkeys/add", add_ssh_key),
)


# --- what faults are about ---


def error(status: int, code: str, text: str) -> Saying:
    """An error as it is told."""
    return status, {"error_code": code, "error": text}


def mark(label: str) -> str:
    """The tag that is a mark, which others may stand beside; all of them where none is, or two."""
    tags = label.split("\n")
    marks = [tag for tag in tags if re.fullmatch(r"inferops(/\S+){5,}", tag)]
    return marks[0] if len(marks) == 1 else " ".join(tags).strip()


TOO_FREQUENT: Saying = (429, {"message": "Too many requests"})
DIALECT = Dialect(
    requests={
        "search": Where("GET", "^/v1/instances/types$"),
        "create": Where("POST", "^/v1/instances/create$"),
        "list": Where("GET", "^/v1/instances$"),
        "read": Where("GET", "^/v1/instances/[^/]+/info$"),
        "rows": Where("GET", "^/v1/instances(/[^/]+/info)?$"),
        "destroy": Where("POST", "^/v1/instances/[^/]+/delete$"),
        "change": Where("POST", "^/v1/instances/[^/]+/update$"),
        "user": Where("GET", "^/v1/sshkeys$"),
    },
    sayings={
        "no offers": (200, {"instance_types": None}),
        "offer gone": error(409, "OUT_OF_STOCK", "Out of stock"),
        "bad key": (401, {"message": "Invalid API key"}),
        "too frequent": TOO_FREQUENT,
        "quota": TOO_FREQUENT,
        "timeout": error(408, "TIMEOUT", "Request timeout"),
        "invalid": error(400, "INVALID_REQUEST", "os is not one of this instance type"),
        "done without id": (200, {}),
        "phantom id": (200, {"id": ID.format(99_999_999_999)}),
        "withdrawn": error(410, "GONE", "This version is no longer served"),
        "no such rental": error(404, "NOT_FOUND", "Instance not found"),
        "nothing to end": error(404, "NOT_FOUND", "Instance not found"),
        "released": (200, ""),
        "changed": (200, ""),
    },
    shows={
        "exited": {"status": "error"},
        "an odd status": {"status": "hibernating"},
        "no values": dict.fromkeys(
            ("hourly_price", "configuration", "ip", "ssh_port", "created_at", "rental_terms")
        ),
        "odd values": {"hourly_price": "n/a", "created_at": "soon", "configuration": ["gpu"]},
        "an odd environment": {"launch_configuration": [None, 5]},
        "odd labels": {"tags": [17, None]},
    },
    features=frozenset(
        ("filters", "overlap", "second mark", "ends early", "plain key", "own prices", "forgets")
    ),
    rows="instances",
    rental_id=ID.format,
    number=after(ID.partition("{")[0]),
    ids=in_path("/instances/([^/]+)/"),
    mark=mark,
    unfiltered=without_query("available", "num_gpus", "cloud", "region", "shade_instance_type"),
)


def take(market: Market, offer_id: str) -> None:
    """Let somebody else rent an offer: all machines of a kind in a region of a cloud."""
    cloud, wanted, kind = offer_id.split(".")
    for offer in market.search():
        told = (cloud_of(offer), region(offer))
        named = offer["gpu_name"].replace(" ", "_")
        if told == (cloud, wanted) and kind in (named, f"{named}x{offer['num_gpus']}"):
            del market.offers[offer["id"]]


def carried(_api: Api, body: Any) -> str:
    """What a request to rent took along: its body, and the script that is packed in it."""
    return f"{body} {script_of(body)}"
