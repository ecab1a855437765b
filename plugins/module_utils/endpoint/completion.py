# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Does an endpoint serve? A completion that came back on the way that clients take is the proof.

Of a model that writes no text it is a vector or a ranking.
"""

from __future__ import annotations

import http.client
import json
from typing import Any, NamedTuple

from ..common.answers import parse, within
from ..common.proofs import OTHER_PROOFS, has_no_route

_MOST_BYTES = 1024 * 1024
_SHOWN = 300
COMPLETIONS = "/v1/completions"


class NoCompletion(Exception):
    """There was none; the text says what came instead."""


class NoRoute(NoCompletion):
    """The server says that its model does not answer such questions."""


class Proven(NamedTuple):
    """How a server was asked, and what it made of it in words."""

    path: str
    question: dict[str, Any]
    answer: str


def prove(port: int, question: dict[str, Any], api_key: str, timeout_seconds: float) -> Proven:
    """A text of the server, or what else its model makes of one. Raises NoCompletion.

    Each route takes *timeout_seconds* at most.
    """
    try:
        return Proven(COMPLETIONS, question, complete(port, question, api_key, timeout_seconds))
    except NoRoute as error:
        refused = error
    for proof in OTHER_PROOFS:
        other = proof.question(question["model"])
        try:
            body = _ask(port, proof.path, other, api_key, timeout_seconds)
            return Proven(proof.path, other, proof.read(parse(body)))
        except NoRoute:
            continue
        except ValueError as error:
            raise NoCompletion(f"{proof.path} answers, and {error}") from error
    raise refused


def complete(port: int, question: dict[str, Any], api_key: str, timeout_seconds: float) -> str:
    """The text that a server behind this port of the loopback answers. Raises NoCompletion."""
    body = _ask(port, COMPLETIONS, question, api_key, timeout_seconds)
    shown = body[:_SHOWN] or "no body"
    try:
        text = parse(body)["choices"][0]["text"]
    except (KeyError, IndexError, TypeError) as error:
        raise NoCompletion(f"status 200, and no text: {shown}") from error
    if not isinstance(text, str) or not text.strip():
        raise NoCompletion(f"status 200, and an empty text: {shown}")
    return text


def _ask(
    port: int, path: str, question: dict[str, Any], api_key: str, timeout_seconds: float
) -> str:
    """What a server answers. Raises NoCompletion unless it is 200.

    All of it takes *timeout_seconds* at most: the server's host belongs to somebody else.
    """
    headers = {"Content-Type": "application/json"}
    if api_key:
        headers["Authorization"] = f"Bearer {api_key}"
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout_seconds)

    def ask() -> tuple[int, str]:
        connection.request("POST", path, json.dumps(question), headers)
        answer = connection.getresponse()
        return answer.status, answer.read(_MOST_BYTES).decode(errors="replace")

    try:
        status, body = within(timeout_seconds, ask)
    except (OSError, http.client.HTTPException) as error:
        raise NoCompletion(f"status none: {error or type(error).__name__}") from error
    finally:
        connection.close()
    if status != 200:
        kind = NoRoute if has_no_route(status, body) else NoCompletion
        raise kind(f"status {status}: {body[:_SHOWN] or 'no body'}")
    return body
