# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The tunnels of a gateway, on this machine, to the real sshd of a simulated host."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.inferops.gpu.plugins.module_utils.host.tunnel import access, identity
from ansible_collections.inferops.gpu.plugins.module_utils.host.tunnel.tunnel import tunnel_of
from ansible_collections.inferops.gpu.plugins.modules import gateway_tunnels
from tests.hanging import HANGS_AFTER_SECONDS
from tests.integration.test_simulator_host import Market
from tests.integration.test_tunnel import GREETER, REMOTE_PORT, banner, host_key
from tests.rig import image
from tests.simulator import daemon

STRANGER = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPq3cHdSGQ0pYpbxrcQHmH0Qf1sG6VYvbtQ1xJ7ot0Aa"
BIN = str(Path(sys.executable).parent)
Call = Callable[..., dict[str, Any]]


class Gateway:
    """The module on a home folder of its own, and a host with a greeter on its loopback."""

    def __init__(self, market: Market, folder: Path, home: Path, run_module: Call) -> None:
        self.market, self.folder, self.home, self.run_module = market, folder, home, run_module
        self.row = market.rent()
        market.log_in(self.row)
        market.run(self.row, f"nohup python3 -c '{GREETER}' >/dev/null 2>&1 &")
        self.port = int(self.row["ports"]["22/tcp"][0]["HostPort"])
        self.way = {
            "name": "gpu-1.example",
            "host": "127.0.0.1",
            "port": self.port,
            "user": "root",
            "host_keys": [host_key("127.0.0.1", self.port).split(" ", 1)[1].strip()],
            "remote_port": REMOTE_PORT,
        }

    def call(self, check: bool = False, **options: Any) -> dict[str, Any]:
        own = {"gateway": "main", "home": str(self.home), "supervisord_bin_dir": BIN}
        return self.run_module(gateway_tunnels, check=check, **{**own, **options})

    def let_in(self) -> None:
        """As module gateway_access does on the host."""
        line = access.line("main@here", self.call()["public_key"], REMOTE_PORT)
        self.market.run(self.row, f"echo '{line}' >>~/.ssh/authorized_keys")

    def as_a_thief(self, *words: str) -> list[str]:
        """The command of somebody who has stolen the gateway's key."""
        options = (
            "BatchMode=yes",
            "StrictHostKeyChecking=accept-new",
            "UserKnownHostsFile=/dev/null",
        )
        command = ["ssh", "-F", "none", "-i", str(identity.file_of(self.home, "main"))]
        command += [f"-o{option}" for option in options]
        return [*command, "-p", str(self.port), *words, "root@127.0.0.1"]


def run(command: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, capture_output=True, text=True, timeout=HANGS_AFTER_SECONDS, check=False
    )


@pytest.fixture
def gateway(tmp_path: Path, run_module: Call) -> Iterator[Gateway]:
    image.ensure()
    market = Market(tmp_path)
    # supervisord's socket needs a short path.
    home = Path(tempfile.mkdtemp(prefix="inferops-gw-"))
    made = None
    try:
        made = Gateway(market, tmp_path, home, run_module)
        yield made
    finally:
        if made is not None:
            made.call(state="absent")
        shutil.rmtree(home)
        daemon.stop(market.instance)


def greets(told: dict[str, Any]) -> bool:
    """Whether the greeter is behind the tunnel."""
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.settimeout(HANGS_AFTER_SECONDS)
        client.connect(told["socket"])
        return client.recv(16) == b"hello"
    return False


def test_a_tunnel_is_kept_open_heals_and_is_closed(gateway: Gateway) -> None:
    planned = gateway.call(check=True, tunnels=[gateway.way])
    assert planned["changed"]
    assert planned["public_key"] is None
    assert [each["phase"] for each in planned["tunnels"]] == ["stopped"]
    assert not identity.file_of(gateway.home, "main").exists()
    gateway.let_in()

    opened = gateway.call(tunnels=[gateway.way])
    assert opened["done"] == ["gpu-1.example opened"]
    (told,) = opened["tunnels"]
    assert (told["name"], told["phase"], told["reason"]) == ("gpu-1.example", "running", None)
    mode = Path(told["socket"]).stat().st_mode
    assert (stat.S_ISSOCK(mode), mode & 0o077) == (True, 0)
    assert greets(told)
    again = gateway.call(tunnels=[gateway.way])
    assert (again["changed"], again["tunnels"]) == (False, [told])

    # Whoever kills ssh, or restarts the host's sshd, cuts it for some seconds.
    tunnel = tunnel_of(gateway.home, "main", "gpu-1.example")
    (process,) = tunnel.processes()
    os.kill(process.pid, signal.SIGKILL)
    assert daemon.wait(lambda: not greets(told), HANGS_AFTER_SECONDS)
    assert daemon.wait(lambda: greets(told), HANGS_AFTER_SECONDS)

    closed = gateway.call(tunnels=[])
    assert (closed["done"], closed["tunnels"]) == (["gpu-1.example closed"], [])
    assert not tunnel.folder.exists()
    assert not greets(told)
    gone = gateway.call(state="absent")
    assert gone["changed"]
    assert not identity.file_of(gateway.home, "main").exists()
    assert not gateway.call(state="absent")["changed"]


def connects(port: int) -> bool:
    with suppress(OSError):
        socket.create_connection(("127.0.0.1", port), timeout=HANGS_AFTER_SECONDS).close()
        return True
    return False


def test_the_key_of_a_gateway_opens_one_port_and_nothing_else(gateway: Gateway) -> None:
    gateway.let_in()
    # Without a command ssh would ask for a shell.
    for words in (["-T"], ["-N", "-oExitOnForwardFailure=yes", "-R", "127.0.0.1:9123:127.0.0.1:1"]):
        assert run(gateway.as_a_thief(*words)).returncode not in (0, None)
    asked = run([*gateway.as_a_thief(), "id"])
    assert (asked.returncode != 0, asked.stdout) == (True, "")

    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    to_sshd = gateway.as_a_thief("-N", "-L", f"127.0.0.1:{port}:127.0.0.1:22")
    other = subprocess.Popen(to_sshd, stderr=subprocess.DEVNULL)
    try:
        assert daemon.wait(lambda: connects(port), HANGS_AFTER_SECONDS)
        # It is hung up on, without a word of sshd's.
        with suppress(ConnectionResetError):
            assert banner(port) == b""
    finally:
        other.kill()
        other.wait()


def test_a_host_that_is_away_or_another_one_is_told_and_tried_again(gateway: Gateway) -> None:
    own = gateway.way["host_keys"]
    refused = gateway.call(tunnels=[gateway.way], wait_seconds=8)
    (told,) = refused["tunnels"]
    assert told["phase"] != "running"
    assert "Permission denied" in told["reason"]
    # Once it is let in nobody has to come back for it.
    gateway.let_in()
    assert daemon.wait(lambda: greets(told), HANGS_AFTER_SECONDS)

    other = gateway.call(tunnels=[{**gateway.way, "host_keys": [STRANGER]}], wait_seconds=8)
    (told,) = other["tunnels"]
    assert "Host key verification failed" in told["reason"]
    assert not greets(told)
    back = gateway.call(tunnels=[{**gateway.way, "host_keys": own}])
    assert back["tunnels"][0]["phase"] == "running"
    assert greets(told)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"host": "-oProxyCommand=id"}, "is not the name or address of a host"),
        ({"user": "-oA"}, "is no name to log in with"),
        ({"host_keys": ["ssh-ed25519 AAAA\nB"]}, "they are public keys"),
        ({"name": "../x"}, "may hold only letters"),
        ({"remote_port": 0}, "is not between 1 and 65535"),
    ],
)
def test_what_could_not_be_a_tunnel_is_refused(
    run_module: Call, tmp_path: Path, change: dict[str, Any], told: str
) -> None:
    way = {
        "name": "gpu-1",
        "host": "203.0.113.7",
        "user": "root",
        "host_keys": [
            "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPq3cHdSGQ0pYpbxrcQHmH0Qf1sG6VYvbtQ1xJ7ot0Aa"
        ],
        "remote_port": 8000,
    }
    options = {"gateway": "main", "home": str(tmp_path / "home"), "supervisord_bin_dir": BIN}
    done = run_module(gateway_tunnels, check=True, tunnels=[{**way, **change}], **options)
    assert done["failed"]
    assert told in done["msg"]
