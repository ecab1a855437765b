# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Does an endpoint serve? A completion that came back on the way that clients take is the proof."""

from __future__ import annotations

import http.client
import json
from typing import Any

_MOST_BYTES = 1024 * 1024
_SHOWN = 300


class NoCompletion(Exception):
    """There was none; the text says what came instead."""


def complete(port: int, question: dict[str, Any], api_key: str, timeout_seconds: float) -> str:
    """The text that a server behind this port of the loopback answers. Raises NoCompletion."""
    headers = {"Content-Type": "application/json"}
    if api_key:
        headers["Authorization"] = f"Bearer {api_key}"
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout_seconds)
    try:
        connection.request("POST", "/v1/completions", json.dumps(question), headers)
        answer = connection.getresponse()
        body = answer.read(_MOST_BYTES).decode(errors="replace")
    except (OSError, http.client.HTTPException) as error:
        raise NoCompletion(f"status none: {error or type(error).__name__}") from error
    finally:
        connection.close()
    shown = body[:_SHOWN] or "no body"
    if answer.status != 200:
        raise NoCompletion(f"status {answer.status}: {shown}")
    try:
        text = json.loads(body)["choices"][0]["text"]
    except (ValueError, KeyError, IndexError, TypeError) as error:
        raise NoCompletion(f"status 200, and no text: {shown}") from error
    if not isinstance(text, str) or not text.strip():
        raise NoCompletion(f"status 200, and an empty text: {shown}")
    return text
