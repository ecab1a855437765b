# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""RunPod, by its REST API v2. Facts from its OpenAPI document (2.0.0) and its public images.

A kind of GPU in one of its two clouds is an offer, a pod is a rental, ``name`` keeps the mark, and
so does a variable of the container's environment. Which machine a pod gets is RunPod's choice, and
is not told.
"""

from __future__ import annotations

import base64
import math
import re
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from ...common.answers import parse
from ..access.start_script import SelfRelease, start_script
from ..border import port_of, printable, shown
from ..errors import (
    CredentialError,
    MarketError,
    OfferGone,
    ProviderUnavailable,
    RequestRefused,
    UnclearCreate,
)
from ..mark import Mark, claim_of, mark_of
from ..model import (
    FAILED,
    RUNNING,
    STARTING,
    STOPPED,
    Charge,
    Endpoint,
    Offer,
    Order,
    Rental,
    RentalLog,
)
from ..wish import Wish
from .fields import (
    DAMAGED,
    as_moment,
    id_or_none,
    label_text,
    moment,
    numeric,
    oddity,
    required,
    tcp_ways,
)
from .provider import NOBODY, Credential, Usual
from .rest import RestProvider, offers_of, own_row
from .transport import Response, expect_ok

_SECURE, _COMMUNITY = "SECURE", "COMMUNITY"
#: ``status`` in our words. A terminated pod is gone.
_STATUS = {
    "PROVISIONING": STARTING,
    "STARTING": STARTING,
    "RUNNING": RUNNING,
    "EXITED": STOPPED,
    "ERROR": FAILED,
}
_GONE = "TERMINATED"
#: Its two-letter countries, in which a search finds what is in them alone.
_COUNTRY = re.compile(r"[A-Z]{2}")
#: How it calls a GPU, and a data center. Blanks become underscores in the id of an offer.
_GPU_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9 .-]{0,59}")
_DATA_CENTER = re.compile(r"[A-Z0-9-]{1,20}")
_OFFER_ID = re.compile(r"(SECURE|COMMUNITY)\.([A-Za-z0-9_.-]+?)\.x(\d{1,2})(?:\.in-([A-Z]{2}))?")
_GB_PER_GIB = 2**30 / 1e9
#: Of the hours that are billed, the newest may not have come for all pods yet.
_LATELY_SECONDS = 2 * 3600.0
#: Dollars for a GB of container disk, from its price list.
_DISK_USD_PER_GB_MONTH, _HOURS_PER_MONTH = 0.10, 730.0
_MARK_VARIABLE = "INFEROPS_MARK"
#: Has the start script, in base 64.
SCRIPT_VARIABLE = "INFEROPS_START"
#: Its images start what they have by this script.
START = "/start.sh"
#: The script begins with nginx, which listens on all addresses and hands what comes to 8001 on to
#: port 8000 of the loopback, and so on: a way past whatever stands before a server. This function
#: goes before the command of that name in the script, which is left as it is.
_WITHOUT_NGINX = "service() { case $1 in nginx) ;; *) command service $@;; esac; }"
#: Replaces the image's own command, and runs our script first. That is in a variable, for nobody
#: knows how quotes in arguments are read: there are none beside these two.
_COMMAND = (
    f"bash -c '{_WITHOUT_NGINX}; export -f service; "
    f"echo ${SCRIPT_VARIABLE} | base64 -d | sh; exec {START}'"
)
#: What the release from the inside calls, with the key that RunPod puts into every pod and that is
#: good for this pod alone. RUNPOD_API_BASE_URL is the official client's own override.
_SELF_RELEASE = SelfRelease(
    method="DELETE",
    read_method="GET",
    url="${RUNPOD_API_BASE_URL:-https://api.runpod.io}/v2/pods/$RUNPOD_POD_ID",
    key_variable="RUNPOD_API_KEY",
    mark_field="name",
)
#: A 400 is a wrong request as well as a lack of GPUs: only its words tell them apart.
_NO_CAPACITY = re.compile(
    r"no longer any instances|no instances|not enough|capacity|could not be placed"
    r"|currently unavailable|out of stock"
)
#: So many lines of the past come first in its log.
_LOG_LINES, _MOST_LOG_BYTES = 200, 128 * 2**10
#: Of a log's two sources, the one that tells what becomes of the container.
_SYSTEM = "system"
#: A 403 on a request that is refused for this kind of GPU alone.
_NO_ACCESS_TO_POOL = re.compile(r"\bpool\b")


class RunPod(RestProvider):
    """The provider contract spoken to RunPod's HTTP API."""

    name = "runpod"
    credentials = (Credential("api_key", ("RUNPOD_API_KEY",)),)
    url_env = "RUNPOD_API_BASE_URL"
    default_url = "https://api.runpod.io"
    console = "https://console.runpod.io/pods"
    label_field = "name"
    identity = ("id", "name", "env")
    # 60 a minute, 3000 an hour and 50000 a day, of all calls together.
    seconds_between: ClassVar[Mapping[str, float]] = dict.fromkeys(
        ("create", "destroy", "show", "list", "change", "search", "keys", "bills", "log"), 1.2
    )
    label_length = 191
    ssh_user = "root"
    usual = Usual(
        image="runpod/pytorch:1.0.2-cu1281-torch280-ubuntu2404",
        image_gib=9.0,
        disk_gib=40,
        driver_version=None,
        min_reliability=None,
        longest_download_hours=None,
        verified=True,
    )
    usual_in_words = (
        "image C(runpod/pytorch:1.0.2-cu1281-torch280-ubuntu2404) of 9 GiB, 40 GiB of disk, "
        "and verified hosts alone, which are those of its secure cloud"
    )
    can_change_mark = True
    delivers_host_key = True
    attaches_keys = False
    tells_gpu_names = True
    keeps_second_mark = True
    tells_charges = True
    tells_bill = True
    tells_log = True
    # The key in a pod is documented to be good for that pod alone, and not whether it may end it.
    # The switch is sent along and tries, and nobody counts on it.
    enforces_deadline = NOBODY

    def search(self, wish: Wish) -> list[Offer]:
        """One look at the catalogue for each cloud, and each country that the wish names."""
        clouds = (_SECURE,) if wish.verified else (_SECURE, _COMMUNITY)
        known = [one for one in wish.countries if _COUNTRY.fullmatch(one)]
        places: list[str | None] = list(known) if wish.countries else [None]
        found = (
            (row, cloud, country)
            for cloud in clouds
            for country in places
            for row in self._gpus(cloud, wish.gpu_count, country)
        )
        return offers_of(found, lambda one: _offered(one[0], one[1], wish, one[2]))

    def _gpus(self, cloud: str, count: int, country: str | None) -> list[Any]:
        """The catalogue's rows, with what is free now."""
        query = {"include": "AVAILABILITY", "product": "POD", "cloud": cloud, "count": count}
        if country:
            query["countryCodes"] = country
        return self._rows("/v2/catalog/gpus", "search", "gpus", "Searching GPUs", query)

    def gpu_names(self) -> list[str]:
        """The names in the catalogue."""
        rows = self._rows("/v2/catalog/gpus", "search", "gpus", "Reading the names of GPUs")
        names = [row.get("name") for row in rows if isinstance(row, dict)]
        return [printable(name) for name in names if isinstance(name, str) and name]

    def rent(self, offer: Offer, order: Order) -> str:
        """One ``POST /v2/pods``."""
        body = _create_body(offer, order)
        if "in-" in offer.id:
            # Where it may run is an order of RunPod's own words, which may be others by now.
            body["dataCenterIds"] = self._data_centers(offer)
        response = self._ask_for_rental("POST", "/v2/pods", body)
        data = response.data if isinstance(response.data, dict) else {}
        rental_id = self._rented(offer, response, data.get("id"), response.status == 201)
        if rental_id is None:
            raise _create_error(offer, response)
        return rental_id

    def _data_centers(self, offer: Offer) -> list[str]:
        """Those of the offer's country that have the GPU now. Raises OfferGone without any."""
        cloud, gpu, count, country = _parts(offer)
        for row in self._gpus(cloud, count, country):
            if isinstance(row, dict) and row.get("id") == gpu:
                found = list(_open_data_centers(row))
                if found:
                    return found
        raise OfferGone(f"Renting {offer.id}: no data center in {country} has it any more.")

    def list_rentals(self) -> list[Rental]:
        """``GET /v2/pods``, which has no pages; a terminated pod is left out."""
        rows = self._rows("/v2/pods", "list", "pods", "Reading the pods")
        return [
            self._listed(row)
            for row in rows
            if not (isinstance(row, dict) and row.get("status") == _GONE)
        ]

    def get(self, rental_id: str) -> Rental | None:
        """One pod; gone is a 404 in its own words."""
        doing = f"Reading rental {rental_id}"
        response = self._transport.request(
            "GET", f"/v2/pods/{rental_id}", kind="show", idempotent=True
        )
        if _says_gone(response):
            return None
        row = own_row(expect_ok(response, doing), rental_id, response, doing)
        return None if row.get("status") == _GONE else self._rental(row)

    def charged(self, since: float) -> dict[str, Charge]:
        """``GET /v2/billing/pods``; bills tell no names."""
        bills = self._bills("Reading bills", since, {})
        newest = max((hour for hour, _pod, _usd in bills), default=0.0)
        # A pod that has ended is in no newer hour than that; one that bills is in all of them.
        lately = {pod for hour, pod, _usd in bills if hour >= newest - _LATELY_SECONDS}
        usd: dict[str, float] = {}
        for _hour, pod, amount in sorted(bills):
            usd[pod] = usd.get(pod, 0.0) + amount
        named = filter(id_or_none, usd)
        return {pod: Charge(None, usd[pod], has_ended=pod not in lately) for pod in named}

    def billed_usd(self, rental_id: str, since: float) -> float | None:
        """``GET /v2/billing/pods``; without a begin of the last 30 days."""
        bills = self._bills(f"Reading what {rental_id} was billed", since, {"podId": rental_id})
        # A filter that it does not know is no error there: everything comes.
        parts = [usd for _hour, pod, usd in bills if pod == rental_id]
        return sum(parts) if parts else None

    def _bills(
        self, doing: str, since: float, wanted: Mapping[str, str]
    ) -> list[tuple[float, str, float]]:
        """By the hour: when each begins, in epoch seconds, which pod was billed, and dollars."""
        query = {**wanted, "bucketSize": "hour"}
        if since:
            query["startTime"] = as_moment(since)
        rows = self._rows("/v2/billing/pods", "bills", "records", doing, query)
        try:
            return [
                (moment(row["startTime"]) or 0.0, str(row["podId"]), required(row, "totalAmount"))
                for row in rows
            ]
        except DAMAGED as error:
            raise ProviderUnavailable(f"{doing}: a record is odd: {oddity(error)}.") from error

    def log(self, rental_id: str, seconds: float) -> RentalLog:
        """``GET /v2/pods/{id}/logs``: past events, and then the present ones without an end."""
        response = self._transport.beginning(
            f"/v2/pods/{rental_id}/logs",
            kind="log",
            query={"tail": _LOG_LINES},
            seconds=seconds,
            most_bytes=_MOST_LOG_BYTES,
        )
        if response.status != 200:
            self._refused(response, f"Reading the log of rental {rental_id}")
        events = list(_log_events(response.text))
        machine, container = (
            "\n".join(line for of_machine, line in events if of_machine is wanted)
            for wanted in (True, False)
        )
        return RentalLog(machine, container)

    def release(self, rental_id: str) -> None:
        """``DELETE /v2/pods/{id}``."""
        response = self._transport.request(
            "DELETE", f"/v2/pods/{rental_id}", kind="destroy", idempotent=True
        )
        if response.status != 204 and not _says_gone(response):
            self._refused(response, f"Releasing rental {rental_id}")

    def change_mark(self, rental_id: str, mark: Mark) -> None:
        """``PATCH /v2/pods/{id}`` with the new name."""
        response = self._transport.request(
            "PATCH",
            f"/v2/pods/{rental_id}",
            kind="change",
            body={"name": mark.encode()},
            idempotent=True,
        )
        row = expect_ok(response, f"Changing the mark of rental {rental_id}")
        if not isinstance(row, dict) or row.get("id") != rental_id:
            self._refused(response, f"Changing the mark of rental {rental_id}")

    def attach_key(self, rental_id: str, ssh_public_key: str, again: bool = False) -> None:
        """Nothing: the key came with the request, and the API has no way into a pod."""

    def check_credential(self) -> None:
        """``GET /v2/account/ssh-keys``: what only the account's own key may read."""
        self._rows("/v2/account/ssh-keys", "keys", "keys", "Checking the API key")

    def _status(self, row: dict[str, Any]) -> tuple[str, str]:
        return _STATUS[row["status"]], printable(str(row["status"]).lower())

    def _understood(self, row: dict[str, Any], status: str, text: str) -> Rental:
        label, copy = label_text(row.get("name")), _second_mark(row)
        mark = mark_of(label, copy, self.seal)
        gpu = row.get("gpu") or {}
        return Rental(
            provider=self.name,
            id=id_or_none(row["id"]) or "",
            seniority=_seniority(row),
            label=label,
            mark=mark,
            claim=None if mark else claim_of(label, copy),
            status=status,
            status_text=text,
            # 0 is what it shows of one that stands still.
            price_usd_per_hour=numeric(row, "cost") or None,
            started_at=moment(row.get("createdAt")),
            machine_id=None,
            gpu_name=_gpu_name(gpu.get("id") or ""),
            gpu_count=int(numeric(gpu, "count") or 0),
            vram_gib=None,
            driver_version=None,
            download_mbit_per_second=None,
            ssh_user=self.ssh_user,
            ssh=tuple(_ssh_endpoints(row)),
            ports=_ports(row),
            console_url=self._console_url,
        )


def _offered(row: Any, cloud: str, wish: Wish, country: str | None) -> list[Offer]:
    """The offer in *row*, or none where it is not for rent. Raises one of DAMAGED."""
    side = cloud.lower()
    free = row.get("availability") not in (None, "NONE") and row[side]
    enough = required(row["maxCount"], side) >= wish.gpu_count
    here = country is None or any(_open_data_centers(row))
    return [_offer(row, cloud, wish, country)] if free and enough and here else []


def _offer(row: dict[str, Any], cloud: str, wish: Wish, country: str | None) -> Offer:
    gpu = row["id"]
    price = round(required(row["price"], cloud.lower()) * wish.gpu_count, 6)
    if price <= 0 or not _GPU_ID.fullmatch(gpu):
        raise ValueError("no price, or an odd name")
    disk = wish.disk_gib * _GB_PER_GIB * _DISK_USD_PER_GB_MONTH / _HOURS_PER_MONTH
    place = f".in-{country}" if country else ""
    return Offer(
        provider=RunPod.name,
        id=f"{cloud}.{gpu.replace(' ', '_')}.x{wish.gpu_count}{place}",
        gpu_name=printable(row["name"]),
        gpu_count=wish.gpu_count,
        price_usd_per_hour=round(price + disk, 6),
        disk_usd_per_hour=round(disk, 6),
        # A whole number of the GB that cards are sold by.
        vram_gib=required(row, "memory"),
        verified=cloud == _SECURE,
        country=country,
    )


def _open_data_centers(row: dict[str, Any]) -> Iterator[str]:
    for center in row.get("dataCenters") or ():
        known = isinstance(center.get("id"), str) and _DATA_CENTER.fullmatch(center["id"])
        if known and center.get("availability") not in (None, "NONE"):
            yield center["id"]


def _parts(offer: Offer) -> tuple[str, str, int, str | None]:
    """Cloud, GPU, count and country of an offer. Raises RequestRefused for another's."""
    found = _OFFER_ID.fullmatch(offer.id)
    if not found:
        raise RequestRefused(f"{shown(offer.id)} is no offer of RunPod's.")
    return found[1], found[2].replace("_", " "), int(found[3]), found[4]


def _create_body(offer: Offer, order: Order) -> dict[str, Any]:
    cloud, gpu, count, _country = _parts(offer)
    script = start_script(order.ssh_public_key, order.host_key, order.mark.deadline, _SELF_RELEASE)
    return {
        "name": order.mark.encode(),
        "image": order.image,
        "cloud": cloud,
        # Without a count the answer is that there are no instances.
        "gpu": {"id": gpu, "count": count},
        "disk": math.ceil(order.disk_gib * _GB_PER_GIB),
        # Without this one there is no way in but a shell for people.
        "ports": ["22/tcp", *(f"{port}/tcp" for port in order.ports if port != 22)],
        "args": _COMMAND,
        "env": {
            _MARK_VARIABLE: order.mark.encode(),
            SCRIPT_VARIABLE: base64.b64encode(script.encode()).decode(),
            "PUBLIC_KEY": order.ssh_public_key,
        },
    }


def _create_error(offer: Offer, response: Response) -> MarketError:
    """The typed error for a rental request that named no rental."""
    doing, said = f"Renting {offer.id}", response.text.casefold()
    told = f"({response.excerpt()})"
    if not _is_problem(response):
        return UnclearCreate(f"{doing}: HTTP {response.status} {told}.")
    if response.status == 401:
        return CredentialError(f"{doing}: the API key was refused {told}.")
    if response.status == 403:
        if _NO_ACCESS_TO_POOL.search(said):
            return OfferGone(f"{doing}: the account cannot rent this GPU {told}.")
        return CredentialError(f"{doing}: the API key may not rent {told}.")
    if response.status == 402:
        return RequestRefused(
            f"{doing}: the account lacks credit {told}.",
            remedy="Add credit, or set a lower maximum price.",
        )
    if response.status == 400 and _NO_CAPACITY.search(said):
        return OfferGone(f"{doing}: it is gone {told}.")
    if response.status == 410:
        return RequestRefused(
            f"{doing}: the marketplace does not offer this call any more {told}.",
            remedy="Install a newer version of inferops.gpu, and see whether inferops_api_url "
            "is right.",
        )
    return RequestRefused(
        f"{doing}: refused {told}.",
        remedy="Change the option that this names, such as image, disk_gib or ports.",
    )


def _is_problem(response: Response) -> bool:
    """Whether RunPod itself says that it did not do it, by a problem as RFC 9457 has it.

    Anything else comes from a gateway, which may have passed the request on, and a time-out means
    that somebody stopped waiting.
    """
    data = response.data if isinstance(response.data, dict) else {}
    own = isinstance(data.get("title"), str) and data.get("status") == response.status
    return own and 400 <= response.status < 500 and response.status != 408


def _says_gone(response: Response) -> bool:
    return response.status == 404 and _is_problem(response)


def _log_events(text: str) -> Iterator[tuple[bool, str]]:
    """Each line in a stream of events with its time, and whether it is of the machine.

    What is no such event is left out, and so is one that was cut off.
    """
    for row in text.split("\n"):
        name, _colon, told = row.partition(":")
        event = parse(told) if name == "data" else None
        if isinstance(event, dict) and isinstance(event.get("line"), str):
            yield event.get("source") == _SYSTEM, f"{event.get('ts') or ''} {event['line']}".strip()


def _second_mark(row: dict[str, Any]) -> str | None:
    told = row.get("env")
    copy = told.get(_MARK_VARIABLE) if isinstance(told, dict) else None
    return copy if isinstance(copy, str) else None


def _seniority(row: dict[str, Any]) -> str:
    """The time of the create: ids tell no order."""
    created = moment(row.get("createdAt"))
    return "" if created is None else f"{created:020.6f}"


def _gpu_name(gpu_id: str) -> str:
    """A pod tells the id of its GPU, which is its name behind the maker's."""
    return printable(re.sub(r"^NVIDIA (GeForce )?", "", gpu_id))


def _ssh_endpoints(row: dict[str, Any]) -> Iterator[Endpoint]:
    """The direct way alone: what RunPod calls its proxy is a shell for people."""
    direct = (row.get("ssh") or {}).get("direct")
    if direct:
        yield Endpoint(direct["host"], port_of(direct["port"]))


def _ports(row: dict[str, Any]) -> dict[str, Endpoint]:
    """TCP ports of the container, by number, as they are reached from outside."""
    found: dict[str, Endpoint] = {}
    for port in (row.get("runtime") or {}).get("ports") or ():
        if port.get("type") == "tcp" and port.get("ip"):
            found |= tcp_ways(port["ip"], [(port.get("private"), port.get("public"))])
    return found
