# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How far one connection gets, and whose host keys are believed."""

from __future__ import annotations

import shlex
import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import paramiko
import pytest

from ansible_collections.inferops.gpu.plugins.module_utils.market.access import ssh_probe
from ansible_collections.inferops.gpu.plugins.module_utils.market.access.host_keys import derive
from ansible_collections.inferops.gpu.plugins.module_utils.market.access.ssh_probe import (
    Login,
    Probe,
    probe,
    replace_host_key,
)
from ansible_collections.inferops.gpu.plugins.module_utils.market.mark import Mark
from ansible_collections.inferops.gpu.plugins.module_utils.market.model import Endpoint
from tests.hanging import HANGS_AFTER_SECONDS
from tests.strangers import Strangers
from tests.unit.market.ssh_host import SshHost, as_paramiko, write_key_pair

MARK = Mark("prod", "gpu-1", "9f2c41aa", 0, 0)
DELIVERED = derive("secret", MARK, generation=1)
REPLACED = derive("secret", MARK, generation=2)
STRANGE = derive("other secret", MARK, generation=2)
EXPECTED = (REPLACED.public, DELIVERED.public)


@pytest.fixture
def host() -> Iterator[SshHost]:
    with SshHost(as_paramiko(DELIVERED.private)) as running:
        yield running


@pytest.fixture
def login(tmp_path: Path) -> Login:
    key_file = write_key_pair(derive("user", MARK, generation=1), tmp_path)
    return Login("root", str(key_file), str(tmp_path / "hosts" / "known"), EXPECTED)


def first_contact(login: Login) -> Login:
    return Login(login.user, login.private_key_file, login.known_hosts_file)


def pinned(login: Login) -> str:
    path = Path(login.known_hosts_file)
    return path.read_text() if path.exists() else ""


def test_a_command_over_a_connection_that_shows_an_expected_key_is_ready(
    host: SshHost, login: Login
) -> None:
    seen = probe(host.endpoint, login)
    assert (seen.stage, seen.host_key) == ("ready", DELIVERED.public)
    assert host.commands == [("true", "")]


def test_a_key_that_the_marketplace_has_seen_is_accepted_but_never_pinned(
    host: SshHost, login: Login
) -> None:
    assert probe(host.endpoint, login).ready
    assert pinned(login) == ""


def test_the_preferred_key_is_pinned_when_it_is_seen(host: SshHost, login: Login) -> None:
    host.host_key = as_paramiko(REPLACED.private)
    assert probe(host.endpoint, login).ready
    line = f"[127.0.0.1]:{host.endpoint.port} {REPLACED.public}"
    assert pinned(login).splitlines()[0] == line
    assert Path(login.known_hosts_file).stat().st_mode & 0o777 == 0o600


def test_pinned_keys_that_somebody_else_has_written_are_not_believed(
    host: SshHost, login: Login, monkeypatch: pytest.MonkeyPatch
) -> None:
    host.host_key = as_paramiko(STRANGE.private)
    path = Path(login.known_hosts_file)
    path.parent.mkdir()
    path.write_text(f"[127.0.0.1]:{host.endpoint.port} {STRANGE.public}\n")
    Strangers(monkeypatch).give(path)
    seen = probe(host.endpoint, login)
    assert (seen.stage, seen.final) == ("host key", True)
    assert "of another user" in seen.detail
    assert host.commands == []


@pytest.mark.parametrize("text", [b"\xff\xfe", b"@x * ssh-rsa A\n"])
def test_pinned_keys_that_cannot_be_read_are_told_and_believed_by_nobody(
    host: SshHost, login: Login, text: bytes
) -> None:
    path = Path(login.known_hosts_file)
    path.parent.mkdir()
    path.write_bytes(text)
    seen = probe(host.endpoint, login)
    assert (seen.stage, seen.final) == ("host key", True)
    assert "cannot be read" in seen.detail


def test_another_key_is_refused_before_the_login_and_may_still_change_while_the_host_boots(
    host: SshHost, login: Login
) -> None:
    host.host_key = as_paramiko(STRANGE.private)
    seen = probe(host.endpoint, login)
    assert (seen.stage, seen.final) == ("host key", False)
    assert host.commands == []
    assert pinned(login) == ""


def test_a_host_that_has_no_key_of_the_expected_kind_may_still_get_one(
    host: SshHost, login: Login
) -> None:
    host.host_key = paramiko.ECDSAKey.generate()
    seen = probe(host.endpoint, login)
    assert (seen.stage, seen.final) == ("host key", False)


@pytest.mark.parametrize("expected", [EXPECTED, ()])
def test_another_key_than_the_pinned_one_is_final_and_explained(
    host: SshHost, login: Login, expected: tuple[str, ...]
) -> None:
    login = Login(login.user, login.private_key_file, login.known_hosts_file, expected)
    host.host_key = as_paramiko(REPLACED.private)
    assert probe(host.endpoint, login).ready
    host.host_key = as_paramiko(STRANGE.private)
    seen = probe(host.endpoint, login)
    assert (seen.stage, seen.final) == ("host key", True)
    for reason in ("Someone may be in between", "another machine", "secret changed"):
        assert reason in seen.detail


def test_a_host_never_goes_back_to_the_key_that_the_marketplace_has_seen(
    host: SshHost, login: Login
) -> None:
    host.host_key = as_paramiko(REPLACED.private)
    assert probe(host.endpoint, login).ready
    host.host_key = as_paramiko(DELIVERED.private)
    assert probe(host.endpoint, login).final


def test_without_expected_keys_the_first_one_is_pinned(host: SshHost, login: Login) -> None:
    seen = probe(host.endpoint, first_contact(login))
    assert seen.ready
    assert seen.host_key in pinned(login)


def test_the_delivered_key_is_replaced_confirmed_and_pinned(host: SshHost, login: Login) -> None:
    seen = replace_host_key(host.endpoint, login, REPLACED)
    assert (seen.stage, seen.host_key) == ("ready", REPLACED.public)
    assert REPLACED.public in pinned(login)


def test_the_private_half_of_a_new_key_is_in_no_argument_list(host: SshHost, login: Login) -> None:
    replace_host_key(host.endpoint, login, REPLACED)
    command, stdin = host.commands[0]
    assert stdin == REPLACED.private
    assert not [line for line in REPLACED.private.splitlines() if line in command]


def test_a_user_who_is_not_root_becomes_it_to_replace_the_key(host: SshHost, login: Login) -> None:
    replace_host_key(host.endpoint, login, REPLACED)
    replace_host_key(host.endpoint, replace(login, user="ubuntu"), REPLACED)
    (by_root, _key), (by_user, stdin) = host.commands[0], host.commands[-2]
    assert shlex.split(by_user) == ["sudo", "-n", "sh", "-c", by_root]
    assert stdin == REPLACED.private


def test_a_stranger_is_given_no_host_key(host: SshHost, login: Login) -> None:
    host.host_key = as_paramiko(STRANGE.private)
    assert replace_host_key(host.endpoint, login, REPLACED).stage == "host key"
    assert host.commands == []


def test_a_replacement_that_fails_on_the_host_is_told(host: SshHost, login: Login) -> None:
    host.exit_status = 1
    seen = replace_host_key(host.endpoint, login, REPLACED)
    assert (seen.stage, seen.final) == ("command", False)
    assert pinned(login) == ""


def test_a_refused_login_is_told_apart(host: SshHost, login: Login) -> None:
    host.lets_in = False
    seen = probe(host.endpoint, login)
    assert (seen.stage, seen.final) == ("login", False)


def test_a_command_that_fails_is_not_ready(host: SshHost, login: Login) -> None:
    host.exit_status = 3
    seen = probe(host.endpoint, login)
    assert seen.stage == "command"
    assert "3" in seen.detail


def test_a_private_key_that_cannot_be_read_is_final(host: SshHost, login: Login) -> None:
    Path(login.private_key_file).write_text("no key")
    seen = probe(host.endpoint, login)
    assert (seen.stage, seen.final) == ("login", True)


def test_a_machine_that_refuses_is_told_from_one_that_swallows_the_connection(
    login: Login,
) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as server:
        address = server.getsockname()
        fillers = [socket.socket() for _filler in range(2)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(address)
        assert probe(Endpoint(*address), login, timeout_seconds=0.3).stage == "black-holed"
        for filler in fillers:
            filler.close()
    assert probe(Endpoint(*address), login, HANGS_AFTER_SECONDS).stage == "refused"


def test_a_proxy_that_answers_before_the_host_does_is_no_ready_host(login: Login) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        seen = probe(Endpoint(*server.getsockname()), login, timeout_seconds=0.3)
    assert (seen.stage, seen.final) == ("banner", False)


def test_a_name_that_does_not_resolve_is_no_black_hole(
    login: Login, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown(address: object, timeout: float) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "create_connection", unknown)
    seen = probe(Endpoint("host.invalid", 22), login)
    assert (seen.stage, seen.final) == ("connect", False)


def test_a_controller_without_the_library_is_told_what_to_install(
    login: Login, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ssh_probe, "PARAMIKO_MISSING", True)
    seen = probe(Endpoint("127.0.0.1", 1), login)
    assert seen == Probe("connect", seen.detail, final=True)
    assert "pip install paramiko" in seen.detail
