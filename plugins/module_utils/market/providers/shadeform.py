# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Shadeform, which rents out the machines of many clouds, by its API v1.

Facts from its OpenAPI document (1.0.0, as its docs and its own CLI have it) and its guides. What a
refusal looks like is in none of them: that is from NVIDIA Brev's client (github.com/brevdev/cloud).

An instance type of a cloud in one of its regions is an offer, and an instance a rental. One of its
tags keeps the mark, and so does its startup script, which nobody can change: a name goes on to the
cloud behind it, and nobody says what that takes. Shadeform itself deletes it at the deadline.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from ..border import port_of, printable, shown
from ..errors import (
    CredentialError,
    MarketError,
    OfferGone,
    ProviderUnavailable,
    RequestRefused,
    UnclearCreate,
)
from ..mark import PREFIX, Mark, claim_of, mark_of
from ..model import FAILED, RUNNING, STARTING, Endpoint, Offer, Order, Rental
from ..wish import Wish, version_key
from .account_words import NO_CREDIT, account_refused
from .fields import (
    DAMAGED,
    as_moment,
    id_or_none,
    label_text,
    moment,
    numeric,
    required,
    tcp_ways,
)
from .provider import PROVIDER, Credential, Usual
from .rest import RestProvider, offers_of, own_row
from .transport import Response, expect_ok

#: ``status`` in our words.
_STATUS = {
    "creating": STARTING,
    "pending_provider": STARTING,
    "pending": STARTING,
    "active": RUNNING,
    "error": FAILED,
}
#: It bills until it is ``deleting``, in the words of the call that deletes, and a list shows it so
#: until it vanishes.
_GONE = ("deleting", "deleted")
_SSH_PORT = 22
_GB_PER_GIB = 2**30 / 1e9
_CENTS = 100.0
#: Where there is a machine to log in to. What runs in a container there is documented nowhere.
_MACHINES = ("vm", "baremetal")
_ON_DEMAND = "on_demand"
#: Grace has Arm cores, and images and wheels are built for others.
_ARM = re.compile(r"G[HB]\d{3}")
#: Whoever waits for a host has given up by then.
_LONGEST_BOOT_SECONDS = 2700.0
#: The parts of an offer's id, as Shadeform writes them so far: cloud, region and instance type.
_PART = r"[A-Za-z0-9][A-Za-z0-9_-]{0,31}"
_OFFER_ID = re.compile(rf"({_PART})\.({_PART})\.({_PART})")
#: How most regions are displayed begins with the country: ``US, Kansas City, KS``.
_COUNTRY = re.compile(r"([A-Z]{2}),")
#: Stands for the newest operating system of a machine that Shadeform has put drivers into.
_WITH_DRIVERS = "shade_os"
_CUDA = re.compile(r"cuda([0-9.]+)")
#: What of a rental's name goes into that of its instance.
_NAME_LETTERS = 40
_OTHER_LETTERS = re.compile(r"[^a-z0-9]+")
#: The startup script does nothing, and carries the second copy of the mark.
_MARK_LINE = re.compile(rf"# ({PREFIX}/\S+)")
#: How a refusal says what it is about. The words are looked for in this order.
_NO_STOCK = re.compile(
    r"out[_ ]of[_ ](stock|capacity)|no capacity|insufficient[_ ](capacity|resources)|sold out"
    r"|no longer available|not available|unavailable"
)
_BROKEN = re.compile(r"internal[_ ](server[_ ])?error")
_NO_SUCH = re.compile(r"not[_ ]found|no such|does not exist|already (been )?deleted")


class Shadeform(RestProvider):
    """The provider contract spoken to Shadeform's HTTP API."""

    name = "shadeform"
    credentials = (Credential("api_key", ("SHADEFORM_API_KEY",)),)
    # No client of Shadeform's own reads an address from the environment.
    url_env = "SHADEFORM_API_URL"
    default_url = "https://api.shadeform.ai"
    console = "https://platform.shadeform.ai/"
    label_field = "tags"
    identity = ("id", "tags", "launch_configuration")
    # None is documented. A 429 is obeyed.
    seconds_between: ClassVar[Mapping[str, float]] = {}
    # None is documented. Ours has 190 at most.
    label_length = 255
    ssh_user = "shadeform"
    usual = Usual(
        image=_WITH_DRIVERS,
        # Nothing is fetched. A machine boots for as long as such an image takes: Shadeform tells 3
        # to 10 minutes of most, and more of some.
        image_gib=10.0,
        disk_gib=40,
        driver_version=None,
        min_reliability=None,
        longest_download_hours=None,
        verified=True,
    )
    usual_in_words = (
        "image C(shade_os), which stands for the newest operating system of a machine that "
        "has drivers and boots for as long as an image of 10 GiB takes, 40 GiB of disk, and "
        "verified hosts alone, which all are"
    )
    can_change_mark = True
    # The key comes with the request. Nothing lets another one in.
    attaches_keys = False
    tells_gpu_names = True
    keeps_second_mark = True
    enforces_deadline = PROVIDER

    def _headers(self, credentials: Mapping[str, str]) -> dict[str, str]:
        return {"X-API-KEY": credentials["api_key"]}

    def search(self, wish: Wish) -> list[Offer]:
        """One look at all types of machines with so many GPUs that are free anywhere."""
        query = {"available": "true", "num_gpus": wish.gpu_count}
        return offers_of(_places(self._types("Searching offers", query)), _offered)

    def _types(self, doing: str, query: Mapping[str, Any] | None = None) -> list[Any]:
        return self._rows("/v1/instances/types", "search", "instance_types", doing, query)

    def gpu_names(self) -> list[str]:
        """Those of all types, whether or not they are free."""
        found = set()
        for row in self._types("Reading the names of GPUs"):
            configuration = row.get("configuration") if isinstance(row, dict) else None
            name = configuration.get("gpu_type") if isinstance(configuration, dict) else None
            if isinstance(name, str) and name:
                found.add(printable(name))
        return sorted(found)

    def rent(self, offer: Offer, order: Order) -> str:
        """One ``POST /instances/create``, behind a look at the type and at the account's keys."""
        system = _operating_system(offer, self._type_of(offer), order.image)
        body = _create_body(offer, order, system, self._key_id(order.ssh_public_key))
        response = self._ask_for_rental("POST", "/v1/instances/create", body)
        data = response.data if isinstance(response.data, dict) else {}
        rental_id = self._rented(offer, response, data.get("id"), response.status == 200)
        if rental_id is None:
            raise _create_error(offer, response)
        return rental_id

    def _type_of(self, offer: Offer) -> dict[str, Any]:
        """The row of an offer as it is now. Raises OfferGone without it, or where it is dearer."""
        cloud, region, kind = _parts(offer)
        query = {"cloud": cloud, "region": region, "shade_instance_type": kind, "available": "true"}
        for row in self._types(f"Renting {offer.id}", query):
            for one in offers_of(_places([row]), _offered):
                dearer = one.price_usd_per_hour > offer.price_usd_per_hour
                if one.id == offer.id and not dearer:
                    return dict(row)
        raise OfferGone(f"Renting {offer.id}: it is not to be had any more, or not at its price.")

    def _key_id(self, ssh_public_key: str) -> str:
        """The account's number of a key, which is registered where it is not yet.

        It stays registered: somebody may rent with it at any time.
        """
        known = self._registered(ssh_public_key)
        if known:
            return known
        key = ssh_public_key.split()[1]
        name = f"{PREFIX}-{hashlib.sha256(key.encode()).hexdigest()[:16]}"
        response = self._transport.request(
            "POST",
            "/v1/sshkeys/add",
            kind="keys",
            body={"name": name, "public_key": ssh_public_key},
            idempotent=True,
        )
        data = response.data if isinstance(response.data, dict) else {}
        added = id_or_none(data.get("id")) if response.status == 200 else None
        # Its name is unique: another host of the play may have registered it meanwhile.
        added = added or self._registered(ssh_public_key)
        if added is None:
            doing = "Registering the SSH key"
            if _is_refusal(response) and response.status not in (401, 403):
                raise RequestRefused(
                    f"{doing}: refused ({response.excerpt()}).",
                    remedy="Rent with another SSH key (inferops_ssh_private_key_file).",
                )
            self._refused(response, doing)
        return added

    def _registered(self, ssh_public_key: str) -> str | None:
        """The number of the account's key that is the same but for its comment, if any."""
        for key in self._rows("/v1/sshkeys", "keys", "ssh_keys", "Reading the SSH keys"):
            told = key.get("public_key") if isinstance(key, dict) else None
            if isinstance(told, str) and told.split()[:2] == ssh_public_key.split()[:2]:
                return id_or_none(key.get("id"))
        return None

    def list_rentals(self) -> list[Rental]:
        """``GET /instances``, which has no pages; what is being deleted is left out."""
        rows = self._rows("/v1/instances", "list", "instances", "Reading the instances")
        return [
            self._listed(row)
            for row in rows
            if not (isinstance(row, dict) and row.get("status") in _GONE)
        ]

    def _row(self, rental_id: str, doing: str) -> dict[str, Any] | None:
        """Gone is one that is being deleted, or a 404 in its own words."""
        response = self._transport.request(
            "GET", f"/v1/instances/{rental_id}/info", kind="show", idempotent=True
        )
        if _says_gone(response):
            return None
        row = own_row(expect_ok(response, doing), rental_id, response, doing)
        return None if row.get("status") in _GONE else row

    def release(self, rental_id: str) -> None:
        """``POST /instances/{id}/delete``, whose good answer is empty: a look confirms it."""
        doing = f"Releasing rental {rental_id}"
        response = self._post(rental_id, "delete", "destroy")
        if _says_gone(response):
            return
        if response.status != 200:
            self._refused(response, doing)
        if self._row(rental_id, doing) is not None:
            raise ProviderUnavailable(f"{doing}: it is shown as before.")

    def change_mark(self, rental_id: str, mark: Mark) -> None:
        """``POST /instances/{id}/update`` with all tags and the new date of its end.

        Tags of others stay, and so does a limit that a person has set to what it may cost.
        """
        doing = f"Changing the mark of rental {rental_id}"
        row = self._row(rental_id, doing)
        if row is None:
            raise ProviderUnavailable(f"{doing}: it is gone.")
        # An odd one is not written to.
        if self._rental(row).has_odd_label:
            raise ProviderUnavailable(f"{doing}: one of its tags is no text ({_label(row)}).")
        others = [tag for tag in _tags(row) if not _is_of(tag, mark)]
        limits = {**_limits(row), "date_threshold": _date(mark.deadline)}
        body = {
            "tags": [mark.encode(), *others],
            "auto_delete": limits if any(limits.values()) else None,
        }
        response = self._post(rental_id, "update", "change", body)
        if response.status != 200:
            self._refused(response, doing)
        # Its good answer is empty too, and an end that has not moved would take the host away.
        seen = self._row(rental_id, doing)
        if seen is None or not _ends_at(seen, mark.deadline):
            raise ProviderUnavailable(f"{doing}: Shadeform would not end it then.")

    def _post(
        self, rental_id: str, action: str, kind: str, body: Mapping[str, Any] | None = None
    ) -> Response:
        path = f"/v1/instances/{rental_id}/{action}"
        return self._transport.request("POST", path, kind=kind, body=body, idempotent=True)

    def attach_key(self, rental_id: str, ssh_public_key: str, again: bool = False) -> None:
        """Nothing: the key came with the request, and the API has no way into a machine."""

    def check_credential(self) -> None:
        """``GET /sshkeys``: what only the account's key may read."""
        self._rows("/v1/sshkeys", "keys", "ssh_keys", "Checking the API key")

    def _tells_whose(self, row: dict[str, Any]) -> bool:
        """Tags that nobody has written are missing."""
        told = row.get("tags")
        return told is None or (isinstance(told, list) and len(_tags(row)) == len(told))

    def _status(self, row: dict[str, Any]) -> tuple[str, str]:
        told = (row["status"], row.get("status_details"))
        return _STATUS[row["status"]], printable(": ".join(str(part) for part in told if part))

    def _understood(self, row: dict[str, Any], status: str, text: str) -> Rental:
        label, copy = _label(row), _second_mark(row)
        mark = mark_of(label, copy, self.seal)
        machine = row.get("configuration") or {}
        created = moment(row.get("created_at"))
        ways = _ways(row)
        return Rental(
            provider=self.name,
            id=id_or_none(row["id"]) or "",
            # Ids tell no order.
            seniority="" if created is None else f"{created:020.6f}",
            label=label,
            mark=mark,
            claim=None if mark else claim_of(label, copy),
            status=status,
            status_text=text,
            price_usd_per_hour=numeric(row, "hourly_price", _CENTS) or None,
            started_at=created,
            machine_id=None,
            gpu_name=printable(machine.get("gpu_type") or ""),
            gpu_count=int(numeric(machine, "num_gpus") or 0),
            vram_gib=numeric(machine, "vram_per_gpu_in_gb") or None,
            driver_version=None,
            download_mbit_per_second=None,
            ssh_user=row.get("ssh_user") or self.ssh_user,
            ssh=tuple(way for port, way in ways.items() if port == str(_SSH_PORT)),
            ports=ways,
            console_url=self._console_url,
            ends_at=moment((row.get("rental_terms") or {}).get("ending_at")),
        )


def _places(rows: list[Any]) -> Iterator[tuple[Any, Any]]:
    """Each row with each of its regions. One that has none to be read comes once, to be told."""
    for row in rows:
        told = row.get("availability") if isinstance(row, dict) else None
        for place in told if isinstance(told, list) else (None,):
            yield row, place


def _offered(found: tuple[Any, Any]) -> list[Offer]:
    """The offer of a row in a region, or none where it is not for rent. Raises one of DAMAGED.

    What the search has asked for is looked at again.
    """
    row, place = found
    boots = (row.get("boot_time") or {}).get("max_boot_in_sec") or 0.0
    slow = boots > _LONGEST_BOOT_SECONDS
    foreign = _ARM.search(row["configuration"]["gpu_type"])
    usable = row["deployment_type"] in _MACHINES and not slow and not foreign
    on_demand = place.get("rental_type", _ON_DEMAND) == _ON_DEMAND
    return [_offer(row, place)] if usable and on_demand and place["available"] is True else []


def _offer(row: dict[str, Any], place: dict[str, Any]) -> Offer:
    machine = row["configuration"]
    offer_id = f"{row['cloud']}.{place['region']}.{row['shade_instance_type']}"
    price = required(row, "hourly_price") / _CENTS
    if price <= 0 or not _OFFER_ID.fullmatch(offer_id):
        raise ValueError(f"{shown(offer_id)} has no price, or an odd name")
    country = _COUNTRY.match(place.get("display_name") or "")
    return Offer(
        provider=Shadeform.name,
        id=offer_id,
        gpu_name=printable(machine["gpu_type"]),
        gpu_count=int(required(machine, "num_gpus")),
        price_usd_per_hour=price,
        # A whole number of the GB that cards are sold by.
        vram_gib=numeric(machine, "vram_per_gpu_in_gb") or None,
        disk_gib=numeric(machine, "storage_in_gb", _GB_PER_GIB, 1) or None,
        ram_gib=numeric(machine, "memory_in_gb", _GB_PER_GIB, 1) or None,
        cpu_cores=numeric(machine, "vcpus") or None,
        # Its FAQ guarantees a data center of tier 3 or 4 for every one.
        verified=True,
        country=country[1] if country else None,
    )


def _parts(offer: Offer) -> tuple[str, str, str]:
    """Cloud, region and instance type of an offer. Raises RequestRefused for another's."""
    found = _OFFER_ID.fullmatch(offer.id)
    if not found:
        raise RequestRefused(f"{shown(offer.id)} is no offer of Shadeform's.")
    return found[1], found[2], found[3]


def _operating_system(offer: Offer, row: Mapping[str, Any], image: str) -> str:
    """What a machine boots of what its type has. Raises OfferGone where it has no such thing."""
    told = row["configuration"].get("os_options") or ()
    options = [one for one in told if isinstance(one, str)]
    if image == _WITH_DRIVERS:
        fitting = sorted((one for one in options if _WITH_DRIVERS in one), key=_cuda)
    else:
        fitting = [one for one in options if one == image]
    if not fitting:
        raise OfferGone(
            f"Renting {offer.id}: it has no image {image}, only "
            f"{printable(', '.join(options)) or 'none'}."
        )
    return fitting[-1]


def _cuda(system: str) -> tuple[int, ...]:
    found = _CUDA.search(system)
    return version_key(found[1]) if found else ()


def _create_body(offer: Offer, order: Order, system: str, key_id: str) -> dict[str, Any]:
    cloud, region, kind = _parts(offer)
    mark = order.mark
    words = f"{PREFIX}-{mark.name[:_NAME_LETTERS]}-{mark.nonce}".casefold()
    script = f"#!/bin/sh\n# {mark.encode()}\n"
    return {
        "cloud": cloud,
        "region": region,
        "shade_instance_type": kind,
        "shade_cloud": True,
        "name": _OTHER_LETTERS.sub("-", words),
        "os": system,
        "ssh_key_id": key_id,
        "tags": [mark.encode()],
        "launch_configuration": {
            "type": "script",
            "script_configuration": {"base64_script": base64.b64encode(script.encode()).decode()},
        },
        **({"auto_delete": {"date_threshold": _date(mark.deadline)}} if mark.deadline else {}),
    }


def _create_error(offer: Offer, response: Response) -> MarketError:
    """The typed error for a rental request that named no rental."""
    doing, said = f"Renting {offer.id}", response.text.casefold()
    told = f"({response.excerpt()})"
    if not _is_refusal(response):
        return UnclearCreate(f"{doing}: HTTP {response.status} {told}.")
    if response.status in (401, 403):
        return CredentialError(f"{doing}: the API key was refused {told}.")
    if NO_CREDIT.said.search(said):
        return RequestRefused(
            f"{doing}: the account lacks credit {told}.",
            remedy="Add credit at https://platform.shadeform.ai/settings/billing, or set a lower "
            "maximum price.",
        )
    if _NO_STOCK.search(said):
        return OfferGone(f"{doing}: it is gone {told}.")
    if _BROKEN.search(said):
        return UnclearCreate(f"{doing}: HTTP {response.status} {told}.")
    return account_refused(doing, said, told) or RequestRefused(
        f"{doing}: refused {told}.", remedy="Change the option that this names, such as image."
    )


def _is_refusal(response: Response) -> bool:
    """Whether Shadeform itself says that it did not do it.

    Anything else comes from a gateway, which may have passed the request on, and a time-out means
    that somebody stopped waiting.
    """
    data = response.data if isinstance(response.data, dict) else {}
    own = any(data.get(field) for field in ("error_code", "error", "message"))
    return own and 400 <= response.status < 500 and response.status != 408


def _says_gone(response: Response) -> bool:
    """A 404 in its own words for what is not there, and not a gateway's for an address."""
    data = response.data if isinstance(response.data, dict) else {}
    own = data.get("error_code") or data.get("error") or "instance" in str(data.get("message"))
    said = response.text.casefold()
    return response.status == 404 and bool(own) and bool(_NO_SUCH.search(said))


def _tags(row: Mapping[str, Any]) -> list[str]:
    """Those that are texts."""
    told = row.get("tags")
    return [tag for tag in told if isinstance(tag, str)] if isinstance(told, list) else []


def _label(row: Mapping[str, Any]) -> str:
    """The tag that is the mark, which others may stand beside; all of them where none is, or two.

    What is no text is no mark.
    """
    marks = [tag for tag in map(printable, _tags(row)) if Mark.decode(tag)]
    if len(marks) == 1:
        return marks[0]
    told = row.get("tags")
    return printable(" ".join(map(label_text, told if isinstance(told, list) else [told])))


def _is_of(tag: str, mark: Mark) -> bool:
    """Whether a tag is the mark of the same rental, with whatever deadline."""
    known = Mark.decode(tag)
    return known is not None and known.identity == mark.identity


def _second_mark(row: Mapping[str, Any]) -> str | None:
    """The copy in the startup script; None where that is another, or not shown."""
    try:
        script = row["launch_configuration"]["script_configuration"]["base64_script"]
        found = _MARK_LINE.search(base64.b64decode(script).decode())
    except DAMAGED:
        return None
    return found[1] if found else None


def _limits(row: Mapping[str, Any]) -> dict[str, Any]:
    """At which date, and which spending, Shadeform deletes it."""
    told = row.get("auto_delete")
    known = ("date_threshold", "spend_threshold")
    return {name: told[name] for name in known if told.get(name)} if isinstance(told, dict) else {}


def _ends_at(row: Mapping[str, Any], deadline: int) -> bool:
    """Whether that is when Shadeform deletes it; 0 is never."""
    try:
        return int(moment(_limits(row).get("date_threshold")) or 0) == deadline
    except DAMAGED:
        return False


def _date(deadline: int) -> str | None:
    """Epoch seconds as RFC 3339 has them; None for no deadline."""
    return as_moment(deadline) if deadline else None


def _ways(row: Mapping[str, Any]) -> dict[str, Endpoint]:
    """TCP ports of the machine, by number, as they are reached from outside.

    Its address is null until it runs. Where that stays 22, the port of its SSH may be null too.
    """
    address = row.get("ip")
    if not address:
        return {}
    by_ssh = {str(_SSH_PORT): Endpoint(address, port_of(row.get("ssh_port") or _SSH_PORT))}
    told = row.get("port_mappings") or ()
    mapped = ((one.get("internal_port"), one.get("external_port")) for one in told)
    return {**tcp_ways(address, mapped), **by_ssh}
