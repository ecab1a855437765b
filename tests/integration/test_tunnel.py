# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The tunnel between a real ssh and the real sshd of a simulated host."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from ansible_collections.inferops.gpu.plugins.module_utils.endpoint.tunnel import (
    Target,
    Tunnel,
    TunnelError,
)
from tests.demo.__main__ import tunnels
from tests.hanging import HANGS_AFTER_SECONDS
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


@dataclass(frozen=True)
class Way:
    """A tunnel, where it leads, and the folder of its control sockets."""

    tunnel: Tunnel
    target: Target
    folder: Path


@pytest.fixture
def way(tmp_path: Path) -> Iterator[Way]:
    """To a host on whose loopback a banner is served."""
    market = Market(tmp_path)
    try:
        row = market.rent()
        market.log_in(row)
        market.run(row, f"nohup python3 -c '{GREETER}' >/dev/null 2>&1 &")
        port = int(row["ports"]["22/tcp"][0]["HostPort"])
        known_hosts = tmp_path / "known_hosts"
        known_hosts.write_text(host_key("127.0.0.1", port))
        # Longer than the path of a socket may be.
        folder = tmp_path / ("a-long-folder-name-" * 6) / "tunnels"
        target = Target(
            host="127.0.0.1",
            port=port,
            user="root",
            private_key_file=str(market.key),
            known_hosts_file=str(known_hosts),
            remote_port=REMOTE_PORT,
        )
        yield Way(Tunnel(str(folder), "test/gpu-1"), target, folder)
    finally:
        daemon.stop(market.instance)


def host_key(host: str, port: int) -> str:
    """What the host shows, as a known_hosts file has it."""
    scan = ["ssh-keyscan", "-T", "10", "-t", "ed25519", "-p", str(port), host]
    return subprocess.run(
        scan, capture_output=True, text=True, check=True, timeout=HANGS_AFTER_SECONDS
    ).stdout


def banner(port: int) -> bytes:
    with socket.create_connection(("127.0.0.1", port), timeout=HANGS_AFTER_SECONDS) as connection:
        return connection.recv(16)


def test_a_tunnel_opens_once_survives_its_note_and_closes(way: Way) -> None:
    assert way.tunnel.keep(way.target, dry_run=True) == (None, None)
    assert tunnels(way.folder) == []

    before, port = way.tunnel.keep(way.target)
    assert before is None
    assert port is not None
    assert banner(port) == b"hello"
    assert way.tunnel.keep(way.target) == (port, port)
    assert len(tunnels(way.folder)) == 1

    for note in way.folder.glob("*.json"):
        note.unlink()
    before, port = way.tunnel.keep(way.target)
    assert before is None
    assert port is not None
    assert banner(port) == b"hello"
    assert len(tunnels(way.folder)) == 1

    assert way.tunnel.is_open()
    way.tunnel.close()
    assert tunnels(way.folder) == []
    assert not way.tunnel.is_open()
    way.tunnel.close()


def test_a_taken_local_port_is_told(way: Way) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(TunnelError, match="Check that the local port is free"):
            way.tunnel.keep(way.target, port)
    assert tunnels(way.folder) == []


def test_a_host_whose_key_is_not_pinned_is_refused(way: Way) -> None:
    pinned = Path(way.target.known_hosts_file)
    pinned.write_text("")
    with pytest.raises(TunnelError, match="Host key verification failed"):
        way.tunnel.keep(way.target)
    assert pinned.read_text() == ""
    assert tunnels(way.folder) == []


def test_another_host_key_is_refused(way: Way, tmp_path: Path) -> None:
    stranger = tmp_path / "stranger"
    subprocess.run(
        ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", stranger],
        check=True,
        timeout=HANGS_AFTER_SECONDS,
    )
    public = " ".join(stranger.with_suffix(".pub").read_text().split()[:2])
    pinned = tmp_path / "strangers"
    pinned.write_text(f"[127.0.0.1]:{way.target.port} {public}\n")
    with pytest.raises(TunnelError):
        way.tunnel.keep(replace(way.target, known_hosts_file=str(pinned)))
    assert tunnels(way.folder) == []
