# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The request log: what was asked of the API, without secrets."""

from __future__ import annotations

import json
import re
import threading
import time
from pathlib import Path
from typing import Any

from tests.simulator.web import Request

SECRET_NAME = re.compile(r"key$|token|secret|password|login", re.IGNORECASE)
PUBLIC_NAMES = ("ssh_key", "public_key")
PRIVATE_KEY = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(-----END [^-]*-----|$)", re.DOTALL)
REDACTED = "<redacted>"


class Journal:
    """A list of requests in memory, also appended to a JSON-lines file when one is given."""

    def __init__(self, file: Path | None = None) -> None:
        self.file = file
        self.lock = threading.Lock()
        self.written: list[dict[str, Any]] = []

    def note(self, request: Request, status: int | None) -> None:
        """Write one request down. ``status`` is None when the connection was dropped."""
        try:
            body = request.json()
        except ValueError:
            body = request.body.decode(errors="replace")
        entry = {
            "time": time.time(),
            "listener": request.listener,
            "method": request.method,
            "path": request.path,
            "query": redacted(request.query),
            "body": redacted(body),
            "status": status,
            "user_agent": request.headers.get("user-agent", ""),
        }
        with self.lock:
            self.written.append(entry)
            if self.file:
                with self.file.open("a") as stream:
                    stream.write(json.dumps(entry) + "\n")

    def entries(self) -> list[dict[str, Any]]:
        """Return all requests, oldest first."""
        with self.lock:
            return list(self.written)

    def clear(self) -> None:
        """Forget all requests, in the file too."""
        with self.lock:
            self.written.clear()
            if self.file:
                self.file.write_text("")


def redacted(value: Any) -> Any:
    """Return the value with everything secret replaced: by name, and private keys by their look."""
    if isinstance(value, dict):
        return {
            name: REDACTED
            if SECRET_NAME.search(name) and name not in PUBLIC_NAMES and inner
            else redacted(inner)
            for name, inner in value.items()
        }
    if isinstance(value, list):
        return [redacted(inner) for inner in value]
    if isinstance(value, str):
        return PRIVATE_KEY.sub(REDACTED, value)
    return value
