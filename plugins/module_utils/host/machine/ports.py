# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who holds a TCP port, from /proc alone (proc(5), /proc/net/tcp), and whether it is free."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from .processes import Process, snapshot

FIRST_AUTOMATIC = 8000
AUTOMATIC = 200
"""Which port `auto` takes first, and how many it tries."""

LISTEN = "0A"


class _Entry(NamedTuple):
    state: str
    inode: str


def _entries(port: int) -> list[_Entry]:
    """The kernel's TCP table for this local port, both families."""
    found = []
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            lines = Path(table).read_text().splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            fields = line.split()
            if int(fields[1].rpartition(":")[2], 16) == port:
                found.append(_Entry(state=fields[3], inode=fields[9]))
    return found


def _holds(process: Process, links: set[str]) -> bool:
    folder = f"/proc/{process.pid}/fd"
    try:
        handles = os.listdir(folder)
    except OSError:
        return False
    for handle in handles:
        try:
            if os.readlink(f"{folder}/{handle}") in links:
                return True
        except OSError:
            continue
    return False


def listeners(port: int, among: Iterable[Process]) -> list[Process]:
    """Those of the given processes that listen on the port."""
    links = {f"socket:[{entry.inode}]" for entry in _entries(port) if entry.state == LISTEN}
    return [process for process in among if _holds(process, links)] if links else []


def owners(port: int) -> list[Process]:
    """Every process that listens on the port, as far as this user may see."""
    return listeners(port, snapshot().values())


def is_taken(host: str, port: int) -> bool:
    """Whether a server could not bind this address now.

    Bound but not yet listening counts: a server that still loads looks like that, and no table
    under /proc shows it. Connections that are left of an ended server, in whatever state, do not
    count: servers bind over them. While there are some, who is bound and does not listen is missed.
    """
    entries = _entries(port)
    if any(entry.state == LISTEN for entry in entries):
        return True
    reuse = bool(entries)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, int(reuse))
        try:
            probe.bind((host, port))
        except OSError as error:
            return error.errno == errno.EADDRINUSE
    return False


def choose(host: str, known: int | None, own: list[Process], reserved: set[int]) -> int | None:
    """A port for a server: the one it has unless a stranger took it, else the first free one.

    `own` are its living processes, `reserved` the ports that other servers will bind.
    """
    if known is not None and known not in reserved:
        mine = {process.pid for process in own}
        strangers = [process for process in owners(known) if process.pid not in mine]
        if not strangers and (own or not is_taken(host, known)):
            return known
    for port in range(FIRST_AUTOMATIC, FIRST_AUTOMATIC + AUTOMATIC):
        if port not in reserved and not is_taken(host, port):
            return port
    return None
