# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""GPU shopper (github.com/acaracappa/cloud-gpu-shopper), a service that its users run themselves.

It rents at marketplaces with keys of its own. Facts from its code as of March 2026 (e3220c5) and
its log of live tests; its document of the API leaves most of them out.

A session is a rental. ``consumer_id`` is ours to choose, is never changed, and keeps the mark. The
service ends a session after whole hours. Its private key for the host, which it tells once, is
thrown away: our own key comes in by the start script.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from ..access.start_script import start_script
from ..border import port_of, printable, shown
from ..clock import Clock
from ..errors import (
    CredentialError,
    MarketError,
    OfferGone,
    ProviderUnavailable,
    RateLimited,
    RequestRefused,
    UnclearCreate,
)
from ..mark import claim_of, mark_of
from ..model import FAILED, RUNNING, STARTING, Endpoint, Offer, Order, Rental
from ..wish import Wish
from .account_words import NO_CREDIT, account_refused
from .fields import DAMAGED, id_or_none, label_text, moment, numeric, required
from .pace import Pace
from .provider import PROVIDER, Credential, Usual
from .rest import RestProvider, offers_of, own_row
from .transport import Response, expect_ok
from .vastai import SELF_RELEASE, VastAI

_INVENTORY, _SESSIONS = "/api/v1/inventory", "/api/v1/sessions"
#: The marketplace whose offers are taken. TensorDock's tell the most GPUs that a place has, where
#: one is rented, and no price of CPU, memory and disk; a host of Blue Lobster's runs no script.
_MARKETPLACE = VastAI
#: ``status`` in our words. A stopped session is gone, as far as its error does not deny it.
_STATUS = {
    "pending": STARTING,
    "provisioning": STARTING,
    "running": RUNNING,
    "stopping": FAILED,
    "stopped": FAILED,
    "failed": FAILED,
}
_STOPPING, _STOPPED, _FAILED = "stopping", "stopped", "failed"
#: Errors of stopped sessions whose instance it has asked its marketplace to end more than once, or
#: has seen to be gone. Those it stopped on request have none, and it has looked after the end.
_ENDED = re.compile(
    r"^(?:SSH verification timeout|permanent SSH error|instance stopped unexpectedly"
    r"|instance_vanished|(?:reservation expired|hard max duration exceeded): destroy failed)"
)
#: It found no instance in the list of its marketplace, and so never ended one. Where it has a
#: DEPLOYMENT_ID that is no news: Vast.ai does not keep what it looks for then, and it says so of
#: each instance that is older than ten minutes. The host's own switch ends it all the same.
_MISSED = re.compile(r"^Instance not found on provider during reconciliation")
_MISSED_SECONDS = 600.0
#: Errors of failed sessions. One that its marketplace has refused by a status, or that it was not
#: asked for, never had an instance. Else it may have made one that the service lost.
_NOT_MADE, _NOT_ASKED = "provider create failed: ", re.compile(r"circuit breaker|rate limit wait")
_STATUS_THERE = re.compile(r"failed \(HTTP (\d{3})\)")
_GONE_THERE = re.compile(r"no_such_ask|not available|stale_inventory")
#: In the answers to a GET and a DELETE of what it has never had: it forgets no session.
_UNKNOWN, _UNKNOWN_TO_DELETE = "record not found", "session not found: "
_NO_OFFER = "offer not found: "
_STALE = "stale_inventory"
#: Its marketplace client cuts MiB to whole GiB: 23.99 comes as 23, and 15.99 as 15. So much more
#: lets in those that are sold as 24 and 16, and none that is sold as a size less. Of a small card
#: that would be so much that one of just these GiB, such as 8, would be found to have too little.
_CUT_OFF_GIB, _CUT_OFF_SHARE = 0.6, 0.05
_COUNTRY = re.compile(r", ?([A-Z]{2})$")
_SECONDS_PER_HOUR, _MOST_HOURS = 3600, 12.0
_SSH_PORT = 22
#: What it starts at Vast.ai. It has no Python, which all that follows needs, and the switch, too.
_IMAGE = "nvidia/cuda:12.6.3-runtime-ubuntu22.04"
_PYTHON = """#!/bin/sh
command -v python3 || timeout 240 sh -c 'apt-get update && apt-get install -y python3'
"""
#: It gives an answer up after 300 s. Who hangs up before breaks off what it does: an instance that
#: is being made is lost to it, and one that is being ended stands where it was.
_ANSWER_SECONDS = 330.0


class GpuShopper(RestProvider):
    """The provider contract spoken to the service's HTTP API."""

    name = "shopper"
    # It asks for none. A proxy that guards it may.
    credentials = (
        Credential(
            "api_key",
            ("GPU_SHOPPER_API_KEY",),
            required=False,
            description="For a proxy that guards it, as a bearer token.",
        ),
    )
    # That of its own command line.
    url_env = "GPU_SHOPPER_URL"
    default_url = "http://localhost:8080"
    console = "http://localhost:8080/api/v1/sessions"
    label_field = "consumer_id"
    identity = ("id", "consumer_id")
    # It has none, and keeps to those of its marketplaces itself.
    seconds_between: ClassVar[Mapping[str, float]] = {}
    slow_seconds: ClassVar[Mapping[str, float]] = dict.fromkeys(
        ("create", "destroy"), _ANSWER_SECONDS
    )
    # It has none. Ours has 190 at most.
    label_length = 255
    # One release alone may take it 275 s.
    ends_within_seconds = 600.0
    ssh_user = "root"
    usual = Usual(
        image=_IMAGE,
        # Our guess. It gives a session ten minutes to start, so who waits must give up before.
        image_gib=1.2,
        disk_gib=50,
        driver_version=None,
        min_reliability=0.95,
        longest_download_hours=None,
        verified=False,
    )
    usual_in_words = (
        "image C(nvidia/cuda:12.6.3-runtime-ubuntu22.04), the only one that it starts, of 1.2 "
        "GiB, 50 GiB of disk, and reliability 0.95"
    )
    delivers_host_key = True
    attaches_keys = False
    # As long as it runs. Beside it a switch is sent along that ends the host from the inside.
    enforces_deadline = PROVIDER

    def __init__(
        self, credentials: Mapping[str, str], api_url: str, pace: Pace, clock: Clock
    ) -> None:
        super().__init__(credentials, api_url, pace, clock)
        self._clock = clock
        #: Sessions that it has shown to this client. It keeps all for ever.
        self._shown: set[str] = set()

    def _headers(self, credentials: Mapping[str, str]) -> dict[str, str]:
        return super()._headers(credentials) if credentials.get("api_key") else {}

    def search(self, wish: Wish) -> list[Offer]:
        """All that it has at hand, and what it finds for each GPU and country that is named.

        It asks its marketplace for one page of each. Any other limit would stay in its cache, and
        hide offers from those who ask next.
        """
        rows = (row for query in _queries(wish) for row in self._offers("Searching offers", query))
        found = offers_of(rows, _offered)
        return list({offer.id: offer for offer in found}.values())

    def _offers(self, doing: str, query: Mapping[str, Any]) -> list[Any]:
        return self._rows(_INVENTORY, "search", "offers", doing, query)

    def rent(self, offer: Offer, order: Order) -> str:
        """One ``POST /sessions``, which it answers when its marketplace has made the instance."""
        response = self._ask_for_rental("POST", _SESSIONS, _create_body(offer, order))
        session = _data(response).get("session")
        told = session.get("id") if isinstance(session, dict) else None
        rental_id = self._rented(offer, response, told, response.status == 201)
        if rental_id is None:
            raise _create_error(offer, response)
        self._shown.add(rental_id)
        return rental_id

    def list_rentals(self) -> list[Rental]:
        """``GET /sessions``, which has no pages; those that have ended are left out.

        One that it has shown before and does not list is no answer.
        """
        doing = "Reading the sessions"
        response, data = self._read(_SESSIONS, "list", doing)
        rows = data.get("sessions") if isinstance(data, dict) else None
        if not isinstance(rows, list) or data.get("count") != len(rows):
            raise ProviderUnavailable(
                f"{doing}: the answer is no list of them and their number ({response.excerpt()})."
            )
        listed = {id_or_none(row.get("id")) for row in rows if isinstance(row, dict)}
        for rental_id in self._shown - listed:
            raise _forgotten(doing, rental_id)
        self._shown.update(filter(None, listed))
        return [self._listed(row) for row in rows if not self._has_ended(row)]

    def get(self, rental_id: str) -> Rental | None:
        """One session; gone is one that was ended, or that it says it has never had."""
        doing = f"Reading rental {rental_id}"
        response = self._transport.request(
            "GET", f"{_SESSIONS}/{rental_id}", kind="show", idempotent=True
        )
        if response.status == 404 and _error(response) == _UNKNOWN:
            if rental_id in self._shown:
                raise _forgotten(doing, rental_id)
            return None
        row = own_row(expect_ok(response, doing), rental_id, response, doing)
        self._shown.add(rental_id)
        return None if self._has_ended(row) else self._rental(row)

    def _has_ended(self, row: Any) -> bool:
        """Whether a session bills no more, by what the service says of its end."""
        status, error = (row.get("status"), row.get("error")) if isinstance(row, dict) else ("", "")
        if not isinstance(error or "", str):
            return False
        if status == _FAILED:
            return _never_began(error or "")
        if status != _STOPPED or not error:
            return bool(status == _STOPPED)
        if _MISSED.match(error):
            return self._is_past_its_end(row)
        return bool(_ENDED.match(error))

    def _is_past_its_end(self, row: dict[str, Any]) -> bool:
        try:
            ends_at = moment(row.get("expires_at"))
        except DAMAGED:
            return False
        now = self._clock.now() + self.clock_offset_seconds
        return ends_at is not None and now > ends_at + _MISSED_SECONDS

    def release(self, rental_id: str) -> None:
        """``DELETE /sessions/{id}``, which it answers when it has seen the instance gone.

        Of one that is stopping already it says the same at once.
        """
        response = self._transport.request(
            "DELETE", f"{_SESSIONS}/{rental_id}", kind="destroy", idempotent=True
        )
        if response.status == 404 and _error(response) == f"{_UNKNOWN_TO_DELETE}{rental_id}":
            return
        if response.status != 200 or _data(response).get("session_id") != rental_id:
            self._refused(response, f"Releasing rental {rental_id}")

    def attach_key(self, rental_id: str, ssh_public_key: str, again: bool = False) -> None:
        """Nothing: the key came with the request, and the API has no way into a host."""

    def check_credential(self) -> None:
        """``GET /inventory``, which fails where none of its marketplaces lets the service in.

        Nobody logs in to the service, so this is all that can be proven: it is there, and it can
        see what it speaks of. That its sessions are those of before, the list itself proves.
        """
        self._offers("Checking the service", {"limit": 1})

    def _status(self, row: dict[str, Any]) -> tuple[str, str]:
        said = (row["status"], row.get("error") or "")
        return _STATUS[row["status"]], printable(": ".join(filter(None, said)))

    def _understood(self, row: dict[str, Any], status: str, text: str) -> Rental:
        label = label_text(row.get("consumer_id"))
        mark = mark_of(label, None, self.seal)
        created = moment(row.get("created_at"))
        host = row.get("ssh_host")
        way = Endpoint(host, port_of(row.get("ssh_port"))) if host else None
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
            price_usd_per_hour=numeric(row, "price_per_hour") or None,
            started_at=created,
            machine_id=None,
            gpu_name=printable(row.get("gpu_type") or ""),
            gpu_count=int(numeric(row, "gpu_count") or 0),
            vram_gib=None,
            driver_version=None,
            download_mbit_per_second=None,
            ssh_user=row.get("ssh_user") or self.ssh_user,
            ssh=(way,) if way else (),
            ports={str(_SSH_PORT): way} if way else {},
            console_url=self._console_url,
            is_ending=row.get("status") == _STOPPING,
        )


def _queries(wish: Wish) -> Iterator[dict[str, str]]:
    yield {}
    names = [name.replace("_", " ") for name in wish.gpu_names]
    for name, country in itertools.product(names or [""], wish.countries or [""]):
        query = {"gpu_type": name, "location": country}
        if any(query.values()):
            yield {field: value for field, value in query.items() if value}


def _offered(row: Any) -> list[Offer]:
    """The offer in *row*, or none where it is not for rent to us. Raises one of DAMAGED.

    Those of the marketplace are on demand, though they are called interruptible: the service sends
    no bid.
    """
    return [_offer(row)] if row["provider"] == _MARKETPLACE.name and row["available"] else []


def _offer(row: dict[str, Any]) -> Offer:
    price = required(row, "price_per_hour")
    if price <= 0:
        raise ValueError("no price")
    country = _COUNTRY.search(row.get("location") or "")
    cuda = numeric(row, "cuda_version")
    return Offer(
        provider=GpuShopper.name,
        id=row["id"],
        gpu_name=printable(row["gpu_type"]),
        gpu_count=int(required(row, "gpu_count")),
        # What a disk costs is not told.
        price_usd_per_hour=price,
        vram_gib=_vram_gib(required(row, "vram_gb")),
        cuda_version=f"{cuda:.1f}" if cuda else None,
        reliability=numeric(row, "reliability") or None,
        country=country[1] if country else None,
        max_duration_hours=min(numeric(row, "max_duration_hours") or _MOST_HOURS, _MOST_HOURS),
    )


def _vram_gib(whole_gib: float) -> float:
    """What a card may have of which so many whole GiB are told."""
    return round(whole_gib + min(_CUT_OFF_GIB, whole_gib * _CUT_OFF_SHARE), 2)


def _create_body(offer: Offer, order: Order) -> dict[str, Any]:
    """Raises RequestRefused for what the service cannot do."""
    if order.image != _IMAGE:
        raise RequestRefused(
            f"GPU shopper starts no image that is asked for, such as {shown(order.image)}.",
            remedy="Leave rent_image open: the engine is installed on its own.",
        )
    if any(port != _SSH_PORT for port in order.ports):
        raise RequestRefused(
            "GPU shopper opens no ports on request.",
            remedy="Leave rent_ports empty: the server is reached through a tunnel.",
        )
    return {
        "consumer_id": order.mark.encode(),
        "offer_id": offer.id,
        # Without a command of ours some types would run one of their own.
        "workload_type": "ssh",
        "launch_mode": "ssh",
        "reservation_hours": _hours(order),
        "disk_gb": order.disk_gib,
        "storage_policy": "destroy",
        # It would take another offer at another price, under the same mark.
        "auto_retry": False,
        "on_start_cmd": start_script(
            order.ssh_public_key, order.host_key, order.mark.deadline, SELF_RELEASE, _PYTHON
        ),
    }


def _hours(order: Order) -> int:
    """How long it reserves. Raises RequestRefused for what it cannot end at its deadline."""
    hours, rest = divmod(max(0, order.mark.deadline - order.created_at), _SECONDS_PER_HOUR)
    if rest or not 1 <= hours <= _MOST_HOURS:
        most = f"{_MOST_HOURS:.0f}"
        raise RequestRefused(
            f"GPU shopper ends a session after 1 to {most} whole hours, and not at this deadline.",
            remedy=f"Set rent_deadline_hours to a whole number from 1 to {most}, and leave "
            "rent_budget_usd at 0.",
        )
    return hours


def _create_error(offer: Offer, response: Response) -> MarketError:
    """The typed error for a rental request that named no rental."""
    doing, told = f"Renting {offer.id}", f"({response.excerpt()})"
    said, error = response.text.casefold(), _error(response)
    if response.status in (401, 403):
        return CredentialError(f"{doing}: what guards the service refused the key {told}.")
    if response.status == 404 and error.startswith(_NO_OFFER):
        return OfferGone(f"{doing}: the service does not have it any more {told}.")
    if response.status == 503 and _data(response).get("error_type") == _STALE:
        return OfferGone(f"{doing}: it is gone {told}.")
    if response.status == 400 and error:
        return RequestRefused(f"{doing}: refused {told}.", remedy="Change what this names.")
    there = _refusal_there(error) if response.status == 500 else None
    if there:
        return _refused_there(doing, there, said, told)
    # A 409 says that this very request was carried out before: somebody has sent it on twice.
    return UnclearCreate(f"{doing}: HTTP {response.status} {told}.")


def _never_began(error: str) -> bool:
    """Whether a session failed before there was an instance."""
    certain = bool(_NOT_ASKED.search(error)) or _refusal_there(error) is not None
    return error.startswith(_NOT_MADE) and certain


def _refusal_there(error: str) -> int | None:
    """The status by which the marketplace has refused; None where it may have done it."""
    found = _STATUS_THERE.search(error)
    status = int(found[1]) if found else 0
    return status if 400 <= status < 500 and status != 408 else None


def _refused_there(doing: str, status: int, said: str, told: str) -> MarketError:
    """What the marketplace behind the service has refused, by its own status and words."""
    if status in (404, 410) or _GONE_THERE.search(said):
        return OfferGone(f"{doing}: its marketplace does not have it any more {told}.")
    if status == 429:
        return RateLimited(f"{doing}: its marketplace takes no more requests for now {told}.")
    if NO_CREDIT.said.search(said):
        return RequestRefused(
            f"{doing}: the service's account at its marketplace lacks credit {told}.",
            remedy="Add credit there, or set a lower maximum price.",
        )
    return account_refused(doing, said, told) or RequestRefused(
        f"{doing}: its marketplace refused the service {told}.",
        remedy="See whether the service has a key there that may rent.",
    )


def _forgotten(doing: str, rental_id: Any) -> ProviderUnavailable:
    return ProviderUnavailable(
        f"{doing}: the service has lost session {printable(str(rental_id))}, which it has shown "
        "before.",
        remedy="See whether it runs with the same database, and what its marketplace bills.",
    )


def _data(response: Response) -> dict[str, Any]:
    return response.data if isinstance(response.data, dict) else {}


def _error(response: Response) -> str:
    """What the service says in its own shape; empty where it is another's."""
    told = _data(response).get("error")
    return told if isinstance(told, str) else ""
