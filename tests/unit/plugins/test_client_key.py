# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A server asks its clients for a key, which the user gets in a private file."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.inferops.gpu.plugins.filter.client_key import client_key
from ansible_collections.inferops.gpu.plugins.filter.engine_key import engine_key
from ansible_collections.inferops.gpu.plugins.module_utils.endpoint.tunnel import Target, Tunnel
from tests.hanging import HANGS_AFTER_SECONDS

ROOT = Path(__file__).parents[3]
BIN = Path(sys.executable).parent
ACCOUNT = {
    "scope": "prod",
    "provider": "vastai",
    "api_key": "key-of-the-account",
    "scope_secret": "",
}
#: Another one would start every server again, and lock out every client.
DERIVED = "sk-f82a094278196de6ad96ec08ce368b4ba8820c6204d88c09"
ENGINES = "sk-a63541c806b6d41b9a8ae5c7baec0deb3328717db529acd4"
SCOPED = {**ACCOUNT, "scope_secret": "a-secret-of-the-scope"}


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("INFEROPS_SCOPE_SECRET", "VAST_API_KEY"):
        monkeypatch.delenv(name, raising=False)


def test_the_key_of_the_user_wins_and_without_a_secret_there_is_none() -> None:
    assert client_key("sk-mine", "gpu-1", SCOPED) == "sk-mine"
    assert client_key("", "gpu-1", {**SCOPED, "scope": ""}) == ""
    assert client_key("", "gpu-1", {**ACCOUNT, "api_key": ""}) == ""


def test_each_server_has_a_key_that_each_controller_of_the_scope_knows() -> None:
    key = client_key("", "gpu-1", SCOPED)
    assert key == DERIVED
    assert key == client_key("", "gpu-1", {**SCOPED, "api_key": "of-a-team-mate"})
    others = [
        client_key("", "gpu-2", SCOPED),
        client_key("", "gpu-1", {**SCOPED, "scope": "test"}),
        client_key("", "gpu-1", {**SCOPED, "scope_secret": "another-secret"}),
        client_key("", "gpu-1", ACCOUNT),
    ]
    assert len({key, *others}) == 5
    assert all(len(each) == len("sk-") + 48 for each in (key, *others))
    assert "secret" not in key


def test_the_engines_key_is_of_the_same_secret_and_never_that_of_any_client() -> None:
    key = engine_key(SCOPED, "gpu-1")
    assert key == ENGINES
    assert key == engine_key({**SCOPED, "api_key": "of-a-team-mate", "keyless": True}, "gpu-1")
    names = ("gpu-1", "engine", "engine/gpu-1", "engine key/prod/gpu-1", "../engine key/prod/gpu-1")
    clients = {client_key("", name, SCOPED) for name in names}
    clients |= {client_key("", name, {**SCOPED, "scope": ""}) for name in names}
    assert key not in clients
    assert len({key, engine_key(SCOPED, "gpu-2"), engine_key(ACCOUNT, "gpu-1")}) == 3


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ({**SCOPED, "scope": ""}, "needs inferops_scope."),
        ({**ACCOUNT, "api_key": ""}, "Make one with openssl rand -base64 30"),
        ({**ACCOUNT, "provider": "local"}, "Make one with openssl rand -base64 30"),
    ],
)
def test_an_engine_behind_a_proxy_is_never_without_a_key(source: dict[str, Any], told: str) -> None:
    with pytest.raises(AnsibleFilterError, match=re.escape(told)):
        engine_key(source, "gpu-1")


def shown(tmp_path: Path, **variables: Any) -> str:
    """What a play with the shared variables makes the key of a server."""
    result = tmp_path / "key"
    copy = {"content": "{{ inferops_client_key }}", "dest": str(result), "mode": "0600"}
    play = {
        "hosts": "gpu-1",
        "gather_facts": False,
        "connection": "local",
        "roles": ["inferops.gpu.inferops"],
        "tasks": [{"ansible.builtin.copy": copy, "no_log": True}],
    }
    (tmp_path / "play.json").write_text(json.dumps([play]))
    command = [BIN / "ansible-playbook", "-i", "gpu-1,", tmp_path / "play.json"]
    subprocess.run(
        [*command, "-e", json.dumps({"ansible_python_interpreter": sys.executable, **variables})],
        cwd=ROOT,
        env={**os.environ, "ANSIBLE_HOME": str(tmp_path / "ansible")},
        check=True,
        capture_output=True,
        timeout=HANGS_AFTER_SECONDS,
    )
    return result.read_text()


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"inferops_scope": "prod"}, DERIVED),
        ({"inferops_scope": "prod", "inferops_server_keyless": True}, ""),
        ({"inferops_scope": "prod", "inferops_server_keyless": "true"}, ""),
        ({"inferops_scope": "prod", "inferops_server_api_key": "sk-mine"}, "sk-mine"),
        ({"inferops_server_api_key": "sk-mine"}, "sk-mine"),
        ({}, ""),
    ],
    ids=["derived", "switched off", "switched off in text", "given", "no scope", "nothing"],
)
def test_a_server_asks_for_a_key_unless_that_is_switched_off(
    tmp_path: Path, variables: dict[str, Any], expected: str
) -> None:
    account = {"inferops_scope_secret": "a-secret-of-the-scope"}
    assert shown(tmp_path, **account, **variables) == expected


def test_the_roles_give_the_key_to_the_server_and_to_whoever_asks_it() -> None:
    """Behind a proxy the server gets another one: test_proxied_deploy.py."""
    assert "else inferops_client_key)" in (ROOT / "roles/launch/tasks/start.yml").read_text()
    asks = (ROOT / "roles/endpoint/tasks/main.yml").read_text()
    assert 'api_key: "{{ inferops_client_key' in asks
    told = (ROOT / "playbooks/tasks/report.yml").read_text()
    assert "inferops_client_key" not in told


def test_clients_find_the_header_in_a_private_file_that_goes_with_the_tunnel(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Tunnel, "_start", lambda *_given: None)
    tunnel = Tunnel(str(tmp_path / "tunnels"), "prod/gpu-1")
    tunnel.open(Target("h", 22, "root", "key", "hosts", 8000))
    file = Path(tunnel.keep_key("sk-mine") or "")
    assert file.read_text() == "Authorization: Bearer sk-mine\n"
    assert file.stat().st_mode & 0o777 == 0o600
    assert tunnel.keep_key("") is None
    assert not file.exists()
    tunnel.keep_key("sk-mine")
    tunnel.close()
    assert not file.exists()
