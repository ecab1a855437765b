# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which processes are a service's: those that carry its marker, and all that descend from them."""

from __future__ import annotations

import os

from ..machine.processes import Identity, Process, alive, carrying, snapshot

LAUNCHER_MARKER = "INFEROPS_LAUNCHER"
"""Environment variable of the launcher alone, so that it can sweep without ending itself."""


def members(marker: str, service_id: str, identity: Identity | None = None) -> list[Process]:
    """Every living process of a service, lowest PID first.

    Starts from those that carry the marker and from the recorded main process, if that very one
    still lives, then adds all descendants and all members of the sessions that belong to the
    service. A session belongs to it when its leader does, or when its leader is dead: a session's
    number is not reused while it has members, and nobody can join one from outside. The caller,
    its ancestors and its session are never among them.
    """
    table = snapshot()
    members = {process.pid for process in carrying(marker, service_id)}
    if identity is not None and alive(identity):
        members.add(identity.pid)
    ours = _self_and_ancestors(table)
    while True:
        sessions = {table[pid].sid for pid in members if pid in table}
        sessions = {sid for sid in sessions if sid in members or sid not in table}
        sessions -= {0, os.getsid(0)}
        grown = members | {
            process.pid
            for process in table.values()
            if process.sid in sessions or process.ppid in members
        }
        if grown == members:
            break
        members = grown
    return [table[pid] for pid in sorted(members - ours) if pid in table]


def _self_and_ancestors(table: dict[int, Process]) -> set[int]:
    """The calling process and those above it, which no sweep may ever hit."""
    pids, pid = {0, 1}, os.getpid()
    while pid in table and pid not in pids:
        pids.add(pid)
        pid = table[pid].ppid
    return pids
