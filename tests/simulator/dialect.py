# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How one provider says what faults are about: its requests, its rows and its words.

A provider's routes declare one as ``DIALECT``. Orders of faults name requests, sayings and rows by
the words of this file, and are read in the dialect of the market that they are for.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from tests.simulator.market import ACCOUNT_KEY, Rental
from tests.simulator.web import Reply, Request

#: What a request is called in orders, and why a provider has none of this kind.
REQUESTS = {
    "search": "nothing can be searched",
    "create": "nothing can be rented",
    "list": "there is no list",
    "second page": "its lists come whole, without pages",
    "read": "nothing is read by its id",
    "rows": "no rows are shown",
    "destroy": "nothing can be ended",
    "change": "nothing can be changed later",
    "stop": "a rental cannot stand still",
    "start": "a rental cannot stand still",
    "attach": "keys come with the rental request alone",
    "user": "nothing proves a key",
    "charges": "it tells no bills",
    "account": "it tells nothing of the account",
    "log": "it tells no log",
}
#: What an answer can say, and why a provider has no words for it.
SAYINGS = {
    "no offers": "a search without a list cannot be told from an empty one",
    "offer gone": "no offer is ever gone",
    "bad key": "no key is ever refused",
    "too frequent": "no call comes too early",
    "quota": "searches have no quota",
    "timeout": "it tells no time-out",
    "invalid": "no request is ever refused",
    "done without id": "what was made is always named",
    "phantom id": "what was made is never named",
    "refused beside id": "no refusal names a rental",
    "withdrawn": "no address is ever withdrawn",
    "no such rental": "no rental is ever missing",
    "nothing to end": "an end is never refused",
    "released": "an end is never confirmed",
    "changed": "nothing can be changed later",
}
#: How rows can be odd, and why a provider's cannot.
SHOWS = {
    "exited": "no status says that a host has gone down",
    "an odd status": "there is no status",
    "no values": "no field may be missing",
    "odd values": "no field can be of another type",
    "odd labels": "a label cannot be of another type",
    "an odd environment": "rows keep no second copy of the mark",
}
#: What else a market may have, and why a provider's has not.
FEATURES = {
    "proxy": "there is one way to a host",
    "driver": "offers tell no driver",
    "silence": "no status says that a host is not heard of",
    "containers": "a host is a machine of its own, and nothing makes it anew in place",
    "counts": "lists do not count their rows",
    "next page": "no page names the next one",
    "filters": "a search takes no filter that could be ignored",
    "traffic": "what a host downloads costs nothing",
    "second mark": "a label is the only mark: none counts that was changed, a person ends it",
    "plain key": "a token is bought first, by a call of its own",
    "ends early": "what is being made is not ended before it runs",
    "blind changes": "what is to change is read before it",
    "overlap": "a row that comes twice spoils the list",
    "exact prices": "the price of a rental is not that of its offer to the last cent",
    "forgets": "it keeps for ever what it has named: what it shows no more, it has lost",
    "own prices": "its rentals show the prices of their offers, whatever they really cost",
    "new statuses": "a status that nobody knows makes a row unreadable",
    "rate limits": "how often one may call is documented nowhere, or not kept by these routes",
}


@dataclass(frozen=True)
class Where:
    """Requests of one kind: the method, or ANY, and patterns of path, query and body."""

    method: str
    path: str
    query: str = ""
    body: str = ""

    def matches(self, request: Request) -> bool:
        """Whether a request is one of them; the query is not looked at."""
        return (
            self.method in ("ANY", request.method)
            and bool(re.search(self.path, request.path))
            and has_in_body(self.body, request)
        )


def has_in_body(pattern: str, request: Request) -> bool:
    """Whether the body of a request, as text, has a pattern in it."""
    return not pattern or bool(re.search(pattern, request.body.decode(errors="replace")))


#: Status and body; text is sent as plain text.
Saying = tuple[int, Any]
#: What lists show beside the rentals that there are: ids, with the rentals that they were.
Beside = Iterable[tuple[str, Rental]]
#: A saying about the rental that a request names, or made of the answer that it takes the place of.
AboutOne = Callable[[Request, "Reply | None"], Saying]


def as_it_is(text: str) -> str:
    """Nothing else."""
    return text


def no_ids(_request: Request) -> list[str]:
    """None."""
    return []


def nothing_beside(_api: Any) -> Beside:
    """Lists that show rentals alone, until they end."""
    return ()


def no_counts(_body: Any, _rows: list[Any]) -> None:
    """Lists that count nothing."""


def no_keys(_script: str) -> tuple[str, ...]:
    """Nobody: the API itself is told who may log in."""
    return ()


def without_limit(_api: Any, _rental: Rental, _hours: int) -> None:
    """Rentals that nobody ends but their owners."""


@dataclass(frozen=True)
class Dialect:
    """The words of one provider.

    ``rows`` and ``row`` name the field of an answer that has a list or a single rental, and are
    empty where the answer is that itself. ``recount`` makes what a list counts agree with other
    rows. Ids are texts: ``rental_id`` makes one of a number in the market's books, ``number`` the
    other way round (-1 for none), and ``ids`` finds those that a request names. ``mark`` reads what
    the market keeps as a rental's label. ``unfiltered`` takes the filters out of a search.
    ``script_keys`` are those that a start script lets in, where our key comes by that alone, and
    ``prolong`` lets a rental go on for so many more hours, whatever limits there are.
    """

    requests: Mapping[str, Where] = field(default_factory=dict)
    sayings: Mapping[str, Saying | AboutOne] = field(default_factory=dict)
    shows: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    features: frozenset[str] = frozenset()
    #: States of the account that its routes tell apart: see access.py.
    accounts: frozenset[str] = frozenset(("revoked-401", "read-only"))
    rows: str = ""
    row: str = ""
    next_page: str = ""
    page_size: int = 0
    recount: Callable[[Any, list[Any]], None] = no_counts
    rental_id: Callable[[int], str] = str
    number: Callable[[str], int] = int
    ids: Callable[[Request], list[str]] = no_ids
    mark: Callable[[str], str] = as_it_is
    unfiltered: Callable[[Request], Request] | None = None
    #: Of its routes: what is ending and still shown, and what bills beside rentals.
    beside: Callable[[Any], Beside] = nothing_beside
    script_keys: Callable[[str], tuple[str, ...]] = no_keys
    prolong: Callable[[Any, Rental, int], None] = without_limit

    # What a client needs.

    #: What the simulated account logs in with, by the option of the product, and where the API is
    #: below a simulator's own address.
    credentials: Mapping[str, str] = field(default_factory=lambda: {"api_key": ACCOUNT_KEY})
    api_path: str = ""
    #: An image that every offer takes; empty where what is usual is one.
    image: str = ""
    #: What some offers are below, and thrice the price of each of them is above.
    usd_per_hour: float = 0.1
    #: The most whole hours that a rental can be asked for, where it must be whole hours, and so has
    #: no budget. Without, any time will do.
    whole_hours: int = 0

    def where(self, name: str) -> Where:
        """The requests of a name. Raises ValueError."""
        if name not in self.requests:
            raise ValueError(f"no request {name!r} here: {REQUESTS.get(name, 'unknown')}")
        return self.requests[name]

    def name_of(self, request: Request) -> str:
        """The first name that *request* has in orders; its method and path where it has none.

        Without the id in it: that is another one in each market.
        """
        known = (name for name, one in self.requests.items() if one.matches(request))
        path = request.path
        for rental_id in self.ids(request):
            path = path.replace(str(rental_id), "<id>")
        return next(known, f"{request.method} {path}")

    def say(self, name: str, request: Request, told: Reply | None = None) -> Saying:
        """What an answer to *request* says; *told* is the one that it takes the place of."""
        known = self.sayings[name]
        return known(request, told) if callable(known) else known


def in_path(pattern: str) -> Callable[[Request], list[str]]:
    """Finds the id that a path has in the group of a pattern."""

    def ids(request: Request) -> list[str]:
        found = re.search(pattern, request.path)
        return [found[1]] if found else []

    return ids


def in_body(name: str) -> Callable[[Request], list[str]]:
    """Finds the ids that a body has in a field, one or several."""

    def ids(request: Request) -> list[str]:
        try:
            told = request.json()[name]
        except (ValueError, KeyError, TypeError):
            return []
        return [told] if isinstance(told, str) else list(told)

    return ids


def after(prefix: str) -> Callable[[str], int]:
    """Reads the number that stands behind a prefix; -1 for what is none."""

    def number(text: str) -> int:
        told = text.removeprefix(prefix)
        return int(told) if text.startswith(prefix) and told.isdecimal() else -1

    return number


def saying(reply: Reply) -> Saying:
    """What an answer of the routes says."""
    return reply.status, json.loads(reply.body)


def without_dashes(name: str) -> str:
    """What a client wrote into a name that has letters, digits and dashes alone."""
    written = {"--": "/", "-x": "-", "-d": ".", "-u": "_"}
    return re.sub("-[-xdu]", lambda found: written[found[0]], name) if "--" in name else name


def base_16(text: str) -> int:
    """The number that an id of 32 digits to the base of 16 is; -1 for none."""
    return int(text, 16) if re.fullmatch("[0-9a-f]{32}", text) else -1


def without_query(*names: str) -> Callable[[Request], Request]:
    """Takes these parameters out of a query."""

    def changed(request: Request) -> Request:
        kept = {name: value for name, value in request.query.items() if name not in names}
        return replace(request, query=kept)

    return changed
