# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The API of a GPU shopper service that rents at the simulated market, as if that were Vast.ai.

After its code (github.com/acaracappa/cloud-gpu-shopper, e3220c5): its routes, statuses and errors,
what its Vast.ai client makes of an offer, and what becomes of a session. It keeps all of them for
ever. A proxy stands before it and asks for the account's key, as long as ``guarded``: the service
itself lets everybody in. Its hosts reach the marketplace behind it with their own keys.

Left out: what takes it time, such as its cache, and the SSH with which it looks at a host: a
session runs once its instance does, and is shown as running from then on.
"""

from __future__ import annotations

import base64
import gzip
import re
import shlex
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from tests.simulator import vastai
from tests.simulator.dialect import (
    Dialect,
    Saying,
    Where,
    after,
    in_path,
    saying,
    without_query,
)
from tests.simulator.market import (
    ACCOUNT_KEY,
    ACCOUNT_OK,
    Market,
    NoCredit,
    OfferGone,
    Rental,
    Traits,
)
from tests.simulator.offers import Offer, priced
from tests.simulator.ways import PROXY_ADDRESS
from tests.simulator.web import Reply, Request, json_reply

ID = "00000000-0000-4000-8000-{:012d}"
PREFIX, MACHINE_PREFIX = "vastai-", "vastai-machine-"
IMAGE = "nvidia/cuda:12.6.3-runtime-ubuntu22.04"
#: What its marketplace counts for a disk where a search names none, and the least reliability.
SEARCHED_DISK_GIB, LEAST_RELIABILITY = 10.0, 0.95
USUAL_DISK_GIB, MOST_HOURS = 50, 12
#: How often it looks for sessions that have come to their end.
CHECK_SECONDS = 60.0
WORKLOADS = {
    "llm", "llm_vllm", "llm_tgi", "training", "batch", "interactive", "inference", "ssh",
    "benchmark",
}  # fmt: skip
REQUIRED = ("consumer_id", "offer_id", "workload_type", "reservation_hours")
KIND = "RSA PRIVATE KEY"
#: Told in the answer to a rental request, and never again.
SERVICE_KEY = f"-----BEGIN {KIND}-----\nMIIEsimulated\n-----END {KIND}-----\n"
SERVICE_PUBLIC_KEY = "ssh-rsa AAAAservice"
ACTIVE = ("pending", "provisioning", "running")
REQUEST_ID = "11111111-2222-4333-8444-555555555555"
#: What the proxy says, and the service itself of a session that it has never had.
UNAUTHORIZED = "<html><h1>401 Authorization Required</h1></html>"
NO_SESSION = "record not found"
NO_WORKLOAD = "invalid workload_type: must be one of: llm, llm_vllm, ..."
#: What its marketplace says, as its client passes it on.
NO_SUCH_ASK = 'vastai CreateInstance failed (HTTP 400): {"error":"no_such_ask"}'
NO_CREDIT = 'vastai CreateInstance failed (HTTP 400): {"error":"insufficient_credit"}'


class Refusal(Exception):
    """An error answer in its shape."""

    def __init__(self, status: int, error: str, **more: Any) -> None:
        super().__init__(error)
        self.reply = json_reply({"error": error, **more, "request_id": REQUEST_ID}, status)


class Api:
    """Answers every request under /api/v1/, and those of hosts to the marketplace."""

    def __init__(self, market: Market) -> None:
        self.market = market
        self.behind = vastai.Api(market)
        self.guarded = True
        #: Sessions that have ended or never began, by their id, as they are shown.
        self.past: dict[str, dict[str, Any]] = {}

    def answer(self, request: Request, traits: Traits, from_host: bool) -> Reply:
        """Answer one request; ``traits`` are those of a rental that it may make."""
        if from_host:
            return self.behind.answer(request, traits, from_host)
        key = request.headers.get("authorization", "").removeprefix("Bearer ")
        if self.guarded and (key != ACCOUNT_KEY or self.market.account != ACCOUNT_OK):
            return Reply(401, UNAUTHORIZED.encode())
        try:
            for method, pattern, handler in ROUTES:
                found = re.fullmatch(pattern, request.path)
                if found and method == request.method:
                    more = (traits,) if handler is create else ()
                    return handler(self, request, *found.groups(), *more)
        except Refusal as refusal:
            return refusal.reply
        except ValueError:
            return Refusal(400, "invalid character in the body").reply
        return Reply(404, b"404 page not found", {"Content-Type": "text/plain"})

    def sessions(self) -> list[dict[str, Any]]:
        """All that there ever were, the youngest first."""
        now = self.market.clock.now()
        rows = [session_row(one) for one in self.market.rentals.values() if one.listed(now)]
        known = {row["id"] for row in rows}
        rows += [row for row in self.past.values() if row["id"] not in known]
        return sorted(rows, key=lambda row: str(row["created_at"]), reverse=True)

    def find(self, name: str) -> Rental | None:
        """The rental behind a session's id, once anything shows it."""
        number = name.rpartition("-")[2]
        rental = self.market.rentals.get(int(number)) if number.isdecimal() else None
        if rental is None or session_id(rental) != name:
            return None
        return rental if rental.visible(self.market.clock.now()) else None

    def end(self, rental: Rental, error: str = "") -> None:
        """End its instance, and keep the session."""
        row = session_row(rental)
        self.market.destroy(rental.id)
        self.past[row["id"]] = {**row, "status": "stopped", **({"error": error} if error else {})}

    def end_when_due(self, rental: Rental) -> None:
        """End it at its end, at the next look, wherever that is by then."""

        def due() -> None:
            if rental.gone.is_set():
                return
            if rental.created_at + reserved_seconds(rental) > self.market.clock.now():
                self.end_when_due(rental)
            else:
                self.end(rental)

        left = rental.created_at + reserved_seconds(rental) - self.market.clock.now()
        self.market.later(left + CHECK_SECONDS, due)


def session_id(rental: Rental) -> str:
    """The id that its session has."""
    return ID.format(rental.id)


def reserved_seconds(rental: Rental) -> float:
    """How long after its beginning its session ends."""
    return float(rental.wish["session"]["reservation_hours"]) * 3600


def moment(seconds: float) -> str:
    """Epoch seconds as Go writes them, with nanoseconds."""
    told = datetime.fromtimestamp(seconds, UTC)
    return f"{told:%Y-%m-%dT%H:%M:%S.%f}789Z"


# --- inventory ---


def inventory(api: Api, request: Request) -> Reply:
    """What is for rent, most likely to be had first."""
    query = request.query
    limit = int(query.get("limit") or 0)
    if limit < 0 or query.get("limit") == "0":
        raise Refusal(400, f"invalid limit: must be positive, got {limit}")
    rows = [
        row
        for row in (offer_row(one, api.market.clock.now()) for one in on_offer(api.market))
        if query.get("gpu_type", row["gpu_type"]) == row["gpu_type"]
        and query.get("location", "") in row["location"]
        and row["gpu_count"] >= int(query.get("min_gpu_count") or 0)
    ]
    found = rows[:limit] if limit else rows
    return json_reply({"offers": found, "count": len(found), "total": len(rows)})


def on_offer(market: Market) -> list[Offer]:
    """Its marketplace's offers that are reliable enough."""
    return [one for one in market.search() if one["reliability2"] >= LEAST_RELIABILITY]


def offer_row(offer: Offer, now: float) -> dict[str, Any]:
    """An offer as it shows it."""
    return {
        "id": f"{PREFIX}{offer['id']}",
        "provider": "vastai",
        "provider_id": str(offer["id"]),
        "gpu_type": offer["gpu_name"],
        "gpu_count": offer["num_gpus"],
        "vram_gb": offer["gpu_ram"] // 1024,
        "price_per_hour": priced(offer, SEARCHED_DISK_GIB)["dph_total"],
        "location": offer["geolocation"],
        "reliability": offer["reliability2"],
        "available": True,
        "max_duration_hours": 0,
        "fetched_at": moment(now),
        "availability_confidence": 0.9,
        "cuda_version": offer["cuda_max_good"],
        "machine_id": f"{MACHINE_PREFIX}{offer['machine_id']}",
        "interruptible": offer["min_bid"] > 0,
        "min_bid": offer["min_bid"],
    }


# --- sessions ---


def create(api: Api, request: Request, traits: Traits) -> Reply:
    """Rent: 201 with the session, and the key that is told once."""
    body, market = request.json(), api.market
    checked(body)
    with market.lock:
        offer = next(
            (one for one in on_offer(market) if f"{PREFIX}{one['id']}" == body["offer_id"]), None
        )
        if offer is None:
            raise Refusal(404, f"offer not found: {body['offer_id'][:128]}")
        for row in api.sessions():
            same = (row["consumer_id"], row["status"] in ACTIVE) == (body["consumer_id"], True)
            rental = api.find(row["id"])
            if same and rental and rental.wish["session"]["offer_id"] == body["offer_id"]:
                raise Refusal(
                    409,
                    f"consumer {body['consumer_id']} already has active session {row['id']} for "
                    f"offer {body['offer_id']} (status: {row['status']})",
                )
        wish = {
            "label": body["consumer_id"],
            "image": IMAGE,
            "disk": body.get("disk_gb") or USUAL_DISK_GIB,
            "onstart": body.get("on_start_cmd") or "",
            "session": body,
            "price_per_hour": priced(offer, SEARCHED_DISK_GIB)["dph_total"],
        }
        try:
            rental = market.create(offer["id"], wish, traits, [SERVICE_PUBLIC_KEY])
        except OfferGone:
            fail(api, body, offer, NO_SUCH_ASK)
            raise stale(body["offer_id"], NO_SUCH_ASK) from None
        except NoCredit:
            fail(api, body, offer, NO_CREDIT)
            raise Refusal(
                500,
                f"failed to create instance: {NO_CREDIT}",
                error_type="provision_failed",
                retry_suggested=True,
            ) from None
        # The disk is part of the session's price.
        price = wish["price_per_hour"] * traits.price_factor
        rental.offer |= {"dph_base": price, "storage_cost": 0.0}
        api.end_when_due(rental)
        session = {**session_row(rental), "status": "provisioning"}
        return json_reply({"session": session, "ssh_private_key": SERVICE_KEY}, 201)


def checked(body: Any) -> None:
    """Raise Refusal for a request that is none."""
    if not isinstance(body, dict):
        raise Refusal(400, "json: cannot unmarshal into Go value")
    missing = [f"{field} is required" for field in REQUIRED if not body.get(field)]
    if missing:
        raise Refusal(400, "; ".join(missing))
    if body["workload_type"] not in WORKLOADS:
        raise Refusal(400, NO_WORKLOAD)
    if not 1 <= body["reservation_hours"] <= MOST_HOURS:
        raise Refusal(400, f"reservation_hours must be at most {MOST_HOURS}")


def stale(offer_id: str, cause: str) -> Refusal:
    """What it says of an offer that its marketplace has no more."""
    return Refusal(
        503,
        f"offer {offer_id} from vastai unavailable (stale inventory): {cause} - consider retrying "
        "with a different offer",
        error_type="stale_inventory",
        offer_id=offer_id,
        provider="vastai",
        retry_suggested=True,
        message="The selected offer is no longer available. Please refresh inventory and select a "
        "different offer.",
    )


def fail(api: Api, body: dict[str, Any], offer: Offer, cause: str) -> None:
    """Keep a session that got no instance."""
    name = ID.format(next(api.market.ids))
    row = row_of(name, body, offer, "failed", api.market.clock.now())
    api.past[name] = {**row, "error": f"provider create failed: {cause}"}


def row_of(
    name: str, body: dict[str, Any], offer: Offer, status: str, created_at: float
) -> dict[str, Any]:
    """A session without a way in."""
    hours = body.get("reservation_hours", 1)
    return {
        "id": name,
        "consumer_id": body.get("consumer_id", ""),
        "provider": "vastai",
        "gpu_type": offer["gpu_name"],
        "gpu_count": offer["num_gpus"],
        "status": status,
        "ssh_user": "root",
        "workload_type": body.get("workload_type", "ssh"),
        "reservation_hours": hours,
        "price_per_hour": priced(offer, SEARCHED_DISK_GIB)["dph_total"],
        "created_at": moment(created_at),
        "expires_at": moment(created_at + hours * 3600),
    }


def session_row(rental: Rental) -> dict[str, Any]:
    """A session as it is shown while it has an instance."""
    ran = rental.running_since is not None
    body = rental.wish.get("session") or {}
    row = row_of(
        session_id(rental),
        body,
        rental.offer,
        "running" if ran else "provisioning",
        rental.created_at,
    )
    way = {"ssh_host": PROXY_ADDRESS, "ssh_port": rental.proxy_port} if ran else {"ssh_port": 22}
    # That of its offer for ever: it asks its marketplace for no other one.
    price = rental.wish.get("price_per_hour", row["price_per_hour"])
    return {**row, "consumer_id": rental.label or "", "price_per_hour": price, **way}


def sessions(api: Api, request: Request) -> Reply:
    """All of them, without pages."""
    query = request.query
    with api.market.lock:
        rows = [
            row
            for row in api.sessions()
            if all(
                query.get(field) in (None, "", row[field])
                for field in ("consumer_id", "status", "provider")
            )
        ]
    rows = rows[: int(query["limit"])] if query.get("limit") else rows
    return json_reply({"sessions": rows, "count": len(rows)})


def session(api: Api, request: Request, name: str) -> Reply:
    """One of them."""
    with api.market.lock:
        rental = api.find(name)
        row = session_row(rental) if rental else api.past.get(name)
    if row is None:
        raise Refusal(404, NO_SESSION)
    return json_reply(row)


def delete(api: Api, request: Request, name: str) -> Reply:
    """End its instance; what has ended is answered as well."""
    rental = api.find(name)
    if rental is None and name not in api.past:
        raise unknown_to_delete(name)
    if rental is not None:
        api.end(rental)
    return json_reply(ended(name))


def unknown_to_delete(name: str) -> Refusal:
    """What it says of a session that it has never had, and that is to end."""
    return Refusal(404, f"session not found: {name[:128]}")


def ended(name: str) -> dict[str, str]:
    """What it says of a session that it has ended."""
    return {"message": "session destroyed", "session_id": name}


Handler = Callable[..., Reply]
ROUTES: tuple[tuple[str, str, Handler], ...] = (
    ("GET", "/api/v1/inventory", inventory),
    ("POST", "/api/v1/sessions", create),
    ("GET", "/api/v1/sessions", sessions),
    ("GET", "/api/v1/sessions/([^/]+)", session),
    ("DELETE", "/api/v1/sessions/([^/]+)", delete),
)


# --- what faults are about ---


def gone_there(request: Request, _told: Reply | None) -> Saying:
    """The offer that was to be rented is its marketplace's no more."""
    return saying(stale(request.json()["offer_id"], NO_SUCH_ASK).reply)


def nothing_to_end(request: Request, _told: Reply | None) -> Saying:
    """It has never had the session that was to end."""
    return saying(unknown_to_delete(DIALECT.ids(request)[0]).reply)


def released(request: Request, _told: Reply | None) -> Saying:
    """The session that was to end."""
    return 200, ended(DIALECT.ids(request)[0])


def recount(body: Any, rows: list[Any]) -> None:
    """Let a list be as long as it says."""
    body["count"] = len(rows)


def script_of(on_start_cmd: str) -> str:
    """A start script, unpacked where it is packed."""
    packed = re.search(r"echo (\S+) \| base64 -d", on_start_cmd)
    return gzip.decompress(base64.b64decode(packed[1])).decode() if packed else on_start_cmd


def keys_of(on_start_cmd: str) -> tuple[str, ...]:
    """Whom a start script lets in."""
    told = re.findall(r"^key=('?ssh-.+)$", script_of(on_start_cmd), re.MULTILINE)
    return tuple(word for line in told for word in shlex.split(line))


def prolong(_api: Api, rental: Rental, hours: int) -> None:
    """As an operator does, who lifts the limit of a session and extends it."""
    rental.wish["session"]["reservation_hours"] += hours


DIALECT = Dialect(
    requests={
        # Its other reads of the inventory have the limit of one that proves its key.
        "search": Where("GET", "^/api/v1/inventory$", "^(?!limit=)"),
        "create": Where("POST", "^/api/v1/sessions$"),
        "list": Where("GET", "^/api/v1/sessions$"),
        "read": Where("GET", "^/api/v1/sessions/[^/]+$"),
        "rows": Where("GET", "^/api/v1/sessions(/[^/]+)?$"),
        "destroy": Where("DELETE", "^/api/v1/sessions/[^/]+$"),
        "user": Where("GET", "^/api/v1/inventory$", "^limit="),
    },
    sayings={
        "no offers": (200, {"offers": None, "count": 0, "total": 0}),
        "offer gone": gone_there,
        # Of the proxy before it, as the time-out is.
        "bad key": (401, UNAUTHORIZED),
        "timeout": (408, "<html><h1>408 Request Time-out</h1></html>"),
        "invalid": saying(Refusal(400, NO_WORKLOAD).reply),
        "done without id": (201, {"session": {"status": "provisioning"}}),
        "phantom id": (201, {"session": {"id": ID.format(99_999_999_999)}}),
        "withdrawn": (410, "<html><h1>410 Gone</h1></html>"),
        "no such rental": saying(Refusal(404, NO_SESSION).reply),
        "nothing to end": nothing_to_end,
        "released": released,
    },
    shows={
        "an odd status": {"status": "hibernating"},
        "no values": dict.fromkeys(
            ("price_per_hour", "gpu_type", "gpu_count", "created_at", "ssh_host", "ssh_port",
             "ssh_user", "error")
        ),
        "odd values": {"price_per_hour": "n/a", "created_at": "soon", "gpu_count": ["1"]},
        "odd labels": {"consumer_id": 17},
    },
    features=frozenset(
        ("containers", "counts", "filters", "plain key", "ends early", "exact prices")
    ),
    accounts=frozenset(("revoked-401",)),
    rows="sessions",
    recount=recount,
    rental_id=ID.format,
    number=after(ID.partition("{")[0]),
    ids=in_path("/sessions/([^/]+)$"),
    unfiltered=without_query("gpu_type", "location", "min_gpu_count"),
    script_keys=keys_of,
    prolong=prolong,
    whole_hours=MOST_HOURS,
)  # fmt: skip


def take(market: Market, offer_id: str) -> None:
    """Let somebody else rent an offer: one of its marketplace."""
    market.offers.pop(int(offer_id.removeprefix(PREFIX)))


def carried(_api: Api, body: Any) -> str:
    """What a request to rent took along: its body, and the script that is packed in it."""
    return f"{body} {script_of(body['on_start_cmd'])}"
