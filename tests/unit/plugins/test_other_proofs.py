# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A model that embeds or ranks is proven by its own route, on the host and on the way to it."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from ansible_collections.inferops.gpu.plugins.module_utils.endpoint.completion import (
    NoCompletion,
    prove,
)
from ansible_collections.inferops.gpu.plugins.module_utils.host.engines import openai_api
from ansible_collections.inferops.gpu.plugins.module_utils.host.engines.client import (
    Client,
    NotYet,
)

Answers = dict[str, tuple[int, Any]]
TEXT = {"choices": [{"text": " the lazy dog."}]}
VECTOR = {"data": [{"embedding": [0.25, -0.5, 0.0]}]}
SCORES = {"results": [{"relevance_score": 0.98}, {"relevance_score": 0.01}]}
#: As vLLM says it, of old and of late.
REFUSALS = (
    (404, {"detail": "Not Found"}),
    (501, {"error": {"message": "The model does not support Completions API"}}),
    (400, {"message": "The model does not support Completions API"}),
)


@pytest.fixture
def serving() -> Iterator[Callable[[Answers], int]]:
    """A server with these routes, and 404 for all others; its port."""
    servers = []

    def serve(answers: Answers) -> int:
        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["Content-Length"]))
                status, body = answers.get(self.path, (404, {"detail": "Not Found"}))
                content = json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *words: Any) -> None:
                return None

        server = HTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return server.server_port

    yield serve
    for server in servers:
        server.shutdown()
        server.server_close()


def on_the_host(port: int) -> str:
    return openai_api.ask("completion", Client("127.0.0.1", port, None), "a/b", 10)


def through_the_tunnel(port: int) -> str:
    return prove(port, {"model": "a/b", "prompt": "Hello"}, "", 10).answer


both = pytest.mark.parametrize("ask", [on_the_host, through_the_tunnel])


@both
@pytest.mark.parametrize("refusal", REFUSALS, ids=lambda refusal: str(refusal[0]))
@pytest.mark.parametrize(
    ("path", "answer", "proof"),
    [
        ("/v1/embeddings", VECTOR, "a vector of 3 numbers"),
        ("/v1/rerank", SCORES, "scores 0.98, 0.01"),
        ("/classify", {"data": [{"label": "good", "probs": [0.9, 0.1]}]}, "2 probabilities"),
        ("/pooling", {"data": [{"data": [0.7]}]}, "1 numbers"),
        ("/pooling", {"data": [{"data": [[0.7, 0.1, -2.0], [0.0, 0.3, 1.0]]}]}, "3 numbers"),
    ],
)
def test_what_writes_no_text_is_proven_by_what_it_answers_instead(
    serving: Any, ask: Any, refusal: Any, path: str, answer: Any, proof: str
) -> None:
    assert ask(serving({"/v1/completions": refusal, path: (200, answer)})) == proof


@both
def test_a_text_is_asked_for_first_and_another_answer_proves_nothing(
    serving: Any, ask: Any
) -> None:
    routes = {"/v1/embeddings": (200, VECTOR)}
    assert ask(serving({"/v1/completions": (200, TEXT), **routes})) == " the lazy dog."
    for broken in ((500, {}), (200, {"choices": [{"text": ""}]}), (400, {"message": "too long"})):
        with pytest.raises((NotYet, NoCompletion)):
            ask(serving({"/v1/completions": broken, **routes}))


@both
@pytest.mark.parametrize(
    ("path", "answer"),
    [
        ("/v1/embeddings", {"data": [{"embedding": [0.0, 0.0]}]}),
        ("/v1/embeddings", {"data": [{"embedding": [float("nan"), 1.0]}]}),
        ("/v1/embeddings", {"data": [{"embedding": []}]}),
        ("/v1/embeddings", {"data": [{"embedding": "AAAA"}]}),
        ("/v1/embeddings", {"data": []}),
        ("/v1/rerank", {"results": []}),
        ("/v1/rerank", {"results": [{"relevance_score": None}]}),
        ("/v1/rerank", {"results": [{"relevance_score": True}]}),
        ("/v1/rerank", [1]),
        ("/classify", {"data": [{"probs": []}]}),
        ("/pooling", {"data": [{"data": [["x"]]}]}),
    ],
)
def test_an_answer_that_holds_nothing_is_no_proof(
    serving: Any, ask: Any, path: str, answer: Any
) -> None:
    with pytest.raises((NotYet, NoCompletion), match=path):
        ask(serving({path: (200, answer)}))


@both
def test_a_server_with_no_such_route_is_told_by_the_first(serving: Any, ask: Any) -> None:
    with pytest.raises((NotYet, NoCompletion), match="404"):
        ask(serving({}))
