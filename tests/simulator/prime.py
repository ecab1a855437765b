# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Prime Intellect's API over the simulated market: its availability, pods, SSH keys and wallet.

After its OpenAPI document, 0.1.0, and its own client, prime 0.18.0. Chosen where these leave it
open: each offer of the market is a plan of its own, verified machines are its secure cloud, and
what a refusal says. A pod that has ended is in no list, and is read as terminated. One logs in as
``root``, or as ``ubuntu`` by a setting of the market: whom each cloud lets in is in no document.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

from tests.simulator import offers as offer_table
from tests.simulator.dialect import (
    Dialect,
    Saying,
    Where,
    base_16,
    in_path,
    without_dashes,
    without_query,
)
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
from tests.simulator.ways import ADDRESS
from tests.simulator.web import Reply, Request, json_reply

USER = "simulated-user"
MACHINES = Machines(("root", "ubuntu"))
#: Those of the market's GPUs that it has, as it calls them: kind and socket.
GPUS = {
    "Tesla V100": ("V100_32GB", "SXM2"),
    "Tesla T4": ("T4_16GB", "PCIe"),
    "RTX 3090": ("RTX3090_24GB", "PCIe"),
    "RTX A4000": ("A4000_16GB", "PCIe"),
    "RTX A6000": ("A6000_48GB", "PCIe"),
    "A100 PCIE": ("A100_40GB", "PCIe"),
    "A100 SXM4": ("A100_80GB", "SXM4"),
    "RTX 4080": ("RTX4080_16GB", "PCIe"),
    "RTX 4090": ("RTX4090_24GB", "PCIe"),
    "L4": ("L4_24GB", "PCIe"),
    "L40S": ("L40S_48GB", "PCIe"),
    "RTX 6000Ada": ("RTX6000Ada_48GB", "PCIe"),
    "H100 PCIE": ("H100_80GB", "PCIe"),
    "H100 SXM": ("H100_80GB", "SXM5"),
    "H200": ("H200_141GB", "SXM5"),
    "RTX 5090": ("RTX5090_32GB", "PCIe"),
    "RTX PRO 6000 WS": ("RTX_PRO_6000B_96GB", "PCIe"),
    "B200": ("B200_180GB", "SXM6"),
}
CLOUDS = {
    "secure_cloud": ("hyperstack", "massedcompute", "nebius", "primecompute"),
    "community_cloud": ("akash", "tensordock"),
}
#: The one of them that was seen to refuse a request without a highest price.
WANTS_MAX_PRICE = "massedcompute"
REGIONS = {
    "US": "united_states", "CA": "canada", "SE": "eu_north", "NO": "eu_north", "CZ": "eu_east",
    "PL": "eu_east", "BG": "eu_east", "UA": "eu_east", "TW": "asia_northeast",
    "KR": "asia_northeast", "JP": "asia_northeast", "VN": "asia_south", "AU": "australia",
    "BR": "south_america", "ZA": "africa",
}  # fmt: skip
IMAGES = ["ubuntu_22_cuda_12", "cuda_12_4_pytorch_2_6", "custom_template"]
#: What a pod may be asked for, and what it must be.
POD_FIELDS = {
    "name", "cloudId", "gpuType", "socket", "gpuCount", "diskSize", "vcpus", "memory", "maxPrice",
    "image", "customTemplateId", "dataCenterId", "country", "security", "envVars",
    "jupyterPassword", "sshKeyId", "autoRestart", "prepaidForHr",
}  # fmt: skip
NEEDED = ("cloudId", "gpuType", "socket", "gpuCount")
#: What its own client lets people call a pod.
NAME = re.compile(r"[A-Za-z0-9-]*[A-Za-z][A-Za-z0-9-]*")
NO_CAPACITY = "Requested GPU is currently unavailable"
NO_CREDIT = "Insufficient funds in the wallet"


class Refusal(Exception):
    """An answer that refuses, as FastAPI has it."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.reply = json_reply({"detail": detail}, status)


class Invalid(Refusal):
    """A request that is none, as its own document has it."""

    def __init__(self, param: str, details: str) -> None:
        super().__init__(422, details)
        self.reply = json_reply({"errors": [{"param": param, "details": details}]}, 422)


class Api:
    """Answers every request under /api/v1/."""

    def __init__(self, market: Market) -> None:
        self.market = market
        market.variables_of = lambda rental: {}

    def answer(self, request: Request, traits: Traits, from_host: bool) -> Reply:
        """Answer one request; ``traits`` are those of a rental that it may make."""
        try:
            for method, pattern, handler in ROUTES:
                found = re.fullmatch(pattern, request.path)
                if found and method == request.method:
                    self.let_in(request, from_host)
                    if handler is create:
                        return create(self.market, request, traits)
                    return handler(self.market, request, *found.groups())
            if any(re.fullmatch(pattern, f"{request.path}/") for _method, pattern, _h in ROUTES):
                return elsewhere(request)
            raise Refusal(404, "Not Found")
        except Refusal as refusal:
            return refusal.reply
        except ValueError:
            return Invalid("body", "JSON decode error").reply

    def let_in(self, request: Request, from_host: bool) -> None:
        """Raise Refusal unless the account's key comes along, and may do it."""
        key = request.headers.get("authorization", "").removeprefix("Bearer ")
        if not key:
            raise Refusal(403, "Not authenticated")
        state = self.market.account
        if key != ACCOUNT_KEY or from_host or state not in (ACCOUNT_OK, "read-only"):
            raise Refusal(401, "Invalid token")
        if state == "read-only" and request.method != "GET":
            raise Refusal(403, "Insufficient permissions")


def elsewhere(request: Request) -> Reply:
    """To the same path with a slash at its end, as FastAPI answers where that is a route."""
    query = f"?{urlencode(request.query)}" if request.query else ""
    return Reply(307, headers={"Location": f"{request.listener}{request.path}/{query}"})


# --- availability ---


def plans(market: Market, request: Request) -> Reply:
    """A page of what is for rent."""
    query = request.query
    page, size = int(query.get("page", "1")), int(query.get("page_size", "100"))
    if page < 1 or not 1 <= size <= 100:
        raise Invalid("query.page_size", "Input should be less than or equal to 100")
    asked = {
        "gpuType": query.get("gpu_type"),
        "gpuCount": query.get("gpu_count"),
        "security": query.get("security"),
        "cloudId": query.get("cloud_id"),
        "socket": query.get("socket"),
        "dataCenter": query.get("data_center_id"),
    }
    regions = (
        query["regions"].split(",") if query.get("regions") else [*REGIONS.values(), "eu_west"]
    )
    rows = [
        row
        for row in map(plan_row, on_offer(market))
        if row["region"] in regions
        and all(value is None or str(row[field]) == value for field, value in asked.items())
    ]
    start = (page - 1) * size
    return json_reply({"items": rows[start : start + size], "totalCount": len(rows)})


def clusters(market: Market, request: Request) -> Reply:
    """There are none of several nodes."""
    return json_reply({"items": [], "totalCount": 0})


def summary(market: Market, request: Request) -> Reply:
    """The lowest price by kind of GPU and their number."""
    lowest: dict[str, dict[str, Any]] = {}
    for row in sorted(map(plan_row, on_offer(market)), key=lambda row: -total(row["prices"])):
        lowest.setdefault(row["gpuType"], {})[str(row["gpuCount"])] = {
            "cheapest": {name: row["prices"][name] for name in ("onDemand", "communityPrice")}
        }
    return json_reply(lowest)


def on_offer(market: Market) -> list[Offer]:
    """The offers on GPUs that it has."""
    return [one for one in market.search() if one["gpu_name"] in GPUS]


def plan_row(offer: Offer) -> dict[str, Any]:
    """An offer as a plan of one of its clouds."""
    kind, socket = GPUS[offer["gpu_name"]]
    security = security_of(offer)
    price = round(offer["dph_base"] + included_usd(offer), 6)
    return {
        "cloudId": cloud_id(offer),
        "gpuType": kind,
        "socket": socket,
        "provider": provider(offer),
        "region": REGIONS.get(country(offer), "eu_west"),
        "dataCenter": data_center(offer),
        "country": country(offer),
        "gpuCount": offer["num_gpus"],
        "gpuMemory": round(offer["gpu_ram"] / 1024),
        "disk": disk_spec(offer),
        "sharedDisk": spec(),
        "vcpu": spec(defaultCount=max(1, int(offer["cpu_cores_effective"]))),
        "memory": spec(defaultCount=offer["cpu_ram"] // 1024),
        "internetSpeed": round(offer["inet_down"]) if offer["machine_id"] % 2 else None,
        "interconnect": None,
        "interconnectType": None,
        "provisioningTime": None,
        "stockStatus": ("Available", "Low", "Medium", "High")[offer["machine_id"] % 4],
        "security": security,
        "prices": {
            "onDemand": price if security == "secure_cloud" else None,
            "communityPrice": price if security == "community_cloud" else None,
            "isVariable": None,
            "currency": "USD",
        },
        "images": IMAGES,
        "isSpot": None,
        "prepaidTime": None,
    }


def spec(**told: Any) -> dict[str, Any]:
    """What a plan says of one of its resources."""
    fields = ("minCount", "defaultCount", "maxCount", "pricePerUnit", "step")
    others = ("defaultIncludedInPrice", "additionalInfo")
    return {**dict.fromkeys((*fields, *others)), **told}


def disk_kind(offer: Offer) -> str:
    """Whether its disk is as it is, or sized and paid for by those who rent."""
    return ("fixed", "paid", "included")[offer["machine_id"] % 3]


def default_disk_gb(offer: Offer) -> int:
    """What it gets where nobody says."""
    return int(offer["disk_space"]) if disk_kind(offer) == "fixed" else 20


def disk_spec(offer: Offer) -> dict[str, Any]:
    """Its disk, in GB."""
    default = default_disk_gb(offer)
    if disk_kind(offer) == "fixed":
        return spec(defaultCount=default)
    return spec(
        minCount=10,
        defaultCount=default,
        maxCount=int(offer["disk_space"]),
        pricePerUnit=offer_table.storage_usd_per_hour(offer, 1),
        step=5,
        defaultIncludedInPrice=disk_kind(offer) == "included",
    )


def included_usd(offer: Offer) -> float:
    """Dollars an hour for the disk that is in its price."""
    paid = disk_kind(offer) == "paid"
    return offer_table.storage_usd_per_hour(offer, 0 if paid else default_disk_gb(offer))


def total(prices: dict[str, Any]) -> float:
    """The one of the two prices that there is."""
    return float(prices["onDemand"] or prices["communityPrice"])


def security_of(offer: Offer) -> str:
    """The kind of cloud that it is in."""
    return "secure_cloud" if offer["verification"] == "verified" else "community_cloud"


def provider(offer: Offer) -> str:
    """The cloud that it is in."""
    known = CLOUDS[security_of(offer)]
    return known[offer["machine_id"] % len(known)]


def cloud_id(offer: Offer) -> str:
    """What its cloud calls the plan: with blanks, as some do."""
    return f"NVIDIA {offer['gpu_name']} {offer['id']}"


def country(offer: Offer) -> str:
    """Its two letters."""
    return str(offer["geolocation"]).rsplit(", ", 1)[-1]


def data_center(offer: Offer) -> str:
    """The one of its country."""
    return f"{country(offer)}-1"


# --- pods ---


def create(market: Market, request: Request, traits: Traits) -> Reply:
    """Rent a plan: 200 with the pod."""
    body = request.json()
    pod = checked(body)
    with market.lock:
        plan = next((one for one in on_offer(market) if is_of(pod, body, one)), None)
        if plan is None:
            raise Refusal(400, NO_CAPACITY)
        if pod.get("maxPrice") is None and provider(plan) == WANTS_MAX_PRICE:
            raise Refusal(400, "Missing field: max_price not specified")
        disk = pod.get("diskSize") or default_disk_gb(plan)
        wish = {"label": pod.get("name"), "image": pod["image"], "disk": disk, "pod": pod}
        try:
            rental = market.create(plan["id"], wish, traits, keys_for(market, pod))
        except OfferGone:
            raise Refusal(400, NO_CAPACITY) from None
        except NoCredit:
            raise Refusal(402, NO_CREDIT) from None
        return json_reply(pod_row(rental))


def checked(body: Any) -> dict[str, Any]:
    """What is asked for of a pod. Raises Invalid for what is in no document."""
    pod = body.get("pod") if isinstance(body, dict) else None
    if not isinstance(pod, dict) or "provider" not in body:
        raise Invalid("body.pod", "Field required")
    for field in NEEDED:
        if not pod.get(field):
            raise Invalid(f"body.pod.{field}", "Field required")
    for field in set(pod) - POD_FIELDS:
        raise Invalid(f"body.pod.{field}", "Extra inputs are not permitted")
    if pod.get("image", IMAGES[0]) not in IMAGES:
        raise Invalid("body.pod.image", "Input should be one of its images")
    if not NAME.fullmatch(pod.get("name") or "pod"):
        raise Invalid("body.pod.name", "Use only letters, numbers and dashes")
    return {"image": IMAGES[0], **pod}


def is_of(pod: dict[str, Any], body: dict[str, Any], offer: Offer) -> bool:
    """Whether a request is for this offer; what it leaves out is any."""
    row = plan_row(offer)
    asked = {field: pod[field] for field in NEEDED}
    asked |= {"dataCenter": pod.get("dataCenterId"), "provider": body["provider"].get("type")}
    asked |= {field: pod.get(field) for field in ("country", "security")}
    return all(value is None or row[field] == value for field, value in asked.items())


def keys_for(market: Market, pod: dict[str, Any]) -> list[str]:
    """The one that a request names, else the account's first. Raises Refusal."""
    named = pod.get("sshKeyId")
    if named is None:
        return list(market.account_keys.values())[:1]
    number = int(named.removeprefix("key-"), 10)
    if number not in market.account_keys:
        raise Refusal(404, "SSH key not found")
    return [market.account_keys[number]]


def pod_id(rental: Rental) -> str:
    """32 hexadecimal digits."""
    return f"{rental.id:032x}"


def pod_row(rental: Rental) -> dict[str, Any]:
    """A pod as it shows it."""
    offer, pod = rental.offer, rental.wish.get("pod", {})
    kind, socket = GPUS.get(offer["gpu_name"], ("CPU_NODE", "PCIe"))
    disk_usd = offer_table.storage_usd_per_hour(offer, rental.disk_gib)
    return {
        **state(rental),
        "id": pod_id(rental),
        "userId": USER,
        "teamId": None,
        "walletId": "simulated-wallet",
        "name": rental.label or "",
        "type": "HOSTED",
        "createdAt": moment(rental.created_at),
        "updatedAt": moment(rental.settled_at),
        "terminatedAt": moment(rental.settled_at) if rental.gone.is_set() else None,
        "gpuName": kind,
        "gpuCount": offer["num_gpus"],
        "socket": socket,
        "priceHr": round(offer["dph_base"] + disk_usd, 6),
        "stoppedPriceHr": round(disk_usd, 6),
        "provisioningPriceHr": 0.0,
        "environmentType": pod.get("image", IMAGES[0]),
        "customTemplateId": pod.get("customTemplateId"),
        "clusterId": None,
        "resources": {"memory": pod.get("memory"), "disk": round(rental.disk_gib), "vcpus": None},
        "attachedResources": [],
        "isSpot": False,
        "autoRestart": False,
    }


def state(rental: Rental) -> dict[str, Any]:
    """What changes of a pod, which its statuses tell as well; some clouds tell it as lists."""
    runs = rental.running and "22/tcp" in rental.ports
    port = rental.ports["22/tcp"] if runs else 0
    told: dict[str, Any] = {
        "sshConnection": f"ssh {rental.user}@{ADDRESS} -p {port}" if runs else None,
        "ip": ADDRESS if runs else None,
    }
    if rental.offer["machine_id"] % 2:
        told = {
            "sshConnection": [f"{rental.user}@{ADDRESS} -p {port}" if runs else None],
            "ip": [told["ip"]],
        }
    status, installation = status_of(rental)
    mapped = {"internal": "22", "external": str(port), "protocol": "TCP", "usedBy": "SSH"}
    return {
        "providerType": provider(rental.offer),
        "status": status,
        "installationStatus": installation,
        "installationFailure": rental.status_msg or None,
        "installationProgress": {"PENDING": 0, "ACTIVE": 50}.get(installation, 100),
        "primePortMapping": [{**mapped, "description": None}] if runs else [],
        **told,
    }


def status_of(rental: Rental) -> tuple[str, str]:
    """Its status, and that of what is installed on it."""
    if rental.gone.is_set():
        return "TERMINATED", "TERMINATED"
    if rental.intended == "stopped" or rental.status in ("stopped", "exited"):
        return "STOPPED", "FINISHED"
    if "failed" in rental.status_msg:
        return "ERROR", "ERROR"
    states = {"running": ("ACTIVE", "FINISHED"), "loading": ("ACTIVE", "ACTIVE")}
    lost = {"offline": ("UNKNOWN", "FINISHED"), "unknown": ("UNKNOWN", "FINISHED")}
    return (states | lost).get(rental.status or "", ("PROVISIONING", "PENDING"))


def moment(seconds: float) -> str:
    """Epoch seconds as RFC 3339 has them."""
    return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")


def page(rows: list[dict[str, Any]], request: Request) -> Reply:
    """A page of rows, and how many there are."""
    offset, limit = (int(request.query.get(name, usual)) for name, usual in PAGE.items())
    return json_reply(
        {
            "data": rows[offset : offset + limit],
            "total_count": len(rows),
            "offset": offset,
            "limit": limit,
            "status": None,
        }
    )


PAGE = {"offset": "0", "limit": "100"}


def pods(market: Market, request: Request) -> Reply:
    """Those that have not ended."""
    with market.lock:
        now = market.clock.now()
        return page([pod_row(one) for one in market.rentals.values() if one.listed(now)], request)


def history(market: Market, request: Request) -> Reply:
    """Those that have ended, the last one first."""
    more = {"type": "Instance", "provisionedBy": None}
    with market.lock:
        ended = reversed(market.ended)
        rows = [{**pod_row(one), **more, "totalBilledPrice": one.charged_usd} for one in ended]
        return page(rows, request)


def found_pod(market: Market, name: str) -> Rental | None:
    """The one behind an id, also after it has ended, once anything shows it."""
    number = int(name, 16) if re.fullmatch(r"[0-9a-f]{32}", name) else -1
    ended = next((one for one in market.ended if one.id == number), None)
    rental = market.rentals.get(number, ended)
    return rental if rental and rental.visible(market.clock.now()) else None


def statuses(market: Market, request: Request) -> Reply:
    """Those of the pods that are named and known."""
    with market.lock:
        rental = found_pod(market, request.query.get("pod_ids", ""))
        row = pod_row(rental) if rental else {}
        told = {**state(rental), "podId": row["id"], "priceHr": row["priceHr"]} if rental else None
        return json_reply({"data": [told] if told else [], "status": None})


def pod(market: Market, request: Request, name: str) -> Reply:
    """One of them."""
    with market.lock:
        rental = found_pod(market, name)
        if rental is None:
            raise Refusal(404, "Pod not found")
        return json_reply(pod_row(rental))


def delete(market: Market, request: Request, name: str) -> Reply:
    """End it for good."""
    rental = found_pod(market, name)
    if rental is None or rental.gone.is_set():
        raise Refusal(404, "Pod not found")
    market.destroy(rental.id)
    return json_reply({"status": "TERMINATED"})


# --- the account ---


def keys(market: Market, request: Request) -> Reply:
    """The SSH keys of the account."""
    first = min(market.account_keys, default=None)
    rows = [
        {
            "id": f"key-{number}",
            "userId": USER,
            "name": "a key",
            "publicKey": key,
            "isPrimary": number == first,
            "isUserKey": True,
        }
        for number, key in market.account_keys.items()
    ]
    return page(rows, request)


def upload(market: Market, request: Request) -> Reply:
    """One key more."""
    given = request.json()
    if not given.get("name") or len(str(given.get("publicKey")).split()) < 2:
        raise Invalid("body.publicKey", "Invalid SSH key")
    with market.lock:
        number = next(market.ids)
        market.account_keys[number] = given["publicKey"]
    told = {"id": f"key-{number}", "userId": USER, "isPrimary": False, "isUserKey": True}
    return json_reply({**told, "name": given["name"], "publicKey": given["publicKey"]})


def whoami(market: Market, request: Request) -> Reply:
    """Whose key it is."""
    told = {"id": USER, "name": "Simulated", "email": "simulated@example.com", "role": "USER"}
    return json_reply({"data": told, "status": None})


def wallet(market: Market, request: Request) -> Reply:
    """What the account has."""
    with market.lock:
        market.settle()
        return json_reply(
            {
                "wallet_id": "simulated-wallet",
                "team_id": None,
                "balance_usd": round(market.credit_usd, 4),
                "currency": "USD",
                "total_billings": 0,
                "recent_billings": [],
            }
        )


Handler = Callable[..., Reply]
ROUTES: tuple[tuple[str, str, Handler], ...] = (
    ("GET", "/api/v1/availability/gpus", plans),
    ("GET", "/api/v1/availability/multi-node", clusters),
    ("GET", "/api/v1/availability/gpu-summary", summary),
    ("GET", "/api/v1/pods/", pods),
    ("POST", "/api/v1/pods/", create),
    ("GET", "/api/v1/pods/history", history),
    ("GET", "/api/v1/pods/status", statuses),
    ("GET", "/api/v1/pods/([^/]+)", pod),
    ("DELETE", "/api/v1/pods/([^/]+)", delete),
    ("GET", "/api/v1/ssh_keys/", keys),
    ("POST", "/api/v1/ssh_keys/", upload),
    ("GET", "/api/v1/billing/wallet", wallet),
    ("GET", "/api/v1/user/whoami", whoami),
)


# --- what faults are about ---


def recount(body: Any, rows: list[Any]) -> None:
    """Let a page be the only one."""
    body["total_count"] = len(rows)


TOO_FREQUENT: Saying = (429, {"detail": "Rate limit exceeded"})
DIALECT = Dialect(
    requests={
        "search": Where("GET", "^/api/v1/availability/gpus$"),
        "create": Where("POST", "^/api/v1/pods/$"),
        "list": Where("GET", "^/api/v1/pods/$"),
        "second page": Where("GET", "^/api/v1/pods/$", r"offset=[1-9]"),
        "read": Where("GET", "^/api/v1/pods/[0-9a-f]{32}$"),
        "rows": Where("GET", "^/api/v1/pods/([0-9a-f]{32})?$"),
        "destroy": Where("DELETE", "^/api/v1/pods/[^/]+$"),
        "user": Where("GET", "^/api/v1/ssh_keys/$"),
        "account": Where("GET", "^/api/v1/billing/wallet$"),
    },
    sayings={
        "no offers": (200, {"items": None, "totalCount": 0}),
        "offer gone": (400, {"detail": NO_CAPACITY}),
        "bad key": (401, {"detail": "Invalid token"}),
        "too frequent": TOO_FREQUENT,
        "quota": TOO_FREQUENT,
        "timeout": (408, {"detail": "Request timeout"}),
        "invalid": (422, {"errors": [{"param": "body.pod.image", "details": "Invalid"}]}),
        "done without id": (200, {"status": "PROVISIONING"}),
        "phantom id": (200, {"id": f"{99_999_999_999:032x}", "status": "PROVISIONING"}),
        "withdrawn": (410, {"detail": "Gone"}),
        "no such rental": (404, {"detail": "Pod not found"}),
        "nothing to end": (404, {"detail": "Pod not found"}),
        "released": (200, {"status": "TERMINATED"}),
    },
    shows={
        "exited": {"status": "STOPPED"},
        "an odd status": {"status": "HIBERNATING"},
        "no values": dict.fromkeys(
            (
                "priceHr", "stoppedPriceHr", "createdAt", "gpuName", "gpuCount", "sshConnection",
                "ip", "primePortMapping", "installationStatus",
            )
        ),
        "odd values": {"priceHr": "n/a", "createdAt": "soon", "sshConnection": ["22/tcp"]},
        "odd labels": {"name": {"text": 17}},
    },
    features=frozenset(
        ("silence", "counts", "filters", "ends early", "plain key", "own prices", "forgets")
    ),
    rows="data",
    page_size=int(PAGE["limit"]),
    recount=recount,
    rental_id="{:032x}".format,
    number=base_16,
    ids=in_path("/pods/([^/]+)$"),
    mark=without_dashes,
    unfiltered=without_query("gpu_type", "gpu_count", "security", "cloud_id"),
    usd_per_hour=0.25,
)  # fmt: skip


def take(market: Market, offer_id: str) -> None:
    """Let somebody else rent an offer: all machines with this GPU."""
    for offer in on_offer(market):
        if offer_id.startswith(f"{GPUS[offer['gpu_name']][0]}."):
            del market.offers[offer["id"]]
