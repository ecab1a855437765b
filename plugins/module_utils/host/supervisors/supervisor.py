# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What keeps our launcher running: the contract of the host's supervisors.

Each gets one program per server, restart it on any exit status but 0 and 78 (the launcher's own
words for "stopped" and "never again"), and forget it when the server is stopped.
"""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from dataclasses import dataclass

from ..server.layout import Layout, Server
from ..server.library import LAUNCHER
from ..server.tree import LAUNCHER_MARKER

STOP_MARGIN_SECONDS = 20


class SupervisorError(Exception):
    """The supervisor refused or is not there; the text says what to change."""


@dataclass(frozen=True)
class Program:
    """What the supervisor runs for one server."""

    server: Server
    layout: Layout
    stop_timeout_seconds: float

    @property
    def command(self) -> list[str]:
        return [sys.executable, "-m", LAUNCHER, self.server.id]

    @property
    def environment(self) -> dict[str, str]:
        return {"PYTHONPATH": str(self.layout.library), LAUNCHER_MARKER: self.server.id}

    @property
    def stop_seconds(self) -> int:
        """The launcher needs the server's time to drain, and then some to kill and to write."""
        return int(self.stop_timeout_seconds) + STOP_MARGIN_SECONDS


class Supervisor(ABC):
    """What a server needs from a supervisor. Every method may be called again without harm."""

    name: str

    @abstractmethod
    def install(self, program: Program) -> bool:
        """Make the program known, not running yet. Returns whether its definition changed."""

    @abstractmethod
    def start(self, server: Server) -> None:
        """Run the launcher, unless it runs already."""

    @abstractmethod
    def starts_at_boot(self, server: Server) -> bool:
        """Whether the server comes back when the host does."""

    @abstractmethod
    def set_start_at_boot(self, server: Server, wanted: bool) -> None:
        """Whether an installed server shall come back when the host does."""

    @abstractmethod
    def installed(self, server: Server) -> bool:
        """Whether the supervisor was ever told about this server and not told to forget it."""

    @abstractmethod
    def stop_and_remove(self, server: Server) -> None:
        """End the launcher (it ends the server) and forget the program."""
