# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""HAProxy's runtime socket: what a running proxy is, knows and does, asked and changed by text.

The socket is in a folder of ours alone and open to its owner alone.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from ...common.proxy_words import takes_requests
from . import configuration

SECONDS = 5.0
CHUNK_BYTES = 65536


class NoAnswer(Exception):
    """The proxy cannot be asked, or did not do what it was told; the text says why."""


class Server(NamedTuple):
    """An engine as HAProxy sees it: its status, such as UP, DOWN or DRAIN, and its sessions."""

    name: str
    status: str
    sessions: int

    @property
    def takes_requests(self) -> bool:
        return takes_requests(self.status)


class Runtime:
    """The socket in a proxy's folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def ask(self, command: str) -> str:
        """What it says to one command. Raises NoAnswer."""
        try:
            with _connected(self.folder) as stream:
                stream.sendall(f"{command}\n".encode())
                return _all_of(stream).decode(errors="replace").strip()
        except OSError as error:
            raise NoAnswer(f"its runtime socket: {error or type(error).__name__}") from error

    def identity(self) -> str:
        """That of the configuration which it runs with."""
        return self._information().get("description", "")

    def _information(self) -> dict[str, str]:
        pairs = (line.partition(":") for line in self.ask("show info").splitlines())
        return {name.strip().lower(): value.strip() for name, _colon, value in pairs}

    def servers(self) -> list[Server]:
        """Those behind it, in its own order."""
        lines = self.ask("show stat").lstrip("# ").splitlines()
        names = lines[0].split(",") if lines else []
        rows = [dict(zip(names, line.split(","))) for line in lines[1:]]
        return [
            Server(row["svname"], row["status"], int(row["scur"] or 0))
            for row in rows
            if row.get("pxname") == configuration.BACKEND and row["svname"] not in _SUMS
        ]

    def entries(self, file: str) -> dict[str, str]:
        """The entries of a map, as the process knows them; none of one that it does not use."""
        rows = (line.split(" ", 2) for line in self.ask(f"show map {file}").splitlines())
        # Each has its address first. What else it says is words.
        return {row[1]: row[2] for row in rows if len(row) == 3 and row[0].startswith("0x")}

    def change_entries(self, file: str, wanted: Mapping[str, str]) -> None:
        """Make a map hold just these. What stays is never away. Raises NoAnswer."""
        known = self.entries(file)
        for key, value in wanted.items():
            if key not in known:
                self.ask(f"add map {file} {key} {value}")
            elif known[key] != value:
                self.ask(f"set map {file} {key} {value}")
        for key in known.keys() - wanted.keys():
            self.ask(f"del map {file} {key}")
        if self.entries(file) != dict(wanted):
            raise NoAnswer(f"it did not take over what {file} holds")


_SUMS = ("FRONTEND", "BACKEND")


def _connected(folder: Path) -> socket.socket:
    """By a short path, as a Unix socket needs one."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        stream = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        stream.settimeout(SECONDS)
        try:
            stream.connect(f"/proc/self/fd/{handle}/{configuration.SOCKET}")
        except OSError:
            stream.close()
            raise
        return stream
    finally:
        os.close(handle)


def _all_of(stream: socket.socket) -> bytes:
    found = b""
    while True:
        chunk = stream.recv(CHUNK_BYTES)
        if not chunk:
            return found
        found += chunk
