# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which supervisor a host has."""

from __future__ import annotations

import os

from ..machine.kind import systemd_is_running
from ..server.layout import Layout, Server
from .supervisor import Supervisor, SupervisorError
from .supervisord import Supervisord
from .systemd import Systemd

NAMES = ("systemd", "supervisord")


def choose(
    wanted: str, layout: Layout, supervisord_bin_dir: str | None, start_at_boot: bool = False
) -> Supervisor:
    """The supervisor for `auto`, `systemd` or `supervisord`."""
    if wanted == "auto":
        wanted = "systemd" if systemd_is_running() else "supervisord"
    if wanted == "systemd":
        if not systemd_is_running():
            raise SupervisorError(
                "systemd is not PID 1 on this host. Set supervisor to 'supervisord' or 'auto'."
            )
        if os.geteuid() != 0:
            raise SupervisorError(
                "A systemd unit needs root. Connect as root, use become, "
                "or set supervisor to 'supervisord'."
            )
        return Systemd()
    if start_at_boot:
        raise SupervisorError(
            "start_at_boot needs systemd as PID 1. supervisord runs in hosts that are containers, "
            "and nothing starts it when such a host comes back. Launch the server again then, "
            "and take start_at_boot away."
        )
    return Supervisord(layout, supervisord_bin_dir)


def every(layout: Layout) -> list[Supervisor]:
    """All that could know a server here: for stopping, whoever started it."""
    found: list[Supervisor] = [Supervisord(layout, None)]
    return [Systemd(), *found] if systemd_is_running() else found


def is_installed(layout: Layout, server: Server) -> bool:
    """Whether a supervisor here knows the server, running or not."""
    return any(supervisor.installed(server) for supervisor in every(layout))
