# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Parts of one file of a hub, each held against what was asked for before a byte of it counts."""

from __future__ import annotations

import http.client
import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import NamedTuple

from .hub import File, Hub, HubError, Listing, origin

_RANGE = re.compile(r"bytes ([0-9]{1,16})-([0-9]{1,16})/([0-9]{1,16}|\*)")
_VERSION = re.compile(r"[ -~]{1,200}")


class Part(NamedTuple):
    """An answer that holds the bytes from *first* to before *end*.

    *version* is what the server calls the content of the file; None where it has no name for it.
    """

    body: http.client.HTTPResponse
    first: int
    end: int
    version: str | None


class RemoteFile:
    """One file of a model.

    A hub counts the requests that it gets, and may send them on to a server that does not. So that
    server's address is used again until it fails once, as it does when its time is over.
    """

    def __init__(self, hub: Hub, listing: Listing, file: File) -> None:
        self.hub, self.listing, self.file = hub, listing, file
        self._address: str | None = None

    @contextmanager
    def part(
        self, first: int = 0, last: int | None = None, version: str | None = None
    ) -> Iterator[Part]:
        """The bytes from *first* to *last*; all of them where a server knows no ranges, or has
        another *version* by now. Raises HubError.
        """
        headers = {}
        if first or last is not None:
            headers["Range"] = f"bytes={first}-{'' if last is None else last}"
            if version:
                headers["If-Range"] = version
        with self._answer(headers) as answer:
            begin, end = self._place(answer, first)
            yield Part(answer, begin, end, _version(answer))

    @contextmanager
    def _answer(self, headers: dict[str, str]) -> Iterator[http.client.HTTPResponse]:
        with ExitStack() as stack:
            try:
                yield self._open(stack, headers)
            except HubError:
                self._address = None
                raise

    def _open(self, stack: ExitStack, headers: dict[str, str]) -> http.client.HTTPResponse:
        """From the address that is known, or else from where the hub sends us now."""
        asked = (self.listing.model, self.listing.commit, self.file.name, headers)
        address = self._address
        if address:
            try:
                return stack.enter_context(self.hub.read(*asked, address))
            except HubError:
                self._address = None
        answer = stack.enter_context(self.hub.read(*asked))
        elsewhere = origin(answer.geturl()) != origin(self.hub.endpoint)
        self._address = answer.geturl() if elsewhere else None
        return answer

    def _place(self, answer: http.client.HTTPResponse, first: int) -> tuple[int, int]:
        """Where an answer begins and ends in the file. Raises HubError where that is not right."""
        if answer.status == 200:
            self._require_size(answer.headers.get("Content-Length"))
            return 0, self.file.size
        told = answer.headers.get("Content-Range") or "none that it names"
        place = _RANGE.fullmatch(told)
        if answer.status != 206 or not place or not int(place[1]) == first <= int(place[2]):
            raise self._astray(f"asked for its bytes from {first} on, it sends {told[:80]}")
        self._require_size(place[3])
        return first, min(int(place[2]) + 1, self.file.size)

    def _require_size(self, told: str | None) -> None:
        if told not in (None, "*", str(self.file.size)):
            raise self._astray(f"it has {str(told)[:20]} bytes there, and lists {self.file.size}")

    def _astray(self, why: str) -> HubError:
        return self.hub.astray(self.file.name, why)


def _version(answer: http.client.HTTPResponse) -> str | None:
    """A weak ETag does not tell whether each byte is the same."""
    tag = answer.headers.get("ETag") or "W/"
    told = answer.headers.get("Last-Modified") if tag.startswith("W/") else tag
    return told if told and _VERSION.fullmatch(told) else None
