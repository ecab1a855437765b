# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""TensorDock's API v2 over the simulated market: its locations and instances.

After its pages (dashboard.tensordock.com/api/docs) and what others met: a list that is flat and
complete, a row without an envelope, a refusal under a good status, another one that is a list, and
locations that offer what nobody has (cloud-gpu-shopper). ``list_shape`` and ``row_shape`` are how
else they come by the pages.

Chosen where that leaves it open: a location is a place of one tier, all of whose machines cost the
same and give as many of their GPUs as are wanted; some places have no addresses to give; an
instance is deleting for a while; a missing one is an error of the kind that its clients expect.
Hosts are pretended ones: no container here has user ``user`` or cloud-init.
"""

from __future__ import annotations

import base64
import re
import uuid
from collections import deque
from collections.abc import Callable
from typing import Any

from tests.simulator import offers as offer_table
from tests.simulator.dialect import Dialect, Where, after, in_path, saying, without_dashes
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
from tests.simulator.web import Reply, Request, json_reply

MACHINES = Machines(("user",), virtual=True, own_address=True)
ID = "7d0c0000-0000-4000-8000-{:012d}"
IMAGES = (
    "ubuntu2204",
    "ubuntu2404",
    "ubuntu2404_ml_everything",
    "ubuntu2404_ml_pytorch",
    "ubuntu2404_ml_tensorflow",
    "windows10",
)
#: What stands before a model's name, and what kind of slot behind it.
MAKERS = {"RTX 20": "geforce", "RTX 30": "geforce", "RTX 40": "geforce", "RTX 50": "geforce",
          "GTX": "geforce"}  # fmt: skip
PRICES = {"per_vcpu_hr": 0.003, "per_gb_ram_hr": 0.002, "per_gb_storage_hr": 0.00005}
MOST = {"max_vcpus": 128, "max_ram_gb": 300, "max_storage_gb": 1000}
COUNTRIES = {
    "US": "United States", "CA": "Canada", "SE": "Sweden", "NO": "Norway", "DE": "Germany",
    "CZ": "Czechia", "GB": "United Kingdom", "FR": "France", "PL": "Poland", "BG": "Bulgaria",
    "UA": "Ukraine", "TW": "Taiwan", "KR": "South Korea", "JP": "Japan", "VN": "Vietnam",
    "AU": "Australia", "BR": "Brazil", "ZA": "South Africa",
}  # fmt: skip
#: Where ports are forwarded, and no addresses are to be had.
WITHOUT_ADDRESSES = ("VN", "UA")
DELETING_SECONDS = 20.0
CALLS_A_MINUTE = 100
UNAUTHORIZED, RATE_LIMIT = "Unauthorized", "Rate limit exceeded"
NO_INSTANCE, NO_NODE = "Instance not found", "No available nodes found"
NO_CREDIT = "You need at least $1 in your balance to deploy an instance"
DELETED = {"data": {"type": "success", "attributes": {"message": "Instance deleted successfully"}}}
#: How a list comes: as it was seen, or in one of the three ways of the pages.
FLAT, NESTED, DOCUMENTED, ENVELOPE = "flat", "nested", "documented", "envelope"
#: How one row comes.
BARE, WRAPPED, ATTRIBUTES = "bare", "wrapped", "attributes"


class Refusal(Exception):
    """An error as its pages have them."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        told = {"status": str(status), "title": "Error", "detail": detail}
        self.reply = json_reply({"errors": [told]}, status)


class UnderGoodStatus(Refusal):
    """An error that comes with status 200, and its own in the body."""

    def __init__(self, error: str) -> None:
        super().__init__(200, error)
        self.reply = json_reply({"error": error, "status": 400})


class Invalid(Refusal):
    """A rental request that makes no sense."""

    def __init__(self, message: str, *path: str) -> None:
        super().__init__(400, message)
        where = ["data", "attributes", *path]
        self.reply = json_reply([{"code": "custom", "message": message, "path": where}], 400)


#: Where its paths begin.
BASE = "/api/v2"


class Api:
    """Answers every request under /api/v2/."""

    def __init__(self, market: Market) -> None:
        self.market = market
        market.variables_of = lambda rental: {}
        self.list_shape, self.row_shape = FLAT, BARE
        self.deleted: dict[str, tuple[Rental, float]] = {}
        self.calls: deque[float] = deque()

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
                return handler(self, **found.groupdict())
            raise Refusal(404, "There is no such endpoint.")
        except Refusal as refusal:
            return refusal.reply
        except ValueError:
            return Refusal(400, "The body cannot be read.").reply

    def let_in(self, request: Request, from_host: bool) -> None:
        """Raise Refusal without the account's token, or for too many calls in a minute."""
        key = request.headers.get("authorization", "").removeprefix("Bearer ")
        if key != ACCOUNT_KEY or from_host or self.market.account != ACCOUNT_OK:
            raise Refusal(401, UNAUTHORIZED)
        if not self.market.rate_limits:
            return
        now = self.market.clock.now()
        while self.calls and now - self.calls[0] >= 60:
            self.calls.popleft()
        if len(self.calls) >= CALLS_A_MINUTE:
            self.market.too_frequent += 1
            raise Refusal(429, RATE_LIMIT)
        self.calls.append(now)

    def going(self) -> dict[str, Rental]:
        """What is being deleted."""
        now = self.market.clock.now()
        return {
            name: rental
            for name, (rental, at) in self.deleted.items()
            if 0 <= now - at < DELETING_SECONDS and rental.id not in self.market.rentals
        }

    def find(self, name: str) -> Rental:
        """The rental behind an instance's id, once anything shows it. Raises Refusal."""
        number = name.rpartition("-")[2]
        rental = self.market.rentals.get(int(number)) if number.isdecimal() else None
        known = rental is not None and instance_id(rental) == name
        if rental is None or not known or not rental.visible(self.market.clock.now()):
            raise Refusal(404, NO_INSTANCE)
        return rental


def instance_id(rental: Rental) -> str:
    """The id that its instance has."""
    return ID.format(rental.id)


# --- what can be rented ---


def model_of(gpu: Gpu) -> str:
    """Such as geforcertx4090-pcie-24gb."""
    name, _blank, form = gpu.name.rpartition(" ")
    if form not in ("PCIE", "SXM", "SXM4"):
        name, form = gpu.name, "PCIE"
    maker = next((maker for prefix, maker in MAKERS.items() if name.startswith(prefix)), "")
    word = re.sub("[^a-z0-9]", "", name.lower())
    return f"{maker}{word}-{form.lower()}-{round(gpu.ram_mib / 1024)}gb"


def gpu_of(offer: Offer) -> Gpu:
    """The GPU of a machine."""
    return next(one for one in offer_table.GPUS if one.name == offer["gpu_name"])


def tier_of(offer: Offer) -> int:
    """That of its location."""
    return 3 if offer["verification"] == "verified" else 1


def location_of(offer: Offer) -> str:
    """The id of its location."""
    return str(uuid.uuid5(uuid.NAMESPACE_DNS, f"{offer['geolocation']} {tier_of(offer)}"))


def locations(api: Api) -> Reply:
    """Each location with all of its models, and the most of each that can be had at once."""
    found: dict[str, dict[str, Any]] = {}
    for offer in api.market.search():
        place = found.setdefault(location_of(offer), location_row(offer))
        gpu, models = gpu_of(offer), place["gpus"]
        row = models.setdefault(model_of(gpu), model_row(gpu, country_of(offer)))
        row["max_count"] = max(row["max_count"], offer["num_gpus"])
    rows = [{**place, "gpus": list(place["gpus"].values())} for place in found.values()]
    return json_reply({"data": {"locations": rows}})


def country_of(offer: Offer) -> str:
    """The two letters of its country."""
    return str(offer["geolocation"]).rsplit(", ", 1)[-1]


def location_row(offer: Offer) -> dict[str, Any]:
    """A location without its models."""
    return {
        "id": location_of(offer),
        "city": "Springfield",
        "stateprovince": str(offer["geolocation"]).rsplit(", ", 1)[0],
        "country": COUNTRIES[country_of(offer)],
        "tier": tier_of(offer),
        "gpus": {},
    }


def model_row(gpu: Gpu, country: str) -> dict[str, Any]:
    """A model in a location; the price is for one GPU alone."""
    return {
        "v0Name": model_of(gpu),
        "displayName": f"NVIDIA {gpu.name}",
        "max_count": 0,
        "price_per_hr": gpu.usd_per_hour,
        "resources": MOST,
        "pricing": PRICES,
        "network_features": {
            "dedicated_ip_available": country not in WITHOUT_ADDRESSES,
            "port_forwarding_available": True,
            "network_storage_available": False,
        },
    }


# --- instances ---


def create(api: Api, request: Request, traits: Traits) -> Reply:
    """Rent a part of a machine: 201 with its id, and no address."""
    wish, market = checked(request.json()), api.market
    resources = wish["resources"]
    ((model, asked),) = resources["gpus"].items()
    with market.lock:
        fitting = [
            one
            for one in market.search()
            if (location_of(one), model_of(gpu_of(one))) == (wish["location_id"], model)
            and one["num_gpus"] >= asked["count"]
        ]
        if not fitting:
            raise UnderGoodStatus(NO_NODE)
        machine = min(fitting, key=lambda one: int(one["num_gpus"]))
        booked = {
            "label": wish["name"],
            "image": wish["image"],
            "disk": resources["storage_gb"],
            "onstart": script_of(wish),
            "instance": wish,
        }
        try:
            rental = market.create(machine["id"], booked, traits, [wish["ssh_key"]])
        except OfferGone:
            raise UnderGoodStatus(NO_NODE) from None
        except NoCredit:
            raise UnderGoodStatus(NO_CREDIT) from None
        price = usd_per_hour(gpu_of(machine), asked["count"], resources) * traits.price_factor
        # What its disk bills is a part of it.
        rental.offer |= {"num_gpus": asked["count"], "dph_base": price, "storage_cost": 0.0}
    told = {"id": instance_id(rental), "name": rental.label, "status": "running"}
    return json_reply({"data": {"type": "virtualmachine", **told}}, 201)


def checked(body: Any) -> dict[str, Any]:
    """The attributes of a rental request. Raises Refusal for what is in no contract."""
    told = body.get("data") if isinstance(body, dict) else None
    wish = told.get("attributes") if isinstance(told, dict) else None
    if not isinstance(wish, dict):
        raise Invalid("Required")
    for field in ("name", "image", "location_id", "ssh_key"):
        if not isinstance(wish.get(field), str) or not wish[field]:
            raise Invalid("Required", field)
    if wish["image"] not in IMAGES:
        raise Invalid("Invalid enum value", "image")
    resources = wish.get("resources") or {}
    if resources.get("storage_gb", 0) < 100:
        raise Invalid("Storage must be at least 100 GB", "resources", "storage_gb")
    if resources.get("vcpu_count", 1) % 2 or resources.get("ram_gb", 1) % 8:
        raise Invalid("Invalid resource step", "resources")
    gpus = resources.get("gpus")
    if not isinstance(gpus, dict) or len(gpus) != 1:
        raise Invalid("At least one GPU is required", "resources", "gpus")
    inside = [one["internal_port"] for one in wish.get("port_forwards") or ()]
    if wish.get("useDedicatedIp") is not True and 22 not in inside:
        raise Invalid("SSH port (22) must be forwarded for Ubuntu VMs", "port_forwards")
    return wish


def script_of(wish: dict[str, Any]) -> str:
    """What its first boot runs, in one text."""
    return "\n".join((wish.get("cloud_init") or {}).get("runcmd") or ())


def unpacked(wish: dict[str, Any]) -> str:
    """The script that is packed into that."""
    found = re.fullmatch(r"echo (\S+) \| base64 -d \| sh", script_of(wish))
    return base64.b64decode(found[1]).decode() if found else ""


def usd_per_hour(gpu: Gpu, count: int, resources: dict[str, Any]) -> float:
    """What all of it costs together."""
    return (
        gpu.usd_per_hour * count
        + PRICES["per_vcpu_hr"] * resources["vcpu_count"]
        + PRICES["per_gb_ram_hr"] * resources["ram_gb"]
        + PRICES["per_gb_storage_hr"] * resources["storage_gb"]
    )


def row_of(rental: Rental, status: str) -> dict[str, Any]:
    """All that is told of an instance; its address once it has one."""
    resources = (rental.wish.get("instance") or {}).get("resources") or {}
    model, count = model_of(gpu_of(rental.offer)), rental.offer["num_gpus"]
    return {
        "id": instance_id(rental),
        "name": rental.label or "",
        "status": status,
        "ipAddress": rental.address if rental.running and status == "running" else "",
        "portForwards": [],
        "resources": {
            "vcpu_count": resources.get("vcpu_count", 8),
            "ram_gb": resources.get("ram_gb", 32),
            "storage_gb": resources.get("storage_gb", 100),
            "gpus": {model: {"count": count, "v0Name": model}},
        },
        "rateHourly": round(rental.offer["dph_base"], 6),
    }


def status_of(rental: Rental) -> str:
    """One of its words. It says of one that boots that it runs."""
    if rental.status in ("exited", "offline") or "failed" in rental.status_msg:
        return "error"
    return "stopped" if rental.intended == "stopped" else "running"


def instances(api: Api) -> Reply:
    """All of them, without pages."""
    with api.market.lock:
        now = api.market.clock.now()
        alive = [one for one in api.market.rentals.values() if one.listed(now)]
        rows = [row_of(one, status_of(one)) for one in alive]
        rows += [row_of(one, "deleting") for one in api.going().values()]
    if api.list_shape == FLAT:
        return json_reply({"data": rows})
    if api.list_shape == NESTED:
        return json_reply({"data": {"instances": rows}})
    short = [
        {
            "type": "VM",
            "id": row["id"],
            "attributes": {"name": row["name"], "status": row["status"]},
        }
        for row in rows
    ]
    if api.list_shape == DOCUMENTED:
        return json_reply({"data": {"instances": short}})
    inner = {"type": "list", "id": "instances", "attributes": {"instances": short}}
    return json_reply({"data": inner})


def instance(api: Api, name: str) -> Reply:
    """One of them."""
    with api.market.lock:
        going = api.going().get(name)
        rental = going or api.find(name)
        row = row_of(rental, "deleting" if going else status_of(rental))
    if api.row_shape == BARE:
        return json_reply({"type": "virtualmachine", **row})
    if api.row_shape == WRAPPED:
        return json_reply({"data": {"type": "virtualmachine", **row}})
    outer = {"type": "virtualmachine", "id": row.pop("id"), "attributes": row}
    return json_reply({"data": outer})


def delete(api: Api, name: str) -> Reply:
    """Delete one and its disk; one that is being deleted cannot be."""
    if name in api.going():
        raise Refusal(400, "Instance is being deleted")
    rental = api.find(name)
    if api.market.destroy(rental.id):
        api.deleted[name] = rental, api.market.clock.now()
    return json_reply(DELETED)


Handler = Callable[..., Reply]
ROUTES: tuple[tuple[str, str, Handler], ...] = (
    ("GET", "/locations", locations),
    ("POST", "/instances", create),
    ("GET", "/instances", instances),
    ("GET", "/instances/(?P<name>[^/]+)", instance),
    ("DELETE", "/instances/(?P<name>[^/]+)", delete),
)


# --- what faults are about ---


def deleting(api: Api) -> list[tuple[str, Rental]]:
    """What is being deleted: it is gone, and still shown."""
    return list(api.going().items())


TOO_FREQUENT = saying(Refusal(429, RATE_LIMIT).reply)
DIALECT = Dialect(
    requests={
        "search": Where("GET", "^/api/v2/locations$"),
        "create": Where("POST", "^/api/v2/instances$"),
        "list": Where("GET", "^/api/v2/instances$"),
        "read": Where("GET", "^/api/v2/instances/[^/]+$"),
        "rows": Where("GET", "^/api/v2/instances(/[^/]+)?$"),
        "destroy": Where("DELETE", "^/api/v2/instances/[^/]+$"),
        "user": Where("GET", "^/api/v2/instances$"),
    },
    sayings={
        "no offers": (200, {"data": {"locations": None}}),
        "offer gone": saying(UnderGoodStatus(NO_NODE).reply),
        "bad key": saying(Refusal(401, UNAUTHORIZED).reply),
        "too frequent": TOO_FREQUENT,
        "quota": TOO_FREQUENT,
        "timeout": saying(Refusal(408, "Request timed out").reply),
        "invalid": saying(Invalid("Invalid enum value", "image").reply),
        "done without id": (201, {"data": {"type": "virtualmachine", "status": "running"}}),
        "phantom id": (201, {"data": {"type": "virtualmachine", "id": ID.format(99_999_999_999)}}),
        "withdrawn": saying(Refusal(410, "This version is no longer served").reply),
        "no such rental": saying(Refusal(404, NO_INSTANCE).reply),
        "nothing to end": saying(Refusal(404, NO_INSTANCE).reply),
        "released": (200, DELETED),
    },
    shows={
        "exited": {"status": "error"},
        "an odd status": {"status": "hibernating"},
        "no values": dict.fromkeys(("ipAddress", "portForwards", "resources", "rateHourly")),
        "odd values": {"ipAddress": ["22"], "resources": "n/a", "rateHourly": "n/a"},
        "odd labels": {"name": 1.7},
    },
    features=frozenset(
        (
            "rate limits",
            "plain key",
            "ends early",
            "overlap",
            "exact prices",
            "own prices",
            "forgets",
        )
    ),
    accounts=frozenset(("revoked-401",)),
    rows="data",
    rental_id=ID.format,
    number=after(ID.partition("{")[0]),
    ids=in_path("/instances/([^/]+)$"),
    mark=without_dashes,
    beside=deleting,
    api_path=BASE,
    usd_per_hour=0.2,
)


def take(market: Market, offer_id: str) -> None:
    """Let somebody else rent an offer: all machines of a model in a location."""
    for offer in market.search():
        if offer_id.startswith(f"{location_of(offer)}.{model_of(gpu_of(offer))}."):
            del market.offers[offer["id"]]


def carried(_api: Api, body: Any) -> str:
    """What a request to rent took along: its body, and the script that is packed in it."""
    return f"{body} {unpacked(body['data']['attributes'])}"
