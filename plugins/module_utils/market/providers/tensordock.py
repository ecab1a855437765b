# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""TensorDock, by its API v2: documented, hardly kept, and without a client of its own.

Facts from its pages (dashboard.tensordock.com/api/docs) and from what others met who use it, above
all cloud-gpu-shopper (acaracappa), with its log of live bugs, and a Terraform provider
(apartmentlines).

A model of GPU in a location is an offer, with as many cores and as much memory as we choose. A
rental is an instance: a virtual machine with an address of its own and user ``user``, who may use
sudo. ``name`` alone keeps the mark.
"""

from __future__ import annotations

import base64
import math
import re
import shlex
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, NamedTuple

from ..access.start_script import start_script
from ..border import printable, shown
from ..countries import code_of_country
from ..errors import (
    CredentialError,
    MarketError,
    OfferGone,
    ProviderUnavailable,
    RequestRefused,
    UnclearCreate,
)
from ..mark import Mark, claim_of, mark_of
from ..model import FAILED, RUNNING, STARTING, STOPPED, Endpoint, Offer, Order, Rental
from ..wish import Wish
from .account_words import NO_CREDIT, account_refused
from .dashes import with_dashes, without_dashes
from .fields import id_or_none, label_text, numeric, required, tcp_ways
from .provider import NOBODY, Credential, Usual
from .rest import RestProvider, offers_of, own_row
from .transport import Response, expect_ok

#: What all calls but a rental request count as, for they share one limit.
_CALL = "call"
_INSTANCES, _LOCATIONS = "/instances", "/locations"
#: ``status`` in our words, in small letters alone: it comes with capitals, dashes or neither.
_STATUS = {
    "queued": STARTING,
    "creating": STARTING,
    "starting": STARTING,
    "running": RUNNING,
    "stopping": STOPPED,
    "stopped": STOPPED,
    # Its GPU is somebody else's.
    "stoppeddisassociated": STOPPED,
    "error": FAILED,
    "deleting": FAILED,
}
_DELETING, _GONE = "deleting", "deleted"
_SSH_PORT = "22"
_PART = r"[0-9A-Za-z][0-9A-Za-z-]{0,39}"
#: Location, model, and how many GPUs, cores and GB of memory.
_OFFER_ID = re.compile(rf"({_PART})\.({_PART})\.x(\d{{1,2}})-(\d{{1,3}})-(\d{{1,4}})")
_IMAGE = re.compile(r"[a-z0-9]+(?:_[a-z0-9]+)*")
#: What one GPU gets, as far as there is so much. Others ask for the same.
_CORES, _RAM_GB = 8, 32
#: What is taken comes in steps; of more memory than this, in larger ones.
_CORES_STEP, _RAM_STEP_GB, _MOST_RAM_GB = 2, 16, 256
_DISK_STEP_GB, _LEAST_DISK_GB = 50, 100
#: What the image takes of the disk is documented nowhere.
_IMAGE_GB = 30
_GB_PER_GIB = 2**30 / 1e9
#: From here on a location is a data center, as others found. No document says what a tier is.
_DATA_CENTER_TIER = 3
#: ``geforcertx4090-pcie-24gb``
_MODEL = re.compile(r"(?:geforce|nvidia|tesla|quadro)?(?P<name>[a-z0-9-]+?)(?:-(?P<gb>\d{1,3})gb)?")
#: GPUs that are sold for more than one kind of slot.
_IN_SEVERAL_FORMS = ("A100", "H100", "H200", "P100", "V100")
_DEFAULT_FORM = "PCIE"
#: Nobody knows what was done.
_BROKEN = re.compile(r"unexpected|internal|timed? ?out")
_NO_NODE = re.compile(
    r"no available|no nodes|not available|unavailable|no longer|out of stock|sold out|capacity"
)
_NO_SUCH = re.compile(r"not[ _]found|does not exist")
#: It is ``user`` whom its images let in, and its own field does not always bring the key.
_LET_IN = """
key={key}
install -d -m 700 -o user ~user/.ssh
keys=~user/.ssh/authorized_keys
grep -qxF "$key" $keys || printf '\\n%s\\n' "$key" >>$keys
chown user: $keys
chmod 600 $keys
"""


class _Size(NamedTuple):
    """What is rented of a location beside its GPUs."""

    cores: int
    ram_gb: int
    disk_gb: int


class TensorDock(RestProvider):
    """The provider contract spoken to TensorDock's HTTP API."""

    name = "tensordock"
    credentials = (Credential("api_key", ("TENSORDOCK_API_TOKEN",)),)
    url_env = "TENSORDOCK_BASE_URL"
    default_url = "https://dashboard.tensordock.com/api/v2"
    console = "https://dashboard.tensordock.com/"
    label_field = "name"
    identity = ("id", "name")
    # 100 in a minute of the whole organization: 80 of these and 20 rental requests.
    seconds_between: ClassVar[Mapping[str, float]] = {_CALL: 0.75, "create": 3.0}
    # Answers of more than 12 s are usual, and some of more than 60 s were met.
    slow_seconds: ClassVar[Mapping[str, float]] = {_CALL: 120.0, "create": 120.0}
    # No limit is documented: what a sealed mark needs, and no more.
    label_length = 128
    # How long it is deleting is not documented.
    ends_within_seconds = 300.0
    ssh_user = "user"
    usual = Usual(
        # Without its drivers, as the plain ones are, no GPU can be used.
        image="ubuntu2404_ml_pytorch",
        # Nothing is fetched, but a machine takes its minutes to boot, as if it did.
        image_gib=10.0,
        disk_gib=40,
        driver_version=None,
        min_reliability=None,
        longest_download_hours=None,
        verified=True,
    )
    usual_in_words = (
        "image C(ubuntu2404_ml_pytorch) whose boot takes as long as if 10 GiB were fetched, "
        "40 GiB of disk, and verified hosts alone, which are those of its locations of tier 3 "
        "and more"
    )
    delivers_host_key = True
    attaches_keys = False
    tells_gpu_names = True
    # No instance has a key of its own, and one that is shut down keeps its GPU and bills on.
    enforces_deadline = NOBODY

    def _ok(self, response: Response, doing: str) -> Any:
        """The data of a good answer. One that has an error in it is none, whatever its status."""
        status, said = _error(response)
        if said and status in (401, 403):
            raise CredentialError(f"{doing}: the API token was refused ({response.excerpt()}).")
        if said:
            raise ProviderUnavailable(f"{doing}: unusable answer ({response.excerpt()}).")
        return expect_ok(response, doing)

    # What there is.

    def search(self, wish: Wish) -> list[Offer]:
        """``GET /locations``, whatever the wish. It is often out of date."""
        rows = self._locations("Searching offers")
        return offers_of(_models(rows), lambda found: _offered(found, wish))

    def gpu_names(self) -> list[str]:
        """Those of all locations."""
        models = (model for _place, model in _models(self._locations("Reading the names of GPUs")))
        told = (model.get("v0Name") for model in models if isinstance(model, dict))
        return sorted({_gpu(one)[0] for one in told if isinstance(one, str) and one})

    def _locations(self, doing: str) -> list[Any]:
        response, answer = self._read(_LOCATIONS, _CALL, doing)
        return self._list(response, answer, "locations", doing)

    def _list(self, response: Response, answer: Any, field: str, doing: str) -> list[Any]:
        """The rows of an answer, in whichever of its shapes they come.

        Raises ProviderUnavailable where it has none.
        """
        told = answer.get("data") if isinstance(answer, dict) else None
        for part in ("attributes", field):
            told = told.get(part, told) if isinstance(told, dict) else told
        if not isinstance(told, list):
            raise ProviderUnavailable(
                f"{doing}: the answer has no list of {field} ({response.excerpt()})."
            )
        return told

    # Rent.

    def rent(self, offer: Offer, order: Order) -> str:
        """One ``POST /instances``."""
        response = self._ask_for_rental("POST", _INSTANCES, _create_body(offer, order))
        _status, said = _error(response)
        row = _row_of(response.data)
        told = row.get("id") if isinstance(row, dict) else None
        good = response.status in (200, 201) and not said
        rental_id = self._rented(offer, response, told, good)
        if rental_id is None:
            raise _create_error(offer, response)
        return rental_id

    # Look.

    def list_rentals(self) -> list[Rental]:
        """``GET /instances``, which has no pages; a deleted one is left out."""
        doing = "Reading the instances"
        response, answer = self._read(_INSTANCES, _CALL, doing)
        rows = (_flat(row) for row in self._list(response, answer, "instances", doing))
        return [self._listed(self._completed(row)) for row in rows if _word(row) != _GONE]

    def _completed(self, row: Any) -> Any:
        """A row of a list with what that may leave out.

        By its document a list tells id, name and status alone, and others saw all of it there. What
        is not ours stays as it is, and so does what cannot be read, or is not found: the list is
        the second witness of an end.
        """
        short = isinstance(row, dict) and "rateHourly" not in row
        label = row.get(self.label_field) if short else None
        ours = isinstance(label, str) and Mark.decode(without_dashes(label))
        rental_id = id_or_none(row.get("id")) if ours else None
        if rental_id is None:
            return row
        try:
            return self._row(rental_id, f"Reading rental {rental_id}") or row
        except ProviderUnavailable:
            return row

    def _row(self, rental_id: str, doing: str) -> dict[str, Any] | None:
        """Bare or in an envelope; gone is deleted, or a 404 in its own words."""
        response = self._transport.request(
            "GET", f"{_INSTANCES}/{rental_id}", kind=_CALL, idempotent=True
        )
        if _says_gone(response):
            return None
        row = own_row(_row_of(self._ok(response, doing)), rental_id, response, doing)
        return None if _word(row) == _GONE else row

    def _status(self, row: dict[str, Any]) -> tuple[str, str]:
        return _STATUS[_word(row)], printable(row["status"])

    def _understood(self, row: dict[str, Any], status: str, text: str) -> Rental:
        label = without_dashes(label_text(row.get("name")))
        mark = mark_of(label, None, self.seal)
        model, count = _gpus(row)
        gpu_name, vram_gib = _gpu(model)
        ways = _ways(row)
        return Rental(
            provider=self.name,
            id=id_or_none(row["id"]) or "",
            # Neither its ids nor anything else tell an order.
            seniority="",
            label=label,
            mark=mark,
            claim=None if mark else claim_of(label),
            status=status,
            status_text=text,
            price_usd_per_hour=numeric(row, "rateHourly") or None,
            started_at=None,
            machine_id=None,
            gpu_name=gpu_name,
            gpu_count=count,
            vram_gib=vram_gib,
            driver_version=None,
            download_mbit_per_second=None,
            ssh_user=self.ssh_user,
            ssh=tuple(way for port, way in ways.items() if port == _SSH_PORT),
            ports=ways,
            console_url=self._console_url,
            is_ending=_word(row) == _DELETING,
        )

    # End.

    def release(self, rental_id: str) -> None:
        """``DELETE /instances/{id}``; what that does not confirm, a look may."""
        doing = f"Releasing rental {rental_id}"
        response = self._transport.request(
            "DELETE", f"{_INSTANCES}/{rental_id}", kind=_CALL, idempotent=True
        )
        if _says_gone(response) or _says_deleted(response):
            return
        row = self._row(rental_id, doing)
        if row is not None and _word(row) != _DELETING:
            self._refused(response, doing)

    def attach_key(self, rental_id: str, ssh_public_key: str, again: bool = False) -> None:
        """Nothing: the key came with the request, and the API has no way into an instance."""

    def check_credential(self) -> None:
        """``GET /instances``: what only the organization may read. Locations may be everybody's."""
        doing = "Checking the API token"
        response, answer = self._read(_INSTANCES, _CALL, doing)
        self._list(response, answer, "instances", doing)


# Offers and requests.


def _models(rows: list[Any]) -> Iterator[tuple[Any, Any]]:
    """Each location with each of its models. Without a list of them it comes once, to be told."""
    for row in rows:
        told = row.get("gpus") if isinstance(row, dict) else None
        for model in told if isinstance(told, list) else (None,):
            yield row, model


def _offered(found: tuple[Any, Any], wish: Wish) -> list[Offer]:
    """The offer of a model in a location, or none where it is too small. Raises one of DAMAGED.

    What has no address of its own to give is left out: ports that are forwarded were often not.
    """
    place, model = found
    most, count = model["resources"], wish.gpu_count
    own_address = model["network_features"]["dedicated_ip_available"] is True
    size = _size(most, count, wish.disk_gib)
    if not own_address or required(model, "max_count") < count or size is None:
        return []
    prices = model["pricing"]
    # Each has to be told: a price without one of them would be too low.
    disk_usd = required(prices, "per_gb_storage_hr") * size.disk_gb
    cores_usd = required(prices, "per_vcpu_hr") * size.cores
    ram_usd = required(prices, "per_gb_ram_hr") * size.ram_gb
    gpus_usd = required(model, "price_per_hr") * count
    offer_id = f"{place['id']}.{model['v0Name']}.x{count}-{size.cores}-{size.ram_gb}"
    if gpus_usd <= 0 or not _OFFER_ID.fullmatch(offer_id):
        raise ValueError(f"{shown(offer_id)} has no price, or an odd name")
    gpu_name, vram_gib = _gpu(model["v0Name"])
    tier = numeric(place, "tier")
    room_gb = required(most, "max_storage_gb") - _IMAGE_GB
    return [
        Offer(
            provider=TensorDock.name,
            id=offer_id,
            gpu_name=gpu_name,
            gpu_count=count,
            price_usd_per_hour=round(gpus_usd + cores_usd + ram_usd + disk_usd, 6),
            disk_usd_per_hour=round(disk_usd, 6),
            # A whole number of the GB that cards are sold by.
            vram_gib=vram_gib,
            disk_gib=round(room_gb / _GB_PER_GIB, 1),
            ram_gib=float(size.ram_gb),
            cpu_cores=float(size.cores),
            verified=None if tier is None else tier >= _DATA_CENTER_TIER,
            country=code_of_country(place.get("country") or ""),
        )
    ]


def _size(most: Mapping[str, Any], gpu_count: int, disk_gib: int) -> _Size | None:
    """What is rented for so many GPUs; None where a location has too little of one."""

    def in_steps(wanted: float, step: int) -> int:
        return int(wanted // step) * step

    cores = in_steps(min(_CORES * gpu_count, required(most, "max_vcpus")), _CORES_STEP)
    ram = min(_RAM_GB * gpu_count, _MOST_RAM_GB, required(most, "max_ram_gb"))
    ram_gb = in_steps(ram, _RAM_STEP_GB)
    if not cores or not ram_gb or required(most, "max_storage_gb") < _LEAST_DISK_GB:
        return None
    return _Size(cores, ram_gb, _disk_gb(disk_gib))


def _disk_gb(disk_gib: int) -> int:
    """The size of a disk with room for so much beside the image."""
    steps = math.ceil((disk_gib * _GB_PER_GIB + _IMAGE_GB) / _DISK_STEP_GB)
    return max(steps * _DISK_STEP_GB, _LEAST_DISK_GB)


def _gpu(model: str) -> tuple[str, float | None]:
    """The name of a GPU and its memory: RTX 4090 and 24 for ``geforcertx4090-pcie-24gb``."""
    found = _MODEL.fullmatch(model.casefold())
    if not found:
        return printable(model), None
    name, _dash, form = found["name"].upper().partition("-")
    name = re.sub(r"^([RG]TX)(?=.)", r"\1 ", name)
    if form != _DEFAULT_FORM or name in _IN_SEVERAL_FORMS:
        name = f"{name} {form}".strip()
    return name, float(found["gb"]) if found["gb"] else None


def _create_body(offer: Offer, order: Order) -> dict[str, Any]:
    """Raises RequestRefused for another's offer, and for what no instance starts with."""
    found = _OFFER_ID.fullmatch(offer.id)
    if not found:
        raise RequestRefused(f"{shown(offer.id)} is no offer of TensorDock's.")
    if not _IMAGE.fullmatch(order.image):
        raise RequestRefused(
            f"TensorDock has no image {shown(order.image)}.",
            remedy=f"Name one of its operating systems, such as {TensorDock.usual.image}.",
        )
    location, model, count, cores, ram_gb = found.groups()
    attributes = {
        "name": with_dashes(order.mark.encode()),
        "type": "virtualmachine",
        "image": order.image,
        "resources": {
            "vcpu_count": int(cores),
            "ram_gb": int(ram_gb),
            "storage_gb": _disk_gb(order.disk_gib),
            "gpus": {model: {"count": int(count)}},
        },
        "location_id": location,
        # Ports that were asked for in its place were often not forwarded.
        "useDedicatedIp": True,
        "ssh_key": order.ssh_public_key,
        "cloud_init": {"runcmd": [_command(order)]},
    }
    return {"data": {"type": "virtualmachine", "attributes": attributes}}


def _command(order: Order) -> str:
    """One line that lets the user in and puts the host key in place, as root at the first boot.

    Files that are to be written take no encoding there, and were not always in time.
    """
    key = order.ssh_public_key
    script = start_script(key, order.host_key, order.mark.deadline, None)
    script += _LET_IN.format(key=shlex.quote(key))
    return f"echo {base64.b64encode(script.encode()).decode()} | base64 -d | sh"


# Answers.


def _error(response: Response) -> tuple[int, str]:
    """What an answer of its own says of an error, in small letters, and the status of that.

    No words where it is none, or not its own. A good HTTP status may come with an error, whose
    status is in the body; a rental request that makes no sense is answered by a list.
    """
    data, status = response.data, response.status
    words: list[Any] = []
    if isinstance(data, list):
        words = [one.get("message") for one in data if isinstance(one, dict)]
    elif isinstance(data, dict):
        told = data.get("status")
        if isinstance(told, int) and not isinstance(told, bool):
            status = max(status, told)
        words = [data.get("error")]
        if status >= 400:
            several = data.get("errors")
            words += [data.get("message"), *(several if isinstance(several, list) else ())]
    return status, " ".join(str(word) for word in words if word).casefold().strip()


def _create_error(offer: Offer, response: Response) -> MarketError:
    """The typed error for a rental request that named no rental."""
    doing, told = f"Renting {offer.id}", f"({response.excerpt()})"
    status, said = _error(response)
    refused = 400 <= status < 500 and status != 408
    if not said or not refused or _BROKEN.search(said):
        return UnclearCreate(f"{doing}: HTTP {response.status} {told}.")
    if status in (401, 403):
        return CredentialError(f"{doing}: the API token was refused {told}.")
    if NO_CREDIT.said.search(said):
        return RequestRefused(
            f"{doing}: the organization lacks credit {told}.",
            remedy="Add credit: TensorDock wants a balance of at least one dollar.",
        )
    if _NO_NODE.search(said):
        return OfferGone(f"{doing}: it is gone {told}.")
    return account_refused(doing, said, told) or RequestRefused(
        f"{doing}: refused {told}.",
        remedy="Change the option that this names, such as image or disk_gib.",
    )


def _says_gone(response: Response) -> bool:
    """An error 404 in its own words; a gateway's page is none."""
    status, said = _error(response)
    return status == 404 and bool(_NO_SUCH.search(said))


def _says_deleted(response: Response) -> bool:
    told = response.data.get("data") if isinstance(response.data, dict) else None
    success = isinstance(told, dict) and told.get("type") == "success"
    return response.status == 200 and success and not _error(response)[1]


# Rows.


def _row_of(answer: Any) -> Any:
    """The row in an answer about one instance, which may come without its envelope."""
    return _flat(answer.get("data", answer)) if isinstance(answer, dict) else None


def _flat(row: Any) -> Any:
    """A row whose fields may stand in ``attributes``."""
    inner = row.get("attributes") if isinstance(row, dict) else None
    return {**inner, "id": row.get("id")} if isinstance(inner, dict) else row


def _word(row: Any) -> str:
    """The status of a row in small letters alone; empty where it has none."""
    told = row.get("status") if isinstance(row, dict) else None
    return re.sub(r"[^a-z]", "", told.casefold()) if isinstance(told, str) else ""


def _gpus(row: Mapping[str, Any]) -> tuple[str, int]:
    """Model and number of the GPUs, as far as they are told. Raises one of DAMAGED."""
    told = (row.get("resources") or {}).get("gpus")
    for model, one in told.items() if isinstance(told, dict) else ():
        return one.get("v0Name") or model, int(numeric(one, "count") or 0)
    return "", 0


def _ways(row: Mapping[str, Any]) -> dict[str, Endpoint]:
    """TCP ports of the machine, by number, as they are reached from outside.

    Its address is missing until it has one. A port that was forwarded may have another number than
    was asked for.
    """
    address = row.get("ipAddress")
    if not address:
        return {}
    told = row.get("portForwards") or ()
    forwarded = ((one.get("internal_port"), one.get("external_port")) for one in told)
    return {_SSH_PORT: Endpoint(address, int(_SSH_PORT)), **tcp_ways(address, forwarded)}
