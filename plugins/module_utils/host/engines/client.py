# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Asking a server that may hang, lie or be gone: an answer in time, or the reason why not."""

from __future__ import annotations

import http.client
import json
import socket
from typing import Any

from ...common.proofs import has_no_route


class NotYet(Exception):
    """A check did not pass; the text says why."""


class NoAnswer(NotYet):
    """It did not answer in time."""


class Busy(NotYet):
    """It gives no figures while it works on a step, and answers what needs none."""


class TurnedAway(NotYet):
    """It takes nobody, or nobody with this key."""


class NoRoute(NotYet):
    """The server says that its model does not answer such questions."""


_TURNED_AWAY = (401, 403, 503)


def _kind(status: int, start: str) -> type[NotYet]:
    """What such an answer means."""
    if has_no_route(status, start):
        return NoRoute
    return TurnedAway if status in _TURNED_AWAY else NotYet


class _ToSocket(http.client.HTTPConnection):
    """To a Unix socket in place of a port."""

    def __init__(self, path: str, seconds: float) -> None:
        super().__init__("localhost", timeout=seconds)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


class Client:
    """One short-lived connection per call: nothing to reuse, nothing to go stale.

    It goes to the Unix socket at *path* where there is one, and else to *port* of *host*.
    """

    def __init__(self, host: str, port: int, api_key: str | None, path: str | None = None) -> None:
        self._host, self._port, self._api_key, self._path = host, port, api_key, path

    def call(self, method: str, path: str, body: Any = None, seconds: float = 5.0) -> Any:
        """The decoded answer (None for an empty one); raises NotYet unless it is 200."""
        content = self.fetch(method, path, body, seconds)
        try:
            return json.loads(content) if content else None
        except ValueError as error:
            raise NotYet(f"{path}: {error}") from error

    def fetch(self, method: str, path: str, body: Any = None, seconds: float = 5.0) -> bytes:
        """The answer as it is; raises NotYet unless it is 200."""
        headers = {"Content-Type": "application/json"}
        if self._api_key:
            headers["Authorization"] = f"Bearer {self._api_key}"
        connection = self._connection(seconds)
        try:
            payload = None if body is None else json.dumps(body)
            connection.request(method, path, payload, headers)
            response = connection.getresponse()
            content = response.read()
            if response.status != 200:
                start = content[:200].decode(errors="replace")
                kind = _kind(response.status, start)
                raise kind(f"{path} answered {response.status} {start}".strip())
            return content
        except TimeoutError as error:
            raise NoAnswer(f"{path} gave no answer within {seconds:g} s") from error
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise NotYet(f"{path}: {error or type(error).__name__}") from error
        finally:
            connection.close()

    def _connection(self, seconds: float) -> http.client.HTTPConnection:
        if self._path is not None:
            return _ToSocket(self._path, seconds)
        return http.client.HTTPConnection(self._host, self._port, timeout=seconds)
