# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Lambda Cloud, by its API v1. Facts from its OpenAPI document (1.8.3, and what public clients say
of 1.10.0), its pages on billing, firewalls and access, and SkyPilot, dstack and errand.

An instance type in a region is an offer. A rental is an instance: a virtual machine with an address
of its own and one user, who may become root. ``name`` keeps the mark, and so does a tag.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from ..border import printable, shown
from ..clock import Clock
from ..errors import (
    CredentialError,
    MarketError,
    OfferGone,
    ProviderUnavailable,
    RequestRefused,
    UnclearCreate,
)
from ..mark import PREFIX, Mark, claim_of, mark_of
from ..model import FAILED, RUNNING, SILENT, STARTING, Endpoint, HostKey, Offer, Order, Rental
from ..wish import Wish
from .fields import id_or_none, label_text, numeric, required
from .pace import Pace
from .provider import NOBODY, Credential, Usual
from .rest import RestProvider, offers_of, own_row
from .transport import Response, expect_ok

#: All calls share one limit, and a launch has another one beside it.
_CALL, _LAUNCH = "call", "create"
_SSH_PORT = 22
#: ``status`` in our words. Billing ends with the request to terminate, by its page on billing; yet
#: one that is not terminated is not gone.
_STATUS = {
    "booting": STARTING,
    "active": RUNNING,
    "unhealthy": SILENT,
    "terminating": FAILED,
    "preempted": FAILED,
}
_GONE = "terminated"
_ENDING = ("terminating", _GONE)
_OFFER_ID = re.compile(r"([a-z0-9_]{1,60})\.([a-z0-9-]{1,30})")
#: Such as "H100 (80 GB SXM5)": the memory of a GPU is told nowhere else.
_GPU = re.compile(r"(?P<name>.+?) \((?P<gb>\d{1,4}) GB(?: (?P<form>[^)]+))?\)")
#: With its error correction on, a card that is sold with 24 GB shows 22.2 to 22.5 GiB.
_SHOWN_GIB = {"A10": 22.5}
#: The last words of its descriptions of regions.
_COUNTRIES = {
    "Australia": "AU",
    "Germany": "DE",
    "India": "IN",
    "Israel": "IL",
    "Italy": "IT",
    "Japan": "JP",
    "USA": "US",
}
#: What the wheels that are installed are surely for; an offer cannot tell its CPU.
_CPU = "x86_64"
_IMAGE_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_MARK_TAG = "inferops-mark"

_NO_SUCH_OBJECT = "global/object-does-not-exist"
_NO_CAPACITY = "instance-operations/launch/insufficient-capacity"
_BAD_KEY = "global/invalid-api-key"
#: Errors after which nobody knows what was done; those of its own providers begin with a word.
_UNCLEAR = ("global/internal-error", "global/unknown")
_OF_A_PROVIDER = "provider/"
#: What a refusal of a launch means, and what to do, by its code. Its texts may change.
_REFUSALS = {
    "global/account-inactive": (
        "the account is inactive",
        "Verify its email address and its payment method in the console.",
    ),
    "global/invalid-address": (
        "the account's billing address is not valid",
        "Correct it in the console.",
    ),
    "global/quota-exceeded": (
        "the account's quota is used up",
        "End another instance, take a smaller one, or ask Lambda for a larger quota.",
    ),
    _NO_SUCH_OBJECT: (
        "it names what is not there",
        "See whether the image is a family or an id of Lambda's own images.",
    ),
}
_REFUSED = ("refused", "Change the option that this names, such as image.")


class LambdaCloud(RestProvider):
    """The provider contract spoken to Lambda Cloud's HTTP API."""

    name = "lambda"
    credentials = (Credential("api_key", ("LAMBDA_API_KEY",)),)
    url_env = "LAMBDA_CLOUD_BASE_URL"
    default_url = "https://cloud.lambda.ai"
    console = "https://cloud.lambda.ai/instances"
    label_field = "name"
    identity = ("id", "name", "tags")
    seconds_between: ClassVar[Mapping[str, float]] = {_CALL: 1.0, _LAUNCH: 12.0}
    # What a name may have; a tag takes twice as much, and nobody can change it.
    label_length = 64
    # How long it stays "terminating" is not documented.
    ends_within_seconds = 600.0
    ssh_user = "ubuntu"
    usual = Usual(
        image="lambda-stack-24-04",
        # Nothing is fetched, but a machine takes its 3 to 15 minutes to boot, as if it did.
        image_gib=10.0,
        disk_gib=40,
        driver_version=None,
        min_reliability=None,
        longest_download_hours=None,
        verified=True,
    )
    usual_in_words = (
        "image C(lambda-stack-24-04), a family of its machine images whose boot takes as long "
        "as if 10 GiB were fetched, 40 GiB of disk, and verified hosts alone, which all are"
    )
    can_change_mark = True
    delivers_host_key = True
    # Its user data can be one.
    attaches_keys = False
    tells_gpu_names = True
    keeps_second_mark = True
    # No instance has a key of its own, and one that is shut down bills on.
    enforces_deadline = NOBODY

    def __init__(
        self, credentials: Mapping[str, str], api_url: str, pace: Pace, clock: Clock
    ) -> None:
        super().__init__(credentials, api_url, pace, clock)
        self._pace = pace

    def search(self, wish: Wish) -> list[Offer]:
        """``GET /instance-types``, whatever the wish: it takes no filter."""
        return offers_of(self._types("Searching offers"), _offers)

    def gpu_names(self) -> list[str]:
        """Those of its instance types."""
        kinds = (_part(row, "instance_type") for row in self._types("Reading the names of GPUs"))
        told = (_part(kind, "gpu_description") for kind in kinds if _part(kind, "specs", "gpus"))
        return sorted({_gpu(one)[0] for one in told if isinstance(one, str) and one})

    def _types(self, doing: str) -> list[Any]:
        response, answer = self._read("/api/v1/instance-types", _CALL, doing)
        types = answer.get("data") if isinstance(answer, dict) else None
        if not isinstance(types, dict):
            raise ProviderUnavailable(
                f"{doing}: the answer has no instance types ({response.excerpt()})."
            )
        return list(types.values())

    def rent(self, offer: Offer, order: Order) -> str:
        """``POST /instance-operations/launch``, once the account knows the key that logs in."""
        body = _launch_body(offer, order)
        body["ssh_key_names"] = [self._key_name(order.ssh_public_key)]
        response = self._launch(body)
        ids = _part(response.data, "data", "instance_ids")
        told = ids[0] if isinstance(ids, list) and ids else ids
        alone = isinstance(ids, list) and len(ids) == 1
        rental_id = self._rented(offer, response, told, response.status == 200 and alone)
        if rental_id is None:
            raise _launch_error(offer, response)
        return rental_id

    def _launch(self, body: dict[str, Any]) -> Response:
        """The launch, which counts among all calls as well."""
        self._pace.wait(_CALL)
        try:
            return self._ask_for_rental("POST", "/api/v1/instance-operations/launch", body)
        finally:
            self._pace.slow_down(_CALL, self.seconds_between[_CALL])

    def _key_name(self, public_key: str) -> str:
        """What the account calls this key, which is registered where it is not.

        Its name follows from it, so hosts that rent at once register it once. It stays: another
        rental may be about to use it, and it costs nothing.
        """
        known = self._registered(public_key)
        if known:
            return known
        doing = "Registering the SSH key"
        digest = hashlib.sha256(_bare(public_key).encode()).hexdigest()[:16]
        response = self._transport.request(
            "POST",
            "/api/v1/ssh-keys",
            kind=_CALL,
            body={"name": f"{PREFIX}-{digest}", "public_key": public_key},
            idempotent=False,
        )
        # Refused as a duplicate, it is there all the same.
        known = self._registered(public_key)
        if known is None and _is_refusal(response) and response.status == 400:
            raise RequestRefused(
                f"{doing}: refused ({response.excerpt()}).",
                remedy="Use another key, or register this one in the console.",
            )
        if known is None:
            self._refused(response, doing)
        return known

    def _registered(self, public_key: str) -> str | None:
        """The name of a key that the account has, whoever registered it."""
        for row in self._keys("Reading the SSH keys"):
            key, name = _part(row, "public_key"), _part(row, "name")
            if isinstance(key, str) and isinstance(name, str) and _bare(key) == _bare(public_key):
                return name
        return None

    def _keys(self, doing: str) -> list[Any]:
        return self._rows("/api/v1/ssh-keys", _CALL, "data", doing)

    def list_rentals(self) -> list[Rental]:
        """``GET /instances``, of all pages; a terminated one is left out."""
        doing, tokens = "Reading the instances", [""]
        rows: list[Any] = []
        while True:
            query = {"page_token": tokens[-1]} if tokens[-1] else {}
            response, answer = self._read("/api/v1/instances", _CALL, doing, query)
            page, token = _part(answer, "data"), _part(answer, "page_token") or ""
            if not isinstance(page, list) or not isinstance(token, str):
                raise ProviderUnavailable(
                    f"{doing}: the answer has no list of them ({response.excerpt()})."
                )
            rows += page
            if not token:
                return [self._listed(row) for row in rows if _part(row, "status") != _GONE]
            if token in tokens:
                raise ProviderUnavailable(f"{doing}: page {shown(token)} comes again.")
            tokens.append(token)

    def get(self, rental_id: str) -> Rental | None:
        """One instance; gone is terminated, or a 404 in its own words."""
        row = self._row(rental_id, f"Reading rental {rental_id}")
        return None if row is None or row.get("status") == _GONE else self._rental(row)

    def _row(self, rental_id: str, doing: str) -> dict[str, Any] | None:
        response = self._transport.request(
            "GET", f"/api/v1/instances/{rental_id}", kind=_CALL, idempotent=True
        )
        if _says_gone(response):
            return None
        return own_row(_part(expect_ok(response, doing), "data"), rental_id, response, doing)

    def release(self, rental_id: str) -> None:
        """``POST /instance-operations/terminate``.

        Of one that ends already it has been seen to be answered by an error (SkyPilot PR 3410).
        """
        response = self._transport.request(
            "POST",
            "/api/v1/instance-operations/terminate",
            kind=_CALL,
            body={"instance_ids": [rental_id]},
            idempotent=True,
        )
        if _says_gone(response) or _says_ended(response, rental_id):
            return
        row = self._row(rental_id, f"Reading rental {rental_id}")
        if row is not None and row.get("status") not in _ENDING:
            self._refused(response, f"Releasing rental {rental_id}")

    def change_mark(self, rental_id: str, mark: Mark) -> None:
        """``POST /instances/{id}`` with the new name; the tag stays as it was."""
        doing = f"Changing the mark of rental {rental_id}"
        response = self._transport.request(
            "POST",
            f"/api/v1/instances/{rental_id}",
            kind=_CALL,
            body={"name": mark.encode()},
            idempotent=True,
        )
        own_row(_part(expect_ok(response, doing), "data"), rental_id, response, doing)

    def attach_key(self, rental_id: str, ssh_public_key: str, again: bool = False) -> None:
        """Nothing: the key came with the request, and the API has no way into an instance."""

    def check_credential(self) -> None:
        """``GET /ssh-keys``: those of the account."""
        self._keys("Checking the API key")

    def _tells_whose(self, row: dict[str, Any]) -> bool:
        """One that nobody has named has no name."""
        return row.get("name") is None or super()._tells_whose(row)

    def _status(self, row: dict[str, Any]) -> tuple[str, str]:
        return _STATUS[row["status"]], printable(row["status"])

    def _understood(self, row: dict[str, Any], status: str, text: str) -> Rental:
        label, copy = label_text(row.get("name")), _second_mark(row)
        mark = mark_of(label, copy, self.seal)
        kind = row.get("instance_type") or {}
        gpu_name, vram_gib = _gpu(kind.get("gpu_description") or "")
        way = Endpoint(row["ip"], _SSH_PORT) if row.get("ip") else None
        return Rental(
            provider=self.name,
            id=id_or_none(row["id"]) or "",
            # Neither its ids nor anything else tell an order.
            seniority="",
            label=label,
            mark=mark,
            claim=None if mark else claim_of(label, copy),
            status=status,
            status_text=text,
            price_usd_per_hour=numeric(kind, "price_cents_per_hour", 100),
            started_at=None,
            machine_id=None,
            gpu_name=gpu_name,
            gpu_count=int(numeric(kind.get("specs") or {}, "gpus") or 0),
            vram_gib=vram_gib,
            driver_version=None,
            download_mbit_per_second=None,
            ssh_user=self.ssh_user,
            ssh=(way,) if way else (),
            ports={str(_SSH_PORT): way} if way else {},
            console_url=self._console_url,
            is_ending=row.get("status") in _ENDING,
        )


def _offers(row: dict[str, Any]) -> Iterator[Offer]:
    """An instance type in each region that has it now. Raises one of DAMAGED.

    That list only advises: a launch is often refused all the same.
    """
    kind = row["instance_type"]
    if not _is_for_us(kind):
        return
    specs, (gpu_name, vram_gib) = kind["specs"], _gpu(kind["gpu_description"])
    price = required(kind, "price_cents_per_hour") / 100
    for region in row["regions_with_capacity_available"]:
        offer_id = f"{kind['name']}.{region['name']}"
        if price <= 0 or not _OFFER_ID.fullmatch(offer_id):
            raise ValueError("no price, or an odd name")
        yield Offer(
            provider=LambdaCloud.name,
            id=offer_id,
            gpu_name=gpu_name,
            gpu_count=int(required(specs, "gpus")),
            price_usd_per_hour=price,
            vram_gib=vram_gib,
            disk_gib=numeric(specs, "storage_gib"),
            ram_gib=numeric(specs, "memory_gib"),
            cpu_cores=numeric(specs, "vcpus"),
            # All stand in data centers that Lambda runs.
            verified=True,
            country=_COUNTRIES.get(region["description"].rpartition(", ")[2]),
        )


def _is_for_us(kind: dict[str, Any]) -> bool:
    """Whether an instance type has GPUs, and a CPU that all is installed for."""
    return required(kind["specs"], "gpus") > 0 and (kind.get("architecture") or _CPU) == _CPU


def _gpu(described: str) -> tuple[str, float | None]:
    """The name of a GPU, and its memory where that is told."""
    found = _GPU.fullmatch(described)
    if not found:
        return printable(described), None
    name = " ".join(filter(None, (found["name"], found["form"])))
    return printable(name), _SHOWN_GIB.get(found["name"], float(found["gb"]))


def _launch_body(offer: Offer, order: Order) -> dict[str, Any]:
    """What a launch asks for, but for the key. Raises RequestRefused for what it cannot have."""
    found = _OFFER_ID.fullmatch(offer.id)
    if not found:
        raise RequestRefused(f"{shown(offer.id)} is no offer of Lambda's.")
    closed = [str(port) for port in order.ports if port != _SSH_PORT]
    if closed:
        raise RequestRefused(
            f"Port {', '.join(closed)} cannot be opened for one instance alone: Lambda's firewall "
            "is the account's, and lets in port 22.",
            remedy="Leave ports (rent_ports) empty. What its firewall lets in, which its console "
            "sets for all instances, is reached at the same port.",
        )
    mark, image = order.mark.encode(), order.image
    return {
        "region_name": found[2],
        "instance_type_name": found[1],
        "name": mark,
        "tags": [{"key": _MARK_TAG, "value": mark}],
        "image": {"id" if _IMAGE_ID.fullmatch(image) else "family": image},
        **({"user_data": _user_data(order.host_key)} if order.host_key else {}),
    }


def _user_data(host_key: HostKey) -> str:
    """How cloud-init puts a host key in place before sshd starts, and no other one beside it."""
    private = "".join(f"    {line}\n" for line in host_key.private.strip().splitlines())
    return (
        "#cloud-config\nssh_deletekeys: true\nssh_keys:\n"
        f"  ed25519_private: |\n{private}  ed25519_public: {host_key.public}\n"
    )


def _launch_error(offer: Offer, response: Response) -> MarketError:
    """The typed error for a launch that named no instance."""
    doing, told = f"Renting {offer.id}", f"({response.excerpt()})"
    if not _is_refusal(response):
        return UnclearCreate(f"{doing}: HTTP {response.status} {told}.")
    code = _code(response)
    if code == _NO_CAPACITY:
        return OfferGone(f"{doing}: it is gone {told}.")
    if code == _BAD_KEY:
        return CredentialError(f"{doing}: the API key was refused {told}.")
    why, remedy = _REFUSALS.get(code, _REFUSED)
    return RequestRefused(f"{doing}: {why} {told}.", remedy=remedy)


def _is_refusal(response: Response) -> bool:
    """Whether Lambda itself says that it did not do it.

    Anything else comes from a gateway or from behind it, which may have passed the request on.
    """
    code = _code(response)
    clear = bool(code) and code not in _UNCLEAR and not code.startswith(_OF_A_PROVIDER)
    return clear and 400 <= response.status < 500 and response.status != 408


def _says_gone(response: Response) -> bool:
    return response.status == 404 and _code(response) == _NO_SUCH_OBJECT


def _says_ended(response: Response, rental_id: str) -> bool:
    """Whether an answer has a rental among those that it terminates."""
    rows = _part(response.data, "data", "terminated_instances")
    known = rows if response.status == 200 and isinstance(rows, list) else ()
    return any(_part(row, "id") == rental_id for row in known)


def _code(response: Response) -> str:
    """What its own errors are told apart by; empty where it is none of its own."""
    code = _part(response.data, "error", "code")
    return code if isinstance(code, str) else ""


def _second_mark(row: dict[str, Any]) -> str | None:
    tags = row.get("tags")
    marks = (
        tag.get("value")
        for tag in (tags if isinstance(tags, list) else ())
        if isinstance(tag, dict) and tag.get("key") == _MARK_TAG
    )
    return next((mark for mark in marks if isinstance(mark, str)), None)


def _part(data: Any, *fields: str) -> Any:
    """What objects in one another have in these fields; None where that is nothing."""
    for field in fields:
        data = data.get(field) if isinstance(data, dict) else None
    return data


def _bare(public_key: str) -> str:
    """A key without the comment, which tells none from another."""
    return " ".join(public_key.split()[:2])
