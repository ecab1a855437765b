# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ports for what a test starts later."""

from __future__ import annotations

import random
import socket

# Below what Linux hands out by itself, so that no connection of another test takes one between the
# choice and the use, and below those of simulated hosts.
PORTS = range(10_000, 20_000)


def free_port() -> int:
    """Return a port of the loopback that nobody listens on, drawn by lot."""
    for port in random.sample(PORTS, 100):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise OSError(f"100 ports between {PORTS.start} and {PORTS.stop} are taken")
