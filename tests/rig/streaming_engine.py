# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A stand-in for an engine that streams: a process that a test may freeze, kill and fill.

    python -m tests.rig.streaming_engine NAME PORT FOLDER

It answers every path, so that only what stands before it can close one, and says who it is. A body
may say how many `tokens` it wants and how many seconds lie between two (`gap`); with `stream` they
come one by one. Figures are those of vLLM's /metrics.

  FOLDER/NAME.seen    a line of JSON for each request: method, path, headers, length of the body
  FOLDER/NAME.full    while it is there, inference is answered with 503
  FOLDER/NAME.stuck   while it is there, no token comes, and everything else is answered
"""

from __future__ import annotations

import json
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

QUIET = ("/health", "/metrics")


class Engine(ThreadingHTTPServer):
    """One engine."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, name: str, port: int, folder: Path) -> None:
        self.name, self.folder = name, folder
        self.lock = threading.Lock()
        self.running = 0
        self.tokens = 0
        super().__init__(("127.0.0.1", port), Handler)

    def has(self, word: str) -> bool:
        return (self.folder / f"{self.name}.{word}").exists()

    def count(self, running: int = 0, tokens: int = 0) -> None:
        with self.lock:
            self.running += running
            self.tokens += tokens

    def note(self, seen: dict[str, object]) -> None:
        with self.lock, (self.folder / f"{self.name}.seen").open("a") as stream:
            stream.write(json.dumps(seen) + "\n")

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that went away."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Engine

    def do(self) -> None:
        path = self.path.partition("?")[0]
        body = self.body()
        if path not in QUIET:
            told = {"method": self.command, "path": self.path, "length": len(body)}
            self.server.note({**told, "headers": dict(self.headers.items())})
        if path == "/metrics":
            self.whole(200, self.figures())
        elif self.command != "POST":
            self.whole(200, json.dumps({"from": self.server.name, "data": [{"id": "tiny"}]}))
        elif self.server.has("full"):
            self.whole(503, json.dumps({"error": f"{self.server.name} is full"}))
        else:
            self.generate(json.loads(body or b"{}"))

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = do_HEAD = do

    def body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            found = b""
            while size := int(self.rfile.readline(), 16):
                found += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return found
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def generate(self, asked: dict[str, object]) -> None:
        count, gap = int(str(asked.get("tokens", 1))), float(str(asked.get("gap", 0)))
        self.server.count(running=1)
        try:
            if not asked.get("stream"):
                for _token in range(count):
                    self.compute(gap)
                said = {"from": self.server.name, "choices": [{"text": " word" * count}]}
                self.whole(200, json.dumps(said))
                return
            self.begin(200, "text/event-stream", {"Transfer-Encoding": "chunked"})
            for number in range(count):
                self.compute(gap)
                self.chunk(f"data: {json.dumps({'from': self.server.name, 'n': number})}\n\n")
            self.chunk("data: [DONE]\n\n")
            self.wfile.write(b"0\r\n\r\n")
        finally:
            self.server.count(running=-1)

    def compute(self, gap: float) -> None:
        time.sleep(gap)
        while self.server.has("stuck"):
            time.sleep(0.02)
        self.server.count(tokens=1)

    def figures(self) -> str:
        return (
            f"vllm:num_requests_running {self.server.running}.0\n"
            "vllm:num_requests_waiting 0.0\n"
            f"vllm:generation_tokens_total {self.server.tokens}.0\n"
        )

    def begin(self, status: int, kind: str, headers: dict[str, str]) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def whole(self, status: int, text: str) -> None:
        content = text.encode()
        self.begin(status, "application/json", {"Content-Length": str(len(content))})
        if self.command != "HEAD":
            self.wfile.write(content)

    def chunk(self, text: str) -> None:
        content = text.encode()
        self.wfile.write(f"{len(content):x}\r\n".encode() + content + b"\r\n")
        self.wfile.flush()

    def log_message(self, format: str, *arguments: object) -> None:
        """What it saw stands in its file."""


if __name__ == "__main__":
    Engine(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3])).serve_forever()
