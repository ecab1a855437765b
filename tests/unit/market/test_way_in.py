# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plays that only look a rental up reach it by the way that answers, as the deploy did."""

from __future__ import annotations

import socket
import time
from pathlib import Path

import pytest

from ansible_collections.inferops.gpu.plugins.module_utils.market.access.answering import (
    first_that_answers,
)
from ansible_collections.inferops.gpu.plugins.module_utils.market.access.host_keys import derive
from ansible_collections.inferops.gpu.plugins.module_utils.market.mark import Mark
from ansible_collections.inferops.gpu.plugins.module_utils.market.model import Endpoint
from tests.hanging import HANGS_AFTER_SECONDS
from tests.simulator.app import Simulator
from tests.simulator.market import Market, Traits
from tests.simulator.ways import ADDRESS, DIRECT, PROXY, PROXY_ADDRESS, BlackHole, Shut
from tests.unit.market.ssh_host import SshHost, as_paramiko
from tests.unit.market.test_ready import SshHosts
from tests.unit.plays import on_the_host, play, role

MARK = Mark.new("test", "gpu-1", 0, 0)


@pytest.mark.parametrize("dead", ["", DIRECT, PROXY])
def test_whoever_looks_a_rental_up_connects_by_the_way_that_answers(
    tmp_path: Path, dead: str
) -> None:
    with SshHost(as_paramiko(derive("any", MARK, 2).private)) as ssh:
        market = Market(SshHosts(ssh))
        simulator = Simulator(market)
        wish = {"label": MARK.encode(), "image": "any"}
        traits = Traits(boot_seconds=0, never_ssh=dead)
        rental = market.create(market.search()[0]["id"], wish, traits)
        while not rental.running:
            time.sleep(0.001)
        shown = {"ansible.builtin.debug": {"msg": "by {{ ansible_host }}:{{ ansible_port }}"}}
        tasks = on_the_host(role("connect", "main"), shown)
        told = play(tmp_path, tasks, "--limit", "gpu-1", inferops_api_url=simulator.url)
        proxy, own = (PROXY_ADDRESS, rental.proxy_port), (ADDRESS, ssh.endpoint.port)
        simulator.close()
    host, port = proxy if dead == DIRECT else own
    assert told[0] == 0, told[1]
    assert f"by {host}:{port}" in told[1]


def test_a_way_that_accepts_and_says_nothing_does_not_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with (
        socket.create_server((ADDRESS, 0)) as silent,
        SshHost(as_paramiko(derive("any", MARK, 2).private)) as ssh,
    ):
        ways = [Endpoint(ADDRESS, silent.getsockname()[1]), ssh.endpoint]
        # Who may answer has time for it, whatever else the machine does.
        connect, given_up = socket.create_connection, {ways[0].port: 0.2}

        def connected(address: tuple[str, int], timeout: float) -> socket.socket:
            return connect(address, given_up.get(address[1], timeout))

        monkeypatch.setattr(socket, "create_connection", connected)
        assert first_that_answers(ways, HANGS_AFTER_SECONDS) == ssh.endpoint


def test_where_nothing_answers_the_first_way_is_kept() -> None:
    dead = [BlackHole(ADDRESS), Shut(PROXY_ADDRESS)]
    ways = [Endpoint(ADDRESS, dead[0].port), Endpoint(PROXY_ADDRESS, dead[1].port)]
    assert first_that_answers(ways, seconds=0.2) == ways[0]
    for one in dead:
        one.close()
