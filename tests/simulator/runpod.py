# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""RunPod's REST API v2 over the simulated market: its catalogue, its pods and its problems.

After its OpenAPI document, 2.0.0; ``entrypoint``, ``cmd`` and least sizes of a machine after dstack
0.22.5, which sends them. Chosen where these leave it open: verified machines are the secure cloud,
a data center is a country, a pod gets the cheapest machine that is free, its container disk costs
what the market's does, and a start on GPUs that somebody else has by now is refused.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from typing import Any

from tests.simulator import offers as offer_table
from tests.simulator.dialect import Dialect, Saying, Where, after, in_path
from tests.simulator.market import (
    ACCOUNT_KEY,
    ACCOUNT_OK,
    Market,
    NoCredit,
    NoRoom,
    OfferGone,
    Rental,
    Traits,
)
from tests.simulator.offers import Offer
from tests.simulator.ways import ADDRESS
from tests.simulator.web import Reply, Request, json_reply

PREFIX = "sim"
CLOUDS = {"SECURE": "verified", "COMMUNITY": "unverified"}
REGIONS = {"US": "US", "CA": "CA", "JP": "AP", "SG": "SEA", "AU": "OC"}
#: What a body may have, as far as anything is made of it here.
CREATE_FIELDS = {
    "name", "image", "gpu", "cloud", "disk", "ports", "args", "env", "dataCenterIds", "mounts",
    "registry", "startSsh", "startJupyter", "globalNetworking", "templateId", "cpu",
    "entrypoint", "cmd",
}  # fmt: skip
UPDATE_FIELDS = {"name", "image", "args", "disk", "ports", "env", "registry", "mounts", "locked",
                 "globalNetworking", "templateId", "entrypoint", "cmd"}  # fmt: skip
ACTIONS = {
    "RUNNING": ["stop", "restart", "terminate"],
    "EXITED": ["start", "terminate"],
    "ERROR": ["start", "terminate"],
    "PROVISIONING": ["stop", "terminate"],
    "STARTING": ["stop", "terminate"],
}
#: Seconds of a bucket of bills; no longer ones are made here.
BUCKETS = {"hour": 3_600, "day": 86_400}
AMOUNTS = ("totalAmount", "gpuAmount", "cpuAmount", "diskAmount")
NO_INSTANCES = (
    "There are no longer any instances available with the requested specifications. "
    "Please refresh and try again."
)
EVENTS = {
    "Content-Type": "text/event-stream",
    "Cache-Control": "no-cache",
    "Connection": "keep-alive",
    "X-Accel-Buffering": "no",
}
#: What the name of an image says that it opens beside the usual, such as "mine:opens-9999".
OPENED = re.compile(r"opens-(\d+)")
#: Shell function: something that listens on all addresses at this port.
OPENS = "opens() { setsid python3 -m http.server $1 --directory /srv </dev/null >/dev/null 2>&1 & }"
NO_GPUS = "There are not enough free GPUs on the host machine to start this pod."


class Problem(Exception):
    """A refusal, as RFC 9457 has it."""

    def __init__(self, status: int, title: str, detail: str, errors: list[str] | None = None):
        super().__init__(detail)
        body: dict[str, Any] = {"title": title, "status": status, "detail": detail}
        self.reply = json_reply(body | ({"errors": errors} if errors else {}), status)
        self.reply.headers["Content-Type"] = "application/problem+json"


class Api:
    """Answers every request under /v2/."""

    def __init__(self, market: Market) -> None:
        self.market = market
        market.variables_of = self.variables_of

    def variables_of(self, rental: Rental) -> dict[str, str]:
        """What RunPod puts into the environment of a pod."""
        return {
            "RUNPOD_POD_ID": pod_id(rental),
            "RUNPOD_API_KEY": rental.api_key,
            "RUNPOD_API_BASE_URL": self.market.hosts.api_url,
        }

    def answer(self, request: Request, traits: Traits, from_host: bool) -> Reply:
        """Answer one request; ``traits`` are those of a rental that it may make."""
        try:
            for method, pattern, handler in ROUTES:
                found = re.fullmatch(pattern, request.path)
                if found and method == request.method:
                    pod = self.find(found.groupdict().get("pod"))
                    self.let_in(request, pod, from_host)
                    if "pod" in found.groupdict() and pod is None:
                        raise Problem(404, "Not Found", "pod not found")
                    if handler is create:
                        return create(self.market, request, traits)
                    return handler(self.market, request, pod)
            raise Problem(404, "Not Found", "resource not found")
        except Problem as problem:
            return problem.reply
        except ValueError:
            return Problem(400, "Bad Request", "request could not be processed").reply

    def find(self, name: str | None) -> Rental | None:
        """The rental behind a pod's id, once anything shows it."""
        number = (name or "").removeprefix(PREFIX)
        rental = self.market.rentals.get(int(number)) if number.isdecimal() else None
        return rental if rental and rental.visible(self.market.clock.now()) else None

    def let_in(self, request: Request, pod: Rental | None, from_host: bool) -> None:
        """Raise Problem unless the account's key, or that of the pod itself, comes along."""
        key = request.headers.get("authorization", "").removeprefix("Bearer ")
        state = self.market.account
        if key == ACCOUNT_KEY and not from_host and state in (ACCOUNT_OK, "read-only"):
            if state == "read-only" and request.method != "GET":
                raise Problem(403, "Forbidden", "access denied")
            return
        own = pod is not None and key == pod.api_key and request.method in ("GET", "DELETE")
        if not own:
            raise Problem(401, "Unauthorized", "invalid bearer token")


def pod_id(rental: Rental) -> str:
    """The id that its pod has."""
    return f"{PREFIX}{rental.id}"


# --- the catalogue ---


def catalogue(market: Market, request: Request) -> list[dict[str, Any]]:
    """Each kind of GPU; with ``include=AVAILABILITY`` what is free, in these countries."""
    query = request.query
    wants_stock = query.get("include") == "AVAILABILITY"
    if wants_stock != ("product" in query):
        raise Problem(400, "Bad Request", "product goes with include=AVAILABILITY")
    rows = []
    for gpu in offer_table.GPUS:
        offers = [one for one in market.search() if one["gpu_name"] == gpu.name]
        rows.append(gpu_row(gpu, offers) | (stock(offers, query) if wants_stock else {}))
    return rows


def gpus(market: Market, request: Request, _pod: Rental | None) -> Reply:
    """All of them."""
    return json_reply({"gpus": catalogue(market, request)})


def one_gpu(market: Market, request: Request, _pod: Rental | None) -> Reply:
    """One of them, by its id."""
    wanted = request.path.rpartition("/")[2]
    for row in catalogue(market, request):
        if row["id"] == wanted:
            return json_reply(row)
    raise Problem(404, "Not Found", "GPU type not found")


def gpu_row(gpu: offer_table.Gpu, offers: list[Offer]) -> dict[str, Any]:
    """What the catalogue says of a kind of GPU."""
    sides = {cloud.lower(): of_cloud(offers, cloud) for cloud in CLOUDS}
    return {
        "id": gpu_id(gpu.name),
        "name": gpu.name,
        "pool": None,
        "manufacturer": "NVIDIA",
        "memory": round(gpu.ram_mib / 1024),
        **{side: bool(found) for side, found in sides.items()},
        "price": {side: lowest_price(found) for side, found in sides.items()},
        "maxCount": {
            side: max((one["num_gpus"] for one in found), default=0)
            for side, found in sides.items()
        },
    }


def gpu_id(name: str) -> str:
    """What a rental request calls it."""
    return f"NVIDIA {name}"


def of_cloud(offers: list[Offer], cloud: str) -> list[Offer]:
    """Those that are in one of the two clouds."""
    return [one for one in offers if (one["verification"] == "verified") == (cloud == "SECURE")]


def lowest_price(offers: list[Offer]) -> float:
    """Dollars an hour for one GPU; 0 where there is none."""
    return round(min((one["dph_base"] / one["num_gpus"] for one in offers), default=0.0), 4)


def stock(offers: list[Offer], query: dict[str, str]) -> dict[str, Any]:
    """What is free now, by data center."""
    countries = query.get("countryCodes", "").split(",") if "countryCodes" in query else None
    found = [
        one
        for one in of_cloud(offers, query.get("cloud", "SECURE"))
        if one["num_gpus"] == int(query.get("count", "1"))
        and (countries is None or country(one) in countries)
    ]
    centers = sorted({data_center(one) for one in found})
    return {
        "availability": "HIGH" if found else "NONE",
        "dataCenters": [{"id": one, "name": one, "availability": "HIGH"} for one in centers],
        "cudaVersions": [
            {"version": version, "available": True}
            for version in sorted({str(one["cuda_max_good"]) for one in found})
        ],
    }


def country(offer: Offer) -> str:
    """Its two letters."""
    return str(offer["geolocation"]).rsplit(", ", 1)[-1]


def data_center(offer: Offer) -> str:
    """The one of its country."""
    return f"{REGIONS.get(country(offer), 'EU')}-{country(offer)}-1"


# --- pods ---


def create(market: Market, request: Request, traits: Traits) -> Reply:
    """Place one kind of GPU: 201 with the pod."""
    wish = checked(request.json(), CREATE_FIELDS, ("name", "image", "gpu"))
    gpu, cloud = wish["gpu"], wish.get("cloud", "SECURE")
    with market.lock:
        fitting = [
            one
            for one in of_cloud(market.search(), cloud)
            if gpu_id(one["gpu_name"]) == gpu.get("id")
            and one["num_gpus"] == gpu.get("count", 1)
            and has_what_it_needs(one, gpu)
            and data_center(one) in (wish.get("dataCenterIds") or [data_center(one)])
        ]
        if not fitting:
            raise Problem(400, "Bad Request", NO_INSTANCES)
        cheapest = min(fitting, key=lambda one: float(one["dph_base"]))
        try:
            rental = market.create(cheapest["id"], as_wish(wish), traits, pod_keys(market, wish))
        except OfferGone:
            raise Problem(400, "Bad Request", NO_INSTANCES) from None
        except NoCredit:
            raise Problem(402, "Payment Required", "insufficient balance") from None
    return json_reply(pod_row(rental), 201)


def checked(body: Any, known: set[str], required: tuple[str, ...] = ()) -> dict[str, Any]:
    """The body of a rental request or an update. Raises Problem for what is in no contract."""
    if not isinstance(body, dict):
        raise Problem(422, "Unprocessable Entity", "Request validation failed.", ["$: no object"])
    errors = [f"$: additional properties '{name}' not allowed" for name in set(body) - known]
    errors += [f"$: missing property '{name}'" for name in required if not body.get(name)]
    disk = body.get("disk", 10)
    if not isinstance(disk, int) or disk < 1:
        errors.append("$.disk: no integer from 1")
    ports = body.get("ports") or []
    errors += [f"$.ports: {one!r}" for one in ports if not re.fullmatch(r"\d+/(tcp|http)", one)]
    env = body.get("env") or {}
    errors += [f"$.env.{name}: no text" for name in env if not isinstance(env[name], str)]
    if errors:
        raise Problem(422, "Unprocessable Entity", "Request validation failed.", errors)
    return body


def image_with(ports: Iterable[int]) -> str:
    """Shell text that puts into a container what its image starts with, by RunPod's own habits.

    Its nginx listens on all addresses, and so does whatever has these *ports*.
    """
    opened = "".join(f"opens {port}\n" for port in ports)
    return rf"""cat >/etc/init.d/nginx <<'END'
#!/bin/sh
{OPENS}
opens 3001
opens 8001
END
cat >/start.sh <<'END'
#!/bin/bash
set -e
service nginx start
{OPENS}
{opened}echo Pod started
END
chmod 755 /etc/init.d/nginx /start.sh
"""


def as_wish(wish: dict[str, Any]) -> dict[str, Any]:
    """A rental request in the market's words. What it runs is the image's own start, or replaces
    it."""
    ports = [one.partition("/")[0] for one in wish.get("ports") or []]
    image = image_with(map(int, OPENED.findall(wish["image"])))
    return {
        **wish,
        "label": wish["name"],
        "env": {**(wish.get("env") or {}), **{f"-p {one}:{one}": "1" for one in ports}},
        "onstart": wish.get("args") and image + wish["args"],
        "pod": wish,
    }


def has_what_it_needs(offer: Offer, gpu: dict[str, Any]) -> bool:
    """Whether a machine is one that a pod may be placed on."""
    allowed = gpu.get("allowedCudaVersions") or [str(offer["cuda_max_good"])]
    return (
        str(offer["cuda_max_good"]) in allowed
        and offer["cuda_max_good"] >= float(gpu.get("minCudaVersion", 0))
        and offer["cpu_ram"] / 1024 >= gpu.get("minRamPerGpu", 0) * offer["num_gpus"]
        and offer["cpu_cores_effective"] >= gpu.get("minVcpuCountPerGpu", 0) * offer["num_gpus"]
    )


def pod_keys(market: Market, wish: dict[str, Any]) -> list[str]:
    """Who may log in, as RunPod's images read it: the account's keys, unless others are named."""
    named = (wish.get("env") or {}).get("PUBLIC_KEY")
    if named is None:
        return list(market.account_keys.values()) if wish.get("startSsh") else []
    return [line for line in named.splitlines() if line.strip()]


def pod_row(rental: Rental) -> dict[str, Any]:
    """A pod as RunPod shows it."""
    wish, offer = rental.wish.get("pod") or {"image": rental.wish["image"]}, rental.offer
    status = status_of(rental)
    runs = status == "RUNNING"
    disk = offer_table.storage_usd_per_hour(offer, rental.disk_gib)
    return {
        "id": pod_id(rental),
        "name": rental.label or "",
        "status": status,
        "actions": ACTIONS[status],
        "image": wish["image"],
        "args": wish.get("args", ""),
        "disk": wish.get("disk", 10),
        "mounts": wish.get("mounts") or {},
        "ports": wish.get("ports") or [],
        "env": wish.get("env") or {},
        "registry": wish.get("registry"),
        "gpu": {"id": gpu_id(offer["gpu_name"]), "count": offer["num_gpus"]},
        "cloud": wish.get("cloud", "SECURE"),
        "dataCenterId": data_center(offer),
        "cudaVersion": str(offer["cuda_max_good"]),
        "ssh": {"proxy": None, "direct": direct_way(rental) if runs else None},
        "template": None,
        "cost": round(offer["dph_base"] + disk, 6) if status not in ("EXITED",) else 0.0,
        "locked": False,
        "globalNetworking": {"enabled": False},
        "runtime": runtime(rental) if runs else None,
        "createdAt": moment(rental.created_at),
        "startedAt": moment(rental.running_since),
    }


def status_of(rental: Rental) -> str:
    """Its one of six states; the last one shows nowhere."""
    if rental.intended == "stopped" or rental.status in ("stopped", "exited"):
        return "EXITED"
    if "failed" in rental.status_msg:
        return "ERROR"
    return {None: "PROVISIONING", "running": "RUNNING"}.get(rental.status, "STARTING")


def direct_way(rental: Rental) -> dict[str, Any] | None:
    """The way to its sshd, which only a published port is."""
    asked = (rental.wish.get("pod") or {}).get("ports", ())
    if "22/tcp" not in rental.ports or "22/tcp" not in asked:
        return None
    port = rental.ports["22/tcp"]
    told = {"host": ADDRESS, "port": port, "username": "root"}
    return told | {"command": f"ssh root@{ADDRESS} -p {port}"}


def runtime(rental: Rental) -> dict[str, Any]:
    """What it shows of a pod that runs."""
    ports = [
        {"private": int(name.partition("/")[0]), "public": port, "type": "tcp", "ip": ADDRESS}
        for name, port in rental.ports.items()
    ]
    return {"uptime": 0, "gpus": [], "ports": ports}


def moment(seconds: float | None) -> str | None:
    """Epoch seconds as RFC 3339 has them."""
    if seconds is None:
        return None
    return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")


def pods(market: Market, request: Request, _pod: Rental | None) -> Reply:
    """All of them, without pages."""
    with market.lock:
        now = market.clock.now()
        rows = [pod_row(one) for one in market.rentals.values() if one.listed(now)]
    return json_reply({"pods": rows})


def pod(market: Market, request: Request, found: Rental | None) -> Reply:
    """One of them."""
    assert found is not None
    with market.lock:
        return json_reply(pod_row(found))


def log(market: Market, request: Request, found: Rental | None) -> Reply:
    """Its last lines as events, in a stream that stays open for those to come."""
    assert found is not None
    query = request.query
    tail = int(query.get("tail", "100"))
    if not 0 <= tail <= 5000 or query.get("source", "system") not in ("system", "container"):
        raise Problem(422, "Unprocessable Entity", "Request validation failed.")
    lines = [("system", line) for line in market.machine_log_of(found).splitlines()]
    lines += [("container", line) for line in market.log_of(found).splitlines()]
    wanted = [one for one in lines if query.get("source") in (None, one[0])]
    at = moment(int(found.created_at))
    events = [
        f"id: {at}/{number:012d}\n"
        f"data: {json.dumps({'ts': at, 'source': source, 'line': line})}\n\n"
        for number, (source, line) in enumerate(wanted, start=1)
    ]
    body = "".join(events[-tail:] if tail else ()).encode()
    return Reply(200, body, dict(EVENTS), stays_open=True)


def update(market: Market, request: Request, found: Rental | None) -> Reply:
    """Change what the body has."""
    assert found is not None
    body = checked(request.json(), UPDATE_FIELDS)
    with market.lock:
        found.label = body.get("name", found.label)
        found.wish["pod"] = {**found.wish["pod"], **body}
        return json_reply(pod_row(found))


def delete(market: Market, request: Request, found: Rental | None) -> Reply:
    """End it for good."""
    assert found is not None
    market.destroy(found.id)
    return Reply(204)


def act(market: Market, request: Request, found: Rental | None) -> Reply:
    """Stop, start, restart or end it, where its status lets that be."""
    assert found is not None
    action = request.json().get("action")
    if action not in ("start", "stop", "restart", "terminate"):
        raise Problem(422, "Unprocessable Entity", "Request validation failed.", ["$.action"])
    if action not in ACTIONS[status_of(found)]:
        raise Problem(409, "Conflict", f"cannot {action} a pod that is {status_of(found)}")
    if action == "terminate":
        return delete(market, request, found)
    try:
        if action == "restart":
            market.reboot(found)
        else:
            market.set_state(found, "running" if action == "start" else "stopped")
    except NoRoom:
        raise Problem(400, "Bad Request", NO_GPUS) from None
    return pod(market, request, found)


def billing(market: Market, request: Request, _pod: Rental | None) -> Reply:
    """What pods have cost, those that have ended among them: a record for each pod and bucket.

    What a pod costs is spread evenly over its life.
    """
    query = request.query
    size = BUCKETS.get(query.get("bucketSize", "day"))
    if size is None:
        raise Problem(422, "Unprocessable Entity", "Request validation failed.")
    with market.lock:
        market.settle()
        now = market.clock.now()
        start = seconds_of(query["startTime"]) if "startTime" in query else now - 30 * 86_400
        billed = [
            one
            for one in (*market.ended, *market.rentals.values())
            if not one.stranger and query.get("podId") in (None, pod_id(one))
        ]
        records = [
            record
            for one in billed
            for record in records_of(one, size)
            if seconds_of(record["startTime"]) >= start // size * size
        ]
    told = {"startTime": moment(start // size * size), "endTime": moment(now // size * size + size)}
    metadata = {
        "query": told | {"bucketSize": query.get("bucketSize", "day"), "podId": query.get("podId")},
        "recordCount": len(records),
        "uniquePodCount": len({one["podId"] for one in records}),
        "totals": {name: sum(one[name] for one in records) for name in AMOUNTS},
    }
    return json_reply({"records": records, "metadata": metadata})


def records_of(rental: Rental, size: int) -> Iterator[dict[str, Any]]:
    """Its records in buckets of so many seconds."""
    begin, end = rental.created_at, max(rental.settled_at, rental.created_at + 1)
    for bucket in range(int(begin) // size * size, int(end) + 1, size):
        share = (min(end, bucket + size) - max(begin, bucket)) / (end - begin)
        if share > 0:
            amounts = (rental.gpu_usd + rental.storage_usd, rental.gpu_usd, 0.0, rental.storage_usd)
            yield {
                "startTime": moment(bucket),
                "endTime": moment(bucket + size),
                "podId": pod_id(rental),
                **{name: one * share for name, one in zip(AMOUNTS, amounts, strict=True)},
            }


def seconds_of(told: str) -> float:
    """Epoch seconds of an RFC 3339 time. Raises ValueError."""
    return datetime.fromisoformat(told).timestamp()


def ssh_keys(market: Market, request: Request, _pod: Rental | None) -> Reply:
    """The keys of the account."""
    return json_reply({"keys": list(market.account_keys.values())})


def is_key(given: Any) -> bool:
    """Whether it is one public key."""
    return isinstance(given, str) and bool(re.fullmatch(r"(ssh|ecdsa|sk)-\S+ \S+([ \t].*)?", given))


def replace_ssh_keys(market: Market, request: Request, _pod: Rental | None) -> Reply:
    """Put these keys in the place of all; pods that run keep theirs."""
    body = request.json()
    keys = body.get("keys") if isinstance(body, dict) and set(body) == {"keys"} else None
    if not isinstance(keys, list) or not all(is_key(one) for one in keys):
        raise Problem(422, "Unprocessable Entity", "Request validation failed.", ["$.keys"])
    with market.lock:
        market.account_keys = {next(market.ids): key for key in keys}
    return ssh_keys(market, request, None)


Handler = Callable[[Market, Request, Any], Reply]
ROUTES: tuple[tuple[str, str, Handler], ...] = (
    ("GET", "/v2/catalog/gpus", gpus),
    ("GET", "/v2/catalog/gpus/[^/]+", one_gpu),
    ("POST", "/v2/pods", create),
    ("GET", "/v2/pods", pods),
    ("GET", "/v2/pods/(?P<pod>[^/]+)", pod),
    ("PATCH", "/v2/pods/(?P<pod>[^/]+)", update),
    ("DELETE", "/v2/pods/(?P<pod>[^/]+)", delete),
    ("POST", "/v2/pods/(?P<pod>[^/]+)/action", act),
    ("GET", "/v2/pods/(?P<pod>[^/]+)/logs", log),
    ("GET", "/v2/account/ssh-keys", ssh_keys),
    ("GET", "/v2/billing/pods", billing),
    ("PUT", "/v2/account/ssh-keys", replace_ssh_keys),
)


# --- what faults are about ---


def problem(status: int, title: str, detail: str) -> Saying:
    """A refusal as it is told."""
    return status, {"title": title, "status": status, "detail": detail}


def changed(request: Request, _told: Reply | None) -> Saying:
    """The pod that was to be changed."""
    return 200, {"id": DIALECT.ids(request)[0]}


TOO_FREQUENT = problem(429, "Too Many Requests", "rate limit exceeded")
DIALECT = Dialect(
    requests={
        "search": Where("GET", "^/v2/catalog/gpus$"),
        "create": Where("POST", "^/v2/pods$"),
        "list": Where("GET", "^/v2/pods$"),
        "read": Where("GET", "^/v2/pods/[^/]+$"),
        "rows": Where("GET", "^/v2/pods(/[^/]+)?$"),
        "destroy": Where("DELETE", "^/v2/pods/[^/]+$"),
        "change": Where("PATCH", "^/v2/pods/[^/]+$"),
        "user": Where("GET", "^/v2/account/ssh-keys$"),
        "charges": Where("GET", "^/v2/billing/pods$"),
        "log": Where("GET", "^/v2/pods/[^/]+/logs$"),
    },
    sayings={
        "no offers": (200, {"gpus": None}),
        "offer gone": problem(400, "Bad Request", NO_INSTANCES),
        "bad key": problem(401, "Unauthorized", "invalid bearer token"),
        "too frequent": TOO_FREQUENT,
        "quota": TOO_FREQUENT,
        "timeout": problem(408, "Request Timeout", "request timed out"),
        "invalid": problem(422, "Unprocessable Entity", "Request validation failed."),
        "done without id": (201, {"status": "PROVISIONING"}),
        "phantom id": (201, {"id": f"{PREFIX}99999999999"}),
        "withdrawn": problem(410, "Gone", "this version is no longer served"),
        "no such rental": problem(404, "Not Found", "pod not found"),
        "nothing to end": problem(404, "Not Found", "pod not found"),
        "released": (204, ""),
        "changed": changed,
    },
    shows={
        "exited": {"status": "EXITED"},
        "an odd status": {"status": "HIBERNATING"},
        "no values": dict.fromkeys(("cost", "gpu", "ssh", "runtime", "createdAt", "startedAt")),
        "odd values": {"cost": "n/a", "createdAt": "soon", "runtime": ["22/tcp"]},
        "an odd environment": {"env": [None, 5]},
        "odd labels": {"name": ["17"]},
    },
    features=frozenset(
        (
            "containers",
            "overlap",
            "second mark",
            "ends early",
            "plain key",
            "blind changes",
            "own prices",
            "forgets",
        )
    ),
    rows="pods",
    rental_id=(PREFIX + "{}").format,
    number=after(PREFIX),
    ids=in_path("/pods/([^/]+)$"),
)


def take(market: Market, offer_id: str) -> None:
    """Let somebody else rent an offer: all machines with this GPU."""
    for offer in market.search():
        if offer["gpu_name"].replace(" ", "_") in offer_id:
            del market.offers[offer["id"]]


def carried(_api: Api, body: Any) -> str:
    """What a request to rent took along: its body, and the script that is packed in it."""
    return f"{body} {base64.b64decode(body['env']['INFEROPS_START']).decode()}"
