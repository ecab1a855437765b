# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A server with a proxy before it: the ports of both, the way of clients, and the end of both."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.inferops.gpu.plugins.module_utils.host.engines import registry
from ansible_collections.inferops.gpu.plugins.module_utils.host.engines.engine import Verdict
from ansible_collections.inferops.gpu.plugins.module_utils.host.machine import ports
from ansible_collections.inferops.gpu.plugins.module_utils.host.proxy import configuration
from ansible_collections.inferops.gpu.plugins.module_utils.host.proxy.proxy import Proxy, proxy_of
from ansible_collections.inferops.gpu.plugins.module_utils.host.server import lifecycle
from ansible_collections.inferops.gpu.plugins.module_utils.host.server.layout import Layout, Server
from ansible_collections.inferops.gpu.plugins.module_utils.host.service import (
    lifecycle as services,
)
from ansible_collections.inferops.gpu.plugins.modules import model_server, model_server_info
from ansible_collections.inferops.gpu.plugins.modules import proxy as module
from tests.unit.host.proxied import BIN, ENGINE_KEY, KEY, as_sent, ask, wait_for

Call = Callable[..., dict[str, Any]]
LOOPBACK = "127.0.0.1"
ASKED = {"model": "tiny/model", "prompt": "a", "max_tokens": 4}


@pytest.fixture
def proxy(home: Path) -> Iterator[Proxy]:
    found = proxy_of(home, "main")
    yield found
    assert not services.end(found, timeout_seconds=5).left


@pytest.fixture
def put(run_module: Call, proxy: Proxy) -> Call:
    """What role proxy does after role launch."""

    def run(launched: dict[str, Any], **options: Any) -> dict[str, Any]:
        wanted = {
            "name": "main",
            "home": str(proxy.layout.home),
            "listeners": [{"port": launched["proxy_port"]}],
            "servers": [{"name": "main", "port": launched["port"], "engine": "vllm"}],
            "server_key": ENGINE_KEY,
            "keys": {"inferops": KEY},
            "supervisor": "supervisord",
            "supervisord_bin_dir": BIN,
            "stop_timeout_seconds": 5,
            **options,
        }
        result = run_module(module, **as_sent(wanted))
        assert not result.get("failed"), result["msg"]
        return result

    return run


@contextlib.contextmanager
def proxy_of_somebody_else(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A proxy that cannot be ended; all else can."""
    usual = services.end

    def end(service: Any, *given: Any, **more: Any) -> Any:
        if service.kind == "proxy":
            raise OSError("it is somebody else's")
        return usual(service, *given, **more)

    with monkeypatch.context() as patch:
        patch.setattr(services, "end", end)
        yield


def test_clients_reach_a_server_through_its_proxy_with_their_key_and_by_no_other_way(
    start: Call, put: Call, proxy: Proxy, another_port: int
) -> None:
    launched = start(port="auto", proxy_port=str(another_port), api_key=ENGINE_KEY)
    assert launched["client_port"] == launched["proxy_port"] == another_port != launched["port"]
    put(launched)
    wait_for(lambda: ask(another_port, body=ASKED).status == 200)
    assert ask(another_port, body=ASKED, key=None).status == 401
    assert ask(another_port, body=ASKED, key=ENGINE_KEY).status == 401
    assert ask(launched["port"], body=ASKED).status == 401
    again = start(port="auto", proxy_port=str(another_port), api_key=ENGINE_KEY)
    assert (again["changed"], again["port"]) == (False, launched["port"])
    assert not put(again)["changed"]


@pytest.mark.long
def test_automatic_ports_are_two_and_stay_the_same(
    start: Call, put: Call, server: Server, monkeypatch: pytest.MonkeyPatch, free_port: int
) -> None:
    monkeypatch.setattr(ports, "FIRST_AUTOMATIC", free_port)
    wanted = {"port": "auto", "proxy_port": "auto", "api_key": ENGINE_KEY}
    first = start(**wanted)
    assert first["port"] != first["proxy_port"] == free_port
    put(first)
    second = start(**wanted)
    assert (second["changed"], second["port"]) == (False, first["port"])
    assert second["proxy_port"] == first["proxy_port"]
    changed = start(**wanted, arguments={"seed": 7})
    assert changed["changed"]
    assert (changed["port"], changed["proxy_port"]) == (first["port"], first["proxy_port"])
    assert server.spec().proxy_port == first["proxy_port"]


@pytest.mark.long
def test_a_proxy_that_moves_replaces_no_server_and_is_found_at_its_new_port(
    start: Call, put: Call, server: Server, another_port: int
) -> None:
    first = start(port="auto", proxy_port="auto", api_key=ENGINE_KEY)
    put(first)
    moved = {"port": "auto", "proxy_port": str(another_port), "api_key": ENGINE_KEY}
    assert not start(check=True, **moved)["changed"]
    assert server.spec().proxy_port == first["proxy_port"]
    second = start(**moved)
    assert (second["changed"], second["client_port"]) == (False, another_port)
    assert server.spec().proxy_port == another_port
    assert put(second)["done"] == "reloaded"
    again = start(port="auto", proxy_port="auto", api_key=ENGINE_KEY)
    assert (again["changed"], again["proxy_port"]) == (False, another_port)


def test_neither_takes_a_port_of_the_other_or_of_a_neighbour(
    home: Path, free_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ports, "FIRST_AUTOMATIC", free_port)
    layout = Layout(home)
    one, two = layout.server("one"), layout.server("two")
    auto = lifecycle.Wanted(None)
    first = lifecycle.claim_ports(layout, one, LOOPBACK, None, auto)
    second = lifecycle.claim_ports(layout, two, LOOPBACK, None, auto)
    assert len({*first, *second}) == 4
    assert lifecycle.claim_ports(layout, one, LOOPBACK, None, auto) == first
    # Whichever of the two is given, the other one makes room for it.
    assert lifecycle.choose_ports(layout, one, LOOPBACK, free_port, auto)[1] != free_port
    given = lifecycle.Wanted(free_port)
    assert lifecycle.choose_ports(layout, one, LOOPBACK, None, given)[0] != free_port


@pytest.mark.long
def test_a_proxy_that_is_asked_for_later_gets_the_port_that_clients_know(
    start: Call, put: Call, free_port: int, proxy: Proxy
) -> None:
    plain = start(api_key=KEY)
    assert (plain["port"], plain["proxy_port"], plain["client_port"]) == (
        free_port,
        None,
        free_port,
    )
    wanted = {"port": "auto", "proxy_port": "auto", "api_key": ENGINE_KEY}
    # What would be done is told while the server has the port still.
    would = start(check=True, **wanted)
    assert (would["changed"], would["proxy_port"]) == (True, free_port)
    assert put(would, check=True)["done"] == "started"
    proxied = start(**wanted)
    assert proxied["changed"]
    assert proxied["port"] != proxied["proxy_port"] == free_port
    put(proxied)
    # And back: it is in the way until it has ended.
    assert start(check=True, api_key=KEY)["changed"]
    refused = start(api_key=KEY)
    assert f"Port {free_port} is taken by process" in refused["msg"]
    back = {"port": "auto", "api_key": KEY, "ends_proxy": True}
    assert start(check=True, **back)["client_port"] == free_port
    assert proxy.processes()
    plain = start(**back)
    assert (plain["port"], plain["client_port"]) == (free_port, free_port)
    assert not proxy.processes()
    assert not start(**back)["changed"]


@pytest.mark.long
def test_a_proxy_is_not_ended_for_a_server_that_is_refused(
    start: Call,
    put: Call,
    proxy: Proxy,
    server: Server,
    free_port: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It would leave a server that runs and bills without any way in."""
    first = start(port="auto", proxy_port=str(free_port), api_key=ENGINE_KEY)
    put(first)
    before = {process.pid for process in (*proxy.processes(), *server.processes())}
    back = {"api_key": KEY, "ends_proxy": True}
    with monkeypatch.context() as patch:
        no = Verdict("no option --no-such-option.", "")
        patch.setattr(type(registry.ENGINES["vllm"]), "check_options", lambda *_given: no)
        refused = start(**back, port=str(free_port), arguments={"no_such_option": 1})
    assert "Nothing was started or stopped." in refused["msg"]
    with socket.create_server((LOOPBACK, 0)) as stranger:
        refused = start(**back, port=str(stranger.getsockname()[1]))
    assert "is taken by process" in refused["msg"]
    assert {process.pid for process in (*proxy.processes(), *server.processes())} == before
    wait_for(lambda: ask(free_port, body=ASKED).status == 200)


def test_a_server_that_runs_as_asked_loses_a_proxy_that_is_not(
    start: Call, put: Call, proxy: Proxy, another_port: int
) -> None:
    plain = start(api_key=ENGINE_KEY)
    put({**plain, "proxy_port": another_port})
    wanted = {"api_key": ENGINE_KEY, "ends_proxy": True}
    assert start(check=True, **wanted)["changed"]
    assert proxy.processes()
    pid = plain["server"]["pid"]
    done = start(**wanted)
    assert (done["changed"], done["server"]["pid"]) == (True, pid)
    assert not proxy.processes()


@pytest.mark.long
def test_a_server_is_not_started_while_its_proxy_cannot_be_ended(
    start: Call, put: Call, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(start(port="auto", proxy_port="auto", api_key=ENGINE_KEY))
    before = {process.pid for process in server.processes()}
    with proxy_of_somebody_else(monkeypatch):
        refused = start(port="auto", api_key=KEY, ends_proxy=True)
    assert "is not started: The proxy cannot be ended: it is somebody else's" in refused["msg"]
    assert {process.pid for process in server.processes()} == before


def test_a_port_that_the_proxy_cannot_have_is_refused_before_the_server_starts(
    start: Call, server: Server
) -> None:
    with socket.create_server((LOOPBACK, 0)) as stranger:
        port = stranger.getsockname()[1]
        refused = start(port="auto", proxy_port=str(port))
    assert f"Port {port} is taken by process {os.getpid()}" in refused["msg"]
    assert "set proxy_port to another one, or to auto" in refused["msg"]
    assert refused["failure"]["cause_id"] == "port_taken"
    assert refused["port_owners"][0]["pid"] == os.getpid()
    assert server.record() is None
    assert "is the port of the server" in start(port="8001", proxy_port="8001")["msg"]


def test_the_proxy_ends_before_the_server_and_both_are_proven(
    start: Call,
    put: Call,
    stop: Call,
    proxy: Proxy,
    server: Server,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    put(start(port="auto", proxy_port="auto", api_key=ENGINE_KEY))
    would = stop(check=True, ends_proxy=True)
    assert (would["proxy"]["changed"], would["proxy"]["stopped"]) == (True, None)
    assert proxy.processes()
    lives: list[tuple[str, bool, bool]] = []
    usual = services.end

    def end(service: Any, *given: Any, **more: Any) -> Any:
        lives.append((service.kind, bool(proxy.processes()), bool(server.processes())))
        return usual(service, *given, **more)

    monkeypatch.setattr(services, "end", end)
    ended = stop(ends_proxy=True)
    assert lives == [("proxy", True, True), ("server", False, True)]
    assert (ended["stopped"], ended["proxy"]["stopped"]) == ("proven", "proven")
    assert ended["proxy"]["processes_left"] == []
    for file in (configuration.KEYS, configuration.UPSTREAM_KEY):
        assert not (proxy.folder / file).exists()
    again = stop(ends_proxy=True)
    assert (again["changed"], again["proxy"]) == (False, None)


def test_a_proxy_that_cannot_be_ended_keeps_no_server_alive(
    start: Call,
    put: Call,
    stop: Call,
    server: Server,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    put(start(port="auto", proxy_port="auto", api_key=ENGINE_KEY))
    with proxy_of_somebody_else(monkeypatch):
        ended = stop(ends_proxy=True)
    assert ended["stopped"] == "proven"
    assert ended["proxy"]["stopped"] == "unproven"
    assert "it is somebody else's" in ended["proxy"]["remedy"]
    assert not server.processes()


def test_a_stop_that_is_not_asked_to_leaves_the_proxy_to_the_next_start(
    start: Call, put: Call, stop: Call, proxy: Proxy
) -> None:
    put(start(port="auto", proxy_port="auto", api_key=ENGINE_KEY))
    assert "proxy" not in stop()
    assert proxy.processes()


@pytest.mark.long
def test_who_looks_at_servers_sees_the_proxies_before_them(
    start: Call, put: Call, run_module: Call, home: Path
) -> None:
    launched = start(port="auto", proxy_port="auto", api_key=ENGINE_KEY)
    put(launched)

    def look(**more: Any) -> dict[str, Any]:
        return run_module(model_server_info, home=str(home), **more)

    wait_for(lambda: look()["proxies"][0]["servers"][0]["status"] == "UP")
    (seen,) = look(name="main")["proxies"]
    assert (seen["name"], seen["phase"], seen["port"]) == (
        "main",
        "running",
        launched["proxy_port"],
    )
    assert look()["servers"][0]["spec"]["proxy_port"] == launched["proxy_port"]
    assert look(name="other")["proxies"] == []
    assert model_server.ending.is_there(proxy_of(home, "main"))
    run_module(module, name="main", home=str(home), state="absent", stop_timeout_seconds=5)
    assert look()["proxies"] == []
