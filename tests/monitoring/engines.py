# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stand-ins for engines: figures that a real one has published, and work that goes on, or not."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

FIGURES = Path(__file__).with_name("figures")
_COUNTERS = ("_total", "_count", "_sum", "_bucket")


class Engine(ThreadingHTTPServer):
    """Publishes the figures of a file to whoever has its key."""

    daemon_threads = True

    def __init__(self, engine: str, key: str) -> None:
        self.text = (FIGURES / f"{engine}.prom").read_text()
        self.key = key
        self.reads = 0
        self.works = True
        #: Figures that are others than in the file, by name.
        self.planted: dict[str, float] = {}
        super().__init__(("127.0.0.1", 0), _Handler)

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    def figures(self) -> str:
        """With each look so much work more is done as the file has in all."""
        self.reads += self.works
        return "".join(f"{self._line(line)}\n" for line in self.text.splitlines())

    def _line(self, line: str) -> str:
        series, _space, value = line.rpartition(" ")
        name = series.partition("{")[0]
        if line.startswith("#") or not name:
            return line
        if name in self.planted:
            return f"{series} {self.planted[name]}"
        grows = name.endswith(_COUNTERS)
        return f"{series} {float(value) * self.reads}" if grows else line

    def handle_error(self, request: object, client_address: object) -> None:
        """A Prometheus that went away."""


class _Handler(BaseHTTPRequestHandler):
    server: Engine

    def do_GET(self) -> None:
        knows = self.headers.get("Authorization") == f"Bearer {self.server.key}"
        body = self.server.figures().encode() if knows else b""
        self.send_response(200 if knows else 401)
        self.send_header("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Nobody reads it."""


@contextmanager
def running(engine: str, key: str) -> Iterator[Engine]:
    """One on a free port of this machine, until the block ends."""
    with Engine(engine, key) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield server
        finally:
            server.shutdown()
