# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Prime Intellect, which rents at many clouds for its customers.

Facts from its OpenAPI document (0.1.0, as of August 2026), its guides (docs.primeintellect.ai) and
its own client (prime 0.18.0); what others have seen it do is said where it is used. One plan of one
cloud in one data center is an offer, a pod is a rental, and ``name`` alone keeps the mark.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Mapping
from typing import Any, ClassVar

from ..border import check_prices, port_of, printable, shown
from ..clock import Clock
from ..errors import (
    CredentialError,
    MarketError,
    OfferGone,
    ProviderUnavailable,
    RequestRefused,
    UnclearCreate,
)
from ..mark import claim_of, mark_of
from ..model import (
    FAILED,
    RUNNING,
    SILENT,
    STARTING,
    STOPPED,
    Account,
    Endpoint,
    Offer,
    Order,
    Rental,
)
from ..wish import Wish
from .account_words import NO_CREDIT, account_refused
from .dashes import with_dashes, without_dashes
from .fields import DAMAGED, id_or_none, is_denied, label_text, moment, numeric, required, tcp_ways
from .pace import Pace
from .provider import NOBODY, Credential, Usual
from .rest import RestProvider, offers_of, own_row
from .transport import Response

#: With and without a slash at their ends, as the document has them: the others are redirected.
_GPUS, _SUMMARY = "/api/v1/availability/gpus", "/api/v1/availability/gpu-summary"
_PODS, _STATUSES = "/api/v1/pods/", "/api/v1/pods/status"
_KEYS, _WALLET = "/api/v1/ssh_keys/", "/api/v1/billing/wallet"
#: ``status`` in our words. A terminated pod is gone.
_STATUS = {
    "PROVISIONING": STARTING,
    "PENDING": STARTING,
    "ACTIVE": RUNNING,
    "STOPPED": STOPPED,
    "ERROR": FAILED,
    "DELETING": FAILED,
    "UNKNOWN": SILENT,
}
_GONE, _ENDING = "TERMINATED", "DELETING"
#: ``installationStatus`` of an active pod; without one, or when it is FINISHED, it can be used.
_INSTALLATION = {"PENDING": STARTING, "ACTIVE": STARTING, "ERROR": FAILED, "TERMINATED": FAILED}
#: What an offer is about: all of it is sent with the rental request. Its price is, too.
_PLAN = ("cloudId", "gpuType", "socket", "gpuCount", "provider", "dataCenter", "country",
         "security", "vcpu", "memory")  # fmt: skip
#: What is told of each thing that is counted beside the GPUs.
_COUNTED = ("pricePerUnit", "defaultCount", "minCount", "maxCount", "step")
_PLAN_WORD = re.compile(r"[A-Za-z0-9_-]{1,30}")
_OFFER_ID = re.compile(r"([A-Za-z0-9_-]+)\.x(\d{1,3})\.[A-Za-z0-9_-]+\.[0-9a-f]{16}")
_SECURE, _WITHOUT_GPU = "secure_cloud", "CPU_NODE"
_USUAL_IMAGE, _TEMPLATE = "ubuntu_22_cuda_12", "custom_template"
_IMAGE = re.compile(r"[a-z0-9_]+")
#: Such as ``root@192.0.2.1 -p 22``; some begin with the command.
_SSH = re.compile(r"(?:ssh )?([^\s@]+)@(\S+?)(?: -p (\d{1,5}))?")
_SSH_PORT = "22"
_GB_PER_GIB = 2**30 / 1e9
_PAGE_SIZE, _MOST_PAGES = 100, 100
#: A server of theirs was seen to find no offers for a moment (October 2026).
_LOOKS, _LOOK_AGAIN_SECONDS = 2, 2.0
#: How it and the clouds behind it say that a plan is taken, as SkyPilot reads them: none of these
#: words is documented, nor the status that they come with.
_NO_CAPACITY = re.compile(r"capacity|unavailable|not available|no longer|out of stock")


class PrimeIntellect(RestProvider):
    """The provider contract spoken to Prime Intellect's HTTP API."""

    name = "prime"
    credentials = (Credential("api_key", ("PRIME_API_KEY",)),)
    url_env = "PRIME_API_BASE_URL"
    default_url = "https://api.primeintellect.ai"
    console = "https://app.primeintellect.ai/dashboard"
    label_field = "name"
    identity = ("id", "name")
    # None is documented for what is called here; a 429 is obeyed.
    seconds_between: ClassVar[Mapping[str, float]] = {}
    # No limit is documented: what a sealed mark needs, and no more.
    label_length = 128
    # Some clouds log in others, as each pod tells.
    ssh_user = "root"
    usual = Usual(
        image=_USUAL_IMAGE,
        # Most clouds have it in place; for the others, how large it is is our guess.
        image_gib=5.0,
        disk_gib=40,
        driver_version=None,
        min_reliability=None,
        longest_download_hours=None,
        verified=True,
    )
    usual_in_words = (
        "image C(ubuntu_22_cuda_12) of 5 GiB, 40 GiB of disk, and verified hosts alone, which "
        "are those of secure clouds"
    )
    attaches_keys = False
    tells_account = True
    tells_gpu_names = True
    enforces_deadline = NOBODY

    def __init__(
        self, credentials: Mapping[str, str], api_url: str, pace: Pace, clock: Clock
    ) -> None:
        # Its own client takes the address with this and without.
        address = api_url.rstrip("/").removesuffix("/api/v1")
        super().__init__(credentials, address, pace, clock)
        self._clock = clock

    def search(self, wish: Wish) -> list[Offer]:
        """All pages of the plans with so many GPUs."""
        query: dict[str, Any] = {"gpu_count": wish.gpu_count}
        if wish.verified:
            query["security"] = _SECURE
        found = offers_of(self._plans(query), lambda row: _offered(row, wish.disk_gib))
        # Pages overlap when the market changes meanwhile.
        return list({offer.id: offer for offer in found}.values())

    def _plans(self, query: Mapping[str, Any]) -> list[Any]:
        """The rows that there are now."""
        for look in range(_LOOKS):
            if look:
                self._clock.sleep(_LOOK_AGAIN_SECONDS)
            rows: list[Any] = []
            for page in range(1, _MOST_PAGES + 1):
                asked = {**query, "page": page, "page_size": _PAGE_SIZE}
                found = self._rows(_GPUS, "search", "items", "Searching offers", asked)
                rows += found
                if len(found) < _PAGE_SIZE:
                    break
            if rows:
                return rows
        return []

    def gpu_names(self) -> list[str]:
        """What it has prices of, which its own client takes for all GPUs as well."""
        response, data = self._read(_SUMMARY, "names", "Reading the names of GPUs")
        if not isinstance(data, dict):
            raise ProviderUnavailable(
                f"Reading the names of GPUs: there are none ({response.excerpt()})."
            )
        return list(dict.fromkeys(_gpu_name(kind) for kind in data if kind != _WITHOUT_GPU))

    def rent(self, offer: Offer, order: Order) -> str:
        """One ``POST /pods/``, after a look at the offer and at the account's SSH keys."""
        body = self._create_body(offer, order)
        response = self._ask_for_rental("POST", _PODS, body)
        data = response.data if isinstance(response.data, dict) else {}
        rental_id = self._rented(offer, response, data.get("id"), response.status in (200, 201))
        if rental_id is None:
            raise _create_error(offer, response)
        return rental_id

    def _create_body(self, offer: Offer, order: Order) -> dict[str, Any]:
        image, template = _image(order)
        row = self._plan(offer)
        if image not in row["images"]:
            raise OfferGone(f"Renting {offer.id}: it does not start from image {image}.")
        pod = {
            # What its own client lets people call a pod is letters, digits and dashes.
            "name": with_dashes(order.mark.encode()),
            **{field: row[field] for field in ("cloudId", "gpuType", "socket", "gpuCount")},
            "dataCenterId": row.get("dataCenter"),
            "country": row.get("country"),
            "security": row.get("security"),
            "diskSize": _disk_gb(row, order.disk_gib),
            "vcpus": _usual_count(row, "vcpu"),
            "memory": _usual_count(row, "memory"),
            "image": image,
            "customTemplateId": template,
            # Some clouds refuse a request without one (PrimeIntellect-ai/prime #141).
            "maxPrice": math.ceil(offer.price_usd_per_hour * 10_000) / 10_000,
            "sshKeyId": self._key_id(order.ssh_public_key),
            "autoRestart": False,
        }
        told = {field: value for field, value in pod.items() if value is not None}
        return {"pod": told, "provider": {"type": row["provider"]}}

    def _plan(self, offer: Offer) -> dict[str, Any]:
        """The offer's row as it is now. Raises OfferGone where it is none any more."""
        found = _OFFER_ID.fullmatch(offer.id)
        if not found:
            raise RequestRefused(f"{shown(offer.id)} is no offer of Prime Intellect's.")
        for row in self._plans({"gpu_type": found[1], "gpu_count": int(found[2])}):
            try:
                if _is_for_rent(row) and _offer_id(row) == offer.id:
                    return dict(row)
            except DAMAGED:
                continue
        raise OfferGone(f"Renting {offer.id}: nothing is offered so, or at this price, any more.")

    def _key_id(self, ssh_public_key: str) -> str:
        """The account's id of a key, which is uploaded where the account does not have it."""
        words, limit = ssh_public_key.split()[:2], {"limit": _PAGE_SIZE}
        for row in self._rows(_KEYS, "keys", "data", "Reading the account's SSH keys", limit):
            if isinstance(row, dict) and str(row.get("publicKey")).split()[:2] == words:
                return str(row.get("id"))
        doing = "Uploading the SSH key"
        name = f"inferops-{hashlib.sha256(' '.join(words).encode()).hexdigest()[:8]}"
        body = {"name": name, "publicKey": ssh_public_key}
        # One that is there twice is no harm.
        response = self._transport.request("POST", _KEYS, kind="keys", body=body, idempotent=True)
        if _is_refusal(response) and response.status not in (401, 403):
            raise RequestRefused(f"{doing}: refused ({response.excerpt()}).")
        data = self._ok(response, doing)
        key_id = id_or_none(data.get("id")) if isinstance(data, dict) else None
        if key_id is None:
            self._refused(response, doing)
        return key_id

    def list_rentals(self) -> list[Rental]:
        """All pages of ``GET /pods/``, counted against its total; a terminated pod is left out."""
        rows = self._pages("Listing rentals")
        return [self._listed(row) for row in rows if row.get("status") != _GONE]

    def _pages(self, doing: str) -> list[dict[str, Any]]:
        """The rows of all pages, each with an id, or an error.

        Each page begins with the last row of the one before. Where it does not, they have moved
        meanwhile, and one that is missing would not show in their number.
        """
        rows: list[dict[str, Any]] = []
        for _page in range(_MOST_PAGES):
            query = {"offset": max(0, len(rows) - 1), "limit": _PAGE_SIZE}
            response, data = self._read(_PODS, "list", doing, query)
            page, total = _page_of(data)
            if page is None or total is None:
                raise ProviderUnavailable(
                    f"{doing}: the answer is no list of rows with ids and their number "
                    f"({response.excerpt()})."
                )
            if rows and (not page or page[0]["id"] != rows[-1]["id"]):
                raise ProviderUnavailable(f"{doing}: the rows have moved while they were read.")
            rows += page[1:] if rows else page
            if len(rows) >= total or len(page) <= 1:
                break
        if not len({row["id"] for row in rows}) == len(rows) == total:
            raise ProviderUnavailable(
                f"{doing}: {len(rows)} came of {total}, so the list cannot be trusted."
            )
        return rows

    def get(self, rental_id: str) -> Rental | None:
        """One pod. Gone is terminated, or a 404 of its own where no pod has such a status either.

        What such a 404 says is not documented, and a wrong address may be answered by the same.
        """
        doing = f"Reading rental {rental_id}"
        response = self._transport.request(
            "GET", f"{_PODS}{rental_id}", kind="show", idempotent=True
        )
        if response.status == 404 and _is_refusal(response) and self._has_ended(rental_id):
            return None
        row = own_row(self._ok(response, doing), rental_id, response, doing)
        return None if row.get("status") == _GONE else self._rental(row)

    def _has_ended(self, rental_id: str) -> bool:
        """Whether the list of statuses has none of this pod, or that it is terminated."""
        doing = f"Reading the status of rental {rental_id}"
        rows = self._rows(_STATUSES, "show", "data", doing, {"pod_ids": rental_id})
        return all(
            isinstance(row, dict) and (row.get("podId"), row.get("status")) == (rental_id, _GONE)
            for row in rows
        )

    def release(self, rental_id: str) -> None:
        """``DELETE /pods/{id}``."""
        response = self._transport.request(
            "DELETE", f"{_PODS}{rental_id}", kind="destroy", idempotent=True
        )
        if response.status == 404 and _is_refusal(response):
            return
        told = response.data if isinstance(response.data, dict) else {}
        if response.status != 200 or not isinstance(told.get("status"), str):
            self._refused(response, f"Releasing rental {rental_id}")

    def attach_key(self, rental_id: str, ssh_public_key: str, again: bool = False) -> None:
        """Nothing: the key came with the request, and the API has no way into a pod."""

    def check_credential(self) -> None:
        """``GET /ssh_keys/``, which a key has to be allowed that is to rent."""
        self._rows(_KEYS, "keys", "data", "Checking the API key", {"limit": 1})

    def account(self) -> Account:
        """The balance of the wallet."""
        _response, data = self._read(_WALLET, "account", "Reading the wallet", {"limit": 1})
        try:
            return Account(required(data, "balance_usd"))
        except DAMAGED:
            return Account()

    def _tells_whose(self, row: dict[str, Any]) -> bool:
        """A pod that nobody has named has none, by its own client."""
        return row.get("name") is None or super()._tells_whose(row)

    def _status(self, row: dict[str, Any]) -> tuple[str, str]:
        status, installation = _STATUS[row["status"]], row.get("installationStatus")
        if status == RUNNING:
            status = _INSTALLATION.get(installation or "", status)
        said = (row["status"].lower(), row.get("installationFailure") or "")
        return status, printable(": ".join(filter(None, said)))

    def _understood(self, row: dict[str, Any], status: str, text: str) -> Rental:
        label = without_dashes(label_text(row.get("name")))
        mark = mark_of(label, None, self.seal)
        created = moment(row.get("createdAt"))
        user, ways = _ssh(row)
        return Rental(
            provider=self.name,
            id=id_or_none(row["id"]) or "",
            # Ids tell no order.
            seniority="" if created is None else f"{created:020.6f}",
            label=label,
            mark=mark,
            claim=None if mark else claim_of(label),
            status=status,
            status_text=text,
            price_usd_per_hour=numeric(row, "priceHr") or None,
            started_at=created,
            machine_id=None,
            gpu_name=_gpu_name(row.get("gpuName") or ""),
            gpu_count=int(numeric(row, "gpuCount") or 0),
            vram_gib=None,
            driver_version=None,
            download_mbit_per_second=None,
            ssh_user=user or self.ssh_user,
            ssh=ways,
            ports=_ports(row),
            console_url=self._console_url,
            stopped_usd_per_hour=numeric(row, "stoppedPriceHr"),
            is_ending=row.get("status") == _ENDING,
            is_interruptible=not is_denied(row, "isSpot"),
        )


def _offered(row: Any, disk_gib: int) -> list[Offer]:
    """The offer in *row*, or none where it is not for rent. Raises one of DAMAGED."""
    return [_offer(row, disk_gib)] if _is_for_rent(row) else []


def _is_for_rent(row: Any) -> bool:
    """Whether a plan is one on demand, with GPUs, and the image that people rent it with.

    Not one that may be taken away, whose price moves by itself, or that is paid in advance.
    """
    on_demand = is_denied(row, "isSpot") and is_denied(row["prices"], "isVariable")
    moves = not on_demand or row.get("prepaidTime")
    there = row.get("stockStatus") != "Unavailable" and row["gpuType"] != _WITHOUT_GPU
    return there and not moves and _USUAL_IMAGE in row["images"]


def _offer(row: dict[str, Any], disk_gib: int) -> Offer:
    disk_usd = _usd(row, "disk", _disk_gb(row, disk_gib))
    others_usd = sum(_usd(row, field, _usual_count(row, field)) for field in ("vcpu", "memory"))
    price = _price(row)
    disk = row.get("disk") or {}
    disk_gb = numeric(disk, "maxCount") or numeric(disk, "defaultCount")
    memory_gb = _usual_count(row, "memory")
    country = row.get("country") or ""
    return Offer(
        provider=PrimeIntellect.name,
        id=_offer_id(row),
        gpu_name=_gpu_name(row["gpuType"]),
        gpu_count=int(required(row, "gpuCount")),
        price_usd_per_hour=round(price + disk_usd + others_usd, 6),
        disk_usd_per_hour=round(disk_usd, 6),
        # A whole number of the GB that cards are sold by.
        vram_gib=required(row, "gpuMemory"),
        disk_gib=disk_gb and round(disk_gb / _GB_PER_GIB, 1),
        ram_gib=memory_gb and round(memory_gb / _GB_PER_GIB, 1),
        cpu_cores=_usual_count(row, "vcpu"),
        download_mbit_per_second=numeric(row, "internetSpeed") or None,
        verified=row["security"] == _SECURE,
        country=country if re.fullmatch(r"[A-Z]{2}", country) else None,
    )


def _offer_id(row: dict[str, Any]) -> str:
    """Its kind of GPU, count and cloud, and a digest of all that the rental request repeats."""
    for field in ("gpuType", "provider"):
        if not _PLAN_WORD.fullmatch(row[field]):
            raise ValueError(f"{field} is {shown(row[field])}, which is an odd name")
    plan = json.dumps([_price(row), *(row.get(field) for field in _PLAN)], sort_keys=True)
    digest = hashlib.sha256(plan.encode()).hexdigest()[:16]
    return f"{row['gpuType']}.x{row['gpuCount']}.{row['provider']}.{digest}"


def _price(row: dict[str, Any]) -> float:
    """Dollars an hour for all GPUs, without what is counted beside them."""
    prices = row["prices"]
    price = numeric(prices, "communityPrice") or required(prices, "onDemand")
    if prices.get("currency") != "USD" or price <= 0:
        raise ValueError(f"its price is {price} {shown(prices.get('currency'))}")
    return price


def _usd(row: dict[str, Any], field: str, count: float | None) -> float:
    """Dollars an hour for so many GB or cores. Nothing that is odd about them lowers a price."""
    told = row.get(field) or {}
    check_prices(*(numeric(told, name) for name in _COUNTED))
    paid = numeric(told, "defaultCount") if told.get("defaultIncludedInPrice") is True else None
    return (numeric(told, "pricePerUnit") or 0.0) * max(0.0, (count or 0.0) - (paid or 0.0))


def _usual_count(row: dict[str, Any], field: str) -> int | None:
    """How many GB or cores a pod gets, which its own client repeats in a rental request."""
    count = numeric(row.get(field) or {}, "defaultCount")
    return int(count) if count else None


def _disk_gb(row: dict[str, Any], wanted_gib: int) -> int | None:
    """How large a disk is rented: what is wanted where one may choose, else as it is."""
    disk = row.get("disk") or {}
    least, most = numeric(disk, "minCount"), numeric(disk, "maxCount")
    if least is None or most is None:
        return _usual_count(row, "disk")
    step = numeric(disk, "step") or 1.0
    beyond = max(0.0, wanted_gib * _GB_PER_GIB - least)
    return int(min(least + math.ceil(beyond / step) * step, most))


def _gpu_name(kind: str) -> str:
    """Such as RTX4090 for RTX4090_24GB: how large its memory is is told beside it."""
    return printable(re.sub(r"_\d+GB$", "", kind).replace("_", " "))


def _image(order: Order) -> tuple[str, str | None]:
    """What Prime Intellect calls an image, and the template where it is one of the account's.

    Raises RequestRefused for what no pod can be started with.
    """
    if any(str(port) != _SSH_PORT for port in order.ports):
        raise RequestRefused(
            "Prime Intellect opens no ports on request.",
            remedy="Leave rent_ports empty: the server is reached through a tunnel.",
        )
    name, _colon, template = order.image.partition(":")
    if not _IMAGE.fullmatch(name) or (name == _TEMPLATE) != bool(template):
        raise RequestRefused(
            f"Prime Intellect has no image {shown(order.image)}.",
            remedy=f"Name one of its own, such as {_USUAL_IMAGE}, or a template of the account, "
            f"as {_TEMPLATE}:<its id>.",
        )
    return name, template or None


def _create_error(offer: Offer, response: Response) -> MarketError:
    """The typed error for a rental request that named no rental."""
    doing, told = f"Renting {offer.id}", f"({response.excerpt()})"
    said = response.text.casefold()
    if not _is_refusal(response):
        return UnclearCreate(f"{doing}: HTTP {response.status} {told}.")
    if response.status == 401:
        return CredentialError(f"{doing}: the API key was refused {told}.")
    if response.status == 403:
        return CredentialError(f"{doing}: the API key may not rent {told}.")
    if response.status == 402 or (response.status != 422 and NO_CREDIT.said.search(said)):
        return RequestRefused(
            f"{doing}: the account lacks credit {told}.",
            remedy="Add credit, or set a lower maximum price.",
        )
    if response.status != 422 and _NO_CAPACITY.search(said):
        return OfferGone(f"{doing}: it is gone {told}.")
    return account_refused(doing, said, told) or RequestRefused(
        f"{doing}: refused {told}.",
        remedy="Change the option that this names, such as image or disk_gib.",
    )


def _is_refusal(response: Response) -> bool:
    """Whether Prime Intellect itself says that it did not do it, in one of its two shapes.

    Anything else comes from a gateway, which may have passed the request on, and a time-out means
    that somebody stopped waiting.
    """
    data = response.data if isinstance(response.data, dict) else {}
    own = isinstance(data.get("errors"), list) or isinstance(data.get("detail"), (str, list))
    return own and 400 <= response.status < 500 and response.status != 408


def _page_of(data: Any) -> tuple[list[dict[str, Any]] | None, int | None]:
    """The rows of a page and how many there are of all pages; None for what is neither."""
    told = data if isinstance(data, dict) else {}
    rows, total = told.get("data"), told.get("total_count")
    known = isinstance(rows, list) and all(
        isinstance(row, dict) and id_or_none(row.get("id")) for row in rows
    )
    counted = isinstance(total, int) and not isinstance(total, bool)
    return (rows if known else None), (total if counted else None)


def _first(told: Any) -> Any:
    """The first that is told of what may come alone, in a list, or not yet."""
    return next((one for one in told if one), None) if isinstance(told, list) else told or None


def _ssh(row: dict[str, Any]) -> tuple[str | None, tuple[Endpoint, ...]]:
    """Who logs in and where. Raises one of DAMAGED."""
    told = _first(row.get("sshConnection"))
    if told is None:
        return None, ()
    found = _SSH.fullmatch(told.strip())
    if not found:
        raise ValueError(f"sshConnection is {shown(told)}")
    return found[1], (Endpoint(found[2], port_of(found[3] or _SSH_PORT)),)


def _ports(row: dict[str, Any]) -> dict[str, Endpoint]:
    """TCP ports of the pod, by number, as they are reached from outside; not those behind a URL."""
    address = _first(row.get("ip"))
    told = row.get("primePortMapping") or () if address else ()
    tcp = (port for port in told if port.get("protocol") == "TCP")
    return tcp_ways(address, ((port.get("internal"), port.get("external")) for port in tcp))
