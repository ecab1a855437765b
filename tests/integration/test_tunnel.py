# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The tunnel between a real ssh and the real sshd of a simulated host."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.inferops.gpu.plugins.modules import ssh_tunnel
from tests.demo.__main__ import tunnels
from tests.integration.test_simulator_host import Market
from tests.simulator import daemon

REMOTE_PORT = 8123
#: Says hello to everyone who connects to the host's loopback.
GREETER = f"""
import socket
listener = socket.create_server(("127.0.0.1", {REMOTE_PORT}))
while True:
    listener.accept()[0].sendall(b"hello")
"""


@pytest.fixture
def options(tmp_path: Path) -> Iterator[dict[str, Any]]:
    """The module's options for a host on whose loopback a banner is served."""
    market = Market(tmp_path)
    try:
        row = market.rent()
        market.log_in(row)
        market.run(row, f"nohup python3 -c '{GREETER}' >/dev/null 2>&1 &")
        port = int(row["ports"]["22/tcp"][0]["HostPort"])
        known_hosts = tmp_path / "known_hosts"
        known_hosts.write_text(host_key("127.0.0.1", port))
        yield {
            "name": "test/gpu-1",
            # Longer than the path of a socket may be.
            "folder": str(tmp_path / ("a-long-folder-name-" * 6) / "tunnels"),
            "host": "127.0.0.1",
            "port": port,
            "private_key_file": str(market.key),
            "known_hosts_file": str(known_hosts),
            "remote_port": REMOTE_PORT,
        }
    finally:
        daemon.stop(market.instance)


def host_key(host: str, port: int) -> str:
    """What the host shows, as a known_hosts file has it."""
    scan = ["ssh-keyscan", "-T", "10", "-t", "ed25519", "-p", str(port), host]
    return subprocess.run(scan, capture_output=True, text=True, check=True, timeout=30).stdout


def banner(port: int) -> bytes:
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        return connection.recv(16)


def test_a_tunnel_opens_once_survives_its_note_and_closes(
    options: dict[str, Any], run_module: Callable[..., dict[str, Any]]
) -> None:
    folder = Path(options["folder"])
    assert run_module(ssh_tunnel, check=True, **options)["changed"]
    assert tunnels(folder) == []

    opened = run_module(ssh_tunnel, **options)
    assert opened["changed"]
    assert banner(opened["local_port"]) == b"hello"
    again = run_module(ssh_tunnel, **options)
    assert not again["changed"]
    assert again["local_port"] == opened["local_port"]
    assert len(tunnels(folder)) == 1

    for note in folder.glob("*.json"):
        note.unlink()
    reopened = run_module(ssh_tunnel, **options)
    assert reopened["changed"]
    assert banner(reopened["local_port"]) == b"hello"
    assert len(tunnels(folder)) == 1

    closing = {"name": options["name"], "folder": options["folder"], "state": "absent"}
    assert run_module(ssh_tunnel, **closing)["changed"]
    assert tunnels(folder) == []
    assert not run_module(ssh_tunnel, **closing)["changed"]


def test_a_taken_local_port_is_told(
    options: dict[str, Any], run_module: Callable[..., dict[str, Any]]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = run_module(ssh_tunnel, local_port=port, **options)
    assert result["failed"]
    assert "Check that the local port is free" in result["msg"]
    assert tunnels(Path(options["folder"])) == []


def test_a_host_whose_key_is_not_pinned_is_refused(
    options: dict[str, Any], run_module: Callable[..., dict[str, Any]]
) -> None:
    pinned = Path(options["known_hosts_file"])
    pinned.write_text("")
    result = run_module(ssh_tunnel, **options)
    assert result["failed"]
    assert "Host key verification failed" in result["msg"]
    assert pinned.read_text() == ""
    assert tunnels(Path(options["folder"])) == []


def test_another_host_key_is_refused(
    options: dict[str, Any], run_module: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    stranger = tmp_path / "stranger"
    subprocess.run(
        ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", stranger], check=True, timeout=30
    )
    public = " ".join(stranger.with_suffix(".pub").read_text().split()[:2])
    Path(options["known_hosts_file"]).write_text(f"[127.0.0.1]:{options['port']} {public}\n")
    result = run_module(ssh_tunnel, **options)
    assert result["failed"]
    assert tunnels(Path(options["folder"])) == []
