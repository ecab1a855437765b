# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A proxy before another proxy, as a gateway stands before those of its servers: real HAProxy."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from ansible_collections.inferops.gpu.plugins.module_utils.host.tunnel.tunnel import Spec, Tunnel
from tests.hanging import HANGS_AFTER_SECONDS
from tests.unit.host.proxied import Stage, Stream, ask, load, wait_for

GATEWAY_KEY = "key-of-the-gateway-1"


@pytest.fixture(scope="module")
def ways() -> Iterator[tuple[Stage, Stage]]:
    """The gateway, and the server behind it; the gateway's fallback is an engine beside it."""
    with Stage() as server, Stage() as gateway:
        server.gateways = {"front": GATEWAY_KEY}
        server.start(upstreams=[server.upstream(server.big)])
        gateway.engine_key = GATEWAY_KEY
        first = {**server.upstream(server.big), "name": "gpu-1.example", "port": server.port}
        gateway.start(upstreams=[first, gateway.upstream(gateway.small, fallback=True)])
        yield gateway, server


def test_a_gateway_sends_its_own_key_and_names_the_server(ways: tuple[Stage, Stage]) -> None:
    gateway, server = ways
    answer = gateway.ask()
    assert (answer.status, answer.by) == (200, "gpu-1.example")
    # Neither level lets in who has only the key of the other.
    assert gateway.ask(key=GATEWAY_KEY).status == 401
    assert server.ask(key=GATEWAY_KEY).status == 200


def test_a_gateways_key_reads_the_figures_that_it_watches(ways: tuple[Stage, Stage]) -> None:
    _gateway, server = ways
    assert server.ask("/metrics", method="GET", key=GATEWAY_KEY).status == 200
    assert server.ask("/metrics", method="GET").status == 403
    assert server.ask("/sleep", key=GATEWAY_KEY).status == 403


@pytest.mark.long
def test_a_frozen_engine_behind_its_own_proxy_is_left_by_the_gateway(
    ways: tuple[Stage, Stage],
) -> None:
    """Its own proxy has nobody else to send requests to, and goes on waiting for it."""
    gateway, server = ways
    stream = Stream(gateway.port, 200, 0.05)
    wait_for(lambda: stream.lines)
    server.big.signal(signal.SIGSTOP)
    try:
        wait_for(lambda: gateway.status("gpu-1.example") == "DRAIN")
        assert gateway.ask().by == "small"
        assert server.status("big") == "UP"
    finally:
        server.big.signal(signal.SIGCONT)
    stream.join(HANGS_AFTER_SECONDS)
    assert stream.whole
    wait_for(lambda: gateway.ask().by == "gpu-1.example")


def test_what_a_servers_proxy_refuses_for_want_of_its_engine_goes_on(
    ways: tuple[Stage, Stage],
) -> None:
    gateway, server = ways
    with load(gateway.port) as running:
        server.big.kill()
        wait_for(lambda: running.answers[-1][1] == "small")
        server.big.again()
        wait_for(lambda: running.answers[-1][1] == "gpu-1.example")
    assert running.failed() == []


def test_looks_of_a_gateway_are_not_written_down(ways: tuple[Stage, Stage]) -> None:
    """Three each second would push the requests of people out of the log."""
    gateway, server = ways
    ask(gateway.port)
    wait_for(lambda: " /v1/completions " in server.proxy.log.read_text())
    told = [line for line in server.proxy.log.read_text().splitlines() if "gateway:front" in line]
    assert [line for line in told if "/metrics" in line or "/health" in line] == []


def test_a_tunnel_believes_one_key_and_no_setting_of_anybodys(tmp_path: Path) -> None:
    """As OpenSSH itself understands the command."""
    key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPq3cHdSGQ0pYpbxrcQHmH0Qf1sG6VYvbtQ1xJ7ot0Aa"
    spec = Spec(
        name="x",
        supervisor="supervisord",
        stop_timeout_seconds=5,
        log_max_mib=1,
        environment={},
        gateway="front",
        server="gpu-1",
        executable="ssh",
        host="2001:db8::7",
        port=33526,
        user="root",
        host_keys=[key],
        identity_file="/somewhere/id_ed25519",
        remote_port=8000,
    )
    tunnel = Tunnel(tmp_path / "tunnels" / "x")
    tunnel.folder.mkdir(parents=True)
    command = tunnel.command(spec)
    said = subprocess.run(
        [command[0], "-G", *command[1:]],
        capture_output=True,
        text=True,
        timeout=HANGS_AFTER_SECONDS,
        check=True,
    ).stdout.splitlines()
    expected = {
        "stricthostkeychecking true",
        "hostkeyalias inferops-host",
        "userknownhostsfile known_hosts",
        "globalknownhostsfile /dev/null",
        "identitiesonly yes",
        "batchmode yes",
        "forwardagent no",
        "hostname 2001:db8::7",
        "localforward ./way.sock [127.0.0.1]:8000",
        "streamlocalbindunlink yes",
        "streamlocalbindmask 0177",
        "identityagent none",
    }
    assert expected <= set(said), expected - set(said)
    assert (tunnel.folder / "known_hosts").read_text() == f"inferops-host {key}\n"
