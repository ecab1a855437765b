# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""HTTP for providers: JSON in and out, reads retried, rental requests sent once."""

from __future__ import annotations

import math
import random
import re
import sys
import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from email.utils import parsedate_to_datetime
from typing import Any, NamedTuple

from ...common.answers import CHUNK_BYTES, UnreadableAnswer, beginning, parse, read, within
from ...common.hiding import without_login
from ..clock import Clock
from ..errors import CredentialError, ProviderUnavailable, RateLimited
from .pace import LONGEST_WAIT_SECONDS, Pace

try:
    import requests
    from urllib3.exceptions import HTTPError
except ImportError:  # reported by the caller through REQUESTS_MISSING
    REQUESTS_MISSING = True
else:
    REQUESTS_MISSING = False

#: Answers that say "not now": the same read may succeed a moment later.
_PASSING = frozenset((429, 500, 502, 503, 504))
#: Of these, what was certainly not carried out, so that even a rental request may be sent again.
_NOT_CARRIED_OUT = frozenset((429,))
#: A listing of thousands of rentals, or a search of all offers, takes a tenth of it.
_MOST_BYTES = 32 * 2**20
#: What of an answer is looked at for a message.
_MOST_READ_LETTERS = 10_000
#: What a date raises that is none.
_NO_DATE = (TypeError, ValueError, OverflowError)
#: Answers that name another address.
_ELSEWHERE = frozenset((301, 302, 303, 307, 308))
#: Our own pauses grow no longer than this; what the provider asks for is obeyed in full.
_LONGEST_PAUSE_SECONDS = 30.0
#: Libraries wrap what breaks into so many errors at most.
_MOST_LAYERS = 10
#: So many of the last answers tell the provider's time.
_DATES_KEPT = 5
#: Numbers above it are times since the epoch, those below are seconds to wait.
_EPOCH_SECONDS = 1e9
#: What a stream has to tell at once comes without such a pause.
_PAUSE_SECONDS = 2.0
#: Packed, a stream could not be cut anywhere.
_UNPACKED = {"Accept-Encoding": "identity"}
#: A secret beside its name, also when the text ends in the middle of it.
_SECRET = re.compile(
    r"(instance_api_key|jupyter_token|api_key|access_token|refresh_token|client_secret|\bbearer)"
    r"(\W+)[\w.~+/-]+",
    re.IGNORECASE,
)
#: A private key, whose end may be cut off.
_PRIVATE_KEY = re.compile(r"-{5}BEGIN [A-Z ]*PRIVATE KEY.*?(?:-{5}END [A-Z ]*-{5}|\Z)", re.DOTALL)


class LogIn:
    """What an account logs in with: here headers that stay as they are.

    *secrets* are what it sends in another way.
    """

    def __init__(self, headers: Mapping[str, str], secrets: Iterable[str] = ()) -> None:
        self._headers = headers
        self._secrets = tuple(secrets)

    def headers(self) -> Mapping[str, str]:
        """What goes on each request. Raises a MarketError where it has to be asked for."""
        return self._headers

    def secrets(self) -> Iterable[str]:
        """What no message may show: it stands behind a word such as Bearer, or alone."""
        return (*(value.rpartition(" ")[2] for value in self._headers.values()), *self._secrets)

    def renewed(self) -> bool:
        """Whether there are other headers now, after these were refused."""
        return False

    def __call__(self, request: Any) -> Any:
        """Put the headers on a request, as the library has it."""
        request.headers.update(self.headers())
        return request


class _Reply(NamedTuple):
    """What came over the wire, read to its end."""

    status_code: int
    headers: Mapping[str, str]
    text: str


class Response:
    """One answer: status code, parsed JSON (None when it is not JSON) and text.

    ``secrets`` are what the request was sent with: an answer may echo them anywhere.
    """

    def __init__(self, status: int, data: Any, text: str, secrets: Iterable[str] = ()) -> None:
        self.status = status
        self.data = data
        self.text = text
        self._secrets = tuple(filter(None, secrets))

    def excerpt(self) -> str:
        """The start of the body on one line, without secrets, for messages."""
        return self.shown(self.text)

    def shown(self, text: str) -> str:
        """The same of any text that came along."""
        text = _PRIVATE_KEY.sub("***", text[:_MOST_READ_LETTERS])
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return " ".join(_SECRET.sub(r"\1\2***", text).split())[:200]


class Transport:
    """Sends requests to one provider under one account, at its pace.

    *log_in* has what the account logs in with, which is shown in no message and goes to *base_url*
    alone: no redirect is followed, and no .netrc is looked at. Where it can be renewed, a request
    that was refused for it is sent once more, for it was not carried out.

    ``idempotent=True`` requests are tried again on dropped connections, 429 and 5xx.
    Any other request is sent again only after 429, which says that it was not carried out.
    No call takes longer than ``timeout_seconds``, however slowly its answer drips, or than what
    ``slow_seconds`` has for its kind of endpoint.
    """

    def __init__(
        self,
        base_url: str,
        log_in: LogIn | Mapping[str, str],
        pace: Pace,
        clock: Clock,
        timeout_seconds: float = 60.0,
        tries: int = 4,
        slow_seconds: Mapping[str, float] | None = None,
    ) -> None:
        if REQUESTS_MISSING:
            raise ProviderUnavailable(
                f"The Python library requests is missing for {sys.executable} on the controller.",
                remedy=f"{sys.executable} -m pip install requests, or let the modules of localhost "
                "run with another one (ansible_python_interpreter).",
            )
        self._base_url = base_url.rstrip("/")
        self._timeout_seconds = timeout_seconds
        self._slow_seconds = slow_seconds or {}
        self._tries = tries
        self._pace = pace
        self._clock = clock
        self._session = requests.Session()
        self._log_in = log_in if isinstance(log_in, LogIn) else LogIn(log_in)
        # With a hook of our own, the library looks for no login in the user's .netrc.
        self._session.auth = self._log_in
        self._offsets: deque[float] = deque(maxlen=_DATES_KEPT)
        #: How long the fastest answer took, whatever it said; None before there is one.
        self.latency_seconds: float | None = None

    @property
    def clock_offset_seconds(self) -> float:
        """The provider's clock minus ours in seconds, by its last answers.

        Of several the smallest: caches and single servers send dates that are days off.
        """
        return min(self._offsets, key=abs, default=0.0)

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

        RateLimited says that it was not carried out. ``kind`` names the endpoint among the
        provider's rate limits.
        """
        passing = _PASSING if idempotent else _NOT_CARRIED_OUT
        waited = 0.0
        may_renew = True
        for attempt in range(1, self._tries + 1):
            # Asked for before anything is sent.
            self._log_in.headers()
            self._pace.wait(kind)
            began = self._clock.monotonic()
            try:
                reply = self._send(method, path, kind, query, body)
            except requests.RequestException as error:
                if attempt == self._tries or not idempotent:
                    raise self._unanswered(method, path, error) from error
                self._clock.sleep(_pause(attempt, None))
                continue
            self._note_latency(self._clock.monotonic() - began)
            self._note_time(reply.headers.get("Date"))
            secrets = self._log_in.secrets()
            response = Response(reply.status_code, parse(reply.text), reply.text, secrets)
            if response.status in _ELSEWHERE:
                raise ProviderUnavailable(
                    f"{method} {without_login(self._base_url)}{path} is answered by a redirect to "
                    f"{response.shown(reply.headers.get('Location', 'nowhere'))!r}, which the "
                    "account's key does not follow.",
                    remedy="If that is the provider's new address, set api_url to it.",
                )
            if response.status == 401 and may_renew and attempt < self._tries:
                may_renew = False
                if self._log_in.renewed():
                    continue
            if response.status not in passing:
                return response
            asked = _asked_pause(reply.headers, self._clock.now() + self.clock_offset_seconds)
            pause = _pause(attempt, asked)
            waited += pause
            last = attempt == self._tries or waited > LONGEST_WAIT_SECONDS
            if response.status == 429:
                # Everybody obeys, also when this call gives up.
                self._pace.slow_down(kind, pause)
                if last:
                    raise RateLimited(_too_frequent(method, path, response, asked))
            elif last:
                return response
            else:
                self._clock.sleep(pause)
        raise AssertionError("unreachable: the last try returns or raises")

    def _send(
        self, method: str, path: str, kind: str, query: dict[str, Any] | None, body: Any
    ) -> Any:
        """One request with its whole answer; raises RequestException when that takes too long.

        An answer without end, also one that only unpacks without end, is given up.
        """
        timeout_seconds = self._slow_seconds.get(kind, self._timeout_seconds)

        def send() -> Any:
            with self._session.request(
                method,
                self._base_url + path,
                params=query,
                json=body,
                timeout=timeout_seconds,
                allow_redirects=False,
                stream=True,
            ) as reply:
                chunks = iter(lambda: reply.raw.read(CHUNK_BYTES, decode_content=False), b"")
                try:
                    content = read(chunks, reply.headers.get("Content-Encoding", ""), _MOST_BYTES)
                except UnreadableAnswer as error:
                    raise requests.exceptions.ContentDecodingError(str(error)) from error
                except HTTPError as error:
                    raise requests.ConnectionError(str(error)) from error
                return _Reply(reply.status_code, reply.headers, content.decode(errors="replace"))

        try:
            return within(timeout_seconds, send)
        except TimeoutError as error:
            raise requests.Timeout(str(error)) from error

    def beginning(
        self,
        path: str,
        *,
        kind: str,
        query: dict[str, Any] | None = None,
        seconds: float,
        most_bytes: int,
    ) -> Response:
        """What a GET brings in so many seconds, up to so many bytes: a stream may have no end.

        Asked once. A body that drips, floods, breaks off or has told what there is to tell is cut
        there, which is no error. Raises ProviderUnavailable when no answer has begun by then.
        """
        end = time.monotonic() + seconds
        self._log_in.headers()
        self._pace.wait(kind)

        def begin() -> Any:
            return self._session.request(
                "GET",
                self._base_url + path,
                params=query,
                headers=_UNPACKED,
                timeout=seconds,
                allow_redirects=False,
                stream=True,
            )

        try:
            reply = within(seconds, begin)
        except (requests.RequestException, TimeoutError) as error:
            raise self._unanswered("GET", path, error) from error

        def chunks() -> Iterator[bytes]:
            with reply:
                # Without a length, a read of more than has come waits for the rest.
                has_length = reply.raw.chunked or "Content-Length" in reply.headers
                size = CHUNK_BYTES if has_length else 1
                yield from reply.raw.stream(size, decode_content=False)

        body = beginning(chunks(), end - time.monotonic(), most_bytes, _PAUSE_SECONDS)
        text = body.decode(errors="replace")
        return Response(reply.status_code, parse(text), text, self._log_in.secrets())

    def _unanswered(self, method: str, path: str, error: BaseException) -> ProviderUnavailable:
        told = f"{method} {self._base_url}{path} got no answer ({_reason(error)})."
        # An error is kept for other hosts, and a reason may name the address, too.
        return ProviderUnavailable(
            without_login(told),
            remedy="Check the network, the api_url and the provider's status page.",
        )

    def _note_latency(self, seconds: float) -> None:
        known = self.latency_seconds
        self.latency_seconds = seconds if known is None else min(known, seconds)

    def _note_time(self, date: str | None) -> None:
        try:
            told = parsedate_to_datetime(date or "").timestamp()
        except _NO_DATE:
            return
        self._offsets.append(told - self._clock.now())


def _reason(error: BaseException) -> str:
    """What broke, in words. Libraries wrap it into texts with the names of their classes."""
    told, layer = "", error
    for _layer in range(_MOST_LAYERS):
        # The innermost that says anything.
        told = getattr(layer, "strerror", None) or str(layer) or told
        inner = layer.__cause__ or layer.__context__
        if inner is None:
            break
        layer = inner
    return told or "it was cut off"


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


def _asked_pause(headers: Mapping[str, str], now: float) -> float | None:
    """For how many seconds the provider wants no such call; *now* is its own time.

    Retry-After has seconds or a date, X-RateLimit-Reset seconds or a time since the epoch.
    """
    told = headers.get("Retry-After") or headers.get("X-RateLimit-Reset") or ""
    try:
        number = float(told)
    except ValueError:
        try:
            number = parsedate_to_datetime(told).timestamp()
        except _NO_DATE:
            return None
    if not math.isfinite(number):
        return None
    return max(0.0, number - now if number > _EPOCH_SECONDS else number)


def _pause(attempt: int, asked: float | None) -> float:
    """Seconds before the next try, as the provider asks or growing, never the same for two."""
    own = min(0.5 * 2.0**attempt, _LONGEST_PAUSE_SECONDS)
    return (own if asked is None else asked) * (1 + random.uniform(0, 0.2))


def _too_frequent(method: str, path: str, response: Response, asked: float | None) -> str:
    until = f", for another {asked:.0f} s" if asked else ""
    return (
        f"{method} {path} was refused for too many calls{until} ({response.excerpt()}). "
        "It was not carried out."
    )
