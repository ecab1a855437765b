# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Vast.ai's HTTP API over the simulated market: paths, field names, units and error bodies.

Chosen where its documentation leaves it open: a search answers at most 64 offers; prices count
5 GB of disk unless the search says otherwise; an unknown column is ``invalid_args``.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from tests.simulator import offers as offer_table
from tests.simulator.access import STATES, Gate, error_reply
from tests.simulator.dialect import FEATURES, Dialect, Saying, Where, in_path
from tests.simulator.market import Market, NoCredit, NoRoom, OfferGone, Rental, Traits
from tests.simulator.query import BadQuery, matches, ordered
from tests.simulator.ways import ADDRESS, PROXY_ADDRESS
from tests.simulator.web import Reply, Request, json_reply

SEARCH_LIMIT, PAGE_LIMIT, LEAST_PAGE = 64, 25, 5
DEFAULT_STORAGE_GIB, MINIMUM_DISK_GIB = 5.0, 8
MOST_LOG_LINES = 1000
LABEL_LENGTH, LATER_LABEL_LENGTH, ONSTART_LENGTH = 256, 1024, 4048
OFFER_TYPES = ("on-demand", "ondemand", "bid", "reserved", "ask")
NOT_FILTERS = ("order", "type", "limit", "allocated_storage", "chunked", "georegion")


class Refusal(Exception):
    """An error answer: HTTP status, code and message, and fields of its own."""

    def __init__(self, status: int, code: str, message: str, **more: Any) -> None:
        super().__init__(message)
        self.reply = error_reply(status, code, message, **more)


class Api:
    """Answers every request under /api/."""

    def __init__(self, market: Market) -> None:
        self.market = market
        self.gate = Gate(market)

    def answer(self, request: Request, traits: Traits, from_host: bool) -> Reply:
        """Answer one request; ``traits`` are those of a rental that it may make."""
        try:
            for method, pattern, handler, kind in ROUTES:
                found = re.fullmatch(pattern + "/?", request.path)
                if found and method == request.method:
                    numbers = {name: int(text) for name, text in found.groupdict().items()}
                    rental = self.market.rentals.get(numbers.get("instance", -1))
                    endpoint = f"{method} {pattern}"
                    stopped = self.gate.stop(request, endpoint, kind, rental, from_host)
                    if stopped:
                        return stopped
                    if handler is create:
                        return create(self.market, request, traits=traits, **numbers)
                    return handler(self.market, request, **numbers)
            raise Refusal(404, "not_found", f"no such endpoint: {request.method} {request.path}")
        except Refusal as refusal:
            return refusal.reply
        except BadQuery as reason:
            return Refusal(400, "invalid_args", str(reason)).reply
        except ValueError:
            return Refusal(400, "invalid_args", "the body or query is not valid JSON").reply


# --- search ---


def search(market: Market, request: Request) -> Reply:
    """POST or PUT a query, or GET with ?q=."""
    given = request.json() if request.method != "GET" else json.loads(request.query.get("q", "{}"))
    if not isinstance(given, dict):
        raise Refusal(400, "invalid_args", "the query must be an object")
    query = given.get("q", given) if request.path.startswith("/api/v0/search/") else given
    kind = query.get("type", "on-demand")
    if kind not in OFFER_TYPES:
        raise Refusal(400, "invalid_args", f"unknown type {kind!r}")
    storage = float(query.get("allocated_storage") or DEFAULT_STORAGE_GIB)
    filters = {name: test for name, test in query.items() if name not in NOT_FILTERS}
    rows = [as_kind(offer, kind, storage) for offer in market.search()]
    matching = [row for row in rows if matches(with_virtual_columns(row), filters)]
    found = ordered(matching, query.get("order") or [("score", "desc")])
    limit = min(int(query.get("limit") or SEARCH_LIMIT), SEARCH_LIMIT)
    return json_reply({"offers": found[:limit]})


def as_kind(offer: offer_table.Offer, kind: str, storage_gib: float) -> offer_table.Offer:
    """Return the offer priced with its disk, as on-demand or as a bid at its minimum."""
    if kind != "bid":
        return offer_table.priced(offer, storage_gib)
    bid = {**offer, "dph_base": offer["min_bid"], "is_bid": True}
    return offer_table.priced(bid, storage_gib)


def with_virtual_columns(offer: offer_table.Offer) -> offer_table.Offer:
    """Return what filters see: three more columns, places as country codes, drivers as numbers."""
    return {
        **offer,
        "verified": offer["verification"] == "verified",
        "datacenter": offer["hosting_type"] == 1,
        "ubuntu_version": offer["os_version"],
        "geolocation": offer["geolocation"].rsplit(", ", 1)[-1],
        "driver_version": offer["driver_vers"],
    }


def gpu_names(market: Market, request: Request) -> Reply:
    """The list that the official client caches; needs no key."""
    return json_reply({"gpu_names": sorted(gpu.name for gpu in offer_table.GPUS)})


# --- create ---


def create(market: Market, request: Request, offer: int, traits: Traits) -> Reply:
    """Rent an offer: PUT /asks/{id}/."""
    wish = request.json()
    check_wish(wish)
    try:
        rental = market.create(offer, wish, traits)
    except OfferGone:
        raise offer_gone(offer, bool(wish.get("cancel_unavail"))) from None
    except NoCredit:
        message = "Your account lacks credit; see the billing page."
        raise Refusal(400, "insufficient_credit", message) from None
    return json_reply(
        {"success": True, "new_contract": rental.id, "instance_api_key": rental.api_key}
    )


def check_wish(wish: Any) -> None:
    """Refuse what Vast.ai refuses. Raises Refusal."""
    if not isinstance(wish, dict):
        raise Refusal(400, "invalid_args", "the body must be an object")
    problems = {
        "image or template_hash_id is required": not (
            wish.get("image") or wish.get("template_hash_id")
        ),
        f"disk must be at least {MINIMUM_DISK_GIB} GB": not is_number(wish.get("disk", 10))
        or (wish.get("disk") or 10) < MINIMUM_DISK_GIB,
        "env must be an object": not isinstance(wish.get("env") or {}, dict),
        f"label is longer than {LABEL_LENGTH}": len(wish.get("label") or "") > LABEL_LENGTH,
        f"onstart is longer than {ONSTART_LENGTH}": len(wish.get("onstart") or "") > ONSTART_LENGTH,
    }
    for message, wrong in problems.items():
        if wrong:
            raise Refusal(400, "invalid_args", message)
    price = wish.get("price")
    if price is not None and not (is_number(price) and 0.001 <= price <= 128):
        raise Refusal(400, "invalid_price", "price must be between 0.001 and 128")


def is_number(value: Any) -> bool:
    """Tell a JSON number from everything else; null counts as not given."""
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool))


def offer_gone(offer: int, cancel_unavailable: bool) -> Refusal:
    """The two ways in which Vast.ai says that an offer is gone."""
    if cancel_unavailable:
        message = f"error 410/3907: no_such_ask Instance type by id {offer} is not available."
        return Refusal(410, "no_such_ask", message, ask_id=offer)
    message = f"error 404/3603: no_such_ask Instance type by id {offer} is not available."
    return Refusal(404, "no_such_ask", message, ask_id=offer)


# --- read ---


def instance_row(market: Market, rental: Rental) -> dict[str, Any]:
    """Return a rental as Vast.ai shows it."""
    offer, wish = rental.offer, rental.wish
    ports = None
    if rental.running:
        ports = {
            port: [{"HostIp": "0.0.0.0", "HostPort": str(number)}]
            for port, number in rental.ports.items()
        }
    storage = offer_table.storage_usd_per_hour(offer, rental.disk_gib)
    state = "stopped" if rental.intended == "stopped" else "running"
    since = rental.running_since
    return {
        "id": rental.id,
        "label": rental.label,
        "actual_status": rental.status,
        "intended_status": rental.intended,
        "cur_state": state,
        "next_state": state,
        "status_msg": rental.status_msg or None,
        "ssh_host": PROXY_ADDRESS,
        "ssh_port": rental.proxy_port,
        "ssh_idx": "1",
        "public_ipaddr": f"{ADDRESS}\n" if rental.running else None,
        "local_ipaddrs": f"{ADDRESS}\n",
        "ports": ports,
        "direct_port_start": -1,
        "direct_port_end": -1,
        "image_uuid": wish.get("image"),
        "image_runtype": wish.get("runtype") or "ssh",
        "extra_env": [[key, str(value)] for key, value in (wish.get("env") or {}).items()],
        "onstart": wish.get("onstart"),
        "dph_base": offer["dph_base"],
        "dph_total": round(offer["dph_base"] + storage, 6),
        "storage_cost": offer["storage_cost"],
        "storage_total_cost": round(storage, 6),
        "is_bid": False,
        "disk_space": rental.disk_gib,
        "start_date": rental.created_at,
        "end_date": rental.created_at + offer["duration"],
        "uptime_mins": None if since is None else (market.clock.now() - since) / 60,
        "template_id": None,
        "template_hash_id": wish.get("template_hash_id"),
        "template_name": None,
        "jupyter_token": None,
        **{name: offer[name] for name in COPIED_FROM_OFFER},
    }


COPIED_FROM_OFFER = (
    "machine_id", "host_id", "bundle_id", "gpu_name", "num_gpus", "gpu_ram",
    "compute_cap", "cuda_max_good", "driver_version", "cpu_cores", "cpu_cores_effective",
    "cpu_name", "cpu_ram", "disk_bw", "inet_up", "inet_down", "inet_up_cost", "inet_down_cost",
    "geolocation", "verification", "reliability2", "hosting_type", "static_ip", "direct_port_count",
    "dlperf", "pcie_bw", "duration",
)  # fmt: skip


def find(market: Market, number: int) -> Rental:
    """Return a rental of the account. Raises Refusal."""
    rental = market.rentals.get(number)
    if rental is None:
        raise Refusal(404, "no_such_instance", f"Instance {number} not found.")
    return rental


def read_instance(market: Market, request: Request, instance: int) -> Reply:
    """One instance as an object; null, with status 200, when there is none."""
    with market.lock:
        rental = market.rentals.get(instance)
        seen = rental is not None and rental.visible(market.clock.now())
        return json_reply({"instances": instance_row(market, rental) if rental and seen else None})


def listed_rows(market: Market) -> list[dict[str, Any]]:
    """Return all rows that lists show by now, oldest first."""
    with market.lock:
        now = market.clock.now()
        listed = [rental for rental in market.rentals.values() if rental.listed(now)]
        return [instance_row(market, rental) for rental in listed]


def list_instances_v0(market: Market, request: Request) -> Reply:
    """The deprecated list of everything."""
    return json_reply({"instances": listed_rows(market)})


def list_instances(market: Market, request: Request) -> Reply:
    """One page of at most 25 instances, filtered, with the token of the next page."""
    asked = {name: json.loads(text) for name, text in request.query.items() if name in AS_JSON}
    filters, columns = asked.get("select_filters") or {}, asked.get("select_cols") or ["*"]
    rows = listed_rows(market)
    try:
        if computed := COMPUTED & set(filters):
            raise BadQuery(f"{min(computed)} is not a valid search key")
        found = [row for row in rows if matches(row, filters)]
        order = order_of(asked.get("order_by") or [])
        page, token = one_page(found, order, page_size(request), request.query.get("after_token"))
    except BadQuery as reason:
        message = f"Error in query parameters: {reason}"
        raise Refusal(400, "invalid_request", message) from reason
    labels = [row["label"] or "" for row in rows]
    return json_reply(
        {
            "success": True,
            "instances_found": len(page),
            "total_instances": len(found),
            "label_counts": {label: labels.count(label) for label in labels},
            "next_token": token,
            "instances": [with_columns(row, columns) for row in page],
        }
    )


#: Parameters of a list that are JSON; what is computed for a row cannot be filtered by.
AS_JSON = ("select_filters", "select_cols", "order_by")
COMPUTED = {"dph_total", "num_gpus", "storage_total_cost", "uptime_mins", "ports"}
Sorting = list[tuple[str, str]]


def order_of(given: list[dict[str, str]]) -> Sorting:
    """Return what to sort by: anything but ``desc`` is ``asc``, and ids decide in the end."""
    sorting = [(one["col"], "desc" if one.get("dir") == "desc" else "asc") for one in given]
    return [*sorting, ("id", "asc")]


def page_size(request: Request) -> int:
    """Return how many rows a page has."""
    limit = int(request.query.get("limit") or PAGE_LIMIT)
    return min(limit, PAGE_LIMIT) if limit > 0 else LEAST_PAGE


def with_columns(row: dict[str, Any], columns: list[str]) -> dict[str, Any]:
    """Return the columns that were asked for; an unknown one is null."""
    return row if "*" in columns else {name: row.get(name) for name in columns}


def one_page(
    rows: list[dict[str, Any]], order: Sorting, limit: int, after: str | None
) -> tuple[list[Any], str | None]:
    """Return the rows that come after a token, and the token of what follows them.

    A token tells the place of a row in the order, so that one that has gone misleads nobody. Raises
    Refusal for what is no token.
    """
    last = token_values(after, order) if after else None
    try:
        placed = ordered([*rows, last] if last else rows, order)
    except TypeError:
        raise bad_token() from None
    start = placed.index(last) + 1 if last else 0
    page = placed[start : start + limit]
    follows = start + limit < len(placed)
    return page, token_of({name: page[-1][name] for name, _way in order}) if follows else None


def bad_token() -> Refusal:
    """What is no token of this list."""
    return Refusal(400, "invalid_token", "Invalid pagination token")


def token_of(values: dict[str, Any]) -> str:
    """Return a token, which says nothing to people, of what follows these values."""
    return base64.b64encode(json.dumps({"values": values}).encode()).decode()


def token_values(token: str, order: Sorting) -> dict[str, Any]:
    """Return the values that a token is of. Raises Refusal for what is no token of this order."""
    try:
        values = json.loads(base64.b64decode(token, validate=True))["values"]
        return {**{name: values[name] for name, _way in order}, "id": int(values["id"])}
    except (ValueError, KeyError, TypeError):
        raise bad_token() from None


DAY = 86_400


def list_charges(market: Market, request: Request) -> Reply:
    """One page of what instances have cost on the given days, those that have ended among them."""
    filters = json.loads(request.query.get("select_filters") or "{}")
    days = filters.get("day") if isinstance(filters, dict) else None
    if not isinstance(days, dict) or not {"gte", "lte"} <= set(days):
        message = "Must provide both 'day' gte and lte filters for instance charges"
        raise Refusal(400, "invalid_request", message)
    limit = min(int(request.query.get("limit") or 20), 100)
    with market.lock:
        market.settle()
        now = market.clock.now()
        rows = [
            charge_row(one)
            for one in (*market.ended, *market.rentals.values())
            if not one.stranger and one.visible(now) and one.settled_at >= days["gte"]
        ]
    page, token = one_page(rows, order_of([]), limit, request.query.get("after_token"))
    shown = [{key: value for key, value in row.items() if key != "id"} for row in page]
    told = {"success": True, "count": len(page), "total": len(rows), "next_token": token}
    return json_reply({**told, "results": shown})


def charge_row(rental: Rental) -> dict[str, Any]:
    """Return what a rental has cost, of whole days."""
    start = int(rental.created_at) // DAY * DAY
    end = (int(rental.settled_at) // DAY + 1) * DAY
    parts = {"gpu": rental.gpu_usd, "storage": rental.storage_usd}
    return {
        "id": rental.id,
        "start": start,
        "end": end,
        "type": "instance",
        "source": f"instance-{rental.id}",
        "description": f"Instance {rental.id} Charges - {(end - start) // DAY} days",
        "amount": round(rental.charged_usd, 3),
        "metadata": {"label": rental.label, "template_id": None},
        "items": [
            {"start": start, "end": end, "type": kind, "source": None, "amount": round(usd, 3),
             "metadata": {}, "items": []}
            for kind, usd in parts.items()
        ],
    }  # fmt: skip


# --- change ---


def change_instance(market: Market, request: Request, instance: int) -> Reply:
    """PUT {"label": ...} or {"state": "running" | "stopped"}."""
    given, rental = request.json(), find(market, instance)
    if "label" in given:
        if len(given["label"] or "") > LATER_LABEL_LENGTH:
            message = f"label is longer than {LATER_LABEL_LENGTH}"
            raise Refusal(400, "invalid_args", message)
        rental.label = given["label"]
    if "state" in given:
        if given["state"] not in ("running", "stopped"):
            raise Refusal(400, "invalid_args", f"unknown state {given['state']!r}")
        try:
            market.set_state(rental, given["state"])
        except NoRoom as error:
            message = "Required resources are currently unavailable, state change queued."
            raise Refusal(400, "resources_unavailable", message) from error
    return json_reply({"success": True})


def destroy_instance(market: Market, request: Request, instance: int) -> Reply:
    """DELETE; the host is gone before the answer."""
    find(market, instance)
    market.destroy(instance)
    return json_reply({"success": True})


def reboot_instance(market: Market, request: Request, instance: int) -> Reply:
    """PUT; its container is stopped and started."""
    market.reboot(find_by_id(market, instance))
    return json_reply({"success": True})


def recycle_instance(market: Market, request: Request, instance: int) -> Reply:
    """PUT; its container is destroyed and made anew in place."""
    market.recycle(find_by_id(market, instance))
    return json_reply({"success": True})


def find_by_id(market: Market, number: int) -> Rental:
    """Return a rental, for calls that tell a wrong id in their own way. Raises Refusal."""
    if number not in market.rentals:
        raise Refusal(400, "invalid_id", "Invalid instance id.")
    return market.rentals[number]


# --- logs ---


def request_log(market: Market, request: Request, instance: int) -> Reply:
    """PUT {"tail": "100", "filter": "text"}: tell where the log will be."""
    given = request.json()
    if instance not in market.rentals:
        raise Refusal(404, "invalid_id", "Invalid instance id.")
    of_machine = given.get("daemon_logs") == "true"
    told = (market.machine_log_of if of_machine else market.log_of)(market.rentals[instance])
    kept = [line for line in told.splitlines() if str(given.get("filter") or "") in line]
    number = market.keep_log(kept[-int(given.get("tail") or MOST_LOG_LINES) :])
    url = f"{request.listener}/instance_logs/{number}.log"
    return json_reply({"success": True, "result_url": url, "msg": "Logs are being uploaded."})


def read_log(market: Market, request: Request, log: int) -> Reply:
    """A log that was asked for: as from a bucket, 403 until it is there, and without a key."""
    text = market.uploaded_log(log)
    if text is None:
        return Reply(403, b"<Error><Code>AccessDenied</Code></Error>")
    return Reply(200, text.encode(), {"Content-Type": "text/plain"})


# --- keys and account ---


def public_key(request: Request) -> str:
    """Return the key of a request's body. Raises Refusal for what is no public key."""
    key = str(request.json().get("ssh_key") or "").strip()
    if not re.match(r"(ssh-|ecdsa-|sk-)\S+ \S+", key) or "\n" in key:
        raise Refusal(400, "invalid_args", "ssh_key must be one public key")
    return key


def key_row(number: int, key: str) -> dict[str, Any]:
    """Return a key as Vast.ai shows it."""
    return {"id": number, "user_id": 1, "key": key, "public_key": key, "created_at": None,
            "deleted_at": None}  # fmt: skip


def list_account_keys(market: Market, request: Request) -> Reply:
    """The account's keys."""
    return json_reply([key_row(number, key) for number, key in market.account_keys.items()])


def add_account_key(market: Market, request: Request) -> Reply:
    """Add a key for instances that are created later."""
    key = public_key(request)
    with market.lock:
        number = next(market.ids)
        market.account_keys[number] = key
    return json_reply({"success": True, "key": key_row(number, key)})


def delete_account_key(market: Market, request: Request, key: int) -> Reply:
    """Remove a key from the account; instances keep it."""
    if market.account_keys.pop(key, None) is None:
        raise Refusal(404, "not_found", f"SSH key {key} not found.")
    return json_reply({"success": True})


def list_instance_keys(market: Market, request: Request, instance: int) -> Reply:
    """The keys that may log in to one instance, as JSON inside JSON, and 200 also without one."""
    rental = market.rentals.get(instance)
    if rental is None:
        missing = f"Instance {instance} not found."
        return json_reply({"success": False, "error": "no_such_instance", "msg": missing})
    rows = [key_row(number, key) for number, key in rental.keys.items()]
    return json_reply({"success": True, "ssh_keys": json.dumps(rows)})


def attach_key(market: Market, request: Request, instance: int) -> Reply:
    """Let a key into an instance, running or not."""
    rental, key = find(market, instance), public_key(request)
    if key in rental.keys.values():
        raise Refusal(400, "invalid_args", "SSH key is already associated with this instance.")
    market.attach_key(rental, key)
    return json_reply({"success": True, "msg": "SSH key attached successfully"})


def detach_key(market: Market, request: Request, instance: int, key: int) -> Reply:
    """Take a key away from an instance."""
    if not market.detach_key(find(market, instance), key):
        raise Refusal(404, "not_found", f"SSH key {key} not found.")
    return json_reply({"success": True, "msg": "SSH key removed from instance."})


def current_user(market: Market, request: Request) -> Reply:
    """The account and its money."""
    market.settle()
    return json_reply(
        {
            "id": 1,
            "key_id": 11,
            "username": "simulated",
            "email": "simulated@example.com",
            "credit": market.credit_usd,
            "balance": 0.0,
            "ssh_key": None,
        }
    )


def api_keys(market: Market, request: Request) -> Reply:
    """The keys of the account, not their text."""
    rights = "read" if market.account == "read-only" else "read-write"
    rows = [{"id": 10, "rights": "read-write"}, {"id": 11, "rights": rights}]
    return json_reply({"apikeys": [{**row, "user_id": 1} for row in rows]})


Handler = Callable[..., Reply]
INSTANCE, KEY = r"(?P<instance>\d+)", r"(?P<key>\d+)"
ROUTES: tuple[tuple[str, str, Handler, str], ...] = (  # method, path, handler, kind of endpoint
    ("POST", "/api/v0/bundles", search, "search"),
    ("GET", "/api/v0/bundles", search, "search"),
    ("PUT", "/api/v0/search/asks", search, "search"),
    ("GET", "/api/v0/gpu_names/unique", gpu_names, "names"),
    ("PUT", r"/api/v0/asks/(?P<offer>\d+)", create, "create"),
    ("GET", f"/api/v0/instances/{INSTANCE}", read_instance, "read"),
    ("GET", "/api/v0/instances", list_instances_v0, "list"),
    ("GET", "/api/v1/instances", list_instances, "list"),
    ("PUT", f"/api/v0/instances/{INSTANCE}", change_instance, "change"),
    ("DELETE", f"/api/v0/instances/{INSTANCE}", destroy_instance, "destroy"),
    ("PUT", f"/api/v0/instances/reboot/{INSTANCE}", reboot_instance, "container"),
    ("PUT", f"/api/v0/instances/recycle/{INSTANCE}", recycle_instance, "container"),
    ("PUT", f"/api/v0/instances/request_logs/{INSTANCE}", request_log, "logs"),
    ("GET", r"/instance_logs/(?P<log>\d+)\.log", read_log, "names"),
    ("GET", f"/api/v0/instances/{INSTANCE}/ssh", list_instance_keys, "keys"),
    ("POST", f"/api/v0/instances/{INSTANCE}/ssh", attach_key, "keys"),
    ("DELETE", f"/api/v0/instances/{INSTANCE}/ssh/{KEY}", detach_key, "keys"),
    ("GET", "/api/v0/ssh", list_account_keys, "keys"),
    ("POST", "/api/v0/ssh", add_account_key, "keys"),
    ("DELETE", f"/api/v0/ssh/{KEY}", delete_account_key, "keys"),
    ("GET", "/api/v0/users/current", current_user, "user"),
    ("GET", "/api/v0/auth/apikeys", api_keys, "user"),
    ("GET", "/api/v0/charges", list_charges, "charges"),
)


# --- what faults are about ---


def unfiltered(request: Request) -> Request:
    """A search without what it asks for."""
    try:
        given = request.json()
    except ValueError:
        return request
    if not isinstance(given, dict):
        return request
    asked = given.get("q", given)
    kept = {name: value for name, value in asked.items() if name in NOT_FILTERS}
    return replace(request, body=json.dumps({"q": kept} if "q" in given else kept).encode())


def recount(body: Any, rows: list[Any]) -> None:
    """Let a page be the only one."""
    labels = [row["label"] or "" for row in rows]
    for name, told in {
        "instances_found": len(rows),
        "total_instances": len(rows),
        "label_counts": {label: labels.count(label) for label in labels},
        "next_token": None,
    }.items():
        if name in body:
            body[name] = told


def error(status: int, code: str, message: str) -> Saying:
    """Return an error as it is told."""
    return status, {"success": False, "error": code, "msg": message}


def beside_id(_request: Request, told: Reply | None) -> Saying:
    """A failure that has the id of what was made all the same."""
    made = json.loads(told.body)["new_contract"] if told else None
    return 200, {"success": False, "error": "insufficient_credit", "new_contract": made}


NO_ASK = "no_such_ask Instance type by id 1 is not available."
DIALECT = Dialect(
    requests={
        "search": Where("ANY", "^/api/v0/(bundles|search/asks)/?$"),
        "create": Where("PUT", "^/api/v0/asks/"),
        "list": Where("GET", "^/api/v[01]/instances/?$"),
        "second page": Where("GET", "^/api/v[01]/instances/?$", "after_token="),
        "read": Where("GET", r"^/api/v0/instances/\d+/?$"),
        "rows": Where("GET", r"^/api/v[01]/instances(/\d+)?/?$"),
        "destroy": Where("DELETE", "^/api/v0/instances/"),
        "stop": Where("PUT", r"^/api/v0/instances/\d+/?$", body='"state": *"stopped"'),
        "start": Where("PUT", r"^/api/v0/instances/\d+/?$", body='"state": *"running"'),
        "change": Where("PUT", r"^/api/v0/instances/\d+/?$"),
        "attach": Where("POST", r"^/api/v0/instances/\d+/ssh/?$"),
        "user": Where("GET", "^/api/v0/users/current/?$"),
        "charges": Where("GET", "^/api/v0/charges/?$"),
        "account": Where("GET", "^/api/v0/auth/apikeys/?$"),
        "log": Where("PUT", r"^/api/v0/instances/request_logs/\d+/?$"),
    },
    sayings={
        "no offers": (200, {"offers": None}),
        "offer gone": error(404, "no_such_ask", f"error 404/3603: {NO_ASK}"),
        "bad key": error(404, "auth_error", "Invalid user key"),
        "too frequent": (429, "API requests too frequent: endpoint threshold=4.5*1.0"),
        "quota": error(429, "search_quota_exceeded", "Search quota exceeded."),
        "timeout": error(408, "timeout", "Request timeout"),
        "invalid": error(400, "invalid_args", "Invalid args: image"),
        "done without id": (200, {"success": True}),
        "phantom id": (200, {"success": True, "new_contract": 99_999_999_999}),
        "refused beside id": beside_id,
        "withdrawn": error(410, "deprecated_endpoint", "Use /api/v1/instances/ instead."),
        "no such rental": (200, {"instances": None}),
        "nothing to end": error(404, "not_found", "Instance not found."),
        "released": (200, {"success": True}),
        "changed": (200, {"success": True}),
    },
    shows={
        "exited": {"actual_status": "exited"},
        "an odd status": {"actual_status": "hibernating"},
        "no values": dict.fromkeys(
            (
                "actual_status", "dph_total", "gpu_name", "machine_id", "num_gpus", "ports",
                "public_ipaddr", "ssh_host", "ssh_port", "start_date", "status_msg",
            )
        ),
        "odd values": {"dph_total": "n/a", "start_date": "soon", "ports": ["22/tcp"]},
        "an odd environment": {"extra_env": [None, 5]},
        "odd labels": {"label": 17},
    },
    features=frozenset(FEATURES),
    accounts=frozenset(STATES),
    rows="instances",
    row="instances",
    next_page="next_token",
    page_size=PAGE_LIMIT,
    recount=recount,
    ids=in_path(r"/instances/(\d+)"),
    unfiltered=unfiltered,
    image="some/image",
)  # fmt: skip


def take(market: Market, offer_id: str) -> None:
    """Let somebody else rent an offer: an ask, whose number is its id."""
    market.offers.pop(int(offer_id))
