# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Does an endpoint serve? A completion that came back on the way that clients take is the proof."""

from __future__ import annotations

import http.client
import json
from typing import Any

from ..common.answers import parse, within

_MOST_BYTES = 1024 * 1024
_SHOWN = 300


class NoCompletion(Exception):
    """There was none; the text says what came instead."""


def complete(port: int, question: dict[str, Any], api_key: str, timeout_seconds: float) -> str:
    """The text that a server behind this port of the loopback answers. Raises NoCompletion.

    All of it takes *timeout_seconds* at most: the server's host belongs to somebody else.
    """
    headers = {"Content-Type": "application/json"}
    if api_key:
        headers["Authorization"] = f"Bearer {api_key}"
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout_seconds)

    def ask() -> tuple[int, str]:
        connection.request("POST", "/v1/completions", json.dumps(question), headers)
        answer = connection.getresponse()
        return answer.status, answer.read(_MOST_BYTES).decode(errors="replace")

    try:
        status, body = within(timeout_seconds, ask)
    except (OSError, http.client.HTTPException) as error:
        raise NoCompletion(f"status none: {error or type(error).__name__}") from error
    finally:
        connection.close()
    shown = body[:_SHOWN] or "no body"
    if status != 200:
        raise NoCompletion(f"status {status}: {shown}")
    try:
        text = parse(body)["choices"][0]["text"]
    except (KeyError, IndexError, TypeError) as error:
        raise NoCompletion(f"status 200, and no text: {shown}") from error
    if not isinstance(text, str) or not text.strip():
        raise NoCompletion(f"status 200, and an empty text: {shown}")
    return text
