# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The two ways to a host's SSH: the port of its own machine, and the marketplace's proxy.

Each has an address of its own on loopback, so that one can be dead while the other works.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import Protocol

ADDRESS, PROXY_ADDRESS = "127.0.0.1", "127.0.0.2"
DIRECT, PROXY, BOTH = WAYS = ("direct", "proxy", "both")
FILLERS = 3  # a queue for none holds one connection; the others wait before it and lose their SYN
CONNECT_SECONDS = 10
CHUNK = 65_536


class Port(Protocol):
    """What answers at one way to a host."""

    port: int

    def close(self) -> None: ...


class BlackHole:
    """A listening port whose queue is full: the kernel drops whoever else comes, silently."""

    def __init__(self, address: str) -> None:
        self.sockets = [socket.socket()]
        self.sockets[0].bind((address, 0))
        self.sockets[0].listen(0)
        self.port: int = self.sockets[0].getsockname()[1]
        for _filler in range(FILLERS):
            filler = socket.socket()
            filler.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                filler.connect((address, self.port))
            self.sockets.append(filler)

    def close(self) -> None:
        """Free the port."""
        for each in self.sockets:
            each.close()


class Shut:
    """A port that refuses: it is taken, and nobody listens."""

    def __init__(self, address: str) -> None:
        self.socket = socket.socket()
        self.socket.bind((address, 0))
        self.port: int = self.socket.getsockname()[1]

    def close(self) -> None:
        """Free the port."""
        self.socket.close()


class Forwarder:
    """A port that passes connections on to a host's own, as the proxy does.

    It accepts before the host has answered, and hangs up when that cannot be reached.
    """

    def __init__(self, address: str, target: tuple[str, int]) -> None:
        self.target = target
        self.socket = socket.create_server((address, 0))
        self.port: int = self.socket.getsockname()[1]
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self) -> None:
        """Take connections until the port is freed."""
        with contextlib.suppress(OSError):
            while True:
                line, _address = self.socket.accept()
                threading.Thread(target=self.forward, args=(line,), daemon=True).start()

    def forward(self, line: socket.socket) -> None:
        """Pass on what both sides say until both have ended."""
        with (
            line,
            contextlib.suppress(OSError),
            socket.create_connection(self.target, CONNECT_SECONDS) as host,
        ):
            host.settimeout(None)
            answers = threading.Thread(target=pump, args=(host, line), daemon=True)
            answers.start()
            pump(line, host)
            answers.join()

    def close(self) -> None:
        """Free the port; connections that are open stay."""
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()


def pump(source: socket.socket, sink: socket.socket) -> None:
    """Pass on what comes from *source*, and then its end."""
    with contextlib.suppress(OSError):
        while said := source.recv(CHUNK):
            sink.sendall(said)
    with contextlib.suppress(OSError):
        sink.shutdown(socket.SHUT_WR)


def open_ways(host: tuple[str, int], refusing: str, swallowing: str) -> dict[str, Port]:
    """What answers at the two ways to a host but its own, which is its address and port ``host``.

    ``refusing`` and ``swallowing`` name the ways that are so, and are empty where none is. Where
    both refuse, the host does by itself.
    """
    opened: dict[str, Port] = {}
    for way, address in ((DIRECT, ADDRESS), (PROXY, PROXY_ADDRESS)):
        if swallowing in (way, BOTH):
            opened[way] = BlackHole(address)
        elif refusing == way:
            opened[way] = Shut(address)
        elif way == PROXY:
            opened[way] = Forwarder(address, host)
    return opened
