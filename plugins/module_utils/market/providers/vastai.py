# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Vast.ai. Facts from its OpenAPI documents (github.com/vast-ai/docs) and client (vastai 1.9.1).

One ask on one machine is an offer, one instance is a rental, ``label`` keeps the mark, and so does
a variable of the container's environment, which the console does not let people change.
"""

from __future__ import annotations

import contextlib
import json
import re
import time
from collections.abc import Mapping
from typing import Any, ClassVar

from ..access.start_script import SelfRelease, start_script
from ..border import check_port, port_of, printable, shown
from ..clock import Clock
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
    SILENT,
    STARTING,
    STOPPED,
    Account,
    Charge,
    Endpoint,
    Offer,
    Order,
    Rental,
    RentalLog,
)
from ..wish import Wish
from .account_words import NO_CREDIT, account_refusal
from .fields import DAMAGED, id_or_none, is_denied, label_text, numeric, required, tcp_ways
from .pace import Pace
from .provider import HOST, Credential, EngineImages, Usual
from .rest import RestProvider, offers_of
from .transport import Response, Transport, expect_ok

_MB_PER_GIB = 1024.0
_SECONDS_PER_HOUR = 3600.0
_OFFERS_WANTED = 1000
_PAGE_SIZE = 25
_MOST_PAGES = 200
#: Of all pages together, however slowly and fully each comes. At the pace of its limits, a listing
#: of 5000 rentals takes half of it.
_MOST_LISTING_SECONDS, _MOST_LISTING_LETTERS = 900.0, 64 * 2**20

#: ``actual_status`` in our words; what is missing here (null, created, loading) is starting.
_STATUS = {
    "running": RUNNING,
    "stopped": STOPPED,
    "frozen": STOPPED,
    "exited": FAILED,
    "offline": SILENT,
    "unknown": SILENT,
}
#: What the release from the inside calls, with the key that Vast.ai puts into every instance and
#: that is good for this instance only. VAST_URL is the official client's own override.
SELF_RELEASE = SelfRelease(
    method="DELETE",
    read_method="GET",
    url="${VAST_URL:-https://console.vast.ai}/api/v0/instances/$CONTAINER_ID/",
    key_variable="CONTAINER_API_KEY",
)
#: A wrong key and an ended session are also told by 404, which elsewhere means gone.
_BAD_KEY = ("auth_error", "invalid user key", "session expired")
#: Each way of saying that an offer cannot be rented any more. A 5xx may have been carried out,
#: unless it says in so many words that the list was old.
_NO_SUCH_OFFER = re.compile(r"no_such_ask|type by id \S{1,40} is not available|stale_inventory")
_STALE = "stale_inventory"
#: How a stopped instance is told that its GPUs are taken. The change is queued all the same: it
#: would run, and bill, as soon as they are free.
_NO_ROOM = re.compile(r"resources_unavailable|resources are currently unavailable")
#: How a call is refused that there is no more, beside its statuses.
_DEPRECATED, _NO_SUCH_CALL = "deprecated_endpoint", (404, 405, 410)
_PAYMENT_REQUIRED = 402
#: A log is laid into a bucket of Amazon S3, where everybody may read it who knows its address. The
#: official client looks there three times a second for 9 s.
_BUCKET = re.compile(
    r"(https://(?:[a-z0-9-]{1,63}\.)?s3(?:[.-][a-z0-9-]{1,30})?\.amazonaws\.com)(/\S+)"
)
_LOOK_EVERY_SECONDS = 0.5
_LOG_LINES, _MOST_LOG_BYTES = 200, 64 * 2**10
_HOURS_PER_MONTH = 720.0
#: The variable of the container that holds the second copy of the mark.
_MARK_VARIABLE = "INFEROPS_MARK"
_INSTANCE_CHARGES = re.compile(r"instance-([0-9]{1,18})")
_CHARGES_PAGE_SIZE = 100
#: The ``rights`` of an API key that may not rent.
_READS_ONLY = "read"
#: What images and wheels are built for.
_CPU_ARCHITECTURE = "amd64"
#: Until when charges are asked for, from their beginning: later than any clock is wrong.
_MOST_DAYS = 400
#: Words in ``status_msg`` after which an instance that is still starting never runs.
_FATAL_MESSAGES = ("OCI runtime create failed", "Error response from daemon", "manifest unknown")


class VastAI(RestProvider):
    """The provider contract spoken to Vast.ai's HTTP API."""

    name = "vastai"
    credentials = (Credential("api_key", ("VAST_API_KEY",)),)
    url_env = "VAST_URL"
    default_url = "https://console.vast.ai"
    console = "https://console.vast.ai/instances/"
    label_field = "label"
    identity = ("id", "label", "extra_env")
    # Its documented limits; the search's is about ten a minute.
    seconds_between: ClassVar[Mapping[str, float]] = {
        "create": 4.5,
        "destroy": 3.0,
        "show": 2.0,
        "list": 2.0,
        "change": 1.0,
        "search": 6.0,
        "names": 1.0,
        "user": 1.0,
        "charges": 1.0,
        "log": 1.0,
    }
    label_length = 256
    ssh_user = "root"
    usual = Usual(
        # The tag that Vast.ai resolves to the newest one that the host's driver runs.
        image="vastai/base-image:@vastai-automatic-tag",
        image_gib=8.0,
        disk_gib=40,
        driver_version=None,
        min_reliability=0.95,
        longest_download_hours=1.0,
        verified=True,
    )
    usual_in_words = (
        "image C(vastai/base-image:@vastai-automatic-tag) of 8 GiB, 40 GiB of disk, "
        "reliability 0.95, verified hosts alone, and a line that fetches all within 1 hour"
    )
    # Vast.ai builds them of vLLM's own within a day of each release, and adds sshd (workflow
    # build-vllm.yml of vast-ai/base-image). Of the tags without CUDA in their name nobody knows
    # which one they have. vLLM's own has 10 GB (vllm #48193); how much is added is our guess.
    engine_images: ClassVar[Mapping[str, EngineImages]] = {
        "vllm": EngineImages("vastai/vllm:v{release}-cuda-{cuda}", gib=10.5, since="0.14.0")
    }
    can_change_mark = True
    can_stop = True
    delivers_host_key = True
    tells_machines = True
    tells_charges = True
    tells_bill = True
    tells_log = True
    tells_account = True
    tells_gpu_names = True
    keeps_second_mark = True
    takes_registry_login = True
    enforces_deadline = HOST

    def __init__(
        self, credentials: Mapping[str, str], api_url: str, pace: Pace, clock: Clock
    ) -> None:
        super().__init__(credentials, api_url, pace, clock)
        self._clock = clock

    def search(self, wish: Wish) -> list[Offer]:
        """Offers on demand; the answer may hold too many, never too few kinds."""
        response = self._transport.request(
            "POST", "/api/v0/bundles/", kind="search", body=_search_body(wish), idempotent=True
        )
        data = self._ok(response, "Searching offers")
        rows = data.get("offers")
        if not isinstance(rows, list):
            raise ProviderUnavailable(
                f"Searching offers: the answer has no list of offers ({response.excerpt()})."
            )
        return offers_of(rows, lambda row: _offered(row, wish.disk_gib))

    def gpu_names(self) -> list[str]:
        """``GET /gpu_names/unique/``."""
        response = self._transport.request(
            "GET", "/api/v0/gpu_names/unique/", kind="names", idempotent=True
        )
        names = self._ok(response, "Reading the names of GPUs").get("gpu_names")
        if not isinstance(names, list):
            raise ProviderUnavailable(
                f"Reading the names of GPUs: there is no list of them ({response.excerpt()})."
            )
        return [printable(name) for name in names if isinstance(name, str)]

    def rent(self, offer: Offer, order: Order) -> str:
        """One ``PUT /asks/{id}/``; each form of "no such ask" becomes OfferGone."""
        response = self._ask_for_rental("PUT", f"/api/v0/asks/{offer.id}/", _create_body(order))
        data = response.data if isinstance(response.data, dict) else {}
        carried_out = response.status == 200 and bool(data.get("success"))
        rental_id = self._rented(offer, response, data.get("new_contract"), carried_out)
        if rental_id is None:
            raise _create_error(offer, response)
        return rental_id

    def list_rentals(self) -> list[Rental]:
        """All pages of ``/api/v1/instances/``, counted against ``total_instances``."""
        order = {"order_by": json.dumps([{"col": "id", "dir": "asc"}]), "limit": _PAGE_SIZE}
        rows, total = self._pages("/api/v1/instances/", "list", order, "instances")
        return self._complete(rows, total)

    def _pages(
        self, path: str, kind: str, query: Mapping[str, Any], field: str
    ) -> tuple[list[Any], Any]:
        """The rows of all pages, and how many instances the last one says that there are."""
        rows: list[Any] = []
        asked = dict(query)
        until, letters = time.monotonic() + _MOST_LISTING_SECONDS, 0
        for _page in range(_MOST_PAGES):
            response = self._transport.request("GET", path, kind=kind, query=asked, idempotent=True)
            data = self._ok(response, f"Reading {path}")
            page = data.get(field)
            if not isinstance(page, list):
                raise ProviderUnavailable(
                    f"Reading {path}: the answer has no list of {field} ({response.excerpt()})."
                )
            rows.extend(page)
            token = data.get("next_token")
            if not token:
                return rows, data.get("total_instances")
            asked["after_token"] = token
            letters += len(response.text)
            if time.monotonic() > until or letters > _MOST_LISTING_LETTERS:
                break
        raise ProviderUnavailable(f"Reading {path}: no end after {_page + 1} pages.")

    def get(self, rental_id: str) -> Rental | None:
        """One instance; gone is ``{"instances": null}`` or 404 ``no_such_instance``."""
        response = self._transport.request(
            "GET",
            f"/api/v0/instances/{rental_id}/",
            kind="show",
            query={"owner": "me"},
            idempotent=True,
        )
        if _says_no_such_instance(response):
            return None
        data = self._ok(response, f"Reading rental {rental_id}")
        row = data.get("instances", "")
        if row is None:
            return None
        if not isinstance(row, dict) or str(row.get("id")) != rental_id:
            raise ProviderUnavailable(
                f"Reading rental {rental_id}: the answer shows no such rental "
                f"({response.excerpt()})."
            )
        return self._rental(row)

    def charged(self, since: float) -> dict[str, Charge]:
        """All pages of ``/api/v0/charges/``, of whole days; needs the right to read bills."""
        days = {"gte": int(since), "lte": int(since) + _MOST_DAYS * 86400}
        filters = json.dumps({"day": days, "type": {"in": ["instance"]}})
        query = {"select_filters": filters, "limit": _CHARGES_PAGE_SIZE}
        rows, _total = self._pages("/api/v0/charges/", "charges", query, "results")
        found = dict(filter(None, map(_charged, rows)))
        return dict(sorted(found.items(), key=lambda one: int(one[0])))

    def billed_usd(self, rental_id: str, since: float) -> float | None:
        """By its charges."""
        charge = self.charged(since).get(rental_id)
        return charge.usd if charge else None

    def log(self, rental_id: str, seconds: float) -> RentalLog:
        """What ``PUT /instances/request_logs/{id}/`` has uploaded, once for each of two logs."""
        parts, error = [], None
        for of_machine in (True, False):
            try:
                parts.append(self._log(rental_id, of_machine, seconds / 2))
            except ProviderUnavailable as reason:
                parts.append("")
                error = reason
        if error and not any(parts):
            raise error
        return RentalLog(*parts)

    def _log(self, rental_id: str, of_machine: bool, seconds: float) -> str:
        doing = f"Reading the log of rental {rental_id}"
        body = {"tail": str(_LOG_LINES), **({"daemon_logs": "true"} if of_machine else {})}
        path = f"/api/v0/instances/request_logs/{rental_id}/"
        answer = self._transport.request("PUT", path, kind="log", body=body, idempotent=False)
        link = self._ok(answer, doing).get("result_url")
        place, path = self._place_of_log(link)
        # It lies at somebody else's, who gets no key of ours.
        bucket = Transport(place, {}, Pace(None, {}, self._clock), self._clock)
        for waited in self._clock.ticks(seconds, _LOOK_EVERY_SECONDS):
            left = max(seconds - waited, _LOOK_EVERY_SECONDS)
            found = bucket.beginning(path, kind="log", seconds=left, most_bytes=_MOST_LOG_BYTES)
            if found.status == 200:
                return found.text
        raise ProviderUnavailable(f"{doing}: it was not there within {seconds:.0f} s.")

    def _place_of_log(self, link: Any) -> tuple[str, str]:
        """The server and the path of a log's address: a bucket, or the API's own server.

        Who answers could have the controller ask anybody. Raises ProviderUnavailable.
        """
        text = link if isinstance(link, str) else ""
        own = rf"({re.escape(self._address)})(/\S+)"
        found = _BUCKET.fullmatch(text) or re.fullmatch(own, text)
        if not found:
            raise ProviderUnavailable(f"A log is said to lie at {shown(link)}, which is no bucket.")
        return found[1], found[2]

    def release(self, rental_id: str) -> None:
        """``DELETE /instances/{id}/``."""
        response = self._transport.request(
            "DELETE",
            f"/api/v0/instances/{rental_id}/",
            kind="destroy",
            body={},
            idempotent=True,
        )
        if not _says_no_such_instance(response):
            self._ok(response, f"Releasing rental {rental_id}")

    def change_mark(self, rental_id: str, mark: Mark) -> None:
        """``PUT /instances/{id}/`` with the new label."""
        response = self._transport.request(
            "PUT",
            f"/api/v0/instances/{rental_id}/",
            kind="change",
            body={"label": mark.encode()},
            idempotent=True,
        )
        self._ok(response, f"Changing the mark of rental {rental_id}")

    def stop(self, rental_id: str) -> None:
        """``PUT /instances/{id}/`` with the state stopped."""
        self._ok(self._put_state(rental_id, "stopped"), f"Stopping rental {rental_id}")

    def start(self, rental_id: str) -> None:
        """``PUT /instances/{id}/`` with the state running."""
        response, doing = self._put_state(rental_id, "running"), f"Starting rental {rental_id}"
        said = response.text.casefold()
        if response.status < 500 and _NO_ROOM.search(said):
            raise OfferGone(f"{doing}: its GPUs are somebody else's by now ({response.excerpt()}).")
        # By its words alone: a gateway's page and a rental that is gone have such statuses too.
        refusal = _refusal(0, said) if _says_not_carried_out(response, False) else None
        if refusal:
            raise RequestRefused(
                f"{doing}: {refusal[0]} ({response.excerpt()}).", remedy=refusal[1]
            )
        self._ok(response, doing)

    def _put_state(self, rental_id: str, state: str) -> Response:
        path = f"/api/v0/instances/{rental_id}/"
        return self._transport.request(
            "PUT", path, kind="change", body={"state": state}, idempotent=True
        )

    def attach_key(self, rental_id: str, ssh_public_key: str, again: bool = False) -> None:
        """Account keys may not reach an instance, so the key is attached to it explicitly."""
        path = f"/api/v0/instances/{rental_id}/ssh/"
        doing = f"Attaching the SSH key to rental {rental_id}"
        answer = self._transport.request("GET", path, kind="change", idempotent=True)
        attached = _attached_keys(self._ok(answer, doing))
        # The second word of a public key is the key itself, without type and comment.
        key_id = attached.get(ssh_public_key.split()[1])
        if key_id is not None and not again:
            return
        if key_id is not None:
            gone = self._transport.request(
                "DELETE", f"{path}{key_id}/", kind="change", idempotent=True
            )
            if gone.status != 404:
                self._ok(gone, doing)
        body = {"ssh_key": ssh_public_key}
        response = self._transport.request("POST", path, kind="change", body=body, idempotent=True)
        if not _says_already_attached(response):
            self._ok(response, doing)

    def check_credential(self) -> None:
        """``GET /users/current/`` must name a user."""
        self._user()

    def account(self) -> Account:
        """``GET /users/current/``, and of ``GET /auth/apikeys/`` the row of the key itself."""
        user = self._user()
        response = self._transport.request(
            "GET", "/api/v0/auth/apikeys/", kind="user", idempotent=True
        )
        try:
            keys = response.data["apikeys"] if response.status == 200 else ()
            rights = [key["rights"] for key in keys if key["id"] == user.get("key_id")]
            told = [numeric(user, "credit"), numeric(user, "balance")]
            # Which of the two pays is not documented.
            money = max((one for one in told if one is not None), default=None)
            return Account(money, False if rights == [_READS_ONLY] else None)
        except DAMAGED:
            return Account()

    def _ok(self, response: Response, doing: str) -> dict[str, Any]:
        """The object in a good answer; a key that is refused in Vast.ai's ways is told apart."""
        said = response.text.casefold()
        if not 200 <= response.status < 300 and any(words in said for words in _BAD_KEY):
            raise CredentialError(
                f"{doing}: the provider refused the API key (HTTP {response.status}: "
                f"{response.excerpt()})."
            )
        data = expect_ok(response, doing)
        if not isinstance(data, dict) or data.get("success") is False:
            raise ProviderUnavailable(f"{doing}: unusable answer ({response.excerpt()}).")
        return data

    def _user(self) -> dict[str, Any]:
        response = self._transport.request(
            "GET", "/api/v0/users/current/", kind="user", idempotent=True
        )
        data = self._ok(response, "Checking the API key")
        if not data.get("id"):
            raise ProviderUnavailable(
                f"Checking the API key: the answer names no user ({response.excerpt()})."
            )
        return data

    def _complete(self, rows: list[Any], total: Any) -> list[Rental]:
        """Each rental of *rows* once, where they are as many as the provider says that there are.

        Pages overlap when what is rented changes meanwhile: the last row of a rental is the newest.
        """
        by_id = {id_or_none(row.get("id")) if isinstance(row, dict) else None: row for row in rows}
        if None in by_id:
            # Whose rental it shows, or which, nobody can tell.
            raise ProviderUnavailable(
                "Listing rentals: a row of the list has no id, so the list cannot be trusted."
            )
        if str(len(by_id)) != str(total):
            many = "an untold number" if total is None else printable(str(total))
            raise ProviderUnavailable(
                f"Listing rentals: {len(by_id)} came of {many}, so the list cannot be trusted."
            )
        return [self._listed(row) for row in by_id.values()]

    def _tells_whose(self, row: dict[str, Any]) -> bool:
        """A label that nobody has written is null."""
        return row.get("label") is None or super()._tells_whose(row)

    def _status(self, row: dict[str, Any]) -> tuple[str, str]:
        return _status(row), _status_text(row)

    def _understood(self, row: dict[str, Any], status: str, text: str) -> Rental:
        label, copy = label_text(row.get("label")), _second_mark(row)
        mark = mark_of(label, copy, self.seal)
        return Rental(
            provider=self.name,
            id=id_or_none(row["id"]) or "",
            # Ids are given out in the order of the rental requests.
            seniority=str(row["id"]).rjust(20, "0"),
            label=label,
            mark=mark,
            claim=None if mark else claim_of(label, copy),
            status=status,
            status_text=text,
            # 0 is what it shows before it knows.
            price_usd_per_hour=numeric(row, "dph_total") or None,
            started_at=numeric(row, "start_date") or None,
            machine_id=_text(row, "machine_id"),
            gpu_name=row.get("gpu_name") or "",
            gpu_count=int(numeric(row, "num_gpus") or 0),
            vram_gib=numeric(row, "gpu_ram", _MB_PER_GIB, 2),
            driver_version=row.get("driver_version") or None,
            download_mbit_per_second=numeric(row, "inet_down"),
            ssh_user=self.ssh_user,
            ssh=tuple(_ssh_endpoints(row)),
            ports=_ports(row),
            console_url=self._console_url,
            stopped_usd_per_hour=numeric(row, "storage_total_cost"),
            ends_at=numeric(row, "end_date"),
            is_interruptible=not is_denied(row, "is_bid"),
        )


def _search_body(wish: Wish) -> dict[str, Any]:
    """The search in Vast.ai's units: MB of VRAM, drivers as one number, seconds."""
    body: dict[str, Any] = {
        "type": "on-demand",
        "rentable": {"eq": True},
        "rented": {"eq": False},
        "external": {"eq": False},
        "cpu_arch": {"eq": _CPU_ARCHITECTURE},
        "num_gpus": {"eq": wish.gpu_count},
        "disk_space": {"gte": wish.disk_gib},
        "direct_port_count": {"gte": 1},
        "allocated_storage": float(wish.disk_gib),
        "order": [["dph_total", "asc"]],
        "limit": _OFFERS_WANTED,
    }
    if wish.verified:
        body["verified"] = {"eq": True}
    if wish.gpu_names:
        body["gpu_name"] = {"in": [name.replace("_", " ") for name in wish.gpu_names]}
    if wish.countries:
        body["geolocation"] = {"in": list(wish.countries)}
    limits = (
        # A margin below, because a "24 GB" card lists as 24564 MB; the client checks again.
        ("gpu_ram", "gte", wish.vram_gib and wish.vram_gib * 0.95 * _MB_PER_GIB),
        ("dph_total", "lte", wish.max_price_usd_per_hour),
        ("reliability", "gte", wish.min_reliability),
        ("inet_down", "gte", wish.min_download_mbit_per_second),
        ("duration", "gte", wish.duration_hours and wish.duration_hours * _SECONDS_PER_HOUR),
        ("compute_cap", "gte", wish.compute_capability and _compute_cap(wish.compute_capability)),
        ("driver_version", "gte", wish.driver_version and _driver_number(wish.driver_version)),
    )
    body.update({field: {operator: value} for field, operator, value in limits if value})
    return body


def _create_body(order: Order) -> dict[str, Any]:
    return {
        "client_id": "me",
        "image": order.image,
        "disk": float(order.disk_gib),
        "label": order.mark.encode(),
        "env": {
            _MARK_VARIABLE: order.mark.encode(),
            **{f"-p {port}:{port}": "1" for port in order.ports},
        },
        "onstart": start_script(
            order.ssh_public_key,
            order.host_key,
            order.mark.deadline,
            SELF_RELEASE,
        ),
        "image_login": _image_login(order),
        "runtype": "ssh_direc ssh_proxy",
        # Without it a lost race leaves a stopped instance that bills its disk.
        "cancel_unavail": True,
    }


def _image_login(order: Order) -> str | None:
    """How Vast.ai takes the login of a registry: as options of ``docker login``."""
    login = order.registry
    return f"-u {login.username} -p {login.password} {login.host}" if login else None


def _create_error(offer: Offer, response: Response) -> MarketError:
    """The typed error for a rental request that named no rental."""
    doing = f"Renting offer {offer.id}"
    said = response.text.casefold()
    key_refused = any(words in said for words in _BAD_KEY)
    offer_gone = bool(_NO_SUCH_OFFER.search(said))
    refusal = _refusal(response.status, said)
    if not key_refused and not _says_not_carried_out(response, offer_gone):
        return UnclearCreate(f"{doing}: HTTP {response.status} ({response.excerpt()}).")
    if key_refused or (response.status in (401, 403) and not refusal):
        return CredentialError(f"{doing}: the API key was refused ({response.excerpt()}).")
    if offer_gone:
        return OfferGone(f"{doing}: it is gone ({response.excerpt()}).")
    if refusal:
        cause, remedy = refusal
        return RequestRefused(f"{doing}: {cause} ({response.excerpt()}).", remedy=remedy)
    return RequestRefused(
        f"{doing}: refused ({response.excerpt()}).",
        remedy="Change the option that this names, such as image, disk_gib or ports.",
    )


def _refusal(status: int, said: str) -> tuple[str, str] | None:
    """What refuses every offer alike, and what helps; None where this answer says nothing of it."""
    refusal = account_refusal(said) or (NO_CREDIT if status == _PAYMENT_REQUIRED else None)
    if refusal:
        return refusal.cause, refusal.remedy
    if status in _NO_SUCH_CALL or _DEPRECATED in said:
        return (
            "the marketplace does not offer this call any more",
            "Install a newer version of inferops.gpu, and see whether inferops_api_url is right.",
        )
    return None


def _says_not_carried_out(response: Response, offer_gone: bool) -> bool:
    """Whether a failed rental request has certainly rented nothing.

    A refusal by Vast.ai is a JSON object of its shape, or text in its words. Anything else comes
    from a gateway, which may have passed the request on, and a time-out means that somebody stopped
    waiting.
    """
    if not 400 <= response.status < 500:
        return _STALE in response.text.casefold()
    said = response.data if isinstance(response.data, dict) else {}
    own_words = said.get("success") is False or "error" in said
    return response.status != 408 and (own_words or offer_gone)


def _attached_keys(data: dict[str, Any]) -> dict[str, int]:
    """The ids of an instance's SSH keys by their second word; the list comes as JSON text."""
    rows = data.get("ssh_keys") or []
    with contextlib.suppress(ValueError):
        rows = json.loads(rows) if isinstance(rows, str) else rows
    found: dict[str, int] = {}
    for row in rows if isinstance(rows, list) else ():
        with contextlib.suppress(*DAMAGED):
            found[row["public_key"].split()[1]] = int(row["id"])
    return found


def _offered(row: Any, disk_gib: int) -> list[Offer]:
    """The offer in *row*, or none where it is not for rent. Raises one of DAMAGED.

    What the search has asked for is looked at again: filters have been ignored.
    """
    theirs = row.get("rented") or row.get("external") or not row.get("rentable", True)
    foreign = (row.get("cpu_arch") or _CPU_ARCHITECTURE) != _CPU_ARCHITECTURE
    # The price of a bid is the least that others would outbid.
    bid = not is_denied(row, "is_bid")
    return [] if theirs or foreign or bid else [_offer(row, disk_gib)]


def _offer(row: dict[str, Any], disk_gib: int) -> Offer:
    ports = numeric(row, "direct_port_count")
    price = round(required(row, "dph_total"), 6)
    if price <= 0:
        raise ValueError(f"dph_total is {price}")
    return Offer(
        provider=VastAI.name,
        id=id_or_none(row.get("ask_contract_id") or row["id"]) or "",
        gpu_name=row["gpu_name"] or "",
        gpu_count=int(row["num_gpus"]),
        price_usd_per_hour=price,
        disk_usd_per_hour=round(
            (numeric(row, "storage_cost") or 0.0) * disk_gib / _HOURS_PER_MONTH, 6
        ),
        machine_id=_text(row, "machine_id"),
        # Vast.ai's MB are MiB: an RTX 4090 lists 24564.
        vram_gib=numeric(row, "gpu_ram", _MB_PER_GIB, 2),
        compute_capability=_text(row, "compute_cap")
        and f"{required(row, 'compute_cap') / 100:.1f}",
        driver_version=row.get("driver_version") or None,
        cuda_version=_text(row, "cuda_max_good"),
        disk_gib=numeric(row, "disk_space"),
        disk_mb_per_second=numeric(row, "disk_bw"),
        ram_gib=numeric(row, "cpu_ram", _MB_PER_GIB, 1),
        cpu_cores=numeric(row, "cpu_cores_effective"),
        download_mbit_per_second=numeric(row, "inet_down"),
        upload_mbit_per_second=numeric(row, "inet_up"),
        download_usd_per_gib=numeric(row, "inet_down_cost"),
        upload_usd_per_gib=numeric(row, "inet_up_cost"),
        reliability=numeric(row, "reliability2") or numeric(row, "reliability"),
        verified=row["verification"] == "verified" if row.get("verification") else None,
        country=(row.get("geolocation") or "").rpartition(",")[2].strip() or None,
        max_duration_hours=numeric(row, "duration", _SECONDS_PER_HOUR, 1),
        direct_ports=None if ports is None else int(ports),
    )


def _second_mark(row: dict[str, Any]) -> str | None:
    """The copy of the mark in the container's environment; None where that is not shown."""
    told = row.get("extra_env")
    pairs = told.items() if isinstance(told, dict) else told if isinstance(told, list) else ()
    for pair in pairs:
        if isinstance(pair, (list, tuple)) and len(pair) == 2 and pair[0] == _MARK_VARIABLE:
            return str(pair[1])
    return None


def _charged(row: Any) -> tuple[str, Charge] | None:
    """The rental's id and what it was charged; None for what is no such charge."""
    try:
        source = _INSTANCE_CHARGES.fullmatch(row["source"])
        label = printable((row.get("metadata") or {}).get("label") or "")
        return (source[1], Charge(label, required(row, "amount"))) if source else None
    except DAMAGED:
        return None


def _status(row: dict[str, Any]) -> str:
    if row.get("intended_status") == "stopped" and row.get("cur_state") == "stopped":
        return STOPPED
    message = row.get("status_msg") or ""
    if any(text in message for text in _FATAL_MESSAGES):
        return FAILED
    return _STATUS.get(row.get("actual_status") or "", STARTING)


def _status_text(row: dict[str, Any]) -> str:
    parts = (row.get("actual_status") or "scheduling", (row.get("status_msg") or "").strip())
    return printable(": ".join(part for part in parts if part))


def _ssh_endpoints(row: dict[str, Any]) -> list[Endpoint]:
    """The direct way first, then Vast.ai's proxy; the official clients disagree on one."""
    direct = _ports(row).get("22")
    endpoints = [direct] if direct else []
    if row.get("ssh_host") and row.get("ssh_port"):
        jupyter = "jupyter" in (row.get("image_runtype") or "")
        try:
            port = port_of(row["ssh_port"]) + (1 if jupyter else 0)
            check_port(port)
        except DAMAGED:
            # One way is enough, but without any nobody would learn why.
            if not endpoints:
                raise
        else:
            endpoints.append(Endpoint(row["ssh_host"], port))
    return endpoints


def _ports(row: dict[str, Any]) -> dict[str, Endpoint]:
    """TCP ports of the container, by number, as they are reached from outside."""
    address = (row.get("public_ipaddr") or "").strip()
    bound = (row.get("ports") or {}).items() if address else ()
    tcp = ((name.partition("/"), bindings) for name, bindings in bound)
    return tcp_ways(
        address,
        ((port, _outer(bindings)) for (port, _slash, kind), bindings in tcp if kind == "tcp"),
    )


def _outer(bindings: Any) -> Any:
    """The port at which a port of the container is bound; None where it is not, or not told."""
    try:
        return bindings[0]["HostPort"]
    except DAMAGED:
        return None


def _says_no_such_instance(response: Response) -> bool:
    data = response.data if isinstance(response.data, dict) else {}
    return response.status == 404 and data.get("error") in ("no_such_instance", "not_found")


def _says_already_attached(response: Response) -> bool:
    return response.status == 400 and "already" in response.text.casefold()


def _text(row: dict[str, Any], field: str) -> str | None:
    """A field as text; None when it is missing, null or empty."""
    value = row.get(field)
    return None if value in (None, "") else str(value)


def _compute_cap(capability: str) -> int:
    return round(float(capability) * 100)


def _driver_number(version: str) -> int:
    """``535.86.05`` as Vast.ai compares it: 535086005."""
    numbers = [int(part) for part in re.findall(r"\d+", version)[:3]] + [0, 0, 0]
    return numbers[0] * 1_000_000 + numbers[1] * 1_000 + numbers[2]
