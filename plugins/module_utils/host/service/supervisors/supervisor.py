# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What keeps our launcher running: the contract of the host's supervisors.

Each gets one program per service, restarts it on any exit status but 0 and 78 (the launcher's own
words for "stopped" and "never again"), and forgets it when the service is stopped.
"""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

from ..library import launcher_of
from ..service import Service
from ..tree import LAUNCHER_MARKER

STOP_MARGIN_SECONDS = 20


class SupervisorError(Exception):
    """The supervisor refused or is not there; the text says what to change."""


@dataclass(frozen=True)
class Program:
    """What the supervisor runs for one service."""

    service: Service[Any]
    stop_timeout_seconds: float

    @property
    def command(self) -> list[str]:
        return [sys.executable, "-m", launcher_of(self.service), self.service.id]

    @property
    def environment(self) -> dict[str, str]:
        return {
            "PYTHONPATH": str(self.service.layout.library),
            LAUNCHER_MARKER: self.service.id,
        }

    @property
    def stop_seconds(self) -> int:
        """The launcher needs the service's time to drain, and then some to kill and to write."""
        return int(self.stop_timeout_seconds) + STOP_MARGIN_SECONDS


class Supervisor(ABC):
    """What a service needs from a supervisor. Every method may be called again without harm."""

    name: str

    @abstractmethod
    def install(self, program: Program) -> bool:
        """Make the program known, not running yet. Returns whether its definition changed."""

    @abstractmethod
    def start(self, service: Service[Any]) -> None:
        """Run the launcher, unless it runs already."""

    @abstractmethod
    def starts_at_boot(self, service: Service[Any]) -> bool:
        """Whether the service comes back when the host does."""

    @abstractmethod
    def set_start_at_boot(self, service: Service[Any], wanted: bool) -> None:
        """Whether an installed service shall come back when the host does."""

    @abstractmethod
    def installed(self, service: Service[Any]) -> bool:
        """Whether the supervisor was ever told about this service and not told to forget it."""

    @abstractmethod
    def stop_and_remove(self, service: Service[Any]) -> None:
        """End the launcher (it ends the service) and forget the program."""

    @abstractmethod
    def log_command(self, service: Service[Any]) -> list[str] | None:
        """What prints the supervisor's own words on the service; None where a log file has them."""
