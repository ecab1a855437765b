# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a gateway has behind it, and how it is told."""

from __future__ import annotations

import re
from typing import Any

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.inferops.gpu.plugins.filter.engine_key import engine_key
from ansible_collections.inferops.gpu.plugins.filter.gateway_listeners import gateway_listeners
from ansible_collections.inferops.gpu.plugins.filter.gateway_report import gateway_report
from ansible_collections.inferops.gpu.plugins.filter.gateway_servers import gateway_servers
from ansible_collections.inferops.gpu.plugins.filter.gateway_way import gateway_way
from ansible_collections.inferops.gpu.plugins.filter.gateway_ways import gateway_ways

ACCOUNT = {"scope": "prod", "provider": "vastai", "scope_secret": "a-long-secret-of-the-scope-1"}


KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPq3cHdSGQ0pYpbxrcQHmH0Qf1sG6VYvbtQ1xJ7ot0Aa"


def known(name: str = "gpu-1", **changes: Any) -> dict[str, Any]:
    own = {
        "name": name,
        "model": "tiny",
        "engine": "vllm",
        "fallback": False,
        "here": False,
        "proxy": {"port": 8000, "max_connections": 64},
        "ssh": {"host": "203.0.113.7", "port": "33526", "user": "root", "host_keys": [KEY]},
        "instead": {},
    }
    return {**own, **changes}


def test_a_way_is_what_tunnel_and_proxy_of_the_gateway_take() -> None:
    assert gateway_way(known()) == {
        "name": "gpu-1",
        "model": "tiny",
        "fallback": False,
        "tunnel": {
            "name": "gpu-1",
            "remote_port": 8000,
            "host": "203.0.113.7",
            "port": 33526,
            "user": "root",
            "host_keys": [KEY],
        },
        "server": {"name": "gpu-1", "engine": "vllm", "fallback": False, "max_connections": 64},
    }


def test_another_way_for_the_gateway_is_taken_and_an_unknown_word_refused() -> None:
    way = gateway_way(known(instead={"host": "10.0.0.7", "port": 22}))
    assert (way["tunnel"]["host"], way["tunnel"]["port"]) == ("10.0.0.7", 22)
    assert way["tunnel"]["user"] == "root"
    with pytest.raises(AnsibleFilterError, match="has no 'adress'"):
        gateway_way(known(instead={"adress": "10.0.0.7"}))


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ({"proxy": {"port": 8000, "max_connections": 10**9}}, None),
        ({"proxy": {"port": 8000, "max_connections": "many"}}, "gpu-1"),
        ({"proxy": {"port": 8000, "max_connections": 0}}, "takes no connections"),
        ({"proxy": {"port": "8000\n", "max_connections": 1}}, None),
        ({"proxy": {"port": 99999, "max_connections": 1}}, "the proxy's port is none"),
        ({"proxy": {}}, "gpu-1"),
    ],
)
def test_what_a_strangers_host_says_of_itself_is_held_to_its_bounds(
    said: dict[str, Any], told: str | None
) -> None:
    if told is None:
        assert gateway_way(known(**said))["server"]["max_connections"] <= 4096
        return
    with pytest.raises(AnsibleFilterError, match=told):
        gateway_way(known(**said))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"host": "-oProxyCommand=id"}, "set host in inferops_gateway_ssh"),
        ({"user": "-oA"}, "set user in inferops_gateway_ssh"),
        ({"host_keys": ["evil\nkey"]}, "set host_keys in inferops_gateway_ssh"),
        ({"port": 0}, "the port of SSH is none"),
    ],
)
def test_an_address_that_is_none_is_told_with_what_to_set(
    change: dict[str, Any], told: str
) -> None:
    with pytest.raises(AnsibleFilterError, match=told):
        gateway_way(known(ssh={**known()["ssh"], **change}))


def test_a_server_on_the_gateway_itself_needs_no_key_of_its_host() -> None:
    way = gateway_way(known(here=True, ssh={**known()["ssh"], "host_keys": []}))
    assert gateway_servers([way], [])[0]["port"] == 8000


def test_servers_are_reached_by_their_sockets_in_the_order_that_is_asked_for() -> None:
    asked = [gateway_way(known(name)) for name in ("here", "gpu-2.example", "gpu-1")]
    opened = [
        {"name": "gpu-1", "socket": "/s/1", "phase": "running"},
        {"name": "gpu-2.example", "socket": "/s/2", "phase": "starting"},
    ]
    found = gateway_servers(asked, opened)
    assert [(one["name"], one.get("socket"), one.get("port")) for one in found] == [
        ("here", None, 8000),
        ("gpu-2.example", "/s/2", None),
        ("gpu-1", "/s/1", None),
    ]


def ways(*found: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {one["name"]: {"gateway_way": gateway_way(one)} for one in found}


@pytest.mark.parametrize(
    ("servers", "hostvars", "told"),
    [
        ([], {}, "No server is in gateway_servers"),
        (["gpu-9"], ways(known()), "The inventory has no gpu-9"),
        (["gpu-1", "gpu-2"], {**ways(known()), "gpu-2": {}}, "nobody has looked at gpu-2"),
        (["gpu-1"], ways(known(fallback=True)), "inferops_fallback to false"),
        (["a", "b"], ways(known("a"), known("b", model="x")), "different names .tiny, x."),
    ],
)
def test_a_gateway_that_would_lose_servers_stays_as_it_is(
    servers: list[str], hostvars: dict[str, dict[str, Any]], told: str
) -> None:
    with pytest.raises(AnsibleFilterError, match="stays as it is") as refused:
        gateway_ways(servers, hostvars)
    assert re.search(told, str(refused.value))


def test_the_ways_come_in_the_order_that_is_asked_for() -> None:
    every = ways(known("a"), known("b", fallback=True), known("c"))
    assert [way["name"] for way in gateway_ways(["c", "b"], every)] == ["c", "b"]


def test_beyond_the_loopback_a_gateway_listens_with_a_certificate_alone() -> None:
    own = {"address": "::1", "port": 9}
    tls = {"address": "0.0.0.0", "port": 443, "certificate": "/etc/tls.pem"}
    assert gateway_listeners([own, tls], "8000") == [{"port": 8000}, own, tls]
    for address in ("0.0.0.0", "10.0.0.1", "gate.example"):
        with pytest.raises(AnsibleFilterError, match="in the clear"):
            gateway_listeners([{"address": address, "port": 80}], 8000)


def test_a_server_that_cannot_be_reached_is_told_with_its_reason() -> None:
    proxy = {
        "name": "main",
        "phase": "running",
        "port": 8000,
        "supervised": True,
        "reason": None,
        "servers": [{"name": "gpu-1", "status": "UP", "sessions": 3}],
    }
    away = {"name": "gpu-2", "phase": "starting", "reason": "Permission denied\x1b[2J"}
    said = gateway_report(proxy, [{"name": "gpu-1", "phase": "running", "reason": None}, away])
    assert said.startswith("proxy main: running on port 8000; gpu-1 UP, 3 sessions; ")
    assert "no tunnel to gpu-2 (Permission denied" in said
    assert "\x1b" not in said


def test_the_key_of_a_gateway_is_no_other_key_of_that_name() -> None:
    keys = {engine_key(ACCOUNT, "main"), engine_key(ACCOUNT, "main", "gateway")}
    keys.add(engine_key(ACCOUNT, "other", "gateway"))
    assert len(keys) == 3
    assert engine_key(ACCOUNT, "main", "gateway") in keys


def test_a_gateways_key_follows_from_the_secret_that_all_of_its_servers_share(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each account has a key of its own."""
    monkeypatch.delenv("INFEROPS_SCOPE_SECRET", raising=False)
    account = {"scope": "prod", "provider": "vastai", "api_key": "an-api-key"}
    with pytest.raises(AnsibleFilterError, match="needs inferops_scope_secret"):
        engine_key(account, "main", "gateway")
