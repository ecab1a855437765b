# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which processes are a model server's."""

from __future__ import annotations

from ..machine.processes import Identity, Process
from ..service.tree import members

SERVER_MARKER = "INFEROPS_SERVER"
"""Environment variable of every process of a server; its value is the server's id."""


def server_processes(server_id: str, identity: Identity | None = None) -> list[Process]:
    """Every living process of a server, lowest PID first."""
    return members(SERVER_MARKER, server_id, identity)
