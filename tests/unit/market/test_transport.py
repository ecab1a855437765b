# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Answers that are slow, too frequent, dated wrongly, or full of secrets."""

from __future__ import annotations

import contextlib
import gzip
import resource
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from email.utils import formatdate
from pathlib import Path

import pytest

from ansible_collections.inferops.gpu.plugins.module_utils.common.answers import (
    beginning as beginning_of,
)
from ansible_collections.inferops.gpu.plugins.module_utils.market.clock import Clock
from ansible_collections.inferops.gpu.plugins.module_utils.market.errors import (
    ProviderUnavailable,
    RateLimited,
)
from ansible_collections.inferops.gpu.plugins.module_utils.market.mark import Mark
from ansible_collections.inferops.gpu.plugins.module_utils.market.providers.pace import Pace
from ansible_collections.inferops.gpu.plugins.module_utils.market.providers.transport import (
    Response,
    Transport,
)
from ansible_collections.inferops.gpu.plugins.module_utils.market.shared_file import SharedFile
from ansible_collections.inferops.gpu.plugins.module_utils.market.wish import Wish
from tests.simulator.market import ACCOUNT_KEY
from tests.unit.market.conftest import Market

LIST = {"method": "GET", "path": "/api/v1/instances/"}
SEARCH = {"method": "POST", "path": "/api/v0/bundles/"}
CREATE = {"method": "PUT", "path": "/asks/"}
TOO_FREQUENT = {"status": 429, "body": "API requests too frequent"}
HOUR, DAY = 3600, 86_400


# Slow answers.


@dataclass
class Dripping:
    """A server whose answer takes a minute, yet never pauses."""

    url: str
    has_ended: threading.Event


@pytest.fixture
def dripping() -> Iterator[Dripping]:
    has_ended = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:

        def drip() -> None:
            connection, _address = server.accept()
            with connection:
                try:
                    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
                    for _byte in range(1200):
                        connection.sendall(b" ")
                        time.sleep(0.05)
                except OSError:
                    return
            has_ended.set()

        threading.Thread(target=drip, daemon=True).start()
        yield Dripping(f"http://127.0.0.1:{server.getsockname()[1]}", has_ended)


def test_an_answer_that_drips_ends_the_call(dripping: Dripping) -> None:
    pace = Pace(None, {}, Clock())
    transport = Transport(dripping.url, {}, pace, Clock(), timeout_seconds=0.3, tries=1)
    with pytest.raises(ProviderUnavailable, match="not complete after"):
        transport.request("GET", "/", kind="list", idempotent=True)
    assert not dripping.has_ended.is_set()


def test_a_call_that_cannot_be_made_fails_at_once_with_its_own_reason() -> None:
    waits: list[float] = []
    clock = Clock(sleep=waits.append)
    transport = Transport("http://127.0.0.1:1", {"X-Odd": "a\nb"}, Pace(None, {}, clock), clock)
    with pytest.raises((ProviderUnavailable, ValueError), match=r"[Hh]eader"):
        transport.request("GET", "/", kind="list", idempotent=False)
    assert sum(waits) == 0


@pytest.mark.parametrize("place", ["127.0.0.1:9", "nowhere:port"])
def test_an_address_with_a_login_is_told_without_it(place: str) -> None:
    """The message is kept for the other hosts of a run, and the library may name the address."""
    clock = Clock(sleep=lambda _seconds: None)
    url = f"http://me:p4ssword-of-it@{place}"
    transport = Transport(url, {}, Pace(None, {}, clock), clock)
    with pytest.raises(ProviderUnavailable) as raised:
        transport.request("GET", "/", kind="list", idempotent=True)
    assert place in str(raised.value)
    assert "p4ssword" not in str(raised.value)


# Answers that are hostile.


Speak = Callable[[socket.socket, bytes], None]


@pytest.fixture
def serve() -> Iterator[Callable[[Speak], str]]:
    """Start a server that answers each connection by a function; returns its address."""
    with contextlib.ExitStack() as stack:

        def start(speak: Speak) -> str:
            server = stack.enter_context(socket.create_server(("127.0.0.1", 0)))

            def listen() -> None:
                with contextlib.suppress(OSError):
                    while True:
                        connection, _address = server.accept()
                        with connection, contextlib.suppress(OSError):
                            speak(connection, connection.recv(65536))

            threading.Thread(target=listen, daemon=True).start()
            return f"http://127.0.0.1:{server.getsockname()[1]}"

        yield start


def asked(url: str, **headers: str) -> Response:
    transport = Transport(url, headers, Pace(None, {}, Clock()), Clock(), tries=1)
    return transport.request("GET", "/", kind="list", idempotent=True)


def says(head: str, body: bytes = b"") -> Speak:
    """Answer each request so."""
    return lambda connection, _request: connection.sendall(
        f"HTTP/1.1 {head}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body
    )


def test_the_logins_of_other_services_in_netrc_stay_out(
    serve: Callable[[Speak], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / ".netrc"
    netrc.write_text("default login someone password password-of-another-service\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(netrc))
    heard: list[bytes] = []

    def speak(connection: socket.socket, request: bytes) -> None:
        heard.append(request)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")

    assert asked(serve(speak), Authorization="Bearer our-key").data == {}
    assert b"Authorization: Bearer our-key\r\n" in heard[0]
    assert b"Basic" not in heard[0]


def test_the_key_follows_no_redirect_and_the_new_address_is_named(
    serve: Callable[[Speak], str],
) -> None:
    visits: list[bytes] = []
    elsewhere = serve(lambda _connection, request: visits.append(request))
    url = serve(says(f"307 Temporary Redirect\r\nLocation: {elsewhere}/"))
    with pytest.raises(ProviderUnavailable, match=f"redirect to '{elsewhere}/'.*set api_url"):
        asked(url, Authorization="Bearer our-key")
    assert visits == []


def test_a_redirect_that_says_the_key_back_is_told_without_it(
    serve: Callable[[Speak], str],
) -> None:
    url = serve(says("302 Found\r\nLocation: https://other.example/our-key?api_key=x1"))
    with pytest.raises(ProviderUnavailable, match=r"'https://other.example/\*\*\*\?api") as told:
        asked(url, Authorization="Bearer our-key")
    assert "our-key" not in str(told.value)


def packed(mebibytes: int) -> bytes:
    return gzip.compress(b" " * (mebibytes * 2**20))


@pytest.mark.parametrize(
    ("head", "body"),
    [
        ("200 OK", b" " * (33 * 2**20)),
        ("200 OK\r\nContent-Encoding: gzip", packed(400)),
        ("200 OK\r\nContent-Encoding: br", b"{}"),
        ("200 OK\r\nContent-Encoding: gzip", b"not packed"),
    ],
)
def test_an_answer_without_end_or_packed_oddly_is_given_up(
    serve: Callable[[Speak], str], head: str, body: bytes
) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(ProviderUnavailable, match="got no answer"):
        asked(serve(says(head, body)))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200 * 2**10


def test_an_answer_that_is_packed_is_read(serve: Callable[[Speak], str]) -> None:
    body = gzip.compress(b'{"instances": []}')
    assert asked(serve(says("200 OK\r\nContent-Encoding: gzip", body))).data == {"instances": []}


@pytest.mark.parametrize("body", [b"[" * 100_000, b"[" * 100 + b"]" * 100, b'{"a":' * 900 + b"1"])
def test_json_that_is_deeper_than_any_of_a_provider_is_no_json(
    serve: Callable[[Speak], str], body: bytes
) -> None:
    assert asked(serve(says("200 OK", body))).data is None


@pytest.mark.parametrize("value", [b"[],", b"{},", b"1,"])
def test_json_of_more_values_than_any_of_a_provider_is_no_json(
    serve: Callable[[Speak], str], value: bytes
) -> None:
    """Each of them takes twenty times the room of its letters."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert asked(serve(says("200 OK", b"[" + value * 2_500_000 + b"1]"))).data is None
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100 * 2**10


def test_of_a_long_refusal_the_beginning_is_read() -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert Response(403, None, "no " * 5_000_000).excerpt() == ("no " * 67)[:200]
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100 * 2**10


def test_an_answer_that_breaks_off_is_none(serve: Callable[[Speak], str]) -> None:
    def cut(connection: socket.socket, _request: bytes) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n{}")

    with pytest.raises(ProviderUnavailable, match="got no answer"):
        asked(serve(cut))


# Streams.

EVENT = b"data: {}\n"
STREAM = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


def chunk(body: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(body), body)


def beginning(url: str, seconds: float = 30.0, most_bytes: int = 1000) -> Response:
    transport = Transport(url, {}, Pace(None, {}, Clock()), Clock())
    return transport.beginning("/", kind="log", seconds=seconds, most_bytes=most_bytes)


def then(connection: socket.socket, again: bytes, pause_seconds: float = 0.05) -> None:
    """Send it for a minute."""
    for _again in range(round(60 / pause_seconds)):
        connection.sendall(again)
        time.sleep(pause_seconds)


def never_ends(connection: socket.socket, _request: bytes) -> None:
    connection.sendall(STREAM + chunk(EVENT))
    # Until whoever asked has gone.
    connection.recv(1)


def breaks_off(connection: socket.socket, _request: bytes) -> None:
    connection.sendall(STREAM + chunk(EVENT) + b"400\r\n{")


def has_no_chunks(connection: socket.socket, _request: bytes) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n" + EVENT)
    connection.recv(1)


def ends(connection: socket.socket, _request: bytes) -> None:
    connection.sendall(STREAM + chunk(EVENT) + b"0\r\n\r\n")


@pytest.mark.parametrize("speak", [never_ends, breaks_off, has_no_chunks, ends])
def test_of_a_stream_that_goes_silent_what_came_is_told(
    serve: Callable[[Speak], str], speak: Speak
) -> None:
    told = beginning(serve(speak))
    assert (told.status, told.text) == (200, EVENT.decode())


def test_a_stream_that_floods_is_cut(serve: Callable[[Speak], str]) -> None:
    def flood(connection: socket.socket, _request: bytes) -> None:
        connection.sendall(STREAM)
        then(connection, chunk(EVENT * 5000), 0.001)

    assert beginning(serve(flood)).text == (EVENT * 1000)[:1000].decode()


def test_a_stream_that_floods_ends_the_reading() -> None:
    read: list[bytes] = []

    def flood() -> Iterator[bytes]:
        for number in range(2000):
            read.append(b"x" * 100)
            yield read[-1]
            # Who is still read from in a minute was not cut.
            time.sleep(0 if number < 20 else 0.03)

    assert beginning_of(flood(), 60, 1000) == b"x" * 1000
    assert len(read) == 10


def test_a_stream_that_drips_is_cut(serve: Callable[[Speak], str]) -> None:
    has_ended = threading.Event()

    def drip(connection: socket.socket, _request: bytes) -> None:
        connection.sendall(STREAM)
        then(connection, chunk(EVENT))
        has_ended.set()

    told = beginning(serve(drip), seconds=0.5, most_bytes=10**6).text
    assert told.startswith(EVENT.decode())
    assert not has_ended.is_set()


def test_a_stream_that_never_begins_is_no_answer(serve: Callable[[Speak], str]) -> None:
    has_ended = threading.Event()

    def hang(connection: socket.socket, _request: bytes) -> None:
        then(connection, b"")
        has_ended.set()

    with pytest.raises(ProviderUnavailable, match="got no answer"):
        beginning(serve(hang), seconds=0.3)
    assert not has_ended.is_set()


def test_what_refuses_a_stream_is_told_with_its_status(serve: Callable[[Speak], str]) -> None:
    told = beginning(serve(says("404 Not Found", b'{"status": 404}')))
    assert (told.status, told.data) == (404, {"status": 404})


# Too many calls.


@pytest.mark.parametrize("form", ["seconds", "date", "reset at", "reset in"])
def test_a_pause_is_obeyed_in_full_in_whatever_form_it_is_asked_for(
    market: Market, form: str
) -> None:
    before = market.clock.now()
    headers = {
        "seconds": {"Retry-After": "120"},
        "date": {"Retry-After": formatdate(before + 121, usegmt=True)},
        "reset at": {"X-RateLimit-Reset": str(int(before + 121))},
        "reset in": {"X-RateLimit-Reset": "120"},
    }
    market.fault("reply", **LIST, **TOO_FREQUENT, headers=headers[form])
    market.provider().list_rentals()
    assert 119 <= market.clock.now() - before <= 150


IMPOSSIBLE = "Mon, 01 Jan 2020 99999999999999999999:00:00 GMT"


def test_a_date_that_no_clock_can_show_is_none(serve: Callable[[Speak], str]) -> None:
    assert asked(serve(says(f"200 OK\r\nDate: {IMPOSSIBLE}", b"{}"))).data == {}


def test_a_pause_until_a_date_that_no_clock_can_show_is_none(market: Market) -> None:
    market.fault("reply", **LIST, **TOO_FREQUENT, headers={"Retry-After": IMPOSSIBLE})
    assert market.provider().list_rentals() == []


def test_a_pause_that_is_too_long_to_wait_for_is_told(market: Market) -> None:
    before = market.clock.now()
    market.fault("reply", **LIST, **TOO_FREQUENT, headers={"Retry-After": "3000"})
    with pytest.raises(RateLimited, match="for another 3000 s"):
        market.provider().list_rentals()
    assert market.clock.now() - before < 60


def test_a_long_pause_keeps_the_other_hosts_of_the_controller_away(
    market: Market, tmp_path: object
) -> None:
    file = SharedFile(f"{tmp_path}/pace.json")
    Pace(file, {}, market.clock).slow_down("create", 1800)
    with pytest.raises(RateLimited, match="no calls of kind create"):
        Pace(file, {}, market.clock).wait("create")
    market.pass_hours(0.5)
    Pace(file, {}, market.clock).wait("create")


def test_a_create_that_is_refused_for_its_rate_rents_nothing_and_blames_no_option(
    market: Market,
) -> None:
    market.fault("reply", **CREATE, **TOO_FREQUENT, times=9)
    result = market.rent()
    assert result["failure"]["kind"] == "RateLimited"
    assert "run again later" in result["failure"]["remedy"]
    assert "nothing bills" in result["failure"]["money"]
    assert [attempt["outcome"] for attempt in result["attempts"]] == ["refused"]
    assert market.billing() == []


# Dates.


def deadline_hours(market: Market) -> float:
    """How far away the deadline is in truth."""
    mark = Mark.decode(market.billing()[0]["label"])
    assert mark is not None
    return (mark.deadline - market.clock.now()) / HOUR


@pytest.mark.parametrize("seconds", [DAY, -DAY])
@pytest.mark.parametrize("listing", ["asked for", "shared"])
def test_one_answer_with_a_wrong_date_moves_no_deadline(
    market: Market, seconds: int, listing: str
) -> None:
    if listing == "shared":
        market.run("rental_info", scope="test")
    market.fault("clock_skew", **SEARCH, seconds=seconds)
    result = market.rent(deadline_hours=10)
    assert deadline_hours(market) == pytest.approx(10, abs=0.1)
    assert result["deadline"]["remaining_seconds"] == pytest.approx(10 * HOUR, abs=300)


@pytest.mark.parametrize("seconds", [DAY, -DAY])
def test_one_answer_with_a_wrong_date_extends_nothing_else(market: Market, seconds: int) -> None:
    market.rent(deadline_hours=10, duration_hours=100)
    market.pass_hours(0.1)
    skew = {"method": "GET", "path": "/api/v1/instances/", "seconds": seconds}
    market.fault("clock_skew", **skew)
    result = market.run("rental_extend", scope="test", name="gpu-1", hours=20)
    assert deadline_hours(market) == pytest.approx(20, abs=0.1)
    assert result["remaining_seconds"] == pytest.approx(20 * HOUR, abs=300)
    market.pass_hours(0.1)
    market.fault("clock_skew", **skew)
    (told,) = market.run("rental_info", scope="test")["rentals"]
    assert told["remaining_seconds"] == pytest.approx(20 * HOUR, abs=600)


@pytest.mark.parametrize("seconds", [DAY, -DAY])
def test_one_wrong_date_among_several_does_not_tell_the_time(market: Market, seconds: int) -> None:
    provider = market.provider()
    provider.list_rentals()
    market.fault("clock_skew", **SEARCH, seconds=seconds)
    provider.search(Wish())
    assert abs(provider.clock_offset_seconds) < 60


def test_a_controller_that_is_behind_tells_hosts_the_same_lifetime(market: Market) -> None:
    market.fault("clock_skew", seconds=3 * HOUR, times=99)
    result = market.rent(deadline_hours=10)
    script = market.creates()[0]["body"]["onstart"]
    assert deadline_hours(market) == pytest.approx(13, abs=0.1)
    mark = Mark.decode(market.creates()[0]["body"]["label"])
    assert mark is not None
    assert f"original={mark.deadline}\n" in script
    assert result["deadline"]["remaining_seconds"] == pytest.approx(10 * HOUR, abs=300)


def test_a_controller_that_is_behind_loses_no_hour_when_the_price_differs(market: Market) -> None:
    skew = {"kind": "clock_skew", "method": "ANY", "path": "", "seconds": 3 * HOUR, "times": 99}
    market.faults(skew, {"kind": "price_change", "factor": 0.9})
    market.rent(deadline_hours=10)
    assert deadline_hours(market) == pytest.approx(13, abs=0.1)


# Secrets.


@pytest.mark.parametrize(
    "text",
    [
        '{"error": "x", "instance_api_key": "5ecre7"}',
        '{"jupyter_token": "5ecre7", "msg": "x"}',
        '{"msg": "x", "instance_api_key": "5ecre7',
        '{"msg": "{\\"api_key\\": \\"5ecre7\\"}"}',
        "GET /api/v0/instances/?api_key=5ecre7&owner=me",
        "bad header Authorization: Bearer 5ecre7",
    ],
)
def test_no_secret_gets_into_a_message(text: str) -> None:
    told = Response(500, None, text).excerpt()
    assert "5ecre7" not in told
    assert "***" in told


def test_an_answer_that_repeats_the_accounts_key_does_not_show_it(market: Market) -> None:
    body = {"success": False, "msg": f"no user has {ACCOUNT_KEY}, or so"}
    market.fault("reply", **CREATE, status=400, body=body)
    result = market.rent()
    assert "no user has ***, or so" in result["msg"]
    assert ACCOUNT_KEY not in result["msg"]


def test_a_secret_at_the_cut_is_no_secret_in_the_message() -> None:
    text = '{"msg": "' + "x" * 160 + '", "instance_api_key": "5ecre7' + "0" * 200
    assert "5ecre7" not in Response(500, None, text).excerpt()


def test_a_failed_create_does_not_show_the_key_of_its_instance(market: Market) -> None:
    body = {"success": True, "instance_api_key": "5ecre7"}
    market.fault("reply", **CREATE, status=500, body=body)
    result = market.rent()
    assert "instance_api_key" in result["msg"]
    assert "5ecre7" not in str(result)


@pytest.mark.parametrize(
    "headers", [{"Authorization": "Bearer 5ecre7key"}, {"X-API-KEY": "5ecre7key"}]
)
def test_whatever_header_brings_the_key_no_message_shows_it(
    market: Market, headers: dict[str, str]
) -> None:
    body = {"error": "no user has 5ecre7key"}
    market.fault("reply", **LIST, status=400, body=body)
    transport = Transport(market.simulator.url, headers, Pace(None, {}, market.clock), market.clock)
    told = transport.request("GET", "/api/v1/instances/", kind="list", idempotent=True).excerpt()
    assert "no user has ***" in told


def test_what_broke_is_told_without_the_names_of_classes() -> None:
    for url, said in (
        ("http://127.0.0.1:9", "Connection refused"),
        ("http://nowhere.invalid", "not known"),
    ):
        asked = Transport(url, {}, Pace(None, {}, Clock()), Clock())
        with pytest.raises(ProviderUnavailable) as failed:
            asked.request("GET", "/x", kind="k", idempotent=False)
        assert said in failed.value.cause
        for word in ("object at", "Pool", "HTTPConnection", "Max retries", "Error("):
            assert word not in failed.value.cause
