# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a proxy decides by itself: is an engine at work, what is it told, what is HAProxy given."""

from __future__ import annotations

import dataclasses
import http.server
import json
import re
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.inferops.gpu.plugins.module_utils.common import proxy_keys
from ansible_collections.inferops.gpu.plugins.module_utils.host.engines.client import (
    Client,
    NotYet,
    TurnedAway,
)
from ansible_collections.inferops.gpu.plugins.module_utils.host.engines.engine import Sample
from ansible_collections.inferops.gpu.plugins.module_utils.host.engines.registry import ENGINES
from ansible_collections.inferops.gpu.plugins.module_utils.host.proxy import (
    agent,
    configuration,
    keys,
    lifecycle,
)
from ansible_collections.inferops.gpu.plugins.module_utils.host.proxy import runtime as runtimes
from ansible_collections.inferops.gpu.plugins.module_utils.host.proxy.agent import wanted_watchers
from ansible_collections.inferops.gpu.plugins.module_utils.host.proxy.liveness import (
    Limits,
    Progress,
    State,
    Verdict,
)
from ansible_collections.inferops.gpu.plugins.module_utils.host.proxy.proxy import (
    closed,
    proxy_of,
)
from ansible_collections.inferops.gpu.plugins.module_utils.host.proxy.runtime import (
    NoAnswer,
    Runtime,
    Server,
)
from ansible_collections.inferops.gpu.plugins.module_utils.host.proxy.spec import Listener, Spec
from ansible_collections.inferops.gpu.plugins.modules import proxy as module
from tests.hanging import HANGS_AFTER_SECONDS
from tests.rig.ports import free_port

LIMITS = Limits(silence_seconds=1, stalled_seconds=10, hung_seconds=60)
ONE = {"name": "one", "address": "127.0.0.1", "port": 8001, "engine": "vllm"}
OTHER = {"name": "other", "address": "::1", "port": 8002, "fallback": True}


def spec(**changes: Any) -> Spec:
    wanted: dict[str, Any] = {
        "name": "main",
        "supervisor": "systemd",
        "stop_timeout_seconds": 5,
        "log_max_mib": 8,
        "environment": {},
        "executable": "/usr/sbin/haproxy",
        "listeners": [{"address": "127.0.0.1", "port": 8000}],
        "upstreams": [OTHER, ONE],
        "routes": [],
        "sends_key": True,
        "agent_port": 8600,
    }
    return Spec(**{**wanted, **changes})


def working(pending: float, tokens: float) -> Sample:
    return Sample(requests_running=pending, generation_tokens=tokens)


def states(progress: Progress, *times: float) -> list[State]:
    return [progress.verdict(now).state for now in times]


def test_an_idle_engine_that_answers_is_at_work_for_ever() -> None:
    progress = Progress(LIMITS, 0)
    for now in range(0, 600):
        progress.answered(working(0, 5), now)
        assert progress.verdict(now).state == State.AT_WORK


def test_silence_is_noticed_at_once_and_hangs_only_later() -> None:
    progress = Progress(LIMITS, 0)
    progress.answered(working(3, 5), 0)
    found = states(progress, 0.9, 1, 59.9, 60)
    assert found == [State.AT_WORK, State.STUCK, State.STUCK, State.HUNG]
    progress.answered(working(3, 6), 61)
    assert states(progress, 61) == [State.AT_WORK]


def test_an_engine_that_answers_and_writes_nothing_is_stuck_and_then_hung() -> None:
    """Its health would be green."""
    progress = Progress(LIMITS, 0)
    found = []
    for now in range(0, 70):
        progress.answered(working(2, 5), now)
        found.append(progress.verdict(now).state)
    assert found[9:11] == [State.AT_WORK, State.STUCK]
    assert found[59:61] == [State.STUCK, State.HUNG]


def test_tokens_that_move_are_progress_however_many_wait() -> None:
    progress = Progress(LIMITS, 0)
    for now in range(0, 600):
        progress.answered(working(100, now), now)
        assert progress.verdict(now).state == State.AT_WORK


def test_a_request_that_has_just_come_has_not_waited_since_the_last_one() -> None:
    progress = Progress(LIMITS, 0)
    progress.answered(working(0, 5), 0)
    progress.answered(working(0, 5), 99)
    progress.answered(working(1, 5), 100)
    assert states(progress, 100.5) == [State.AT_WORK]


def test_an_engine_that_was_started_anew_counts_from_nothing() -> None:
    progress = Progress(LIMITS, 0)
    progress.answered(working(1, 500), 0)
    progress.refused("nobody listens on its port")
    assert states(progress, 1, 100) == [State.GONE, State.GONE]
    progress.answered(working(1, 0), 101)
    assert states(progress, 101) == [State.AT_WORK]


def test_by_default_a_frozen_engine_is_left_within_two_seconds() -> None:
    limits = module.main.__globals__["Spec"].__dataclass_fields__["silence_seconds"].default
    look_seconds = limits / agent.LOOKS_PER_SILENCE
    # It froze just after an answer, and HAProxy asks at its own times.
    assert limits + look_seconds + configuration.AGENT_MILLISECONDS / 1000 < 2


@pytest.mark.parametrize(
    ("state", "others", "told"),
    [
        (State.AT_WORK, False, "ready up"),
        (State.AT_WORK, True, "ready up"),
        (State.STUCK, True, "drain"),
        # Waiting is better than an error.
        (State.STUCK, False, "ready up"),
        (State.GONE, True, "drain"),
        (State.GONE, False, "drain"),
        (State.HUNG, True, "down"),
        (State.HUNG, False, "down"),
    ],
)
def test_haproxy_is_told_to_end_streams_only_of_an_engine_that_hangs(
    state: State, others: bool, told: str
) -> None:
    assert agent.word(Verdict(state, ""), others) == told


@pytest.fixture
def answering(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[agent.Agent]:
    """An agent of a proxy that was written down and does not run."""
    proxy = proxy_of(tmp_path, "main")
    port = free_port()
    upstream = {**ONE, "port": free_port()}
    proxy.write_spec(spec(upstreams=[upstream, OTHER], agent_port=port))
    answering = agent.Agent(proxy)
    answering.follow()
    yield answering
    for watcher in answering.watchers.values():
        watcher.ended.set()


def test_only_engines_that_are_known_are_watched_and_others_left_to_haproxy(
    answering: agent.Agent,
) -> None:
    assert list(answering.watchers) == ["one"]
    assert answering.answer("other") == ""
    assert answering.answer("nobody") == ""


def test_figures_that_cannot_be_read_take_no_clients_away(
    answering: agent.Agent, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    watcher = agent.Watcher(answering.service.folder, answering.service.spec().engines[0], LIMITS)

    class Odd:
        def sample(self, client: Any, seconds: float) -> Sample:
            raise KeyError("busy")

    monkeypatch.setattr(type(watcher.upstream), "watched", Odd())
    watcher.progress.answered_at = watcher.progress.progressed_at = 0.0
    for _look in range(3):
        watcher.look(1)
    assert watcher.verdict().state == State.AT_WORK
    assert capsys.readouterr().err.count("its figures cannot be read: KeyError") == 1


@pytest.mark.parametrize(
    ("status", "kind"),
    [(401, TurnedAway), (403, TurnedAway), (503, TurnedAway), (500, NotYet), (400, NotYet)],
)
def test_an_answer_that_turns_away_is_told_from_one_without_figures(
    status: int, kind: type[Exception]
) -> None:
    class Answer(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_error(status)

        def log_message(self, *_arguments: object) -> None:
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Answer) as server:
        threading.Thread(target=server.handle_request, daemon=True).start()
        with pytest.raises(NotYet) as refused:
            Client("127.0.0.1", server.server_port, None).fetch("GET", "/metrics")
    assert type(refused.value) is kind


def test_who_is_turned_away_by_an_engine_is_sent_no_client(
    answering: agent.Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As by the proxy before a server that has lost its engine, or a gateway's key."""
    watcher = agent.Watcher(answering.service.folder, answering.service.spec().engines[0], LIMITS)

    class Closed:
        def sample(self, client: Any, seconds: float) -> Sample:
            raise TurnedAway(f"/metrics answered 401 {'secret ' * 50}")

    monkeypatch.setattr(type(watcher.upstream), "watched", Closed())
    watcher.look(1)
    assert watcher.verdict() == (State.GONE, "/metrics answered 401")


def test_the_agent_follows_a_specification_that_changes(answering: agent.Agent) -> None:
    first = answering.watchers["one"]
    same = dataclasses.replace(answering.service.spec(), max_body_kib=9)
    answering.service.write_spec(same)
    answering.follow()
    assert answering.watchers["one"] is first
    moved = [{**ONE, "port": free_port()}, {**OTHER, "engine": "vllm"}]
    answering.service.write_spec(dataclasses.replace(same, upstreams=moved))
    answering.follow()
    assert list(answering.watchers) == ["one", "other"]
    assert answering.watchers["one"].upstream.port == moved[0]["port"]
    assert first.ended.is_set()


def test_the_agent_answers_one_line_and_is_not_held_up_by_who_says_nothing(
    answering: agent.Agent,
) -> None:
    port = answering.service.spec().agent_port
    threading.Thread(target=answering.serve, args=(port,), daemon=True).start()

    def asked() -> bytes:
        with socket.create_connection(("127.0.0.1", port), timeout=HANGS_AFTER_SECONDS) as stream:
            stream.sendall(b"one\n")
            return stream.recv(100)

    for _try in range(200):
        try:
            silent = socket.create_connection(("127.0.0.1", port), timeout=HANGS_AFTER_SECONDS)
            break
        except OSError:
            threading.Event().wait(0.05)
    with silent:
        assert asked() in (b"drain\n", b"ready up\n")


def test_without_the_proxy_s_word_nobody_else_is_taken_to_be_there(
    answering: agent.Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not answering.others_take_requests("one")
    found = [Server("one", "UP", 0), Server("other", "DRAIN (agent)", 0)]
    monkeypatch.setattr(answering.runtime, "servers", lambda: found)
    assert not answering.others_take_requests("one")
    found[1] = Server("other", "UP 1/3", 0)
    assert answering.others_take_requests("one")


def test_the_configuration_holds_no_key_and_follows_from_the_wish_alone() -> None:
    text = configuration.render(spec())
    assert text == configuration.render(spec())
    assert configuration.identity(spec()) in text
    assert not re.search(r"[0-9a-f]{64}", text)


def test_a_fallback_is_the_last_server_and_no_backup() -> None:
    text = configuration.render(spec())
    servers = re.findall(r"^ +server (.+)$", text.split("\nbackend engines")[1], re.MULTILINE)
    assert [each.split()[0] for each in servers] == ["one", "other", "one"]
    assert "backup" not in text
    assert "[::1]:8002" in servers[1]
    assert ("agent-check" in servers[0], "agent-check" in servers[1]) == (True, False)


def test_with_one_server_nothing_is_sent_to_it_a_second_time_that_it_has_seen() -> None:
    def retried(text: str) -> list[str]:
        return re.findall(r"retry-on (.+)", text)

    assert retried(configuration.render(spec())) == ["conn-failure empty-response 503"]
    assert retried(configuration.render(spec(upstreams=[ONE]))) == ["conn-failure"]


def test_slow_checks_do_not_end_streams_before_an_engine_is_called_hung() -> None:
    for hung_seconds, least in ((60.0, 60), (10.0, 10), (12.5, 13)):
        text = configuration.render(spec(hung_seconds=hung_seconds))
        assert set(re.findall(r"inter 1s fall (\d+)", text)) == {str(least)}


def test_an_engine_that_is_silent_for_a_whole_step_is_not_called_hung_within_one() -> None:
    slow = {**ONE, "engine": "llama_cpp"}
    step_seconds = ENGINES["llama_cpp"].step_seconds
    asked = spec(upstreams=[slow], hung_seconds=60.0)
    (limits,) = (limits for _engine, limits in wanted_watchers(asked).values())
    assert limits.hung_seconds == step_seconds > 60
    assert f"fall {step_seconds:.0f} " in configuration.render(asked)
    longer = spec(upstreams=[slow], hung_seconds=2 * step_seconds)
    assert f"fall {2 * step_seconds:.0f} " in configuration.render(longer)


def test_whatever_changes_for_a_running_proxy_changes_its_identity() -> None:
    changes: list[dict[str, Any]] = [
        {"max_body_kib": 9},
        {"silence_seconds": 2.0},
        {"hung_seconds": 121.0},
        {"sends_key": False},
        {"upstreams": [ONE]},
        {"routes": [{"method": "GET", "path": "/a"}]},
        {"listeners": [{"address": "::", "port": 8000}]},
    ]
    identities = {configuration.identity(spec(**each)) for each in [{}, *changes]}
    assert len(identities) == len(changes) + 1
    assert len({spec(**each).hash for each in changes}) == 1


def test_routes_that_are_asked_for_are_opened_beside_ours() -> None:
    added = [
        {"method": "POST", "path": "/v1/load_lora_adapter"},
        {"method": "GET", "path": "/jobs.v2/{id}", "repeatable": True},
    ]
    text = configuration.render(spec(routes=added))
    assert " /v1/load_lora_adapter }" in text
    assert "{ path -m reg ^/jobs[.]v2/[A-Za-z0-9_-]+$ }" in text


def test_an_open_listener_is_noticed() -> None:
    """Whoever listens there and lets strangers in."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]

        def answer() -> None:
            stream, _peer = listening.accept()
            with stream:
                stream.recv(1000)
                stream.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

        threading.Thread(target=answer, daemon=True).start()
        seen = closed([Listener("127.0.0.1", port)])
    assert seen.waiting_for == "closed"
    assert "answered 200 to a request without a key" in seen.detail
    assert closed([Listener("127.0.0.1", free_port())]).waiting_for == "closed"


def test_a_runtime_socket_that_is_not_there_is_told(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "nothing"):
        with pytest.raises(NoAnswer):
            Runtime(folder).ask("show info")


def test_what_is_in_a_map_file_is_what_was_written(tmp_path: Path) -> None:
    entries = proxy_keys.hashed(
        {"keys": {"alice": "key-of-alice-1"}, "metrics_keys": {"p@x": "key-of-metrics"}}
    )
    assert sorted(entries.values()) == ["client:alice", "metrics:p@x"]
    assert keys.from_map(keys.as_map(entries)) == entries
    assert keys.from_map("") == {}
    file = tmp_path / "keys.map"
    assert keys.held_in(file) == {}
    file.write_bytes(b"\xff\xfe damaged\n")
    assert list(keys.held_in(file).values()) == ["damaged"]


def test_the_agent_keeps_its_port_and_takes_none_of_the_proxy_s() -> None:
    assert lifecycle.agent_port(spec(agent_port=8700), set()) == 8700
    taken = {lifecycle.FIRST_AGENT_PORT}
    assert lifecycle.agent_port(None, taken) not in taken
    assert lifecycle.agent_port(spec(agent_port=8600), {8600}) != 8600


def test_a_damaged_specification_is_none(tmp_path: Path) -> None:
    proxy = proxy_of(tmp_path, "main")
    proxy.write_spec(spec())
    assert proxy.spec() == spec()
    file = proxy.folder / "spec.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "listeners": []}))
    assert proxy.spec() is None


def test_servers_are_read_by_the_names_of_the_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = (
        "# pxname,svname,scur,status\n"
        "ways,FRONTEND,1,OPEN\n"
        "engines,one,2,DRAIN (agent)\n"
        "engines,BACKEND,2,UP\n"
        "figures,one,0,no check\n"
    )
    monkeypatch.setattr(runtimes.Runtime, "ask", lambda self, command: lines.strip())
    assert Runtime(Path("/")).servers() == [Server("one", "DRAIN (agent)", 2)]
