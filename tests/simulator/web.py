# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A small HTTP server: one function answers all requests, and may drop the connection."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

LONGEST_STREAM_SECONDS = 600
IP_FREEBIND = 15  # linux/in.h; Python has no name for it


@dataclass(frozen=True)
class Request:
    """One request as it came in; header names are lower case.

    ``listener`` is the URL at which the server that got it is reached.
    """

    method: str
    path: str
    query: dict[str, str]
    headers: Mapping[str, str]
    body: bytes
    listener: str = ""

    def json(self) -> Any:
        """Return the decoded body, an empty object for an empty one. Raises ValueError."""
        return json.loads(self.body) if self.body else {}


@dataclass
class Reply:
    """One answer. ``body`` may be empty while ``headers`` promise a length, for HEAD.

    ``headers`` win over those that every answer has. One that ``stays_open`` is a stream: nothing
    says where it ends, and it does when the client leaves.
    """

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    stays_open: bool = False


class DropConnection(Exception):
    """Close the connection without an answer."""


def http_date(seconds: float) -> str:
    """Return epoch seconds as the Date header says them."""
    return formatdate(seconds, usegmt=True)


def json_reply(value: Any, status: int = 200) -> Reply:
    """Return a JSON answer. The content type is exact: Vast.ai's client refuses a charset."""
    body = json.dumps(value).encode()
    return Reply(status, body, {"Content-Type": "application/json"})


def joined(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """The parameters of a query by name; one that comes several times has commas in it."""
    query: dict[str, str] = {}
    for name, value in pairs:
        query[name] = f"{query[name]},{value}" if name in query else value
    return query


class Server(ThreadingHTTPServer):
    """Serves ``answer`` on an address from a background thread until ``close``.

    ``reached_as`` is the name by which clients reach it; the address says it when not given.
    """

    daemon_threads = True
    request_queue_size = 128

    def __init__(
        self,
        address: tuple[str, int],
        answer: Callable[[Request], Reply],
        reached_as: str = "",
    ) -> None:
        self.answer = answer
        try:
            super().__init__(address, Handler)
        except OSError as reason:
            where = f"{address[0]}:{address[1]}"
            raise OSError(
                f"cannot listen on {where} ({reason.strerror}); free it or choose another"
                " with --port and --hub-port"
            ) from reason
        self.url = f"http://{reached_as or address[0]}:{self.port}"
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def port(self) -> int:
        """The port that it listens on, also when 0 was asked for."""
        return int(self.server_address[1])

    def server_bind(self) -> None:
        """Take an address that this machine may only get later, as that of a bridge."""
        self.socket.setsockopt(socket.IPPROTO_IP, IP_FREEBIND, 1)
        super().server_bind()

    def close(self) -> None:
        """Stop accepting and free the port."""
        self.shutdown()
        self.server_close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no news here."""


class Handler(BaseHTTPRequestHandler):
    """Turns the wire format into Request and Reply."""

    protocol_version = "HTTP/1.1"
    wbufsize = 65536  # send the head and the body together: a client need not wait for either
    disable_nagle_algorithm = True
    server_version = "simulator"
    server: Server

    def respond(self) -> None:
        """Answer one request of any method."""
        url = urlsplit(self.path)
        length = int(self.headers.get("Content-Length") or 0)
        request = Request(
            method=self.command,
            path=unquote(url.path),
            query=joined(parse_qsl(url.query, keep_blank_values=True)),
            headers={name.lower(): value for name, value in self.headers.items()},
            body=self.rfile.read(length),
            listener=self.server.url,
        )
        try:
            reply = self.server.answer(request)
        except DropConnection:
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        self.send_response_only(reply.status)
        usual = {"Server": self.server_version, "Date": http_date(time.time())}
        if reply.stays_open:
            usual["Transfer-Encoding"] = "chunked"
        else:
            usual["Content-Length"] = str(len(reply.body))
        for name, value in {**usual, **reply.headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if reply.stays_open:
            self.stream(reply.body)
        elif self.command != "HEAD":
            self.wfile.write(reply.body)

    def stream(self, body: bytes) -> None:
        """Send one chunk and wait until the client leaves."""
        self.close_connection = True
        if body:
            self.wfile.write(b"%x\r\n%s\r\n" % (len(body), body))
        self.wfile.flush()
        self.connection.settimeout(LONGEST_STREAM_SECONDS)
        with contextlib.suppress(OSError):
            self.connection.recv(1)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = respond

    def log_message(self, format: str, *args: Any) -> None:
        """Stay quiet: the simulator keeps its own request log."""
