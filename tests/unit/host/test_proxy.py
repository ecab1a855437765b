# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a client gets from the real HAProxy before engines that stream, are full, frozen or dead."""

from __future__ import annotations

import json
import signal
import socket
import time
from collections.abc import Iterator

import pytest

from ansible_collections.inferops.gpu.plugins.module_utils.common import proxy_routes as routes
from ansible_collections.inferops.gpu.plugins.module_utils.host.proxy import configuration
from tests.hanging import HANGS_AFTER_SECONDS
from tests.unit.host.proxied import (
    COMPLETIONS,
    ENGINE_KEY,
    KEY,
    METRICS_KEY,
    SILENCE_SECONDS,
    Stage,
    Stream,
    load,
    raw,
    wait_for,
)

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "FOO")
#: What an engine may answer to, and what nobody has heard of.
PATHS = (
    *(route.path for route in routes.ROUTES),
    *routes.DENIED,
    routes.METRICS,
    "/",
    "/docs",
    "/v1/load_lora_adapter",
    "/nothing",
)


@pytest.fixture(scope="module")
def standing() -> Iterator[Stage]:
    """A proxy that no test changes."""
    with Stage() as stage:
        yield stage.start()


@pytest.fixture
def stage() -> Iterator[Stage]:
    """One of a test's own, not started."""
    with Stage() as stage:
        yield stage


def reached(stage: Stage) -> int:
    return len(stage.big.seen()) + len(stage.small.seen())


def test_without_a_key_no_route_answers_in_any_method(standing: Stage) -> None:
    before = reached(standing)
    for method in METHODS:
        for path in PATHS:
            text = f"{method} {path} HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"
            answer = raw_first_line(standing, text)
            assert b" 401 " in answer, (method, path, answer)
    assert reached(standing) == before


def raw_first_line(stage: Stage, text: str) -> bytes:
    return raw(stage.port, text.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n", 1).encode())[
        :40
    ]


@pytest.mark.parametrize(
    "header",
    [
        "Authorization: Bearer",
        "Authorization: Bearer ",
        "Authorization: Bearer wrong-key-12",
        f"Authorization: Bearer {KEY}x",
        f"Authorization: Bearer {KEY} x",
        f"Authorization: Basic {KEY}",
        f"Authorization: Bearer {ENGINE_KEY}",
        f"X-Api-Key: {KEY}",
        f"Authorization: Bearer {KEY}\r\nAuthorization: Bearer wrong-key-12",
    ],
)
def test_a_key_that_is_not_just_the_right_one_opens_nothing(standing: Stage, header: str) -> None:
    text = f"GET /v1/models HTTP/1.1\r\nHost: a\r\n{header}\r\n\r\n"
    assert b" 401 " in raw_first_line(standing, text)


def test_a_digest_of_a_key_is_no_key(standing: Stage) -> None:
    for known in (standing.proxy.folder / configuration.KEYS).read_text().splitlines():
        assert standing.ask("/v1/models", method="GET", key=known.split()[0]).status == 401


def test_with_a_key_the_routes_of_inference_are_open_and_no_others(standing: Stage) -> None:
    opened = {(route.method, route.path.replace("{id}", "resp_1")) for route in routes.ROUTES}
    for path in {path.replace("{id}", "resp_1") for path in PATHS}:
        for method in ("GET", "POST", "OPTIONS"):
            status = standing.ask(path, method=method).status
            assert status == (200 if (method, path) in opened else 403), (method, path)
    seen = {each["path"] for each in [*standing.big.seen(), *standing.small.seen()]}
    assert not seen - {path for _method, path in opened}


@pytest.mark.parametrize(
    "path",
    [
        "//sleep",
        "/v1/../sleep",
        "/v1/responses/../../sleep",
        "/v1/responses/..%2F..%2Fsleep",
        "/v1/models/",
        "/V1/MODELS",
        "/%76%31/models",
        "/v1/models;/sleep",
        "http://a/sleep",
        "http://a?/v1/models",
    ],
)
def test_no_other_spelling_of_a_path_opens_anything(standing: Stage, path: str) -> None:
    before = reached(standing)
    head = f"Host: a\r\nAuthorization: Bearer {KEY}\r\n\r\n"
    answer = raw_first_line(standing, f"GET {path} HTTP/1.1\r\n{head}")
    assert b" 403 " in answer or b" 400 " in answer, answer
    assert reached(standing) == before


def test_an_engine_reads_the_path_that_was_allowed(standing: Stage) -> None:
    head = f"Host: a\r\nAuthorization: Bearer {KEY}\r\n\r\n"
    assert b" 200 " in raw_first_line(standing, f"GET http://a/v1/models?a=1 HTTP/1.1\r\n{head}")
    assert standing.big.seen()[-1]["path"] == "/v1/models?a=1"


def test_figures_are_for_keys_of_their_own_kind_which_open_nothing_else(standing: Stage) -> None:
    figures = standing.ask("/metrics", method="GET", key=METRICS_KEY)
    assert (figures.status, "num_requests_running" in figures.text) == (200, True)
    assert standing.ask("/metrics", method="GET").status == 403
    assert standing.ask(key=METRICS_KEY).status == 403
    assert standing.ask("/v1/models", method="GET", key=METRICS_KEY).status == 403


def test_an_engine_gets_the_key_of_the_proxy_and_never_that_of_a_client(standing: Stage) -> None:
    assert standing.ask().status == 200
    seen = standing.big.seen()
    assert seen[-1]["headers"]["authorization"] == f"Bearer {ENGINE_KEY}"
    assert KEY not in json.dumps(seen)


def test_no_key_is_in_a_command_line_a_log_or_a_file_that_others_may_read(standing: Stage) -> None:
    standing.ask("/v1/models?api_key=" + KEY, method="GET")
    standing.ask(key="a-key-of-nobody")
    for process in standing.proxy.processes():
        with open(f"/proc/{process.pid}/cmdline") as stream:
            assert "key-of" not in stream.read()
        with open(f"/proc/{process.pid}/environ") as stream:
            assert "key-of" not in stream.read()
    holding = set()
    for file in standing.proxy.layout.home.rglob("*"):
        if file.is_file() and not file.name.endswith(".seen") and standing.proxy.folder != file:
            text = file.read_text(errors="replace")
            assert KEY not in text, file
            assert METRICS_KEY not in text, file
            assert "a-key-of-nobody" not in text, file
            holding |= {file.name} if ENGINE_KEY in text else set()
    assert holding == {configuration.UPSTREAM_KEY}
    for file in standing.proxy.folder.iterdir():
        assert file.stat().st_mode & 0o077 == 0, file
    assert "client:alice GET /v1/models engines/big 200" in standing.proxy.log.read_text()


def test_a_stream_comes_as_it_is_made(standing: Stage) -> None:
    through, direct = Stream(standing.port, 60, 0.03), Stream(standing.big.port, 60, 0.03)
    through.join()
    direct.join()
    assert through.whole
    # Held back, it would come in pieces: most gaps nothing, and some of many tokens.
    middle = len(through.gaps()) // 2
    assert through.gaps()[middle] > direct.gaps()[middle] / 2


@pytest.mark.long
def test_a_silence_in_a_stream_ends_nothing(standing: Stage) -> None:
    stream = Stream(standing.port, 2, 6)
    stream.join()
    assert stream.whole


def test_a_body_that_could_not_be_sent_twice_is_refused_with_its_limit(standing: Stage) -> None:
    before = reached(standing)
    fits = standing.ask(body={"prompt": "a" * 60 * 1024})
    assert fits.status == 200
    for size_kib in (65, 2048):
        answer = standing.ask(body={"prompt": "a" * size_kib * 1024})
        assert (answer.status, "64 KiB" in answer.text) == (413, True)
    # Without its length told, too.
    chunk = b"10000\r\n" + b"a" * 0x10000 + b"\r\n"
    head = f"POST {COMPLETIONS} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {KEY}\r\n"
    sent = f"{head}Transfer-Encoding: chunked\r\n\r\n".encode() + 8 * chunk + b"0\r\n\r\n"
    assert b" 413 " in raw(standing.port, sent)
    assert reached(standing) == before + 1


def test_a_recording_may_be_larger_than_what_could_be_sent_twice(standing: Stage) -> None:
    content = {"file": "a" * 1024 * 1024}
    assert standing.ask("/v1/audio/transcriptions", body=content).status == 200


def test_a_client_that_sends_slowly_is_served_and_hinders_nobody(standing: Stage) -> None:
    head = f"POST {COMPLETIONS} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {KEY}\r\n"
    head += "Connection: close\r\nContent-Length: 2\r\n\r\n"
    with socket.create_connection(
        ("127.0.0.1", standing.port), timeout=HANGS_AFTER_SECONDS
    ) as slow:
        slow.sendall(head.encode() + b"{")
        before = reached(standing)
        assert standing.ask().status == 200
        # The engine is not bothered with half a request.
        assert reached(standing) == before + 1
        time.sleep(0.5)
        slow.sendall(b"}")
        assert b" 200 " in slow.recv(65536)


def test_a_client_that_reads_slowly_gets_its_stream_whole(standing: Stage) -> None:
    body = json.dumps({"tokens": 400, "stream": True})
    head = f"POST {COMPLETIONS} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {KEY}\r\n"
    head += f"Connection: close\r\nContent-Length: {len(body)}\r\n\r\n{body}"
    found = b""
    with socket.create_connection(
        ("127.0.0.1", standing.port), timeout=HANGS_AFTER_SECONDS
    ) as slow:
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        slow.sendall(head.encode())
        while chunk := slow.recv(1024):
            found += chunk
            time.sleep(0.01)
    assert found.count(b'"n":') == 400
    assert b"[DONE]" in found


def test_what_the_proxy_says_itself_is_an_error_as_clients_know_it(standing: Stage) -> None:
    for answer in (standing.ask(key=None), standing.ask("/sleep")):
        assert set(json.loads(answer.text)["error"]) == {"message", "type", "param", "code"}


def test_what_a_full_engine_refuses_is_served_by_the_fallback(standing: Stage) -> None:
    with standing.big.being("full"):
        answers = [standing.ask() for _ in range(20)]
    assert {(answer.status, answer.by) for answer in answers} == {(200, "small")}
    assert standing.ask().by == "big"


def test_what_all_refuse_is_told_as_they_told_it(standing: Stage) -> None:
    with standing.big.being("full"), standing.small.being("full"):
        answer = standing.ask()
    assert (answer.status, "is full" in answer.text) == (503, True)


def test_what_changes_something_is_not_sent_a_second_time(standing: Stage) -> None:
    with standing.big.being("full"):
        wait_for(lambda: standing.ask().by == "small")  # there is somebody who would take it
        before = reached(standing)
        # Often, for a proxy can send again only what has come to it in one piece.
        answers = [standing.ask("/v1/responses") for _again in range(20)]
    assert {(answer.status, answer.by) for answer in answers} == {(503, "big")}
    assert reached(standing) == before + len(answers)


def test_a_frozen_engine_is_left_and_its_streams_survive(standing: Stage) -> None:
    """Who came before it was left waits for the thaw; who comes later is served elsewhere."""
    streams = [Stream(standing.port, 200, 0.05) for _ in range(4)]
    wait_for(lambda: all(stream.lines for stream in streams))
    standing.big.signal(signal.SIGSTOP)
    before = [Stream(standing.port, 1, 0) for _ in range(2)]
    try:
        wait_for(lambda: standing.status("big") == "DRAIN")
        left_at = time.monotonic()
        for _again in range(20):
            answer = standing.ask()
            assert (answer.status, answer.by) == (200, "small")
        thaws_at = time.monotonic()
        # They came to it in time, and do not get away.
        assert not [stream for stream in before if stream.by == "small"]
    finally:
        standing.big.signal(signal.SIGCONT)
    for stream in [*streams, *before]:
        stream.join(HANGS_AFTER_SECONDS)
    assert [(each.by, each.whole) for each in [*streams, *before]] == [("big", True)] * 6
    assert all(stream.gaps()[-1] > thaws_at - left_at for stream in streams)
    wait_for(lambda: standing.ask().by == "big")


@pytest.mark.long
def test_an_engine_that_answers_and_writes_nothing_is_left(stage: Stage) -> None:
    """Its health is green all the time."""
    stage.start(stalled_seconds=SILENCE_SECONDS)
    with stage.big.being("stuck"):
        stream = Stream(stage.port, 3, 0)
        wait_for(lambda: stage.status("big") == "DRAIN")
        assert stage.ask().by == "small"
        assert stage.ask("/health", method="GET").status == 200
    stream.join(HANGS_AFTER_SECONDS)
    assert (stream.by, stream.whole) == ("big", True)
    wait_for(lambda: stage.ask().by == "big")


@pytest.mark.long
def test_only_an_engine_that_is_called_hung_loses_its_streams(stage: Stage) -> None:
    stage.start(hung_seconds=3 * SILENCE_SECONDS)
    stream = Stream(stage.port, 1000, 0.05)
    wait_for(lambda: stream.lines)
    stage.big.signal(signal.SIGSTOP)
    wait_for(lambda: stage.status("big") == "DRAIN")
    assert stream.is_alive()
    stream.join(HANGS_AFTER_SECONDS)
    assert not stream.is_alive()
    assert not stream.whole
    assert stage.status("big") == "DOWN"
    assert stage.ask().by == "small"
    stage.big.signal(signal.SIGCONT)
    wait_for(lambda: stage.ask().by == "big")


def test_an_engine_that_is_killed_loses_what_it_was_writing_and_no_more(stage: Stage) -> None:
    stage.start()
    streams = [Stream(stage.port, 1000, 0.05) for _ in range(3)]
    wait_for(lambda: all(stream.lines for stream in streams))
    with load(stage.port) as running:
        stage.big.kill()
        for stream in streams:
            stream.join(HANGS_AFTER_SECONDS)
        wait_for(lambda: running.answers[-1][1] == "small")
        stage.big.again()
        wait_for(lambda: running.answers[-1][1] == "big")
    assert not [stream for stream in streams if stream.whole or stream.is_alive()]
    assert running.failed() == []


@pytest.mark.long
def test_alone_a_silent_engine_is_waited_for_and_a_dead_one_is_told(stage: Stage) -> None:
    stage.start(upstreams=[stage.upstream(stage.big)])
    stage.big.signal(signal.SIGSTOP)
    stream = Stream(stage.port, 3, 0)
    time.sleep(SILENCE_SECONDS + 4)
    assert stage.status("big") == "UP"
    stage.big.signal(signal.SIGCONT)
    stream.join(HANGS_AFTER_SECONDS)
    assert stream.whole
    stage.big.kill()
    wait_for(lambda: stage.status("big") == "DRAIN")
    answer = stage.ask()
    assert (answer.status, "No engine" in answer.text) == (503, True)


def test_of_an_engine_that_is_full_of_requests_the_rest_goes_on(stage: Stage) -> None:
    big = stage.upstream(stage.big, max_connections=2)
    stage.start(upstreams=[big, stage.upstream(stage.small, fallback=True)])
    streams = [Stream(stage.port, 100, 0.05) for _ in range(4)]
    wait_for(lambda: all(stream.lines for stream in streams))
    assert sorted(str(stream.by) for stream in streams) == ["big", "big", "small", "small"]


def test_who_went_away_is_not_computed_for(standing: Stage) -> None:
    body = json.dumps({"tokens": 10_000, "gap": 0.05})
    head = f"POST {COMPLETIONS} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {KEY}\r\n"
    head += f"Content-Length: {len(body)}\r\n\r\n{body}"

    def sessions() -> int:
        return sum(each.sessions for each in standing.proxy.runtime.servers())

    with socket.create_connection(
        ("127.0.0.1", standing.port), timeout=HANGS_AFTER_SECONDS
    ) as client:
        client.sendall(head.encode())
        wait_for(sessions)
    wait_for(lambda: not sessions())
