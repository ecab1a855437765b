# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a deploy with inferops_proxy asks of whom: whole playbooks, a simulated market, no host."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ansible_collections.inferops.gpu.plugins.filter.client_key import client_key
from ansible_collections.inferops.gpu.plugins.filter.engine_key import engine_key
from tests.simulator.app import Simulator
from tests.simulator.market import ACCOUNT_KEY
from tests.unit.plugins.pretended import Pretended

SOURCE = {"scope": "test", "provider": "vastai", "api_key": ACCOUNT_KEY, "scope_secret": ""}
CLIENT_KEY, ENGINE_KEY = client_key("", "gpu-1", SOURCE), engine_key(SOURCE, "gpu-1")
CALLS = ("model_server", "proxy", "endpoint")
PROXIED = {"inferops_proxy": True, "proxy_executable": "/usr/sbin/haproxy"}
STARTED: dict[str, Any] = {"port": 8001, "proxy_port": 8000, "client_port": 8000}
FIT: dict[str, Any] = {"arguments": {"max_num_queued_reqs": 64}, "max_connections": 16}


@pytest.fixture
def pretended(tmp_path: Path, simulator: Simulator, monkeypatch: pytest.MonkeyPatch) -> Pretended:
    monkeypatch.delenv("INFEROPS_SCOPE_SECRET", raising=False)
    return Pretended(tmp_path, simulator, answers={"model_server": STARTED, "model_fit": FIT})


def test_clients_reach_the_proxy_and_the_engine_knows_the_proxys_key_alone(
    pretended: Pretended,
) -> None:
    more = {"proxy_client_keys": {"alice": "key-of-alice"}, "inferops_expected_ports": ["8080"]}
    done = pretended.run("deploy", "-vv", **PROXIED, **more)
    output = done.stdout + done.stderr
    assert done.returncode == 0, output
    assert not [key for key in (CLIENT_KEY, ENGINE_KEY) if key in output]
    (provided, server, proxy, endpoint) = pretended.asked(*CALLS)
    assert [name for name, _args in (server, proxy, endpoint)] == list(CALLS)
    # What cannot stand before a server is refused before minutes are spent on one.
    assert (provided[0], provided[1]["state"]) == ("proxy", "provided")
    assert server[1]["api_key"] == ENGINE_KEY != CLIENT_KEY
    assert (server[1]["port"], server[1]["proxy_port"]) == ("auto", "8000")
    assert server[1]["suggested_arguments"] == {"max_num_queued_reqs": 64}
    assert proxy[1]["name"] == "vllm"
    assert proxy[1]["listeners"] == [{"port": 8000}]
    (behind,) = proxy[1]["servers"]
    assert behind == {"name": "vllm", "port": 8001, "engine": "vllm", "max_connections": 16}
    assert proxy[1]["server_key"] == ENGINE_KEY
    assert proxy[1]["keys"] == {"alice": "key-of-alice", "inferops": CLIENT_KEY}
    assert proxy[1]["wishes"] == server[1]["wishes"] == "0f3c"
    assert (endpoint[1]["remote_port"], endpoint[1]["api_key"]) == (8000, CLIENT_KEY)
    assert endpoint[1]["closed"] is True
    early, late = pretended.asked("host_exposure")
    assert early[1]["expected_ports"] == late[1]["expected_ports"] == ["8080"]
    (look,) = pretended.asked("host_look")
    assert look[1]["proxied"] is True
    assert "proxy" in look[1]["wishes_of"]
    assert [args["proxied"] for _name, args in pretended.asked("model_fit")] == [True]


@pytest.mark.long
def test_what_an_image_opens_by_itself_is_refused_before_anything_is_put_on_the_host(
    pretended: Pretended,
) -> None:
    """Seconds are paid, and not the minutes of a whole deploy."""
    why = "Nobody expected this to listen: set inferops_expected_ports: [3001]."
    pretended.answers["host_exposure"] = {"failed": True, "msg": why}
    done = pretended.run("deploy", **PROXIED)
    assert done.returncode != 0
    assert why in " ".join(done.stdout.split())
    assert pretended.asked("stack_plan", "stack_lock", "model_cache", *CALLS) == []
    assert pretended.simulator.control.state()["rentals"] == []


@pytest.mark.long
@pytest.mark.parametrize("when", ["early", "late"])
def test_a_host_that_does_not_tell_what_it_has_open_is_not_called_closed(
    pretended: Pretended, when: str
) -> None:
    lost = {"unreachable": True, "msg": "no answer"}
    found = {"as_asked": True, "done": False, "client_port": 8000, "installed": True}
    server = {"name": "vllm", "phase": "running", "port": 8001}
    pretended.answers["host_look"] = {**found, "server": server} if when == "late" else {}
    pretended.answers["host_exposure"] = lost
    done = pretended.run("deploy", **PROXIED)
    assert done.returncode != 0
    assert "Nobody can tell what listens on the host: no answer" in " ".join(done.stdout.split())
    assert pretended.asked("stack_plan", *CALLS) == []


@pytest.mark.long
def test_without_the_variable_nothing_of_a_proxy_is_asked_for(pretended: Pretended) -> None:
    pretended.answers["model_server"] = {}
    done = pretended.run("deploy")
    assert done.returncode == 0, done.stdout + done.stderr
    server, endpoint = pretended.asked(*CALLS)
    assert (server[1]["port"], server[1]["proxy_port"]) == ("8000", "")
    assert (server[1]["api_key"], server[1]["ends_proxy"]) == (CLIENT_KEY, False)
    assert (endpoint[1]["remote_port"], endpoint[1]["api_key"]) == (8000, CLIENT_KEY)
    (look,) = pretended.asked("host_look")
    assert (look[1]["proxied"], "proxy" in look[1]["wishes_of"]) == (False, False)
    assert (endpoint[1]["closed"], pretended.asked("host_exposure")) == (False, [])


@pytest.mark.long
def test_a_second_deploy_is_one_look_and_leads_to_the_proxy(pretended: Pretended) -> None:
    assert pretended.run("deploy", **PROXIED).returncode == 0
    before = len(pretended.asked(*CALLS))
    found = {"as_asked": True, "done": True, "client_port": 8000, "installed": True}
    server = {"name": "vllm", "phase": "running", "port": 8001}
    pretended.answers["host_look"] = {**found, "server": server}
    pretended.answers["endpoint"] = {"changed": False}
    again = pretended.run("deploy", **PROXIED)
    assert again.returncode == 0, again.stdout + again.stderr
    assert "changed=0 " in again.stdout
    ((name, args),) = pretended.asked(*CALLS)[before:]
    assert (name, args["remote_port"], args["api_key"]) == ("endpoint", 8000, CLIENT_KEY)


@pytest.mark.long
def test_a_proxy_that_is_not_asked_for_any_more_ends_before_the_server_gets_its_port(
    pretended: Pretended,
) -> None:
    pretended.answers = {"host_look": {"proxy_is_in_the_way": True}}
    done = pretended.run("deploy")
    assert done.returncode == 0, done.stdout + done.stderr
    # Whoever starts the server ends it, once nothing speaks against the start any more.
    server, _endpoint = pretended.asked(*CALLS)
    assert (server[0], server[1]["ends_proxy"]) == ("model_server", True)


SPEC: dict[str, Any] = {
    "engine": "vllm",
    "model": "a/b",
    "served_model_name": None,
    "host": "127.0.0.1",
    "port": 8001,
    "proxy_port": 8000,
    "python": "/python",
    "arguments": {"max_num_seqs": 4},
    "extra_args": [],
    "suggested_arguments": {},
    "log_max_mib": 64,
    "start_at_boot": False,
    "environment_names": ["VLLM_API_KEY"],
    "needs_key": True,
    "revision": None,
    "weights_dir": None,
    "supervisor": "systemd",
}
BEFORE = {"name": "vllm", "phase": "running", "port": 8000, "supervised": True, "servers": []}


def looks(port: int, state: str, log: str = "") -> dict[str, Any]:
    """What a look at the server tells, behind a proxy that is there."""
    seen = {
        "name": "vllm",
        "phase": "running" if state == "serving" else "error",
        "processes": 0,
        "port": port,
        "spec": {**SPEC, "port": port},
        "health": {"state": state, "reason": "as it is", "port_owners": [], "free_port": 8017},
        "symptoms": {"log": log, "kernel_log": "", "reason": "", "exit_code": 1, "signal": None},
    }
    return {"servers": [seen], "proxies": [{**BEFORE, "reason": None}]}


@pytest.mark.long
@pytest.mark.parametrize(
    "given",
    [
        pytest.param({}, id="not-said"),
        pytest.param(PROXIED, id="said"),
    ],
)
def test_recover_leads_the_proxy_that_is_there_to_the_port_that_the_server_has_now(
    pretended: Pretended, given: dict[str, Any]
) -> None:
    """Whatever the variables say by then, and without a word about keys that they may not name."""
    pretended.answers |= {
        "gpu_info": {"gpu": {"present": False, "gpus": []}},
        "model_server_info of gpu-1": {
            **looks(8001, "not_running", "[Errno 98] Address already in use"),
            "once": True,
        },
        "model_server_info": looks(8017, "serving"),
    }
    assert pretended.run("deploy", **PROXIED).returncode == 0
    before = len(pretended.asked("proxy", "endpoint"))
    done = pretended.run("recover", recover_apply=True, **given)
    assert done.returncode == 0, done.stdout + done.stderr
    (proxy, endpoint) = pretended.asked("proxy", "endpoint")[before:]
    assert (proxy[0], proxy[1]["name"], proxy[1]["state"]) == ("proxy", "vllm", "redirected")
    assert proxy[1]["servers"] == [
        {"name": "vllm", "port": 8017, "engine": "vllm", "max_connections": 4}
    ]
    assert "keys" not in proxy[1]
    assert (endpoint[1]["remote_port"], endpoint[1]["closed"]) == (8000, True)


@pytest.mark.long
def test_a_teardown_ends_the_proxy_as_well(pretended: Pretended) -> None:
    """Whatever the variables say by then."""
    assert pretended.run("deploy", **PROXIED).returncode == 0
    stopped = {"changed": True, "stopped": "proven", "remedy": ""}
    proxy = {"name": "vllm", "changed": True, "stopped": "proven", "remedy": ""}
    pretended.answers["model_server"] = {**stopped, "proxy": proxy}
    done = pretended.run("teardown")
    assert done.returncode == 0, done.stdout + done.stderr
    (_name, args) = pretended.asked("model_server")[-1]
    assert (args["state"], args["ends_proxy"]) == ("stopped", True)
    assert "Proxy: ended, proven. Server: stopped, proven." in " ".join(done.stdout.split())


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"inferops_server_keyless": True}, "inferops_server_keyless lets clients in without"),
        ({"inferops_server_api_key": "short"}, "the key of 'inferops' must be 8 to 512"),
        ({"inferops_engine_port": "8000"}, "inferops_engine_port is 8000, which"),
        ({"proxy_servers": [{"name": "a", "port": 1}]}, "proxy_servers is set, which deploy works"),
    ],
)
def test_what_no_proxy_can_stand_before_is_refused_before_anything_is_rented(
    pretended: Pretended, given: dict[str, Any], told: str
) -> None:
    done = pretended.run("deploy", **PROXIED, **given)
    assert done.returncode != 0
    assert told in " ".join(done.stdout.split()), done.stdout
    assert pretended.simulator.control.state()["rentals"] == []
