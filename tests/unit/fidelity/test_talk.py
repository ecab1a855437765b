# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether ``make fidelity`` notices what is wrong, with a client that is made up."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests

from tests.fidelity import __main__ as command
from tests.fidelity.clients import HERE, Answer, Client, Environment, all_clients, filled
from tests.fidelity.talk import Talk, same
from tests.hanging import HANGS_AFTER_SECONDS
from tests.simulator.market import ACCOUNT_KEY
from tests.unit.market.conformance.subjects import SimulatedRunPod

CREATE = {
    "name": "mk-1",
    "image": "img:1",
    "gpu": {"id": "NVIDIA RTX 4090", "count": 1},
    "ports": ["22/tcp"],
}


class Plain:
    """A client that hands over what it is answered."""

    def __init__(self, url: str, key: str = ACCOUNT_KEY) -> None:
        self.url, self.headers = url, {"Authorization": f"Bearer {key}"}

    def call(self, *words: Any, **named: Any) -> Answer:
        """A method and a path; ``nothing`` asks nobody."""
        if words == ("nothing",):
            return Answer([])
        method, path = words
        answer = requests.request(
            method,
            self.url + path,
            headers=self.headers,
            json=named or None,
            timeout=HANGS_AFTER_SECONDS,
        )
        if not answer.ok:
            return Answer(refused=answer.text)
        return Answer(answer.json() if answer.content else None)

    def close(self) -> None:
        """Nothing is open."""


@pytest.fixture
def talk() -> Iterator[Talk]:
    subject = SimulatedRunPod()
    url = subject.simulator.url
    yield Talk(subject, Plain(url), lambda: Plain(url, "another-key"))
    subject.close()


def rent(talk: Talk) -> str:
    """A pod that runs."""
    made = talk.say(
        *("POST", "/v2/pods"),
        **CREATE,
        told=lambda pod: pod["id"],
        want=lambda: f"sim{talk.newest().id}",
    )
    return str(made["id"])


def test_what_is_as_the_books_have_it_is_counted_and_is_no_mismatch(talk: Talk) -> None:
    pod = rent(talk)
    talk.say("GET", f"/v2/pods/{pod}", told=lambda row: row["name"], want="mk-1")
    talk.refused("GET", "/v2/pods/sim1", says="pod not found")
    talk.refused_to_strangers("GET", "/v2/pods", says="invalid bearer token")
    talk.does("DELETE", f"/v2/pods/{pod}", says="", done=talk.left(0))
    assert (talk.calls, talk.mismatches) == (5, [])


def test_a_simulator_that_lies_is_named_with_both_values(talk: Talk) -> None:
    pod = rent(talk)
    answer = talk.api.answer

    def lying(*given: Any) -> Any:
        reply = answer(*given)
        reply.body = reply.body.replace(b'"mk-1"', b'"mk-9"')
        return reply

    talk.api.answer = lying  # type: ignore[method-assign]
    talk.say("GET", f"/v2/pods/{pod}", told=lambda row: row["name"], want="mk-1")
    (mismatch,) = talk.mismatches
    assert "'mk-9'" in mismatch
    assert "'mk-1'" in mismatch


def test_a_result_of_another_shape_is_a_mismatch(talk: Talk) -> None:
    talk.say("GET", "/v2/pods", told=lambda said: said["rows"], want=[])
    assert "KeyError" in talk.mismatches[0]


def test_a_call_that_reaches_nobody_proves_nothing(talk: Talk) -> None:
    talk.say("nothing", want=[])
    assert talk.calls == 0
    assert "a request to the simulator" in talk.mismatches[0]


def test_a_call_that_is_refused_out_of_turn_is_a_mismatch(talk: Talk) -> None:
    talk.say("GET", "/v2/pods/sim1", want=None)
    assert "pod not found" in talk.mismatches[0]


def test_a_call_that_should_be_refused_and_is_not_is_a_mismatch(talk: Talk) -> None:
    talk.refused("POST", "/v2/pods", says="no longer any instances", **CREATE)
    assert len(talk.mismatches) == 2
    assert "nothing changed" in talk.mismatches[1]


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (lambda reply: reply.body.replace(b'"status": "RUNNING"', b'"status": "UP"'), "'UP'"),
        (lambda reply: reply.body.replace(b'"cost"', b'"price"'), "cost"),
    ],
)
def test_an_answer_that_the_providers_document_has_not_is_a_mismatch(
    talk: Talk, spoil: Callable[[Any], bytes], told: str
) -> None:
    pod = rent(talk)
    talk.newest()
    check = talk.wire.check if talk.wire else None
    assert check is not None

    def spoilt(request: Any, reply: Any) -> None:
        reply.body = spoil(reply)
        check(request, reply)

    talk.wire.check = spoilt  # type: ignore[union-attr, method-assign]
    talk.say("GET", f"/v2/pods/{pod}", told=lambda row: row["id"], want=pod)
    assert told in talk.mismatches[0]


@pytest.mark.parametrize(
    ("one", "other", "alike"),
    [
        (0.1 + 0.2, 0.3, True),
        (1, 1.0, True),
        (True, 1, False),
        ({"a": [1.0, "x"]}, {"a": (1, "x")}, True),
        ({"a": 1}, {"a": 1, "b": 2}, False),
        ("1", 1, False),
        (None, [], False),
    ],
)
def test_results_are_alike_up_to_rounding(one: Any, other: Any, alike: bool) -> None:
    assert same(one, other) is alike


# What there is.


def test_every_client_is_pinned_and_has_something_to_say() -> None:
    clients = all_clients()
    assert len(clients) >= command.LEAST_CLIENTS
    assert {one.provider for one in clients.values()} == {
        "vastai", "runpod", "lambda", "prime", "shadeform", "verda",
    }  # fmt: skip
    for client in clients.values():
        assert all("==" in pin for pin in client.environment.packages + client.environment.alone)
        assert bool(client.command) != bool(client.module)
    dialogues = {file.stem for file in (HERE / "dialogues").glob("*.py")}
    assert dialogues == set(clients)


def test_the_simulators_address_and_key_are_put_in_their_places() -> None:
    given = {"a": "{url}/v1", "b": ["{key}"], "c": {"d": "plain"}}
    assert filled(given, url="http://x", key="k") == {
        "a": "http://x/v1", "b": ["k"], "c": {"d": "plain"},
    }  # fmt: skip


# The command.


def result(capsys: pytest.CaptureFixture[str]) -> dict[str, int]:
    """What its last line tells."""
    word, _blank, told = capsys.readouterr().out.splitlines()[-1].partition(" ")
    assert word == "RESULT"
    return dict(json.loads(told))


class Said:
    """A dialogue that is over."""

    wire = None

    def __init__(self, calls: int, *mismatches: str) -> None:
        self.calls, self.mismatches = calls, mismatches


@pytest.mark.parametrize(
    ("clients", "calls", "mismatch", "code"),
    [(7, 18, (), 0), (6, 30, (), 1), (7, 17, (), 1), (8, 30, ("it says x",), 1)],
)
def test_the_command_fails_on_a_mismatch_and_on_too_few_clients_or_calls(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    clients: int,
    calls: int,
    mismatch: tuple[str, ...],
    code: int,
) -> None:
    known = {str(number): Client(str(number), "x", Environment("x")) for number in range(clients)}
    monkeypatch.setattr(command, "all_clients", lambda: known)
    first = "0"
    monkeypatch.setattr(
        command,
        "hold",
        lambda client: Said(calls, *(mismatch if client.name == first else ())),
    )
    assert command.main([]) == code
    assert result(capsys) == {
        "clients": clients, "calls": clients * calls, "mismatches": len(mismatch),
    }  # fmt: skip


def test_a_client_that_cannot_be_installed_is_told_and_fails_the_whole(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def hold(client: Client) -> Said:
        if client.name == "lai":
            raise subprocess.CalledProcessError(2, ["uv"])
        return Said(30)

    monkeypatch.setattr(command, "hold", hold)
    assert command.main([]) == 1
    assert result(capsys)["clients"] == len(all_clients()) - 1


def test_a_client_that_nobody_knows_is_no_success(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        command.main(["--only", "vastai-cli"])
    assert "there are vastai_cli" in capsys.readouterr().err
