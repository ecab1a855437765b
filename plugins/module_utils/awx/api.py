# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""AWX's API: where it is, and what it says."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any
from urllib.parse import urlencode

from ..common.addresses import is_closed
from ..common.redaction import redact_parts

try:
    import requests
except ImportError:  # told when it is needed
    requests = None  # type: ignore[assignment,unused-ignore]

#: What AWX says of a user's rights; whatever else it forbids, nobody may do.
_NO_RIGHT = "You do not have permission"
_MOST_LETTERS = 4000


class AwxError(Exception):
    """AWX did not do what it was told; the text says what, why, and what to change."""


class Api:
    """One AWX, or the controller of one Automation Platform, under one token."""

    def __init__(
        self,
        url: str,
        token: str,
        validate_certs: bool = True,
        timeout_seconds: float = 30,
        secrets: Collection[str] = (),
    ) -> None:
        """*secrets* are what AWX is sent and must not be shown, also where AWX quotes it.

        Raises AwxError for an address that a token must not be sent to.
        """
        if not is_closed(url):
            raise AwxError(
                f"{url} is not https, and whoever listens would have the token: give an address "
                "that begins with https://, or forward a port to it."
            )
        if requests is None:
            raise AwxError("The Python package requests is needed on the controller: install it.")
        self._session = requests.Session()
        self._url = url.rstrip("/")
        self._token, self._validate_certs = token, validate_certs
        self._timeout_seconds = timeout_seconds
        self._secrets = {token, *secrets}
        #: Of a platform: where its organizations are made. None where AWX has them itself.
        self.gateway: str | None = None
        self._base = self._discovered()

    def _discovered(self) -> str:
        """The path of the newest API; a platform names its parts first."""
        told = self.call("GET", "/api/")
        parts = told.get("apis") or {}
        if parts.get("gateway"):
            self.gateway = self.call("GET", parts["gateway"]).get("current_version")
        if parts.get("controller"):
            told = self.call("GET", parts["controller"])
        base = told.get("current_version")
        if not isinstance(base, str):
            raise AwxError(f"{self._url} has no API of AWX: give the address of its web page.")
        return base

    def path(self, *parts: Any) -> str:
        """A path below the API."""
        return self._base + "".join(f"{part}/" for part in parts)

    def all(self, path: str, **wanted: Any) -> list[dict[str, Any]]:
        """Every object at a path, of all pages."""
        found: list[dict[str, Any]] = []
        following: str | None = f"{path}?{urlencode({**wanted, 'page_size': 200})}"
        while following:
            page = self.call("GET", following)
            found += page["results"]
            following = page.get("next")
        return found

    def call(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        """One call; an answer without content is an empty one. Raises AwxError."""
        try:
            answer = self._session.request(
                method,
                self._url + path,
                json=body,
                auth=self._signed,
                verify=self._validate_certs,
                timeout=self._timeout_seconds,
                # Another host is told no token.
                allow_redirects=False,
            )
            good = answer.status_code < 300
            told = answer.json() if good and answer.content else {}
        except (requests.RequestException, ValueError) as error:
            raise AwxError(
                f"{method} {self._url}{path} brought no answer: {error}. Run it again, which "
                "leaves alone what is there already."
            ) from None
        if not good:
            # Before anything is cut: half of a secret would not be known any more.
            said = redact_parts(answer.text[: 10 * _MOST_LETTERS], self._secrets)[:_MOST_LETTERS]
            raise AwxError(_refused(method, path, answer.status_code, said))
        if not isinstance(told, dict):
            raise AwxError(f"{method} {self._url}{path} brought no object.")
        return told

    def _signed(self, request: Any) -> Any:
        """With the token, whatever login a file of the user's has for this host."""
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request


def _refused(method: str, path: str, status: int, said: str) -> str:
    if status == 401:
        return "AWX does not know the token: make one under Users, Tokens, with scope Write."
    if status == 403 and _NO_RIGHT in said:
        return (
            f"{method} {path}: the token's user may not do this ({said}). Give it the rights of an "
            "administrator: credential types and execution environments need them."
        )
    return f"{method} {path} was refused ({status}): {said}"
