# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Does the server serve? The checks, in order, and the only one that counts: a completion.

vLLM's `/health` says 200 with a hung engine and before a worker dies of an illegal instruction,
and `/v1/models` never touches the model. So a server is ready when it has written some text.
"""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterable
from typing import Any, Callable, NamedTuple

from ..machine import ports
from ..machine.processes import Process

CHECKS = ("port", "health", "model", "completion")
"""In the order in which they are asked."""

PROMPT = "The quick brown fox jumps over"
MAX_TOKENS = 8
QUICK_SECONDS = 5.0
COMPLETION_SECONDS = 120.0


class Readiness(NamedTuple):
    """The outcome: `waiting_for` is the first check that failed, None when all passed."""

    waiting_for: str | None
    detail: str
    completion: str = ""


class NotYet(Exception):
    """A check did not pass; the text says why."""


def loopback_for(host: str) -> str:
    """The address that reaches a server on this machine when it binds `host`."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(host, host)


def check(
    tree: Iterable[Process],
    host: str,
    port: int,
    served_model_name: str,
    api_key: str | None,
    completion_seconds: float = COMPLETION_SECONDS,
    tell: Callable[[str], None] | None = None,
) -> Readiness:
    """Go through the checks until one fails. Never raises for what the server does.

    `tell` gets the name of each check before its answer is waited for.
    """
    begin = tell or (lambda check: None)
    if not ports.listeners(port, tree):
        return Readiness("port", f"no process of the server listens on port {port} yet")
    client = Client(loopback_for(host), port, api_key)
    stage = "health"
    try:
        begin(stage)
        client.call("GET", "/health", seconds=QUICK_SECONDS)
        stage = "model"
        begin(stage)
        _require_model(client.call("GET", "/v1/models", seconds=QUICK_SECONDS), served_model_name)
        stage = "completion"
        begin(stage)
        body = {
            "model": served_model_name,
            "prompt": PROMPT,
            "max_tokens": MAX_TOKENS,
            "temperature": 0,
        }
        text = _text(client.call("POST", "/v1/completions", body, completion_seconds))
    except NotYet as error:
        return Readiness(stage, str(error))
    return Readiness(None, "a completion came back", text)


def _require_model(answer: Any, name: str) -> None:
    try:
        listed = [entry["id"] for entry in answer["data"]]
    except (KeyError, TypeError) as error:
        raise NotYet("/v1/models answered with something else than a list of models") from error
    if name not in listed:
        raise NotYet(f"model {name!r} is not listed, only {listed}")


def _text(answer: Any) -> str:
    try:
        text = answer["choices"][0]["text"]
    except (KeyError, IndexError, TypeError) as error:
        raise NotYet("the completion has no text field") from error
    if not isinstance(text, str) or not text.strip():
        raise NotYet("the completion is empty")
    return text


class Client:
    """One short-lived connection per call: nothing to reuse, nothing to go stale."""

    def __init__(self, host: str, port: int, api_key: str | None) -> None:
        self._host, self._port, self._api_key = host, port, api_key

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
        connection = http.client.HTTPConnection(self._host, self._port, timeout=seconds)
        try:
            payload = None if body is None else json.dumps(body)
            connection.request(method, path, payload, headers)
            response = connection.getresponse()
            content = response.read()
            if response.status != 200:
                start = content[:200].decode(errors="replace")
                raise NotYet(f"{path} answered {response.status} {start}".strip())
            return content
        except TimeoutError as error:
            raise NotYet(f"{path} gave no answer within {seconds:g} s") from error
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise NotYet(f"{path}: {error or type(error).__name__}") from error
        finally:
            connection.close()
