# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What other machines may reach of a host is expected, or nobody goes on."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.inferops.gpu.plugins.module_utils.host.machine import ports
from ansible_collections.inferops.gpu.plugins.modules import host_exposure

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
        assert "inferops_expected_ports" in refused["msg"]
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


def test_a_host_that_does_not_tell_is_not_called_closed(
    run_module: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = Path.read_bytes

    def hidden(path: Path) -> bytes:
        if path == Path("/proc/net/tcp"):
            raise PermissionError(13, "Permission denied", str(path))
        return read(path)

    monkeypatch.setattr(Path, "read_bytes", hidden)
    refused = run_module(host_exposure, expected_ports=[22])
    assert refused["failed"]
    assert "cannot be told" in refused["msg"]
