# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What other machines may reach of a host is expected, or nobody goes on."""

from __future__ import annotations

import errno
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.inferops.gpu.plugins.module_utils.host.machine import ports
from ansible_collections.inferops.gpu.plugins.modules import host_exposure
from tests.hanging import HANGS_AFTER_SECONDS
from tests.tools.tree import REPOSITORY

Run = Callable[..., dict[str, Any]]


def others() -> list[int]:
    """What this machine has open anyway."""
    return [one.port for one in ports.reachable()]


def test_a_planted_listener_is_refused_with_the_process_that_has_it(
    run_module: Run, free_port: int
) -> None:
    expected = others()
    with socket.create_server(("0.0.0.0", free_port)):
        refused = run_module(host_exposure, expected_ports=expected)
        assert refused["failed"]
        assert f"process {os.getpid()} ('" in refused["msg"]
        assert f"on 0.0.0.0 port {free_port}." in refused["msg"]
        wanted = sorted({*expected, free_port})
        assert f"set inferops_expected_ports: {wanted}." in refused["msg"]
        known = run_module(host_exposure, expected_ports=[*expected, free_port])
    assert not known.get("failed")
    assert free_port in [one["port"] for one in known["open_ports"]]


@pytest.mark.parametrize("address", ["127.0.0.1", "127.0.0.9", "::1"])
def test_what_the_loopback_alone_reaches_is_nobodys_business(
    run_module: Run, address: str, free_port: int
) -> None:
    expected = others()
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.create_server((address, free_port), family=family):
        assert not run_module(host_exposure, expected_ports=expected).get("failed")


def test_a_process_that_may_not_be_seen_counts_all_the_same(
    run_module: Run, free_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = others()
    with socket.create_server(("0.0.0.0", free_port)):
        monkeypatch.setattr(ports, "snapshot", dict)
        refused = run_module(host_exposure, expected_ports=expected)
    assert f"a process of another user on 0.0.0.0 port {free_port}" in refused["msg"]


@pytest.mark.parametrize("table", ["/proc/net/tcp", "/proc/net/tcp6"])
def test_a_host_that_does_not_tell_is_not_called_closed(
    run_module: Run, monkeypatch: pytest.MonkeyPatch, table: str
) -> None:
    read = Path.read_bytes
    # As on a host that has it, whatever this one has.
    monkeypatch.setattr(ports, "_is_spoken", lambda _family: True)

    def hidden(path: Path) -> bytes:
        if path == Path("/proc/net/tcp6") != Path(table):
            return b""
        if path == Path(table):
            raise PermissionError(13, "Permission denied", str(path))
        return read(path)

    monkeypatch.setattr(Path, "read_bytes", hidden)
    refused = run_module(host_exposure)
    assert refused["failed"]
    assert "cannot be told" in refused["msg"]


def test_a_host_without_ipv6_has_no_table_of_it_to_read(
    run_module: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    read, expected = Path.read_bytes, others()

    class Spoken(socket.socket):
        def __init__(self, family: int, kind: int) -> None:
            if family == socket.AF_INET6:
                raise OSError(errno.EAFNOSUPPORT, os.strerror(errno.EAFNOSUPPORT))
            super().__init__(family, kind)

    def missing(path: Path) -> bytes:
        if path == Path("/proc/net/tcp6"):
            raise FileNotFoundError(2, "No such file or directory", str(path))
        return read(path)

    monkeypatch.setattr(ports.socket, "socket", Spoken)
    monkeypatch.setattr(Path, "read_bytes", missing)
    assert not run_module(host_exposure, expected_ports=expected).get("failed")


def test_the_port_of_the_ssh_server_is_the_one_that_this_login_came_by(
    run_module: Run, free_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wherever that server listens: another one at port 22 is somebody else's."""
    expected = others()
    with socket.create_server(("0.0.0.0", free_port)):
        monkeypatch.setenv("SSH_CONNECTION", f"192.0.2.7 50022 192.0.2.9 {free_port}")
        known = run_module(host_exposure, expected_ports=expected)
        assert (known.get("failed"), known.get("ssh_port")) == (None, free_port), known
        monkeypatch.setenv("SSH_CONNECTION", "192.0.2.7 50022 192.0.2.9 22")
        assert f"port {free_port}" in run_module(host_exposure, expected_ports=expected)["msg"]


def test_the_login_is_known_to_who_has_become_root_by_sudo() -> None:
    """It leaves that variable out."""
    tell = f"import {ports.__name__} as ports; print(ports.of_this_login())"
    shell = f"env -u SSH_CONNECTION {sys.executable} -c '{tell}'; true"
    login = {"SSH_CONNECTION": "192.0.2.7 50022 192.0.2.9 2222"}
    told = subprocess.run(
        ["sh", "-c", shell],
        env={**os.environ, **login, "PYTHONPATH": str(REPOSITORY / "collections")},
        capture_output=True,
        text=True,
        timeout=HANGS_AFTER_SECONDS,
        check=True,
    )
    assert told.stdout == "2222\n", told
