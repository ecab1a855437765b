# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lambda Cloud's API v1 over the simulated market: its types, its instances and its errors.

After its OpenAPI document, 1.8.3. Chosen where that leaves it open: an instance is terminating for
half a minute and shown as terminated for another one; what ends already cannot be asked to end,
which SkyPilot has met as ``global/unknown``; an account without credit is inactive; 429 is JSON.
Of user data, hosts do what cloud-init does with a host key, or with a script.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from typing import Any

import yaml

from tests.simulator import offers as offer_table
from tests.simulator.dialect import Dialect, Saying, Where, base_16, in_body, in_path
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

#: Where machines of the market stand, by the country; those of others are not Lambda's.
REGIONS = {
    "US": ("us-west-1", "California, USA"),
    "DE": ("europe-central-1", "Germany"),
    "JP": ("asia-northeast-2", "Tokyo, Japan"),
    "AU": ("australia-east-1", "Australia"),
}
MACHINES = Machines(("ubuntu",), virtual=True, own_address=True)
#: What the market has no machine of: without a GPU, and with a CPU of another kind.
OTHER_TYPES = {
    "cpu_4x_general": ("N/A", 0, 10, "x86_64"),
    "gpu_1x_gh200": ("GH200 (96 GB)", 1, 149, "arm64"),
}
NAME_LENGTH, TAG_KEY, TAG_LENGTH = 64, re.compile("[a-z][a-z0-9-:]{1,54}"), 128
CREATE_FIELDS = {
    "region_name", "instance_type_name", "ssh_key_names", "file_system_names",
    "file_system_mounts", "hostname", "name", "image", "user_data", "tags", "firewall_rulesets",
    "quantity",
}  # fmt: skip
#: A family that none of its images is of.
NO_IMAGE = "no-such-family"
TERMINATING_SECONDS, TERMINATED_SECONDS = 30.0, 60.0
CALL_SECONDS, LAUNCH_SECONDS = 1.0, 12.0
ROUNDING_SECONDS = 0.001
BLOCKED = {"reason_code": "vm-is-terminating", "reason_description": "VM is terminating."}
ACTIONS = ("migrate", "rebuild", "restart", "cold_reboot", "terminate")

NO_OBJECT = "global/object-does-not-exist"
NO_INSTANCE = (404, NO_OBJECT, "Specified instance does not exist.")
NO_CAPACITY = (
    400,
    "instance-operations/launch/insufficient-capacity",
    "Not enough capacity to fulfill launch request.",
)
BAD_KEY = (401, "global/invalid-api-key", "API key was invalid, expired, or deleted.")
INVALID = (400, "global/invalid-parameters", "Invalid request data.")
INACTIVE = (403, "global/account-inactive", "Your account is inactive.")
UNKNOWN = (500, "global/unknown", "An unknown error occurred.")
TOO_FREQUENT = (429, "global/too-many-requests", "Too many requests.")


class Refusal(Exception):
    """An error answer in its own shape."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        error = {"code": code, "message": message, "suggestion": "See the documentation."}
        self.reply = json_reply({"error": error}, status)


#: Where its paths begin.
BASE = "/api/v1"


class Api:
    """Answers every request under /api/v1/."""

    def __init__(self, market: Market) -> None:
        self.market = market
        market.variables_of = lambda rental: {}
        self.key_names: dict[int, str] = {}
        self.ended: dict[int, tuple[Rental, float]] = {}
        self.lock = threading.Lock()
        self.last: dict[str, float] = {}

    def answer(self, request: Request, traits: Traits, from_host: bool) -> Reply:
        """Answer one request; ``traits`` are those of a rental that it may make."""
        try:
            self.let_in(request, from_host)
            for method, pattern, handler in ROUTES:
                found = re.fullmatch(f"{BASE}{pattern}", request.path)
                if found and method == request.method:
                    return json_reply({"data": handler(self, request, traits, **found.groupdict())})
            raise Refusal(404, "global/not-found", "There is no such endpoint.")
        except Refusal as refusal:
            return refusal.reply
        except ValueError:
            return Refusal(*INVALID).reply

    def let_in(self, request: Request, from_host: bool) -> None:
        """Raise Refusal without the account's key, or too soon after the last call."""
        key = request.headers.get("authorization", "").removeprefix("Bearer ")
        if key != ACCOUNT_KEY or from_host or self.market.account != ACCOUNT_OK:
            raise Refusal(*BAD_KEY)
        if not self.market.rate_limits:
            return
        limits = {"call": CALL_SECONDS}
        if request.path.endswith("/launch"):
            limits["launch"] = LAUNCH_SECONDS
        now = self.market.clock.now()
        with self.lock:
            for kind, seconds in limits.items():
                if now - self.last.get(kind, 0.0) < seconds - ROUNDING_SECONDS:
                    self.market.too_frequent += 1
                    raise Refusal(*TOO_FREQUENT)
            self.last.update(dict.fromkeys(limits, now))

    def find(self, name: str) -> Rental | None:
        """The rental behind an instance's id, once anything shows it."""
        rental = self.market.rentals.get(number_of(name))
        return rental if rental and rental.visible(self.market.clock.now()) else None

    def ending(self) -> dict[int, tuple[Rental, str]]:
        """What has ended and is still shown, with its status."""
        now, shown = self.market.clock.now(), {}
        for number, (rental, ended_at) in self.ended.items():
            age = now - ended_at
            back = number in self.market.rentals
            if not back and 0 <= age < TERMINATING_SECONDS + TERMINATED_SECONDS:
                status = "terminating" if age < TERMINATING_SECONDS else "terminated"
                shown[number] = (rental, status)
        return shown


def instance_id(rental: Rental) -> str:
    """The id that its instance has: 32 digits of base 16."""
    return f"{rental.id:032x}"


#: The rental's number in an instance's id.
number_of = base_16


# --- instance types ---


def instance_types(api: Api, _request: Request, _traits: Traits) -> dict[str, Any]:
    """Each type, with the regions that have a machine for it."""
    offers = api.market.search()
    types = {
        type_name(gpu, count): {
            "instance_type": instance_type(gpu, count),
            "regions_with_capacity_available": [
                {"name": name, "description": description}
                for name, description in REGIONS.values()
                if any(one for one in offers if fits(one, type_name(gpu, count), name))
            ],
        }
        for gpu in offer_table.GPUS
        for count in gpu.counts
    }
    for name, (described, count, cents, cpu) in OTHER_TYPES.items():
        regions = [{"name": "us-east-1", "description": "Virginia, USA"}]
        kind = described_type(name, described, count, cents) | {"architecture": cpu}
        types[name] = {"instance_type": kind, "regions_with_capacity_available": regions}
    return types


def type_name(gpu: Gpu, count: int) -> str:
    """Such as gpu_1x_h100_sxm."""
    return f"gpu_{count}x_{gpu.name.lower().replace(' ', '_')}"


def instance_type(gpu: Gpu, count: int) -> dict[str, Any]:
    """One type with GPUs: its price is the same for all of its machines."""
    model, _blank, form = gpu.name.rpartition(" ")
    if form[:4] not in ("SXM", "SXM4", "PCIE"):
        model, form = gpu.name, ""
    size = f"{round(gpu.ram_mib / 1024)} GB {form}".strip()
    described = f"{model} ({size})"
    cents = round(gpu.usd_per_hour * count * 100)
    return described_type(type_name(gpu, count), described, count, cents)


def described_type(name: str, described: str, gpus: int, cents: int) -> dict[str, Any]:
    """What is said of every type."""
    return {
        "name": name,
        "description": f"{gpus}x {described}",
        "gpu_description": described,
        "price_cents_per_hour": cents,
        "architecture": "x86_64",
        "specs": {
            "vcpus": 26 * max(gpus, 1),
            "memory_gib": 200 * max(gpus, 1),
            "storage_gib": 512 * max(gpus, 1),
            "gpus": gpus,
        },
    }


def fits(offer: Offer, type_wanted: str, region: str) -> bool:
    """Whether a machine of the market is one of a type, in a region."""
    country = str(offer["geolocation"]).rsplit(", ", 1)[-1]
    name = f"gpu_{offer['num_gpus']}x_{offer['gpu_name'].lower().replace(' ', '_')}"
    return name == type_wanted and REGIONS.get(country, ("",))[0] == region


# --- instances ---


def launch(api: Api, request: Request, traits: Traits) -> dict[str, Any]:
    """Place one instance."""
    market, wish = api.market, checked(request.json())
    types = instance_types(api, request, traits)
    kind = types.get(wish["instance_type_name"])
    keys = {name: market.account_keys.get(number) for number, name in api.key_names.items()}
    key = keys.get(wish["ssh_key_names"][0])
    if kind is None or key is None or (wish.get("image") or {}).get("family") == NO_IMAGE:
        raise Refusal(404, NO_OBJECT, "A resource of the request does not exist.")
    with market.lock:
        region = wish["region_name"]
        fitting = [one for one in market.search() if fits(one, wish["instance_type_name"], region)]
        if not fitting:
            raise Refusal(*NO_CAPACITY)
        try:
            rental = market.create(fitting[0]["id"], as_wish(wish), traits, [key])
        except OfferGone:
            raise Refusal(*NO_CAPACITY) from None
        except NoCredit:
            raise Refusal(*INACTIVE) from None
        cents = round(kind["instance_type"]["price_cents_per_hour"] * traits.price_factor)
        rental.wish["type"] = {**kind["instance_type"], "price_cents_per_hour": cents}
        # The disk is part of the type, and so of its price.
        rental.offer |= {"dph_base": cents / 100, "storage_cost": 0.0}
    return {"instance_ids": [instance_id(rental)]}


def checked(wish: Any) -> dict[str, Any]:
    """The body of a launch. Raises Refusal for what is in no contract."""
    if not isinstance(wish, dict):
        raise Refusal(*INVALID)
    image, tags = wish.get("image") or {"family": "any"}, wish.get("tags") or []
    sound = [
        # No document has it any more, and older clients send it.
        set(wish) <= CREATE_FIELDS and wish.get("quantity", 1) == 1,
        isinstance(wish.get("region_name"), str),
        isinstance(wish.get("instance_type_name"), str),
        len(wish.get("ssh_key_names") or ()) == 1,
        len(wish.get("name") or "") <= NAME_LENGTH,
        len(image) == 1 and bool(next(iter(image.values()))),
        all(TAG_KEY.fullmatch(one["key"]) and len(one["value"]) <= TAG_LENGTH for one in tags),
    ]
    if not all(sound):
        raise Refusal(*INVALID)
    return wish


def as_wish(wish: dict[str, Any]) -> dict[str, Any]:
    """A launch in the market's words."""
    image = next(iter((wish.get("image") or {"family": "lambda-stack"}).values()))
    booked = {"label": wish.get("name"), "image": image, "instance": wish}
    return booked | at_first_boot(wish.get("user_data") or "")


def at_first_boot(user_data: str) -> dict[str, Any]:
    """What cloud-init makes of user data, as far as anybody here asks for it."""
    if user_data.startswith("#!"):
        return {"onstart": user_data}
    told = yaml.safe_load(user_data) if user_data.startswith("#cloud-config\n") else {}
    return {"host_key": (told.get("ssh_keys") or {}).get("ed25519_private", "")}


def instance_row(rental: Rental, status: str) -> dict[str, Any]:
    """An instance as Lambda shows it: what it has not got yet is left out."""
    wish = rental.wish.get("instance") or {"ssh_key_names": ["theirs"], "region_name": "us-west-1"}
    kind = rental.wish.get("type") or described_type("gpu_1x_a10", "A10 (24 GB PCIe)", 1, 75)
    region = next((one for one in REGIONS.values() if one[0] == wish["region_name"]), None)
    ends = {"available": False, **BLOCKED} if status == "terminating" else {"available": True}
    row = {
        "id": instance_id(rental),
        "status": status,
        "ssh_key_names": wish["ssh_key_names"],
        "file_system_names": [],
        "region": {"name": wish["region_name"], "description": region[1] if region else ""},
        "instance_type": kind,
        "actions": dict.fromkeys(ACTIONS, ends),
        "tags": wish.get("tags") or [],
    }
    if rental.label:
        row["name"] = rental.label
    if status == "active":
        row |= {"ip": rental.address, "private_ip": "10.0.2.100", "hostname": "10-0-2-100"}
    return row


def status_of(rental: Rental) -> str:
    """Its status while it has not ended."""
    if rental.intended == "stopped":
        return "preempted"
    lost = ("exited", "stopped", "offline", "unknown")
    down = rental.status in lost or "failed" in rental.status_msg
    return "unhealthy" if down else "active" if rental.running else "booting"


def instances(api: Api, _request: Request, _traits: Traits) -> list[dict[str, Any]]:
    """All of them, without pages."""
    with api.market.lock:
        now = api.market.clock.now()
        alive = [one for one in api.market.rentals.values() if one.listed(now)]
        rows = [instance_row(one, status_of(one)) for one in alive]
        return rows + [instance_row(rental, status) for rental, status in api.ending().values()]


def instance(api: Api, _request: Request, _traits: Traits, name: str) -> dict[str, Any]:
    """One of them."""
    with api.market.lock:
        rental = api.find(name)
        if rental:
            return instance_row(rental, status_of(rental))
        ended = api.ending().get(number_of(name))
        if ended is None:
            raise Refusal(*NO_INSTANCE)
        return instance_row(*ended)


def rename(api: Api, request: Request, _traits: Traits, name: str) -> dict[str, Any]:
    """Change the name, which is all that can be changed."""
    rental, wanted = api.find(name), request.json().get("name")
    if rental is None:
        raise Refusal(*NO_INSTANCE)
    if not isinstance(wanted, str) or len(wanted) > NAME_LENGTH:
        raise Refusal(*INVALID)
    rental.label = wanted
    return instance_row(rental, status_of(rental))


def terminate(api: Api, request: Request, _traits: Traits) -> dict[str, Any]:
    """End instances for good."""
    numbers = [number_of(one) for one in request.json().get("instance_ids", ())]
    shown = api.ending()
    if any(shown[number][1] == "terminating" for number in numbers if number in shown):
        raise Refusal(*UNKNOWN)
    found = [rental for rental in map(api.market.rentals.get, numbers) if rental]
    if len(found) != len(numbers):
        raise Refusal(*NO_INSTANCE)
    for rental in found:
        api.market.destroy(rental.id)
        api.ended[rental.id] = (rental, api.market.clock.now())
    return {"terminated_instances": [instance_row(one, "terminating") for one in found]}


# --- the account ---


def key_row(api: Api, number: int) -> dict[str, Any]:
    """An SSH key of the account."""
    name = api.key_names.setdefault(number, f"key {number}")
    return {"id": f"{number:032x}", "name": name, "public_key": api.market.account_keys[number]}


def ssh_keys(api: Api, _request: Request, _traits: Traits) -> list[dict[str, Any]]:
    """The keys of the account."""
    return [key_row(api, number) for number in api.market.account_keys]


def add_ssh_key(api: Api, request: Request, _traits: Traits) -> dict[str, Any]:
    """One more; two have never the same name."""
    wish, market = request.json(), api.market
    if not 0 < len(wish.get("name") or "") <= NAME_LENGTH or not wish.get("public_key"):
        raise Refusal(*INVALID)
    with market.lock:
        if any(api.key_names.get(number) == wish["name"] for number in market.account_keys):
            raise Refusal(*INVALID)
        number = next(market.ids)
        market.account_keys[number], api.key_names[number] = wish["public_key"], wish["name"]
        return key_row(api, number)


Handler = Callable[..., Any]
ROUTES: tuple[tuple[str, str, Handler], ...] = (
    ("GET", "/instance-types", instance_types),
    ("POST", "/instance-operations/launch", launch),
    ("GET", "/instances", instances),
    ("GET", "/instances/(?P<name>[^/]+)", instance),
    ("POST", "/instances/(?P<name>[^/]+)", rename),
    ("POST", "/instance-operations/terminate", terminate),
    ("GET", "/ssh-keys", ssh_keys),
    ("POST", "/ssh-keys", add_ssh_key),
)


# --- what faults are about ---


def told_error(status: int, code: str, message: str) -> Saying:
    """An error as it is told."""
    return status, {"error": {"code": code, "message": message, "suggestion": "Try again."}}


def released(request: Request, _told: Reply | None) -> Saying:
    """The instances that were to end."""
    rows = [{"id": one, "status": "terminating"} for one in DIALECT.ids(request)]
    return 200, {"data": {"terminated_instances": rows}}


def changed(request: Request, _told: Reply | None) -> Saying:
    """The instance that was to be changed."""
    return 200, {"data": {"id": in_path("/instances/([^/]+)$")(request)[0]}}


def ending(api: Api) -> list[tuple[str, Rental]]:
    """What is terminating: what is terminated is gone, and still shown."""
    shown = api.ending().values()
    return [(instance_id(rental), rental) for rental, status in shown if status == "terminating"]


DIALECT = Dialect(
    requests={
        "search": Where("GET", "^/api/v1/instance-types$"),
        "create": Where("POST", "^/api/v1/instance-operations/launch$"),
        "list": Where("GET", "^/api/v1/instances$"),
        "read": Where("GET", "^/api/v1/instances/[^/]+$"),
        "rows": Where("GET", "^/api/v1/instances(/[^/]+)?$"),
        "destroy": Where("POST", "^/api/v1/instance-operations/terminate$"),
        "change": Where("POST", "^/api/v1/instances/[^/]+$"),
        "user": Where("GET", "^/api/v1/ssh-keys$"),
    },
    sayings={
        "no offers": (200, {"data": None}),
        "offer gone": told_error(*NO_CAPACITY),
        "bad key": told_error(*BAD_KEY),
        "too frequent": told_error(*TOO_FREQUENT),
        "quota": told_error(*TOO_FREQUENT),
        "timeout": told_error(408, "global/timeout", "The request timed out."),
        "invalid": told_error(*INVALID),
        "done without id": (200, {"data": {"instance_ids": []}}),
        "phantom id": (200, {"data": {"instance_ids": [f"{99_999_999_999:032x}"]}}),
        "withdrawn": told_error(410, "global/gone", "This endpoint was withdrawn."),
        "no such rental": told_error(*NO_INSTANCE),
        "nothing to end": told_error(*NO_INSTANCE),
        "released": released,
        "changed": changed,
    },
    shows={
        "exited": {"status": "unhealthy"},
        "an odd status": {"status": "hibernating"},
        "no values": dict.fromkeys(("instance_type", "ip", "private_ip", "hostname", "actions")),
        "odd values": {"instance_type": "n/a", "ip": ["22"]},
        "an odd environment": {"tags": [{"key": "inferops-mark", "value": [None, 5]}]},
        "odd labels": {"name": True},
    },
    features=frozenset(
        (
            "silence",
            "rate limits",
            "overlap",
            "second mark",
            "ends early",
            "plain key",
            "blind changes",
            "own prices",
            "forgets",
        )
    ),
    accounts=frozenset(("revoked-401",)),
    rows="data",
    row="data",
    rental_id="{:032x}".format,
    number=base_16,
    ids=in_body("instance_ids"),
    beside=ending,
)


def take(market: Market, offer_id: str) -> None:
    """Let somebody else rent an offer: all machines of an instance type in a region."""
    for offer in market.search():
        if fits(offer, *offer_id.split(".")):
            del market.offers[offer["id"]]
