# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Playbook keys: what it asks of whom, with a simulated market and no host."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.simulator.app import Simulator
from tests.unit.plugins.pretended import Pretended

PROXIED = {"inferops_proxy": True, "proxy_executable": "/usr/sbin/haproxy"}
SERVER: dict[str, Any] = {"name": "vllm", "phase": "running", "port": 8001}
PROXY = {**SERVER, "port": 8000}
STARTED: dict[str, Any] = {"port": 8001, "proxy_port": 8000, "client_port": 8000}
NEXT = {"alice": "next-key-of-alice"}
METRICS = {"prometheus": "next-key-of-prometheus"}
OWN = "next-key-of-the-server"


@pytest.fixture
def serving(tmp_path: Path, simulator: Simulator, monkeypatch: pytest.MonkeyPatch) -> Pretended:
    """A server behind a proxy, and what is asked from now on."""
    monkeypatch.delenv("INFEROPS_SCOPE_SECRET", raising=False)
    looks = {"servers": [SERVER], "proxies": [PROXY]}
    answers = {"model_server": STARTED, "model_server_info": looks}
    pretended = Pretended(tmp_path, simulator, answers=answers)
    done = pretended.run("deploy", **PROXIED)
    assert done.returncode == 0, done.stdout + done.stderr
    keys = {"keys_count": 2, "keys_gone": ["client alice", "client inferops"]}
    pretended.answers["proxy"] = {"changed": True, "done": "keys", **keys}
    return pretended


def asked(serving: Pretended) -> list[tuple[str, dict[str, Any]]]:
    """By playbook keys: the deploy before it has asked for three of these."""
    return serving.asked("proxy", "endpoint")[3:]


def test_new_keys_are_let_in_and_proven_before_the_old_ones_are_let_in_no_more(
    serving: Pretended,
) -> None:
    given = {"proxy_client_keys": NEXT, "proxy_metrics_keys": METRICS}
    done = serving.run("keys", "-vv", inferops_server_api_key=OWN, **given)
    output = done.stdout + done.stderr
    assert done.returncode == 0, output
    assert not [key for key in (*NEXT.values(), *METRICS.values(), OWN) if key in output]
    (beside, proof, alone) = asked(serving)
    assert [name for name, _args in (beside, proof, alone)] == ["proxy", "endpoint", "proxy"]
    for _name, args in (beside, alone):
        assert (args["name"], args["state"]) == ("vllm", "rekeyed")
        assert (args["keys"], args["metrics_keys"]) == ({**NEXT, "inferops": OWN}, METRICS)
    assert (beside[1]["keep_keys"], alone[1]["keep_keys"]) == (True, False)
    assert (proof[1]["api_key"], proof[1]["remote_port"]) == (OWN, 8000)
    assert proof[1]["closed"] is True
    told = "gpu-1: 2 keys are in. Out are the old ones of: client alice, client inferops."
    assert told in " ".join(output.split())


@pytest.mark.long
def test_old_keys_stay_where_that_is_asked_for(serving: Pretended) -> None:
    done = serving.run("keys", proxy_client_keys=NEXT, keys_keep_old="true")
    assert done.returncode == 0, done.stdout + done.stderr
    assert [args.get("keep_keys") for _name, args in asked(serving)] == [True, None]
    assert "until this is run again without keys_keep_old" in " ".join(done.stdout.split())


def test_a_file_of_keys_that_was_forgotten_lets_nobody_out(serving: Pretended) -> None:
    done = serving.run("keys")
    assert done.returncode != 0
    assert "who is left out gets in no more" in " ".join(done.stdout.split())
    assert asked(serving) == []


@pytest.mark.long
def test_without_a_completion_by_the_new_key_the_old_ones_stay(serving: Pretended) -> None:
    serving.answers["endpoint"] = {"failed": True, "msg": "it answered 401"}
    done = serving.run("keys", proxy_client_keys=NEXT)
    assert done.returncode != 0
    assert [args.get("keep_keys") for _name, args in asked(serving)] == [True, None]


@pytest.mark.long
def test_a_server_without_a_proxy_is_told_how_it_gets_another_key(serving: Pretended) -> None:
    serving.answers["model_server_info"] = {"servers": [SERVER], "proxies": []}
    done = serving.run("keys", proxy_client_keys=NEXT)
    assert done.returncode != 0
    assert "run playbook inferops.gpu.deploy" in " ".join(done.stdout.split())
    assert asked(serving) == []


@pytest.mark.long
def test_a_dry_run_says_how_many_would_get_in(serving: Pretended) -> None:
    done = serving.run("keys", "--check", proxy_client_keys=NEXT)
    assert done.returncode == 0, done.stdout + done.stderr
    assert [name for name, _args in asked(serving)] == ["proxy", "proxy"]
    assert "gpu-1: 2 keys would be in. Out would be the old ones of: client alice" in " ".join(
        done.stdout.split()
    )


@pytest.mark.long
def test_where_one_host_fails_no_old_key_is_let_out_on_any(
    tmp_path: Path, simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("INFEROPS_SCOPE_SECRET", raising=False)
    looks = {"servers": [SERVER], "proxies": [PROXY]}
    answers = {"model_server": STARTED, "model_server_info": looks}
    both = Pretended(tmp_path, simulator, ("gpu-1", "gpu-2"), answers)
    assert both.run("deploy", **PROXIED).returncode == 0
    before = len(both.asked("proxy"))
    both.answers |= {
        "proxy": {"changed": True, "keys_count": 2, "keys_gone": []},
        "proxy of gpu-2": {"failed": True, "msg": "its keys are not on the host any more"},
    }
    assert both.run("keys", proxy_client_keys=NEXT).returncode != 0
    assert {args["keep_keys"] for _name, args in both.asked("proxy")[before:]} == {True}
