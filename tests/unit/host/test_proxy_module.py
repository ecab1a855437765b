# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an operator gets from module proxy, with the real HAProxy under the real supervisord."""

from __future__ import annotations

import json
import os
import signal
import socket
import ssl
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.inferops.gpu.plugins.module_utils.common import proxy_keys
from ansible_collections.inferops.gpu.plugins.module_utils.host.proxy import (
    configuration,
    lifecycle,
)
from ansible_collections.inferops.gpu.plugins.modules import proxy as module
from tests.hanging import HANGS_AFTER_SECONDS
from tests.rig.ports import free_port
from tests.unit.host.proxied import (
    BIN,
    ENGINE_KEY,
    KEY,
    METRICS_KEY,
    SILENCE_SECONDS,
    Stage,
    Stream,
    as_sent,
    ask,
    load,
    wait_for,
)

Call = Callable[..., dict[str, Any]]
SECRETS = (KEY, METRICS_KEY, ENGINE_KEY)


@pytest.fixture
def stage() -> Iterator[Stage]:
    with Stage() as stage:
        yield stage


@pytest.fixture(scope="module")
def idle() -> Iterator[Stage]:
    """For what starts nothing."""
    with Stage() as stage:
        yield stage


@pytest.fixture
def put(run_module: Call, stage: Stage) -> Call:
    """Run the module; options may be changed."""
    return calling(run_module, stage)


@pytest.fixture
def ask_for(run_module: Call, idle: Stage) -> Call:
    """The same, for a proxy that is never started."""
    return calling(run_module, idle)


def calling(run_module: Call, stage: Stage) -> Call:
    def run(check: bool = False, **options: Any) -> dict[str, Any]:
        wanted = {
            "name": "main",
            "home": str(stage.home),
            "listeners": [{"port": stage.port}],
            "servers": [stage.upstream(stage.big), stage.upstream(stage.small, fallback=True)],
            "server_key": ENGINE_KEY,
            "keys": {"alice": KEY},
            "metrics_keys": {"prometheus": METRICS_KEY},
            "supervisor": "supervisord",
            "supervisord_bin_dir": BIN,
            "stop_timeout_seconds": 5,
            "silence_seconds": SILENCE_SECONDS,
        }
        result = run_module(module, check=check, **as_sent({**wanted, **options}))
        shown = json.dumps(result)
        assert not [key for key in SECRETS if key in shown], shown
        return result

    return run


def files(folder: Path) -> dict[str, bytes]:
    """All that is there but logs, which go on."""
    found = (path for path in folder.rglob("*") if path.is_file() and ".log" not in path.name)
    return {str(path): path.read_bytes() for path in found}


def pids(stage: Stage) -> set[int]:
    return {process.pid for process in stage.proxy.processes()}


def test_it_starts_once_and_the_same_wish_changes_nothing(put: Call, stage: Stage) -> None:
    first = put()
    assert (first["changed"], first["done"]) == (True, "started")
    assert first["proxy"]["phase"] == "running"
    assert [each["name"] for each in first["proxy"]["servers"]] == ["big", "small"]
    assert first["version"].startswith(lifecycle.version("haproxy").partition("-")[0])
    assert (stage.ask().status, stage.ask(key=None).status) == (200, 401)
    before = pids(stage)
    second = put()
    assert (second["changed"], second["done"]) == (False, "nothing")
    assert "diff" not in second
    assert pids(stage) == before


def test_check_mode_tells_what_would_be_done_and_does_nothing(put: Call, stage: Stage) -> None:
    known = set(files(stage.home))
    assert put(check=True)["done"] == "started"
    assert put(check=True, executable="/not/installed/yet")["done"] == "started"
    assert set(files(stage.home)) == known
    put()
    before, kept = pids(stage), files(stage.proxy.folder)
    assert put(check=True)["done"] == "nothing"
    assert put(check=True, keys={"bob": "key-of-bob-12"})["done"] == "keys"
    assert put(check=True, max_body_kib=128)["done"] == "reloaded"
    assert put(check=True, state="absent")["done"] == "ended"
    assert (pids(stage), files(stage.proxy.folder)) == (before, kept)


def test_changed_keys_alone_are_taken_over_without_a_restart(put: Call, stage: Stage) -> None:
    put()
    before = pids(stage)
    changed = put(keys={"alice": "key-of-alice-2", "bob": "key-of-bob-12"})
    assert (changed["changed"], changed["done"]) == (True, "keys")
    assert pids(stage) == before
    statuses = [stage.ask(key=key).status for key in (KEY, "key-of-alice-2", "key-of-bob-12")]
    assert statuses == [401, 200, 200]
    # Who reads the file, as a restart does, knows them too.
    os.kill(changed["proxy"]["pid"], signal.SIGKILL)
    wait_for(lambda: pids(stage) and not pids(stage) & before)
    wait_for(lambda: _answers(stage, "key-of-bob-12"))
    assert stage.ask(key=KEY).status == 401
    assert put(keys={"alice": "key-of-alice-2", "bob": "key-of-bob-12"})["done"] == "nothing"


def _answers(stage: Stage, key: str) -> bool:
    try:
        return stage.ask(key=key).status == 200
    except OSError:
        return False


@pytest.mark.long
def test_no_request_fails_while_keys_are_rotated(put: Call, stage: Stage) -> None:
    put()
    known = [KEY]
    with load(stage.port, lambda: known[0]) as running:
        for number in range(5):
            following = f"key-of-alice-of-now-{number}"
            put(keys={"old": known[0], "new": following})
            known[0] = following
            asked = len(running.answers)
            wait_for(lambda asked=asked: len(running.answers) > asked + 2)
            put(keys={"new": following})
    assert running.failed() == []


NEXT = {"alice": "next-key-of-alice", "bob": "key-of-bob-12"}


def test_new_keys_are_let_in_beside_the_old_ones_and_then_alone(put: Call, stage: Stage) -> None:
    """By whoever knows nothing else that was asked of the proxy."""
    put(max_body_kib=128)
    before, spec = pids(stage), stage.proxy.spec()
    rekey = {"state": "rekeyed", "keys": NEXT, "listeners": None, "servers": None}
    would = put(check=True, **rekey, keep_keys=True)
    assert (would["done"], would["keys_count"]) == ("keys", 4)
    assert stage.ask(key=NEXT["alice"]).status == 401
    known = [KEY]
    with load(stage.port, lambda: known[0]) as running:
        beside = put(**rekey, keep_keys=True)
        assert (beside["done"], beside["keys_count"]) == ("keys", 4)
        assert [stage.ask(key=key).status for key in (KEY, *NEXT.values())] == [200] * 3
        known[0] = NEXT["alice"]
        asked = len(running.answers)
        wait_for(lambda: len(running.answers) > asked + 2)
        alone = put(**rekey)
        assert (alone["done"], alone["keys_count"]) == ("keys", 3)
        assert (beside["keys_gone"], alone["keys_gone"]) == ([], ["client alice"])
    assert running.failed() == []
    assert [stage.ask(key=key).status for key in (KEY, *NEXT.values())] == [401, 200, 200]
    assert (pids(stage), stage.proxy.spec()) == (before, spec)
    assert stage.big.seen()[-1]["headers"]["authorization"] == f"Bearer {ENGINE_KEY}"
    assert not put(**rekey)["changed"]


def test_keys_that_cannot_be_are_refused_and_the_old_ones_stay(put: Call, stage: Stage) -> None:
    put()
    rekey = {"state": "rekeyed", "listeners": None, "servers": None}
    assert "give at least one" in put(**rekey, keys={})["msg"]
    assert "which no engine may see" in put(**rekey, keys={"alice": ENGINE_KEY})["msg"]
    assert stage.ask().status == 200
    # What it would have to keep, or to send on, is known by its files alone.
    for file in (configuration.UPSTREAM_KEY, configuration.KEYS):
        (stage.proxy.folder / file).write_text("")
        assert "deploy it again" in put(**rekey, keys=NEXT, keep_keys=True)["msg"]
    assert stage.ask().status == 200


def test_keys_of_gateways_that_are_not_named_go(put: Call, stage: Stage) -> None:
    """Those of clients stay, for whoever lets a gateway in knows none of them."""
    first, other = "key-of-a-gateway-1", "key-of-a-gateway-2"
    put(gateway_keys={"front": first})
    assert stage.ask("/metrics", method="GET", key=first).status == 200
    rekey = {"state": "rekeyed", "listeners": None, "servers": None, "keys": {}, "metrics_keys": {}}
    # The same gateway under another secret: the one that runs still has the old one.
    both = put(**rekey, keep_keys=True, gateway_keys={"front": other})
    assert (both["done"], both["keys_gone"]) == ("keys", [])
    assert [stage.ask(key=key).status for key in (KEY, first, other)] == [200] * 3
    renamed = put(**rekey, keep_keys=True, gateway_keys={"back": first})
    assert sorted(renamed["keys_gone"]) == ["gateway front"]
    assert [stage.ask(key=key).status for key in (KEY, first, other)] == [200, 200, 401]
    assert put(**rekey, keep_keys=True)["keys_gone"] == ["gateway back"]
    assert [stage.ask(key=key).status for key in (KEY, first)] == [200, 401]


def test_where_no_proxy_runs_no_keys_change(ask_for: Call, idle: Stage) -> None:
    result = ask_for(state="rekeyed", keys=NEXT, listeners=None, servers=None)
    assert "deploy it first" in result["msg"]
    assert not idle.proxy.folder.exists() or not lifecycle.held(idle.proxy)[configuration.KEYS]


def test_the_key_for_the_engines_is_changed_as_well(put: Call, stage: Stage) -> None:
    put()
    before = pids(stage)
    assert put(server_key="key-of-the-engine-2")["done"] == "keys"
    assert pids(stage) == before
    stage.ask()
    assert stage.big.seen()[-1]["headers"]["authorization"] == "Bearer key-of-the-engine-2"


@pytest.mark.long
def test_a_proxy_leads_to_where_its_engine_is_now_and_keeps_all_else(
    put: Call, run_module: Call, stage: Stage
) -> None:
    """Whoever moves an engine, as recover does, may know nothing of keys and routes."""
    whole = {"servers": [stage.upstream(stage.big)], "max_body_kib": 128}
    put(**whole)
    kept = lifecycle.held(stage.proxy)
    asked = {"name": "main", "home": str(stage.home), "state": "redirected"}
    asked |= {"supervisord_bin_dir": BIN, "stop_timeout_seconds": 5}
    there = {"name": "big", "port": stage.small.port, "engine": "vllm", "max_connections": 3}
    would = run_module(module, check=True, **asked, servers=[there])
    assert (would["done"], stage.ask().status) == ("reloaded", 200)
    before = len(stage.small.seen())
    moved = run_module(module, **asked, servers=[there])
    assert (moved["changed"], moved["done"]) == (True, "reloaded")
    assert stage.ask().status == 200
    assert len(stage.small.seen()) > before
    spec = stage.proxy.spec()
    assert (spec.max_body_kib, spec.engines[0].max_connections) == (128, 3)
    assert lifecycle.held(stage.proxy) == kept
    assert not run_module(module, **asked, servers=[there])["changed"]
    unknown = run_module(module, **asked, servers=[{**there, "name": "other"}])
    assert "the proxy leads to no 'other'" in unknown["msg"]
    lifecycle.forget_keys(stage.proxy)
    assert "deploy it again" in run_module(module, **asked, servers=[there])["msg"]


def test_a_proxy_that_is_not_there_leads_nowhere(run_module: Call, idle: Stage) -> None:
    asked = {"name": "main", "home": str(idle.home), "servers": [idle.upstream(idle.big)]}
    assert run_module(module, **asked, state="redirected")["done"] == "nothing"
    assert not idle.proxy.processes()


def test_without_a_key_of_its_own_it_sends_none(put: Call, stage: Stage) -> None:
    put(server_key=None)
    assert stage.ask().status == 200
    assert "authorization" not in stage.big.seen()[-1]["headers"]
    assert not put(server_key=None)["changed"]
    assert put(server_key=None, keys=NEXT)["done"] == "keys"
    assert stage.ask(key=NEXT["alice"]).status == 200


@pytest.mark.long
def test_no_request_fails_while_it_takes_over_other_settings(put: Call, stage: Stage) -> None:
    master = put()["proxy"]["pid"]
    stream = Stream(stage.port, 150, 0.05)
    wait_for(lambda: stream.lines)
    with load(stage.port) as running:
        for size_kib in (128, 256, 512):
            assert put(max_body_kib=size_kib)["done"] == "reloaded"
        swapped = [stage.upstream(stage.small), stage.upstream(stage.big, fallback=True)]
        changed = put(servers=swapped)
        assert (changed["done"], changed["proxy"]["pid"]) == ("reloaded", master)
        wait_for(lambda: running.answers[-1][1] == "small")
    assert running.failed() == []
    stream.join(HANGS_AFTER_SECONDS)
    assert stream.whole


def test_another_listener_is_opened_beside_the_first(put: Call, stage: Stage) -> None:
    put()
    other = free_port()
    changed = put(listeners=[{"port": stage.port}, {"port": other}])
    assert changed["done"] == "reloaded"
    assert [ask(port).status for port in (stage.port, other)] == [200, 200]


def test_a_listener_with_a_certificate_speaks_tls(put: Call, stage: Stage) -> None:
    pem = stage.home / "own.pem"
    subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    made = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *subject]
    subprocess.run([*made, "-keyout", pem, "-out", pem], check=True, capture_output=True)
    secured = {"port": free_port(), "certificate": str(pem)}
    pem.chmod(0o644)
    refused = put(listeners=[{"port": stage.port}, secured])
    assert "others than its owner may read" in refused["msg"]
    pem.chmod(0o600)
    assert put(listeners=[{"port": stage.port}, secured])["done"] == "started"
    trusting = ssl.create_default_context(cafile=str(pem))
    head = f"GET /v1/models HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {KEY}\r\n\r\n"
    with (
        socket.create_connection(
            ("127.0.0.1", secured["port"]), timeout=HANGS_AFTER_SECONDS
        ) as plain,
        trusting.wrap_socket(plain, server_hostname="localhost") as stream,
    ):
        stream.sendall(head.encode())
        assert b" 200 " in stream.recv(100)


def test_what_haproxy_refuses_changes_nothing(put: Call, stage: Stage) -> None:
    put()
    before, kept = pids(stage), files(stage.proxy.folder)
    missing = stage.home / "empty.pem"
    missing.touch(mode=0o600)
    listeners = [{"port": stage.port}, {"port": free_port(), "certificate": str(missing)}]
    refused = put(listeners=listeners)
    assert "HAProxy refuses its configuration" in refused["msg"]
    assert str(missing) in refused["msg"]
    assert pids(stage) == before
    assert files(stage.proxy.folder) == kept
    assert stage.ask().status == 200
    assert put()["done"] == "nothing"


def test_a_port_of_somebody_else_is_refused_and_its_holder_named(put: Call, stage: Stage) -> None:
    refused = put(listeners=[{"port": stage.big.port}])
    assert f"Port {stage.big.port} is taken by process {stage.big.process.pid}" in refused["msg"]
    put()
    refused = put(listeners=[{"port": stage.port}, {"port": stage.small.port}])
    assert refused["port_owners"][0]["pid"] == stage.small.process.pid
    assert stage.ask().status == 200


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"keys": {}}, "give at least one"),
        ({"keys": {"a b": "key-of-somebody"}}, "'a b' names no key"),
        ({"keys": {"a": "one-key-for-both", "b": "one-key-for-both"}}, "have the same key"),
        ({"keys": {"a": ENGINE_KEY}}, "server_key is the key of a client"),
        ({"routes": [{"method": "POST", "path": "/sleep"}]}, "/sleep can stop the engine"),
        ({"routes": [{"method": "GET", "path": "/metrics"}]}, "metrics key"),
        ({"routes": [{"method": "GET", "path": "/a b' if TRUE"}]}, "is no path"),
        ({"routes": [{"method": "OPTIONS", "path": "/a"}]}, "is none of GET"),
        ({"listeners": []}, "at least one listener"),
        ({"listeners": [{"port": 0}]}, "port: 0"),
        ({"listeners": [{"port": 9, "address": "a.example"}]}, "a.example"),
        ({"listeners": [{"port": 9, "certificate": "/no/such.pem"}]}, "/no/such.pem"),
        ({"servers": []}, "at least one listener and one server"),
        ({"max_body_kib": 0}, "max_body_kib"),
        ({"hung_seconds": 5}, "hung_seconds"),
        ({"executable": "/no/such/haproxy"}, "Install package haproxy"),
        ({"executable": "/bin/true"}, "does not say which version"),
        ({"name": "a/b"}, "may hold only letters"),
    ],
)
def test_what_cannot_be_is_refused_with_what_to_change(
    ask_for: Call, idle: Stage, options: dict[str, Any], told: str
) -> None:
    refused = ask_for(**options)
    assert refused["failed"]
    assert told in refused["msg"]
    assert not pids(idle)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"engine": "of-tomorrow"}, "no engine 'of-tomorrow'"),
        ({"name": "a b"}, "may hold only letters"),
        ({"address": "a.example"}, "a.example"),
        ({"max_connections": 0}, "max_connections"),
        ({"fallback": True}, "one of them must be no fallback"),
        ({"port": None}, "it has one of port and socket"),
        ({"socket": "/way.sock"}, "it has one of port and socket"),
        ({"port": None, "socket": "/a b"}, "is no short absolute path of a socket"),
        ({"port": None, "socket": f"/{'a' * 110}"}, "is no short absolute path of a socket"),
    ],
)
def test_a_server_that_cannot_be_is_refused(
    ask_for: Call, idle: Stage, changes: dict[str, Any], told: str
) -> None:
    assert told in ask_for(servers=[idle.upstream(idle.big, **changes)])["msg"]


def test_an_haproxy_that_is_too_old_is_refused(ask_for: Call, idle: Stage) -> None:
    old = idle.home / "haproxy"
    old.write_text("#!/bin/sh\necho HAProxy version 2.2.9-2 2021/04/01\n")
    old.chmod(0o755)
    for state in ("present", "provided"):
        refused = ask_for(executable=str(old), state=state)
        assert "is HAProxy 2.2; it takes 2.4 or newer" in refused["msg"]


def test_whether_there_is_an_haproxy_is_told_before_anything_is_waited_for(
    ask_for: Call, idle: Stage
) -> None:
    found = ask_for(state="provided", listeners=None, servers=None)
    assert (found["changed"], found["version"]) == (False, lifecycle.version("haproxy"))
    missing = {"state": "provided", "executable": "/no/such/haproxy"}
    assert "Install package haproxy" in ask_for(**missing)["msg"]
    # Nothing is installed in check mode, so it may be missing still.
    assert ask_for(check=True, **missing)["version"] is None
    assert not pids(idle)


@pytest.mark.long
def test_one_that_does_not_start_is_explained_and_not_left_running(
    put: Call, stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It runs, says that its configuration is good, and never listens."""
    broken = stage.home / "haproxy"
    broken.write_text(
        f"#!/bin/sh\n[ $1 = -v ] && exec {lifecycle.find_executable(None)} -v\n"
        "[ $1 = -c ] && exit\n"
        "echo it does not listen\nexec sleep 600\n"
    )
    broken.chmod(0o755)
    monkeypatch.setattr(module, "START_SECONDS", 5.0)
    failed = put(executable=str(broken))
    assert "failed to start: it waits for check port" in failed["msg"]
    assert failed["log_tail"] == ["it does not listen"]
    assert not pids(stage)


def test_its_end_leaves_no_process_and_no_key(put: Call, stage: Stage) -> None:
    put()
    ended = put(state="absent")
    assert (ended["changed"], ended["done"], ended["processes_left"]) == (True, "ended", [])
    assert not pids(stage)
    for file in (configuration.KEYS, configuration.UPSTREAM_KEY):
        assert not (stage.proxy.folder / file).exists()
    assert put(state="absent")["done"] == "nothing"
    assert stage.big.process.poll() is None


def test_the_difference_shows_settings_and_names_of_keys(put: Call, stage: Stage) -> None:
    put()
    shown = put(keys={"alice": "key-of-alice-2"}, max_body_kib=128)["diff"]
    assert "tune.bufsize 1179648" in shown["before"]["configuration"]
    assert shown["before"]["keys"]["client:alice"] == f"sha256 {proxy_keys.digest(KEY)[:8]}"
    assert (
        shown["after"]["keys"]["client:alice"]
        == f"sha256 {proxy_keys.digest('key-of-alice-2')[:8]}"
    )


def test_a_configuration_that_somebody_changed_is_put_right(put: Call, stage: Stage) -> None:
    put()
    text = stage.proxy.configuration.read_text()
    stage.proxy.configuration.write_text(text.replace("status 401", "status 200"))
    assert put()["done"] == "reloaded"
    assert stage.proxy.configuration.read_text() == text


def test_keys_that_somebody_added_to_the_process_are_taken_away(put: Call, stage: Stage) -> None:
    put()
    added = proxy_keys.digest("key-of-a-stranger")
    stage.proxy.runtime.ask(f"add map {configuration.KEYS} {added} client:mallory")
    assert stage.ask(key="key-of-a-stranger").status == 200
    assert put()["done"] == "keys"
    assert stage.ask(key="key-of-a-stranger").status == 401
