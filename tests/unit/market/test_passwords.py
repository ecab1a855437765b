# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The operator's passwords: for hosts of his own, and told to no rented one, however it asks."""

from __future__ import annotations

import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible import constants
from ansible.plugins import loader

from ansible_collections.inferops.gpu.plugins.module_utils.market.access.host_keys import derive
from ansible_collections.inferops.gpu.plugins.module_utils.market.mark import Mark
from ansible_collections.inferops.gpu.plugins.plugin_utils import connection
from tests.tools.tree import REPOSITORY
from tests.unit.market.ssh_host import SshHost, as_paramiko, write_key_pair
from tests.unit.market.test_plays import RENTAL
from tests.unit.plays import on_the_host, play, role

PASSWORD = "password-of-the-operator"
#: As the variables of a whole inventory.
OF_ALL = {"ansible_password": PASSWORD, "ansible_become_password": PASSWORD}


def key(owner: str) -> Any:
    return derive(owner, Mark("test", "gpu-1", "0", 0, 0), 1)


def on_a_host_that_asks(
    tmp_path: Path, *arguments: str, lets_in: bool, become: bool = True, **of_all: Any
) -> tuple[SshHost, str]:
    """What a play brings to a rented host, and its output."""
    private = write_key_pair(key("operator"), tmp_path)
    host_key = key("of the host")
    with SshHost(as_paramiko(host_key.private)) as host:
        host.asks, host.lets_in = True, lets_in
        way = {"host": host.endpoint.host, "port": host.endpoint.port}
        pinned = f"[{way['host']}]:{way['port']} {host_key.public}"
        (one,) = on_the_host(
            role("connect", "connection"), {"ansible.builtin.raw": "true", "become": become}
        )
        _status, output = play(
            tmp_path,
            [{**one, "vars": of_all}],
            *arguments,
            # Whoever is root already is not asked by sudo.
            inferops_rental={**RENTAL, "ssh_user": "u", "ssh": [way], "known_hosts": [pinned]},
            inferops_ssh_private_key_file=str(private),
            ansible_ssh_retries=0,
        )
    return host, output


def by_file(tmp_path: Path, *options: str) -> list[str]:
    """The options that ask for a password, which is in a file."""
    file = tmp_path / "password"
    file.write_text(PASSWORD)
    return [word for option in options for word in (option, str(file))]


def test_sudo_of_a_rented_host_is_told_no_password_of_the_inventory(tmp_path: Path) -> None:
    host, output = on_a_host_that_asks(tmp_path, lets_in=True, **OF_ALL)
    assert ["sudo " in command for command, _stdin in host.commands] == [True], output
    assert host.told == []


def test_sudo_of_a_rented_host_is_told_no_password_of_the_command_line(tmp_path: Path) -> None:
    passwords = by_file(tmp_path, "--connection-password-file", "--become-password-file")
    host, output = on_a_host_that_asks(tmp_path, *passwords, lets_in=True)
    assert ["sudo " in command for command, _stdin in host.commands] == [True], output
    assert host.told == []


def test_a_rented_host_that_takes_no_key_is_told_no_password(tmp_path: Path) -> None:
    passwords = by_file(tmp_path, "--connection-password-file")
    host, output = on_a_host_that_asks(tmp_path, *passwords, lets_in=False, **OF_ALL)
    assert host.told == []
    assert "Permission denied" in output


def test_a_password_for_all_hosts_is_refused_before_a_rented_one_is_reached(tmp_path: Path) -> None:
    given = ("-e", f"ansible_become_password={PASSWORD}")
    host, output = on_a_host_that_asks(tmp_path, *given, lets_in=True)
    assert "ansible_become_password as an extra variable (-e) would be told" in output
    assert PASSWORD not in output
    assert (host.told, host.commands) == ([], [])


@pytest.mark.parametrize(("provider", "refused"), [("vastai", True), ("ssh", False)])
def test_hosts_of_ones_own_keep_their_password_on_the_command_line(
    tmp_path: Path, provider: str, refused: bool
) -> None:
    given = {"inferops_provider": provider, "ansible_become_password": PASSWORD}
    tasks = on_the_host({"inferops.gpu.check_variables": {}})
    status, output = play(tmp_path, tasks, **given)
    assert (status != 0) is refused, output
    assert ("would be told to rented hosts" in output) is refused


@pytest.mark.parametrize("configured", ["", "-o PasswordAuthentication=yes -o BatchMode=no"])
def test_ssh_itself_offers_a_rented_host_nothing_but_a_key(
    monkeypatch: pytest.MonkeyPatch, configured: str
) -> None:
    monkeypatch.setenv("ANSIBLE_SSH_ARGS", configured)
    arguments = shlex.split(connection.ssh_arguments("known_hosts", connection.DELIVERED))
    told = subprocess.run(
        ["ssh", *arguments, "-G", "host"], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    assert {
        "preferredauthentications publickey",
        "passwordauthentication no",
        "kbdinteractiveauthentication no",
    } <= {*told}


def test_the_role_withholds_what_the_inventory_does() -> None:
    tasks = yaml.safe_load((REPOSITORY / "roles/connect/tasks/connection.yml").read_text())
    (facts,) = (
        task["ansible.builtin.set_fact"]
        for task in tasks
        if "ansible_host" in task.get("ansible.builtin.set_fact", ())
    )
    assert connection.NO_PASSWORDS.items() <= facts.items()


@pytest.mark.parametrize(
    ("kind", "name", "option"),
    [
        ("connection", "ssh", "password"),
        ("connection", "paramiko_ssh", "password"),
        ("become", "sudo", "become_pass"),
        ("become", "su", "become_pass"),
    ],
)
def test_every_variable_is_known_that_ansible_takes_a_password_from(
    kind: str, name: str, option: str
) -> None:
    # The options of a plugin are known when it is loaded.
    getattr(loader, f"{kind}_loader").get(name, class_only=True)
    options = constants.config.get_configuration_definitions(kind, name)
    assert {one["name"] for one in options[option]["vars"]} <= {*connection.LOGIN_VARIABLES}
