# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which supervisor a host has for this user."""

from __future__ import annotations

import os
from typing import Any

from ...machine.kind import systemd_is_running
from ..layout import Layout
from ..service import Service
from .supervisor import Supervisor, SupervisorError
from .supervisord import Supervisord
from .systemd import Systemd, SystemdUser

NAMES = ("systemd", "systemd_user", "supervisord")


def choose(
    wanted: str,
    layout: Layout,
    supervisord_bin_dir: str | None,
    start_at_boot: bool = False,
    change: bool = True,
) -> Supervisor:
    """The supervisor for `auto` or one of the names.

    With `change`, lingering may be turned on for the user; check mode takes it for granted.
    """
    if wanted == "auto":
        wanted = _automatic(change)
    if wanted in ("systemd", "systemd_user") and not systemd_is_running():
        raise SupervisorError(
            "systemd is not PID 1 on this host. Set supervisor to 'supervisord' or 'auto'."
        )
    if wanted == "systemd":
        if os.geteuid() != 0:
            raise SupervisorError(
                "A systemd unit of the system needs root. Connect as root, use become, "
                "or set supervisor to 'systemd_user', 'supervisord' or 'auto'."
            )
        return Systemd()
    if wanted == "systemd_user":
        user = SystemdUser()
        problem = user.problem(change)
        if problem:
            raise SupervisorError(f"{problem}. Or set supervisor to 'supervisord'.")
        return user
    if start_at_boot:
        raise SupervisorError(
            "start_at_boot needs systemd as PID 1, and for a plain user its lingering. supervisord "
            "runs in hosts that are containers, and nothing starts it when such a host comes back. "
            "Launch the server again then, and take start_at_boot away."
        )
    return Supervisord(layout, supervisord_bin_dir)


def _automatic(change: bool) -> str:
    """systemd where it is PID 1, a user's own where the user is not root and may linger."""
    if not systemd_is_running():
        return "supervisord"
    if os.geteuid() == 0:
        return "systemd"
    return "supervisord" if SystemdUser().problem(change) else "systemd_user"


def every(layout: Layout) -> list[Supervisor]:
    """All in which this user could have put a service here: for stopping, whoever started it."""
    found: list[Supervisor] = [Supervisord(layout, None)]
    if not systemd_is_running():
        return found
    return [Systemd() if os.geteuid() == 0 else SystemdUser(), *found]


def named(name: str, layout: Layout) -> Supervisor | None:
    """The supervisor of this name, to be asked only."""
    return next((each for each in every(layout) if each.name == name), None)


def is_installed(service: Service[Any]) -> bool:
    """Whether a supervisor here knows the service, running or not."""
    return any(supervisor.installed(service) for supervisor in every(service.layout))
