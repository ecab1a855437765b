# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What providers share that are asked over HTTP for rows of JSON.

A provider of this kind says how one row is read, and which words mean what.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any, ClassVar, NoReturn, TypeVar
from urllib.parse import urlsplit

from ...common.hiding import without_login
from ..border import printable
from ..clock import Clock
from ..errors import ProviderUnavailable, RateLimited, UnclearCreate
from ..model import UNREADABLE, Offer, Rental
from .fields import DAMAGED, id_or_none, oddity
from .pace import Pace
from .provider import Provider
from .transport import LogIn, Response, Transport, expect_ok

Row = TypeVar("Row")


class RestProvider(Provider):
    """A marketplace behind one HTTP API."""

    #: The page on which people see and end what they rent.
    console: ClassVar[str]
    #: The field of a row that keeps the mark.
    label_field: ClassVar[str]
    #: The fields that tell which rental a row shows, and whose it is.
    identity: ClassVar[tuple[str, ...]]
    #: Seconds that an answer may take, by kind of endpoint, where a minute is too short.
    slow_seconds: ClassVar[Mapping[str, float]] = {}

    def __init__(
        self, credentials: Mapping[str, str], api_url: str, pace: Pace, clock: Clock
    ) -> None:
        self._address = without_login(api_url).rstrip("/")
        self._console_url = self.console
        if self._address != self.default_url:
            self._console_url = self._address + urlsplit(self.console).path
        log_in = self._log_in(credentials, api_url, pace, clock)
        self._transport = Transport(api_url, log_in, pace, clock, slow_seconds=self.slow_seconds)

    def _log_in(
        self, credentials: Mapping[str, str], api_url: str, pace: Pace, clock: Clock
    ) -> LogIn:
        """How the account logs in; by the same headers each time unless a provider says else."""
        return LogIn(self._headers(credentials))

    def _headers(self, credentials: Mapping[str, str]) -> dict[str, str]:
        """What the account logs in with."""
        return {"Authorization": f"Bearer {credentials['api_key']}"}

    @property
    def console_url(self) -> str:
        """Its console; under the API's own address where that is not the public one."""
        return self._console_url

    @property
    def clock_offset_seconds(self) -> float:
        """By the Date headers of its last answers."""
        return self._transport.clock_offset_seconds

    @property
    def latency_seconds(self) -> float | None:
        """Of a request and its whole answer, without the waiting for a turn."""
        return self._transport.latency_seconds

    def _ok(self, response: Response, doing: str) -> Any:
        """The data of a good answer; raises what a bad one means."""
        return expect_ok(response, doing)

    def _refused(self, response: Response, doing: str) -> NoReturn:
        """Raise what an answer is that confirms nothing."""
        self._ok(response, doing)
        raise ProviderUnavailable(f"{doing}: unusable answer ({response.excerpt()}).")

    def _read(
        self, path: str, kind: str, doing: str, query: Mapping[str, Any] | None = None
    ) -> tuple[Response, Any]:
        """A read and the data of its answer."""
        response = self._transport.request(
            "GET", path, kind=kind, query=dict(query or {}), idempotent=True
        )
        return response, self._ok(response, doing)

    def get(self, rental_id: str) -> Rental | None:
        """One rental, by its row."""
        row = self._row(rental_id, f"Reading rental {rental_id}")
        return None if row is None else self._rental(row)

    def _row(self, rental_id: str, doing: str) -> dict[str, Any] | None:
        """The row of one rental, None where it is gone. Not asked of a provider with its own
        `get`."""
        raise NotImplementedError

    def _rows(
        self, path: str, kind: str, field: str, doing: str, query: Mapping[str, Any] | None = None
    ) -> list[Any]:
        """The list that a read has in *field*."""
        response, data = self._read(path, kind, doing, query)
        rows = data.get(field) if isinstance(data, dict) else None
        if not isinstance(rows, list):
            raise ProviderUnavailable(
                f"{doing}: the answer has no list of {field} ({response.excerpt()})."
            )
        return rows

    def _ask_for_rental(self, method: str, path: str, body: Mapping[str, Any]) -> Response:
        """Send one rental request; without an answer nobody can know what came of it."""
        try:
            return self._transport.request(method, path, kind="create", body=body, idempotent=False)
        except RateLimited:
            raise
        except ProviderUnavailable as error:
            raise UnclearCreate(error.cause) from error

    @staticmethod
    def _rented(offer: Offer, response: Response, told: Any, carried_out: bool) -> str | None:
        """The rental's id, which the answer *told*; None where it names none.

        Raises UnclearCreate where it tells one beside an error.
        """
        rental_id = id_or_none(told)
        if carried_out and rental_id:
            return rental_id
        if told:
            raise UnclearCreate(
                f"Renting {offer.id}: an error beside a rental ({response.excerpt()}).",
                rental_id=rental_id,
            )
        return None

    def _listed(self, row: Any) -> Rental:
        """The rental that *row* shows among others, which one odd field must not hide.

        Where nobody can tell which it is, the whole list proves nothing.
        """
        try:
            return self._rental(row)
        except ProviderUnavailable as error:
            if not isinstance(row, dict):
                raise
            known = {field: row.get(field) for field in self.identity}
            try:
                return self._with_doubt(row, self._understood(known, UNREADABLE, error.cause))
            except DAMAGED:
                raise error from None

    def _with_doubt(self, row: dict[str, Any], rental: Rental) -> Rental:
        return rental if self._tells_whose(row) else replace(rental, has_odd_label=True)

    def _tells_whose(self, row: dict[str, Any]) -> bool:
        """Whether a row has a label that can be read."""
        return isinstance(row.get(self.label_field), str)

    def _rental(self, row: Any) -> Rental:
        """The rental that *row* shows; a row that cannot be understood proves nothing."""
        try:
            return self._with_doubt(row, self._understood(row, *self._status(row)))
        except DAMAGED as error:
            known = row.get("id") if isinstance(row, dict) else row
            raise ProviderUnavailable(
                f"The provider's row of rental {printable(str(known))} cannot be understood: "
                f"{oddity(error)}.",
                remedy=f"Run again; if it stays, look at the rental at {self._console_url}",
            ) from error

    @abstractmethod
    def _status(self, row: dict[str, Any]) -> tuple[str, str]:
        """Its status in our words, and in the provider's. Raises one of DAMAGED."""

    @abstractmethod
    def _understood(self, row: dict[str, Any], status: str, text: str) -> Rental:
        """The rental of a row. It takes one that has the fields of ``identity`` alone.

        Raises one of DAMAGED, but for what stands in the place of a label or of a second mark.
        """


def own_row(row: Any, rental_id: str, response: Response, doing: str) -> dict[str, Any]:
    """The row, where a good answer shows this very rental; raises ProviderUnavailable."""
    if not isinstance(row, dict) or row.get("id") != rental_id:
        raise ProviderUnavailable(
            f"{doing}: the answer shows no such rental ({response.excerpt()})."
        )
    return row


def offers_of(rows: Iterable[Row], read: Callable[[Row], Iterable[Offer]]) -> list[Offer]:
    """What *read* finds in each row, without those that nobody understands.

    Raises ProviderUnavailable where that leaves none: it is no market without offers.
    """
    offers: list[Offer] = []
    odd: list[str] = []
    for row in rows:
        try:
            offers += read(row)
        except DAMAGED as error:
            odd.append(oddity(error))
    if odd and not offers:
        raise ProviderUnavailable(
            f"Searching offers: none of {len(odd)} can be understood: {odd[0]}.",
            remedy="Install a newer version of inferops.gpu, or run again later.",
        )
    return offers
