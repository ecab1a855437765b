# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who holds a port, and whether a server could bind it."""

from __future__ import annotations

import os
import socket

import pytest

from ansible_collections.inferops.gpu.plugins.module_utils.host.machine import ports
from ansible_collections.inferops.gpu.plugins.module_utils.host.machine.processes import snapshot


def test_the_owner_of_a_listening_port_is_named(free_port: int) -> None:
    with socket.create_server(("127.0.0.1", free_port)):
        assert ports.is_taken("127.0.0.1", free_port)
        assert [process.pid for process in ports.owners(free_port)] == [os.getpid()]
    assert ports.owners(free_port) == []


@pytest.mark.parametrize(
    ("address", "told"),
    [("127.0.0.1", None), ("127.0.0.9", None), ("::1", None), ("0.0.0.0", "0.0.0.0"), ("::", "::")],
)
def test_a_listener_beyond_the_loopback_is_told_by_its_address(
    free_port: int, address: str, told: str | None
) -> None:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    ours = snapshot()[os.getpid()]
    with socket.create_server((address, free_port), family=family):
        found = [(one.address, one.process.pid) for one in ports.beyond_loopback([ours, ours])]
    assert found == ([(told, os.getpid())] if told else [])
    assert ports.beyond_loopback([]) == []


def test_an_address_is_read_as_the_kernel_prints_it() -> None:
    assert str(ports._address("0100007F")) == "127.0.0.1"
    assert str(ports._address("0000000000000000FFFF00000100007F")) == "127.0.0.1"
    assert str(ports._address("0000000000000000FFFF00000200580A")) == "10.88.0.2"


def test_a_port_on_all_addresses_is_taken_for_the_loopback_too(free_port: int) -> None:
    with socket.create_server(("0.0.0.0", free_port)):
        assert ports.is_taken("127.0.0.1", free_port)


def test_a_port_that_is_bound_but_not_listening_is_taken(free_port: int) -> None:
    with socket.socket() as loading:
        loading.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        loading.bind(("127.0.0.1", free_port))
        assert ports.is_taken("127.0.0.1", free_port)
        assert ports.owners(free_port) == []
    assert not ports.is_taken("127.0.0.1", free_port)


def test_a_port_whose_client_has_not_hung_up_yet_is_free(free_port: int) -> None:
    """As a pooled client, or a tunnel, leaves it when its server has ended."""
    with socket.create_server(("127.0.0.1", free_port)) as server:
        client = socket.create_connection(("127.0.0.1", free_port))
        served = server.accept()[0]
    with client:
        served.close()
        assert ports._entries(free_port)
        assert not ports.is_taken("127.0.0.1", free_port)


def test_a_port_of_connections_that_just_ended_is_free(free_port: int) -> None:
    with socket.create_server(("127.0.0.1", free_port)) as server:
        client = socket.create_connection(("127.0.0.1", free_port))
        served = server.accept()[0]
        served.close()  # the side that closes first stays in TIME_WAIT
        assert client.recv(1) == b""
        client.close()
    assert not ports.is_taken("127.0.0.1", free_port)
