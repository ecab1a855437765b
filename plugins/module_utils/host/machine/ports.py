# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who holds a TCP port, from /proc alone (proc(5), /proc/net/tcp), and whether it is free."""

from __future__ import annotations

import errno
import ipaddress
import os
import socket
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from .processes import Process, environment_of, read_process, snapshot

FIRST_AUTOMATIC = 8000
AUTOMATIC = 200
"""Which port `auto` takes first, and how many it tries."""

LISTEN = "0A"
_TABLES = {socket.AF_INET: "/proc/net/tcp", socket.AF_INET6: "/proc/net/tcp6"}


class Listening(NamedTuple):
    """One process that listens, and where."""

    address: str
    port: int
    process: Process


class Reachable(NamedTuple):
    """Where other machines may reach this one, and who listens; None where no user may see it."""

    address: str
    port: int
    process: Process | None


class _Entry(NamedTuple):
    state: str
    inode: str
    address: str
    port: int


def _entries(port: int | None = None) -> list[_Entry]:
    """The kernel's TCP table for this local port, or for all, both families."""
    found = []
    for table in _TABLES.values():
        try:
            lines = Path(table).read_text().splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            fields = line.split()
            address, _colon, number = fields[1].rpartition(":")
            if port is None or int(number, 16) == port:
                found.append(_Entry(fields[3], fields[9], address, int(number, 16)))
    return found


def _address(table: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """An address as the kernel prints it: words of 32 bits, each in the order of the machine."""
    words = [table[at : at + 8] for at in range(0, len(table), 8)]
    packed = b"".join(int(word, 16).to_bytes(4, sys.byteorder) for word in words)
    found = ipaddress.ip_address(packed)
    return getattr(found, "ipv4_mapped", None) or found


def _links(process: Process) -> Iterator[str]:
    """What the handles of a process lead to, as far as this user may see."""
    folder = f"/proc/{process.pid}/fd"
    try:
        handles = os.listdir(folder)
    except OSError:
        return
    for handle in handles:
        try:
            yield os.readlink(f"{folder}/{handle}")
        except OSError:
            continue


def _holds(process: Process, links: set[str]) -> bool:
    return any(link in links for link in _links(process))


def listeners(port: int, among: Iterable[Process]) -> list[Process]:
    """Those of the given processes that listen on the port."""
    links = {f"socket:[{entry.inode}]" for entry in _entries(port) if entry.state == LISTEN}
    return [process for process in among if _holds(process, links)] if links else []


def beyond_loopback(among: Iterable[Process]) -> list[Listening]:
    """Those of the given processes that other machines may reach, and where."""
    open_ones = _open_sockets()
    found: dict[str, Listening] = {}
    for process in among:
        for link in _links(process) if open_ones else ():
            if link in open_ones:
                # A child inherits the socket of its parent: the first one stands for both.
                found.setdefault(link, Listening(*open_ones[link], process))
    return sorted(found.values(), key=lambda one: (one.port, one.address))


def _open_sockets() -> dict[str, tuple[str, int]]:
    """By the links to them: address and port of the sockets that listen beyond the loopback."""
    return {
        f"socket:[{entry.inode}]": (str(_address(entry.address)), entry.port)
        for entry in _entries()
        if entry.state == LISTEN and not _address(entry.address).is_loopback
    }


def reachable() -> list[Reachable]:
    """All that listens beyond the loopback, whoever it belongs to.

    Raises OSError where a table of the kernel's cannot be read: then nobody knows.
    """
    for family, table in _TABLES.items():
        if _is_spoken(family):
            Path(table).read_bytes()
    seen = {(one.address, one.port): one.process for one in beyond_loopback(snapshot().values())}
    places = sorted(set(_open_sockets().values()), key=lambda place: (place[1], place[0]))
    return [Reachable(address, port, seen.get((address, port))) for address, port in places]


def _is_spoken(family: int) -> bool:
    """Whether this machine has the family at all: without IPv6 there is no table of it either."""
    try:
        socket.socket(family, socket.SOCK_STREAM).close()
    except OSError as error:
        return error.errno != errno.EAFNOSUPPORT
    return True


def of_this_login() -> int | None:
    """On which port sshd listens that this process was logged in by, None where none tells it.

    sshd gives it to the session (ssh(1), SSH_CONNECTION), and sudo takes it away: so whoever
    started this process is asked as well.
    """
    pid, environment = os.getpid(), dict(os.environ)
    while pid > 1:
        # Client's address and port, and then those of the server.
        told = environment.get("SSH_CONNECTION", "").split()
        if len(told) == 4 and told[3].isdecimal():
            return int(told[3])
        process = read_process(pid)
        pid = process.ppid if process else 0
        environment = environment_of(pid)
    return None


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


def loopback_for(host: str) -> str:
    """The address that reaches a server on this machine when it binds `host`."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(host, host)


def in_the_way(address: str, port: int, own: Iterable[Process] = ()) -> list[Process] | None:
    """Who holds the port beside our own processes, None when nobody does.

    An empty list is somebody who cannot be seen.
    """
    if not is_taken(address, port):
        return None
    ours = {process.pid for process in own}
    strangers = [process for process in owners(port) if process.pid not in ours]
    return None if not strangers and ours else strangers


def named(holders: list[Process]) -> str:
    """Who holds a port, for a person who wants it."""
    shown = (process.describe() for process in holders)
    told = ", ".join(f"process {one['pid']} ({one['name']}: {one['command']})" for one in shown)
    return told or "a process that does not listen yet or that this user may not see"


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
