# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Is a way closed? Whoever asks without a key gets nothing; what nobody could tell is no yes."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from ansible_collections.inferops.gpu.plugins.module_utils.common.proxy_routes import (
    DENIED,
    METRICS,
)
from ansible_collections.inferops.gpu.plugins.module_utils.endpoint.doors import (
    NotTold,
    open_doors,
    questions,
)
from tests.rig.ports import free_port

KEY = "key-of-a-client"
#: The status of an answer, by method, path and key.
Rule = Callable[[str, str, str], int]


class Waiting(ThreadingHTTPServer):
    """As many may wait as ask at once."""

    daemon_threads = True
    request_queue_size = 64


def closed(_method: str, path: str, key: str) -> int:
    """As the proxy of a deploy answers."""
    if key != KEY:
        return 401
    return 403 if path in (*DENIED, METRICS) else 200


@pytest.fixture
def behind() -> Iterator[Callable[[Rule], int]]:
    """Serves by a rule; the port."""
    servers = []

    def serve(rule: Rule) -> int:
        class Handler(BaseHTTPRequestHandler):
            def answer(self) -> None:
                key = self.headers.get("Authorization", "").removeprefix("Bearer ")
                self.send_response(rule(self.command, self.path, key))
                self.send_header("Content-Length", "0")
                self.end_headers()

            do_GET = do_POST = do_OPTIONS = answer

            def log_message(self, *words: Any) -> None:
                return None

        server = Waiting(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return server.server_port

    yield serve
    for server in servers:
        server.shutdown()
        server.server_close()


def test_a_way_that_refuses_everybody_without_a_key_is_closed(
    behind: Callable[[Rule], int],
) -> None:
    asked = []

    def rule(method: str, path: str, key: str) -> int:
        asked.append((method, path, key))
        return closed(method, path, key)

    assert open_doors(behind(rule), KEY, 60) == []
    assert {"/v1/completions", "/health", "/metrics", "/sleep", "/invocations"} <= {
        path for _method, path, _key in asked
    }
    # Nobody puts an engine to sleep to find out, or lets it compute.
    assert not [path for method, path, _key in asked if method == "POST" and path in DENIED]
    with_the_key = {path for _method, path, key in asked if key == KEY}
    assert with_the_key == {*DENIED, METRICS}


@pytest.mark.parametrize(
    ("opened", "told"),
    [
        pytest.param(
            lambda method, path, key: path == "/v1/load_lora_adapter",
            "GET /v1/load_lora_adapter without a key: 200",
            id="a route that nobody thinks of",
        ),
        pytest.param(
            lambda method, path, key: method == "OPTIONS" and path == "/v1/models",
            "OPTIONS /v1/models without a key: 200",
            id="a question of browsers",
        ),
        pytest.param(
            lambda method, path, key: path == "/health" and key and key != KEY,
            "GET /health with a wrong key: 200",
            id="any key",
        ),
        pytest.param(
            lambda method, path, key: path == "/server_info" and key == KEY,
            "GET /server_info with a client's key: 200",
            id="what is for no client",
        ),
    ],
)
def test_an_open_route_is_named(
    behind: Callable[[Rule], int], opened: Callable[..., bool], told: str
) -> None:
    def rule(method: str, path: str, key: str) -> int:
        return 200 if opened(method, path, key) else closed(method, path, key)

    assert told in open_doors(behind(rule), KEY, 60)


def test_a_route_that_is_not_there_is_not_closed(behind: Callable[[Rule], int]) -> None:
    """Whoever answers 404 has looked at the request of somebody without a key."""
    found = open_doors(behind(lambda method, path, key: 404), KEY, 60)
    assert len(found) == len(list(questions(KEY)))


def test_a_way_that_does_not_answer_is_not_called_closed(
    behind: Callable[[Rule], int],
) -> None:
    with pytest.raises(NotTold, match="refused"):
        open_doors(free_port(), KEY, 60)

    def never(method: str, path: str, _key: str) -> int:
        if path == "/health":
            time.sleep(5)
        return 401

    with pytest.raises(NotTold, match=r"timed out|not complete after"):
        open_doors(behind(never), KEY, 1)
