# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Does an endpoint let in who has no key? Every route is asked, from where clients are.

What answers anything but a refusal is open. Where that cannot be told, nobody says that it is
closed.
"""

from __future__ import annotations

import http.client
import secrets
from collections.abc import Iterator
from functools import partial
from itertools import chain
from typing import NamedTuple

from ..common.answers import all_within
from ..common.proxy_routes import DENIED, METRICS, ROUTES

REFUSED = (401, 403)
AT_ONCE = 16
LOOKING = ("GET", "OPTIONS")
"""What changes nothing, whatever answers: an engine that is open says at least that the method is
wrong. Routes of inference are asked by POST as well; without a body nothing is computed.
"""

OF_ENGINES = (
    "/",
    "/docs",
    "/openapi.json",
    "/redoc",
    "/load",
    "/props",
    "/slots",
    "/tokenizer_info",
    "/invocations",
    "/inference/v1/generate",
    "/v1/load_lora_adapter",
    "/v1/unload_lora_adapter",
    "/abort_requests",
)
"""Routes of engines beside those that a proxy knows: some of them infer. Whoever has a key may be
let in to them by `proxy_routes`, and nobody else.
"""


class NotTold(Exception):
    """Whether it is closed cannot be told; the text says what came instead."""


class Question(NamedTuple):
    """One request; `who` is who sends it, in words."""

    who: str
    key: str
    method: str
    path: str

    def __str__(self) -> str:
        return f"{self.method} {self.path} {self.who}"


def questions(api_key: str) -> Iterator[Question]:
    """By strangers, every route; by a client, those that are for no client."""
    inference = [route.path for route in ROUTES if route.repeatable]
    others = [route.path.replace("{id}", "any") for route in ROUTES if not route.repeatable]
    every = dict.fromkeys([*inference, *others, *DENIED, METRICS, *OF_ENGINES])
    for who, key in (("without a key", ""), ("with a wrong key", secrets.token_hex(16))):
        for path in every:
            for method in ("POST", *LOOKING) if path in inference else LOOKING:
                yield Question(who, key, method, path)
    for path in (*DENIED, METRICS):
        yield Question("with a client's key", api_key, "GET", path)


def open_doors(port: int, api_key: str, timeout_seconds: float) -> list[str]:
    """What is open behind a port of the loopback, in words; empty where nothing is.

    All questions together take *timeout_seconds* at most. Raises NotTold.
    """
    every = list(questions(api_key))
    # Far hosts answer slowly, and there are hundreds.
    shares = [every[number::AT_ONCE] for number in range(AT_ONCE)]
    asks = [partial(_open_among, share, port, timeout_seconds) for share in shares]
    try:
        return sorted(chain.from_iterable(all_within(timeout_seconds, asks)))
    except (OSError, http.client.HTTPException) as error:
        raise NotTold(str(error) or type(error).__name__) from error


def _open_among(asked: list[Question], port: int, timeout_seconds: float) -> list[str]:
    found = []
    for question in asked:
        status = _status(question, port, timeout_seconds)
        if status not in REFUSED:
            found.append(f"{question}: {status}")
    return found


def _status(question: Question, port: int, timeout_seconds: float) -> int:
    """The status alone: what a route that is open goes on telling is not waited for."""
    headers = {"Authorization": f"Bearer {question.key}"} if question.key else {}
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout_seconds)
    try:
        # Without a body: who refuses hangs up on what is still to be read.
        connection.request(question.method, question.path, headers=headers)
        return connection.getresponse().status
    finally:
        connection.close()
