# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Verda, formerly DataCrunch, by its API v1. Facts from its OpenAPI document (September 2026), its
clients (verda 1.25.0, verdacloud-sdk-go) and what others met (dstack #3031 #3790, sdk-python #14).

A type of instance in one location is an offer, an instance is a rental. A tag keeps the mark, and
the description a second copy, which no call can change. A host is a virtual machine: its image is
on the disk that it starts from, which bills by itself, and outlives the instance unless its end
names it. A disk that is left is a rental of its own.
"""

from __future__ import annotations

import contextlib
import math
import re
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from ..access.start_script import start_script
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
from .fields import DAMAGED, id_or_none, is_denied, moment, numeric, required
from .pace import Pace
from .provider import NOBODY, Credential, Usual
from .rest import RestProvider, offers_of, own_row
from .transport import LogIn, Response, Transport, expect_ok

_ID_OPTION, _SECRET_OPTION = "client_id", "client_secret"
#: A token is renewed so long before it ends, as the official Go client does.
_RENEW_BEFORE_SECONDS = 30.0
_TOKEN = re.compile(r"[\w.~+/=-]{1,8000}", re.ASCII)
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
#: ``status`` in our words. Others are on the way to run: its document says that more will come.
_STATUS = {
    "running": RUNNING,
    # It bills as if it ran.
    "offline": STOPPED,
    "unknown": SILENT,
    "error": FAILED,
    "installation_failed": FAILED,
    "no_capacity": FAILED,
    "deleting": FAILED,
}
_ENDING = "deleting"
_GONE = ("discontinued", "deleted", "notfound")
#: How it says that an id is no instance's, or that of one that has ended.
_NO_INSTANCE = re.compile(
    r"invalid instance id|\binstance (?:was )?not found|discontinue a discontinued"
)
#: What it does not end yet: one that is being made.
_NOT_YET = re.compile(r"can't discontinue an? (?!discontinued)")
#: How it says that the credentials lack a right: other things are forbidden, too.
_NO_RIGHT = re.compile(r"\bscope\b")
#: The only words of a 5xx that say that nothing was rented.
_NO_CAPACITY = re.compile(r"no capacity|not enough resources")
#: What another type of instance may take.
_NOT_FOR_THIS_TYPE = re.compile(r"not valid for this instance type|instance type\b.*\bnot found")
_OFFER_ID = re.compile(r"([A-Za-z0-9][A-Za-z0-9_.-]{0,60})\.([A-Z0-9][A-Z0-9-]{0,20})")
#: The mark moves from one tag to the other, for a key has one value, and never is there none.
_MARK_TAGS = (PREFIX, f"{PREFIX}-moved")
#: What the disk bills by the offer: rows tell the price of the machine alone.
_DISK_TAG = f"{PREFIX}-disk-usd-per-hour"
_MOST_OF_A_TAG = 127
#: Ids of rentals that are a disk which was left.
_DISK = "disk-"
_TRASH = "/volumes/trash"
_DISK_TYPE, _HOURS_PER_MONTH = "NVMe", 730.0
#: The image lies on the disk; no disk is smaller than this one.
_IMAGE_GB = 50
_GB_PER_GIB = 2**30 / 1e9
_CURRENCY, _MAKER = "usd", "NVIDIA"
#: Scripts and keys of rentals that are so much older, and no instance's, were left behind.
_LEFT_SECONDS = 3600
_MOST_SCRIPTS = 100
_COUNT, _SIZE = re.compile(r"^\d+x\s+"), re.compile(r"\s+\d+\s?GB$")


class _Token(LogIn):
    """What two credentials buy: a token for about an hour."""

    def __init__(self, credentials: Mapping[str, str], transport: Transport, clock: Clock) -> None:
        super().__init__({}, secrets=credentials.values())
        self._credentials = dict(credentials)
        self._transport = transport
        self._clock = clock
        self._token = ""
        self._until = 0.0

    def headers(self) -> Mapping[str, str]:
        """With the token, which is asked for when it is needed, and anew before it ends."""
        if not self._token or self._clock.monotonic() >= self._until:
            self._ask()
        return {"Authorization": f"Bearer {self._token}"}

    def secrets(self) -> Iterable[str]:
        """The credentials, and the token."""
        return (*super().secrets(), self._token)

    def renewed(self) -> bool:
        """By another token."""
        self._ask()
        return True

    def _ask(self) -> None:
        doing = "Logging in"
        body = {
            "grant_type": "client_credentials",
            "client_id": self._credentials[_ID_OPTION],
            "client_secret": self._credentials[_SECRET_OPTION],
        }
        response = self._transport.request(
            "POST", "/oauth2/token", kind="login", body=body, idempotent=True
        )
        if response.status == 400 and _code(response):
            raise CredentialError(f"{doing}: the provider refused it ({response.excerpt()}).")
        told = expect_ok(response, doing)
        token = told.get("access_token") if isinstance(told, dict) else None
        if not isinstance(token, str) or not _TOKEN.fullmatch(token):
            # Whatever it is, it may hold a secret.
            raise ProviderUnavailable(f"{doing}: the answer has no token.")
        lasts = told.get("expires_in")
        lasts = lasts if isinstance(lasts, (int, float)) else 0.0
        self._token = token
        self._until = self._clock.monotonic() + max(lasts - _RENEW_BEFORE_SECONDS, 0.0)


class Verda(RestProvider):
    """The provider contract spoken to Verda's HTTP API."""

    name = "verda"
    credentials = (
        Credential(
            _ID_OPTION,
            ("VERDA_CLIENT_ID",),
            description="What the account logs in with, where those are a name and "
            "O(client_secret).",
        ),
        Credential(
            _SECRET_OPTION, ("VERDA_CLIENT_SECRET",), description="The secret of O(client_id)."
        ),
    )
    url_env = "VERDA_BASE_URL"
    default_url = "https://api.verda.com/v1"
    console = "https://console.verda.com/"
    label_field = "description"
    identity = ("id", "description", "tags")
    # 60 a minute by method and path, 120 for the lists of instances and of disks, and 500 of all
    # calls of a project. A search asks for four paths in turn, a rental request for two before it.
    seconds_between: ClassVar[Mapping[str, float]] = {
        "login": 1.0,
        "create": 1.0,
        "destroy": 1.0,
        "change": 1.0,
        "account": 1.0,
        "show": 0.5,
        "list": 0.5,
        "disks": 0.5,
        "objects": 0.5,
        "search": 0.3,
    }
    label_length = len(PREFIX) + 1 + _MOST_OF_A_TAG
    ssh_user = "root"
    usual = Usual(
        image="ubuntu-24.04-cuda-13.0-open-docker",
        # Its host fetches nothing: this stands for the minutes in which the disk is made.
        image_gib=2.0,
        disk_gib=60,
        driver_version=None,
        min_reliability=None,
        longest_download_hours=None,
        verified=True,
    )
    usual_in_words = (
        "image C(ubuntu-24.04-cuda-13.0-open-docker) of 2 GiB, 60 GiB of disk, and verified "
        "hosts alone, which are all it has"
    )
    can_change_mark = True
    delivers_host_key = True
    attaches_keys = False
    tells_account = True
    tells_gpu_names = True
    keeps_second_mark = True
    # A host that is shut down bills on, and none has a key that could end it.
    enforces_deadline = NOBODY
    # What is being made is not ended before it runs, which takes minutes.
    ends_within_seconds = 600.0

    def __init__(
        self, credentials: Mapping[str, str], api_url: str, pace: Pace, clock: Clock
    ) -> None:
        super().__init__(credentials, api_url, pace, clock)
        #: The rentals that this process has ended, by the id of their disk.
        self._ended: dict[str, str] = {}

    def _log_in(
        self, credentials: Mapping[str, str], api_url: str, pace: Pace, clock: Clock
    ) -> LogIn:
        without = LogIn({}, secrets=credentials.values())
        return _Token(credentials, Transport(api_url, without, pace, clock), clock)

    def _ok(self, response: Response, doing: str) -> Any:
        """The data of a good answer. Not every 403 is about the credentials."""
        forbidden = response.status == 403 and _code(response) == "forbidden_action"
        if forbidden and not _NO_RIGHT.search(_said(response)):
            raise ProviderUnavailable(f"{doing}: it cannot be done now ({response.excerpt()}).")
        return expect_ok(response, doing)

    def _list(
        self, path: str, kind: str, doing: str, query: Mapping[str, Any] | None = None
    ) -> list[Any]:
        """The list that is an answer."""
        response, data = self._read(path, kind, doing, query)
        if not isinstance(data, list):
            raise ProviderUnavailable(f"{doing}: the answer is no list ({response.excerpt()}).")
        return data

    # What there is.

    def search(self, wish: Wish) -> list[Offer]:
        """The types of instances, and where each of them can be had now."""
        where = self._where()
        countries = self._countries()
        disk_gb = _disk_gb(wish.disk_gib)
        disk_usd_per_hour = round(disk_gb * self._disk_usd_per_gb_hour(), 6)

        def offered(row: Any) -> list[Offer]:
            others = row["manufacturer"] != _MAKER
            if others or row["gpu"]["number_of_gpus"] != wish.gpu_count:
                return []
            return [
                _offer(row, place, countries.get(place), disk_usd_per_hour)
                for place in where.get(row["instance_type"], ())
            ]

        return offers_of(self._types(), offered)

    def _types(self) -> list[Any]:
        query = {"currency": _CURRENCY}
        return self._list("/instance-types", "search", "Searching types of instances", query)

    def _where(self) -> dict[str, list[str]]:
        """The locations that have each type of instance now."""
        doing = "Searching what is free"
        found: dict[str, list[str]] = {}
        for row in self._list("/instance-availability", "search", doing, {"is_spot": "false"}):
            try:
                for name in row["availabilities"]:
                    found.setdefault(name, []).append(row["location_code"])
            except DAMAGED as error:
                raise ProviderUnavailable(
                    f"{doing}: a location cannot be understood ({shown(row)})."
                ) from error
        return found

    def _countries(self) -> dict[str, str]:
        """The two letters of each location, as far as they are told."""
        rows = self._list("/locations", "search", "Reading the locations")
        return {
            str(row.get("code")): str(row["country_code"])
            for row in rows
            if isinstance(row, dict) and row.get("country_code")
        }

    def _disk_usd_per_gb_hour(self) -> float:
        """What a disk of the kind that instances start from bills."""
        doing, query = "Reading the price of disks", {"currency": _CURRENCY}
        for row in self._list("/volume-types", "search", doing, query):
            with contextlib.suppress(*DAMAGED):
                price = row["price"]
                if row["type"] == _DISK_TYPE and price["currency"] == _CURRENCY:
                    return required(price, "price_per_month_per_gb") / _HOURS_PER_MONTH
        raise ProviderUnavailable(f"{doing}: none is told for {_DISK_TYPE}.")

    def gpu_names(self) -> list[str]:
        """By the types of instances."""
        rows = [row for row in self._types() if isinstance(row, dict)]
        names = [str(row.get("name")) for row in rows if row.get("manufacturer") == _MAKER]
        return list(dict.fromkeys(map(_gpu_name, names)))

    # Rent.

    def rent(self, offer: Offer, order: Order) -> str:
        """One ``POST /instances``, with a startup script and a key that were made for it."""
        kind, place = _parts(offer)
        made: list[str] = []
        try:
            made.append(self._made("/scripts", {"name": _owner(order), "script": _script(order)}))
            key = {"name": _owner(order), "key": order.ssh_public_key}
            made.append(self._made("/ssh-keys", key))
            script_id, key_id = (path.rpartition("/")[2] for path in made)
            body = {
                **_create_body(offer, order),
                "instance_type": kind,
                "location_code": place,
                "startup_script_id": script_id,
                "ssh_key_ids": [key_id],
            }
            response = self._ask_for_rental("POST", "/instances", body)
            told, carried_out = _told_id(response)
            rental_id = self._rented(offer, response, told, carried_out)
            if rental_id is None:
                raise _create_error(offer, response)
            return rental_id
        except UnclearCreate:
            # It may start with them.
            raise
        except MarketError:
            if made:
                self._sweep(order.mark)
            raise

    def _made(self, path: str, body: Mapping[str, str]) -> str:
        """The path of a new script or key, of which each rental has its own."""
        doing = f"Preparing a rental request (POST {path})"
        response = self._transport.request("POST", path, kind="objects", body=body, idempotent=True)
        made_id, carried_out = _told_id(response)
        if carried_out and made_id:
            return f"{path}/{made_id}"
        if response.status in (400, 402, 409) and _code(response):
            raise RequestRefused(
                f"{doing}: refused ({response.excerpt()}).",
                remedy="A project has a quota of startup scripts: see whether there are some that "
                f"nobody needs at {self._console_url}",
            )
        self._refused(response, doing)

    # Look.

    def list_rentals(self) -> list[Rental]:
        """``GET /instances``, which has no pages, and the disks that are left of others."""
        rows = self._list("/instances", "list", "Reading the instances")
        alive = [row for row in rows if not (isinstance(row, dict) and row.get("status") in _GONE)]
        used = {disk for row in alive for disk in _disks(row)}
        ids = {str(row.get("id")) for row in alive if isinstance(row, dict)}
        left = [row for row in self._left() if row["disk"] not in used and row["id"] not in ids]
        return [self._listed(row) for row in [*alive, *left]]

    def get(self, rental_id: str) -> Rental | None:
        """One instance, or the disk that is left. Gone is by its status, or in its own words."""
        row = None if rental_id.startswith(_DISK) else self._instance(rental_id)
        if row is None and self._may_have_left_a_disk(rental_id):
            row = next((one for one in self._left() if one["id"] == rental_id), None)
        return self._rental(row) if row else None

    def _may_have_left_a_disk(self, rental_id: str) -> bool:
        return rental_id.startswith(_DISK) or rental_id in self._ended.values()

    def _instance(self, rental_id: str) -> dict[str, Any] | None:
        """The row of an instance; None where it is gone."""
        doing = f"Reading rental {rental_id}"
        response = self._transport.request(
            "GET", f"/instances/{rental_id}", kind="show", idempotent=True
        )
        if _says_gone(response):
            return None
        row = own_row(self._ok(response, doing), rental_id, response, doing)
        return None if row.get("status") in _GONE else row

    def _left(self) -> list[dict[str, Any]]:
        """The disks of ours that no instance has, detached or in the trash, as rows of rentals.

        One of a rental that this process has ended is that rental, until it is gone for good.
        """
        found: dict[str, dict[str, Any]] = {}
        for path in ("/volumes", _TRASH):
            doing = f"Reading {path}"
            for volume in self._list(path, "disks", doing):
                if not isinstance(volume, dict):
                    raise ProviderUnavailable(
                        f"{doing}: a disk cannot be understood ({shown(volume)})."
                    )
                ended = self._ended.get(str(volume.get("id")))
                if _is_left(volume, path, ended is not None):
                    row = _left_row(volume, ended)
                    found[row["id"]] = row
        return list(found.values())

    def _status(self, row: dict[str, Any]) -> tuple[str, str]:
        told = row["status"]
        if not isinstance(told, str):
            raise ValueError(f"status is {shown(told)}")
        if "disk" in row:
            return STOPPED, printable(f"ended, its disk is left: {told}")
        return _STATUS.get(told, STARTING), printable(told)

    def _understood(self, row: dict[str, Any], status: str, text: str) -> Rental:
        label, told = printable(_label(row)), row.get("description")
        copy = told if isinstance(told, str) else None
        mark = mark_of(label, copy, self.seal)
        gpu, count = row.get("gpu") or {}, int(numeric(row.get("gpu") or {}, "number_of_gpus") or 0)
        price = _price(row)
        return Rental(
            provider=self.name,
            id=id_or_none(row["id"]) or "",
            seniority=_seniority(row),
            label=label,
            mark=mark,
            claim=None if mark else claim_of(label, copy),
            status=status,
            status_text=text,
            price_usd_per_hour=price,
            started_at=moment(row.get("created_at")),
            machine_id=None,
            gpu_name=_gpu_name(str(gpu.get("description") or "")),
            gpu_count=count,
            vram_gib=_vram_gib(row, count),
            driver_version=None,
            download_mbit_per_second=None,
            ssh_user=self.ssh_user,
            ssh=(Endpoint(row["ip"], 22),) if row.get("ip") else (),
            ports={},
            console_url=self._console_url,
            # One that is shut down bills as before.
            stopped_usd_per_hour=price,
            # So is a disk that is left: nothing can be done with it.
            is_ending="disk" in row or row.get("status") == _ENDING,
            is_interruptible=not is_denied(row, "is_spot"),
        )

    # Change and end.

    def release(self, rental_id: str) -> None:
        """``PUT /instances`` with action delete and its disk; then whatever is left of it."""
        doing = f"Releasing rental {rental_id}"
        row = None if rental_id.startswith(_DISK) else self._instance(rental_id)
        if row is not None:
            self._end(row, doing)
            mark = mark_of(_label(row), row.get("description"))
            if mark is not None:
                self._sweep(mark, rental_id)
        elif self._may_have_left_a_disk(rental_id):
            for left in self._left():
                if left["id"] == rental_id:
                    self._end_disk(left["disk"], doing)

    def _end(self, row: dict[str, Any], doing: str) -> None:
        """Ask for the end of an instance and its disk. Disks that others attached are theirs."""
        body: dict[str, Any] = {"id": [row["id"]], "action": "delete", "delete_permanently": True}
        disk = self._disk_of(row)
        if disk:
            # Without its name it would go to the trash.
            body["volume_ids"] = [disk]
            self._ended[disk] = row["id"]
        response = self._transport.request(
            "PUT", "/instances", kind="destroy", body=body, idempotent=True
        )
        if response.status == 204 or _is_accepted(response, row["id"]) or _says_gone(response):
            return
        if _NOT_YET.search(_said(response)):
            raise ProviderUnavailable(
                f"{doing}: what is being made is not ended before it runs ({response.excerpt()}).",
                remedy="It is asked for again; if that ends too early, run teardown in some "
                "minutes.",
            )
        self._refused(response, doing)

    def _disk_of(self, row: dict[str, Any]) -> str | None:
        """The disk that an instance starts from: by the disks themselves where it does not tell."""
        if row.get("os_volume_id"):
            return str(row["os_volume_id"])
        for volume in self._list("/volumes", "disks", "Reading /volumes"):
            known = volume if isinstance(volume, dict) else {}
            if known.get("instance_id") == row["id"] and _label(known):
                return id_or_none(known.get("id"))
        return None

    def _end_disk(self, disk: str, doing: str) -> None:
        response = self._transport.request(
            "DELETE",
            f"/volumes/{disk}",
            kind="destroy",
            body={"is_permanent": True},
            idempotent=True,
        )
        if response.status not in (202, 204):
            self._refused(response, doing)

    def _sweep(self, mark: Mark, ended: str | None = None) -> None:
        """Delete the script and the key of a rental that has *ended*, or never was.

        With them goes what others of its scope left. By their names, so none that people made;
        what an instance has stays, and what is young: it may be about to be used. They cost
        nothing, so no failure here is one.
        """
        with contextlib.suppress(MarketError, *DAMAGED):
            rows = self._list("/instances", "list", "Reading the instances")
            used = {one for row in rows for one in _objects(row) if row["id"] != ended}
            scripts = {"name": f"{PREFIX}/{mark.scope}/", "pageSize": _MOST_SCRIPTS}
            for path, query in (("/scripts", scripts), ("/ssh-keys", {})):
                for one in self._list(path, "objects", f"Reading {path}", query):
                    owner, one_id = Mark.decode(one["name"]), id_or_none(one["id"])
                    if owner and one_id not in used and _is_to_go(owner, mark):
                        self._transport.request(
                            "DELETE", f"{path}/{one_id}", kind="objects", idempotent=True
                        )

    def change_mark(self, rental_id: str, mark: Mark) -> None:
        """Another tag with the new one, then away with the old one.

        In between both are there, and the later deadline counts.
        """
        doing = f"Changing the mark of rental {rental_id}"
        row = self._instance(rental_id)
        if row is None:
            raise ProviderUnavailable(f"{doing}: it is gone.")
        tags = _mark_tags(row)
        for older in tags[:-1]:
            self._untag(rental_id, older, doing)
        current = tags[-1] if tags else {}
        wanted = mark.encode().partition("/")[2]
        if current.get("value") == wanted:
            return
        key = next(one for one in _MARK_TAGS if one != current.get("key"))
        response = self._transport.request(
            "POST",
            f"/instances/{rental_id}/tags",
            kind="change",
            body={"key": key, "value": wanted},
            idempotent=True,
        )
        # It is there already: an answer was lost.
        if response.status != 409 and response.status != 201:
            self._refused(response, doing)
        if current:
            self._untag(rental_id, current, doing)

    def _untag(self, rental_id: str, tag: Mapping[str, Any], doing: str) -> None:
        """By its id, as the document has it, else by its key, as the Go client has it."""
        for name in filter(None, (id_or_none(tag.get("id")), tag["key"])):
            response = self._transport.request(
                "DELETE", f"/instances/{rental_id}/tags/{name}", kind="change", idempotent=True
            )
            if response.status == 204:
                return
            if response.status != 404:
                self._refused(response, doing)

    def attach_key(self, rental_id: str, ssh_public_key: str, again: bool = False) -> None:
        """Nothing: the key came with the request, and the API has no way into a host."""

    # The account.

    def check_credential(self) -> None:
        """``GET /balance``, which the project alone may read."""
        self._balance("Checking the credentials")

    def account(self) -> Account:
        """Its balance, where that is in dollars."""
        amount, currency = self._balance("Reading the balance")
        return Account(credit_usd=amount if currency == _CURRENCY else None)

    def _balance(self, doing: str) -> tuple[float, str]:
        response, data = self._read("/balance", "account", doing)
        try:
            return required(data, "amount"), str(data["currency"]).lower()
        except DAMAGED as error:
            raise ProviderUnavailable(
                f"{doing}: unusable answer ({response.excerpt()})."
            ) from error


# Answers.


def _code(response: Response) -> str:
    """The word for an error of its own; empty for any other answer."""
    data = response.data if isinstance(response.data, dict) else {}
    code, message = data.get("code"), data.get("message")
    own = isinstance(code, str) and isinstance(message, str) and response.status >= 400
    return str(code) if own else ""


def _said(response: Response) -> str:
    """What it says of an error, also beside others; empty for what is not its own."""
    own = _code(response) or isinstance(response.data, list)
    return response.text.casefold() if own else ""


def _says_gone(response: Response) -> bool:
    return response.status in (400, 403, 404) and bool(_NO_INSTANCE.search(_said(response)))


def _is_accepted(response: Response, rental_id: str) -> bool:
    """Whether the results of an action on several instances have a good one for this."""
    results = response.data if isinstance(response.data, list) else []
    return response.status in (202, 207) and any(
        isinstance(one, dict)
        and one.get("instanceId") == rental_id
        and one.get("status") == "success"
        for one in results
    )


def _told_id(response: Response) -> tuple[str | None, bool]:
    """The id of what was made, and whether it was. It comes as bare text, as JSON or in an object.

    Anything else, such as a page, names nothing.
    """
    data = response.data
    told = data.get("id") if isinstance(data, dict) else data if data else response.text.strip()
    found = told if isinstance(told, str) and _UUID.fullmatch(told) else None
    return found, response.status in (200, 201, 202)


def _create_error(offer: Offer, response: Response) -> MarketError:
    """The typed error for a rental request that named no rental."""
    doing, said, told = f"Renting {offer.id}", _said(response), f"({response.excerpt()})"
    code, status = _code(response), response.status
    if status == 503 and code == "service_unavailable" and _NO_CAPACITY.search(said):
        return OfferGone(f"{doing}: it is gone {told}.")
    if not code or not 400 <= status < 500 or status == 408:
        return UnclearCreate(f"{doing}: HTTP {status} {told}.")
    if status == 401 or (status == 403 and _NO_RIGHT.search(said)):
        return CredentialError(f"{doing}: the credentials were refused {told}.")
    if code == "insufficient_funds":
        return RequestRefused(
            f"{doing}: the project lacks credit {told}.",
            remedy="Add credit, or set a lower maximum price.",
        )
    if _NOT_FOR_THIS_TYPE.search(said):
        return OfferGone(f"{doing}: this type of instance cannot be had so {told}.")
    if status == 403 or "limit exceeded" in said or "quota" in said:
        return RequestRefused(
            f"{doing}: the project may not rent it {told}.",
            remedy="Release what is not needed, or ask Verda to raise the project's quota.",
        )
    return RequestRefused(
        f"{doing}: refused {told}.",
        remedy="Change the option that this names, such as image or disk_gib.",
    )


# Offers and requests.


def _offer(row: dict[str, Any], place: str, country: str | None, disk_usd_per_hour: float) -> Offer:
    price, count = round(required(row, "price_per_hour"), 6), int(row["gpu"]["number_of_gpus"])
    if price <= 0 or row["currency"] != _CURRENCY:
        raise ValueError(f"its price is {price} {shown(row['currency'])}")
    offer = Offer(
        provider=Verda.name,
        id=f"{row['instance_type']}.{place}",
        gpu_name=_gpu_name(row["name"]),
        gpu_count=count,
        price_usd_per_hour=round(price + disk_usd_per_hour, 6),
        disk_usd_per_hour=disk_usd_per_hour,
        vram_gib=_vram_gib(row, count),
        ram_gib=numeric(row.get("memory") or {}, "size_in_gigabytes"),
        cpu_cores=numeric(row.get("cpu") or {}, "number_of_cores"),
        # All are its own.
        verified=True,
        country=country,
    )
    _parts(offer)
    return offer


def _parts(offer: Offer) -> tuple[str, str]:
    """Type of instance and location of an offer. Raises RequestRefused for another's."""
    found = _OFFER_ID.fullmatch(offer.id)
    if not found:
        raise RequestRefused(f"{shown(offer.id)} is no offer of Verda's.")
    return found[1], found[2]


def _disk_gb(disk_gib: int) -> int:
    """The size of a disk with room for so much beside the image."""
    return _IMAGE_GB + math.ceil(disk_gib * _GB_PER_GIB)


def _owner(order: Order) -> str:
    """The name of a script or a key, which tells whose it is."""
    return order.mark.encode()


def _script(order: Order) -> str:
    return start_script(order.ssh_public_key, order.host_key, order.mark.deadline, None)


def _create_body(offer: Offer, order: Order) -> dict[str, Any]:
    mark = {"key": _MARK_TAGS[0], "value": order.mark.encode().partition("/")[2]}
    hostname = _hostname(order.mark)
    return {
        "image": order.image,
        "hostname": hostname,
        "description": order.mark.encode(),
        "tags": [mark, {"key": _DISK_TAG, "value": f"{offer.disk_usd_per_hour:.6f}"}],
        # What is left of it carries the mark, too.
        "os_volume": {"name": hostname, "size": _disk_gb(order.disk_gib), "tags": [mark]},
        "contract": "PAY_AS_YOU_GO",
        "is_spot": False,
    }


def _hostname(mark: Mark) -> str:
    """Letters, digits and dashes: what people see first."""
    word = re.sub(r"[^A-Za-z0-9]+", "-", mark.name).strip("-")[:40]
    return f"{PREFIX}-{word}-{mark.nonce}"


# Rows.


def _tags(row: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Its tags, but for what is none."""
    told = row.get("tags")
    return [tag for tag in told if isinstance(tag, dict)] if isinstance(told, list) else []


def _mark_tags(row: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Its tags that have a mark; the one that counts is the last, with the latest deadline."""
    marks = (tag for tag in _tags(row) if tag.get("key") in _MARK_TAGS)
    return sorted((tag for tag in marks if isinstance(tag.get("value"), str)), key=_reach)


def _reach(tag: Mapping[str, Any]) -> float:
    mark = Mark.decode(f"{PREFIX}/{tag['value']}")
    return -1.0 if mark is None else float(mark.deadline or math.inf)


def _label(row: Mapping[str, Any]) -> str:
    """The mark as people see it; empty where somebody has taken the tag away."""
    tags = _mark_tags(row)
    return f"{PREFIX}/{tags[-1]['value']}" if tags else ""


def _is_left(volume: Mapping[str, Any], path: str, ended: bool) -> bool:
    """Whether a disk is one of ours that no instance has. *ended* tells that we took it away."""
    if not _label(volume):
        return False
    if path == _TRASH:
        return not volume.get("is_permanently_deleted")
    status = volume.get("status")
    return status == "detached" or (ended and status != "deleted")


def _left_row(volume: Mapping[str, Any], ended: str | None) -> dict[str, Any]:
    """A disk that is left as the row of a rental."""
    in_dollars = volume.get("currency") == _CURRENCY
    in_trash = volume.get("status") == "deleted"
    return {
        "id": ended or f"{_DISK}{volume.get('id')}",
        "disk": str(volume.get("id")),
        "status": "in the trash" if in_trash else volume.get("status"),
        "description": _label(volume),
        "tags": volume.get("tags"),
        "created_at": volume.get("created_at"),
        "price_per_hour": volume.get("base_hourly_cost") if in_dollars else None,
    }


def _disks(row: Any) -> set[str]:
    """The ids of the disks of an instance."""
    if not isinstance(row, dict):
        return set()
    told = row.get("volume_ids")
    others = told if isinstance(told, list) else []
    return {str(one) for one in [row.get("os_volume_id"), *others] if one}


def _objects(row: Any) -> list[Any]:
    """The ids of the script and the keys of an instance. Raises one of DAMAGED."""
    return [row["startup_script_id"], *(row["ssh_key_ids"] or ())]


def _is_to_go(owner: Mark, mark: Mark) -> bool:
    """Whether a script or a key of *owner* goes with the rental of *mark*."""
    if owner.scope != mark.scope:
        return False
    return owner.nonce == mark.nonce or owner.created_at < mark.created_at - _LEFT_SECONDS


def _price(row: Mapping[str, Any]) -> float | None:
    """What it bills with its disk, as far as that is told."""
    price = numeric(row, "price_per_hour")
    if price is None:
        return None
    for tag in _tags(row):
        if tag.get("key") == _DISK_TAG:
            with contextlib.suppress(*DAMAGED):
                price += max(required(tag, "value"), 0.0)
    return round(price, 6)


def _vram_gib(row: Mapping[str, Any], count: int) -> float | None:
    """For one GPU: it is told of all together."""
    size = numeric(row.get("gpu_memory") or {}, "size_in_gigabytes")
    return round(size / count, 2) if size and count else None


def _gpu_name(told: str) -> str:
    """A GPU without count and memory: 1x H100 SXM5 80GB."""
    return printable(_SIZE.sub("", _COUNT.sub("", told)))


def _seniority(row: Mapping[str, Any]) -> str:
    """The time of the request: ids tell no order."""
    created = moment(row.get("created_at"))
    return "" if created is None else f"{created:020.6f}"
