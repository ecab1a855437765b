# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""HTTP for providers: JSON in and out, reads retried, creates sent once."""

from __future__ import annotations

import random
from email.utils import parsedate_to_datetime
from typing import Any

from .clock import Clock
from .errors import CredentialError, ProviderUnavailable
from .pace import Pace

try:
    import requests
except ImportError:  # reported by the caller through REQUESTS_MISSING
    REQUESTS_MISSING = True
else:
    REQUESTS_MISSING = False

#: Answers that say "not now": the same read may succeed a moment later.
_PASSING = frozenset((429, 500, 502, 503, 504))
#: Of these, what was certainly not carried out, so that even a create may be sent again.
_NOT_CARRIED_OUT = frozenset((429,))
_LONGEST_PAUSE_SECONDS = 30.0


class Response:
    """One answer: status code, parsed JSON (None when it is not JSON) and text."""

    def __init__(self, status: int, data: Any, text: str) -> None:
        self.status = status
        self.data = data
        self.text = text

    def excerpt(self) -> str:
        """The start of the body on one line, for messages."""
        return " ".join(self.text.split())[:200]


class Transport:
    """Sends requests to one provider under one credential, at its pace.

    ``idempotent=True`` requests are tried again on dropped connections, 429 and 5xx.
    Any other request is sent again only after 429, which says that it was not carried out.
    """

    def __init__(
        self,
        base_url: str,
        headers: dict[str, str],
        pace: Pace,
        clock: Clock,
        timeout_seconds: float = 60.0,
        tries: int = 4,
    ) -> None:
        if REQUESTS_MISSING:
            raise ProviderUnavailable(
                "The Python library requests is missing on the controller.",
                remedy="pip install requests",
            )
        self._base_url = base_url.rstrip("/")
        self._timeout_seconds = timeout_seconds
        self._tries = tries
        self._pace = pace
        self._clock = clock
        self._session = requests.Session()
        self._session.headers.update(headers)
        #: The provider's clock minus ours in seconds, by its last answer.
        self.clock_offset_seconds = 0.0

    def request(
        self,
        method: str,
        path: str,
        *,
        kind: str,
        query: dict[str, Any] | None = None,
        body: Any = None,
        idempotent: bool,
    ) -> Response:
        """The answer to one request; raises ProviderUnavailable when none came.

        ``kind`` names the endpoint among the provider's rate limits.
        """
        passing = _PASSING if idempotent else _NOT_CARRIED_OUT
        for attempt in range(1, self._tries + 1):
            self._pace.wait(kind)
            try:
                reply = self._session.request(
                    method,
                    self._base_url + path,
                    params=query,
                    json=body,
                    timeout=self._timeout_seconds,
                )
            except requests.RequestException as error:
                if attempt == self._tries or not idempotent:
                    raise ProviderUnavailable(
                        f"{method} {self._base_url}{path} got no answer ({error}).",
                        remedy="Check the network, the api_url and the provider's status page.",
                    ) from error
                self._clock.sleep(_pause(attempt, None))
                continue
            self._note_time(reply.headers.get("Date"))
            if reply.status_code not in passing or attempt == self._tries:
                return Response(reply.status_code, _json(reply), reply.text)
            pause = _pause(attempt, reply.headers.get("Retry-After"))
            if reply.status_code == 429:
                self._pace.slow_down(kind, pause)
            else:
                self._clock.sleep(pause)
        raise AssertionError("unreachable: the last try returns or raises")

    def _note_time(self, date: str | None) -> None:
        try:
            told = parsedate_to_datetime(date or "").timestamp()
        except (TypeError, ValueError):
            return
        self.clock_offset_seconds = told - self._clock.now()


def expect_ok(response: Response, doing: str) -> Any:
    """The parsed body of a 2xx answer; the common refusals become typed errors."""
    if response.status in (401, 403):
        raise CredentialError(
            f"{doing}: the provider refused the API key (HTTP {response.status}: "
            f"{response.excerpt()})."
        )
    if not 200 <= response.status < 300 or response.data is None:
        raise ProviderUnavailable(
            f"{doing}: unusable answer (HTTP {response.status}: {response.excerpt()})."
        )
    return response.data


def _json(reply: Any) -> Any:
    try:
        return reply.json()
    except ValueError:
        return None


def _pause(attempt: int, retry_after: str | None) -> float:
    """Seconds before the next try, as the provider says or growing, never the same for two."""
    told = retry_after if retry_after and retry_after.isdigit() else None
    pause = float(told) if told else 0.5 * 2.0**attempt
    return min(pause, _LONGEST_PAUSE_SECONDS) * (1 + random.uniform(0, 0.2))
