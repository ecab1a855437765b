# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Is a server really stopped? No process, no port, no memory of a GPU, no shared memory."""

from __future__ import annotations

from typing import Any, Callable

from ..gpus.report import Report
from ..machine import ports
from ..machine.processes import Process, environment_of
from ..service.sweeping import Ended
from . import vram
from .layout import Layout, Server
from .lifecycle import others
from .tree import SERVER_MARKER

HANGS = (
    "Process {pid} ({name}, state {state}) is left: it survived SIGKILL, so it hangs in a call of "
    "the driver, or it belongs to another user. Try with become; else only a new boot or another "
    "host frees it."
)


def of_stop(
    layout: Layout, server: Server, ended: Ended, read_report: Callable[[], Report]
) -> dict[str, Any]:
    """The result of a stop: what is proven, what is left, whose it is, and what to do about it."""
    memory = vram.verify(layout.baseline, server.name, others(server), read_report)
    port_free, holders = _port(server)
    remedies = [HANGS.format(**process.describe()) for process in ended.left]
    remedies += _memory_remedies(memory)
    # A port that nobody can be seen to hold may be held by what is left of the server.
    hidden = port_free is False and not holders
    if port_free is False:
        remedies.append(_port_remedy(holders))
    free = memory["state"] in ("no_gpu", "at_baseline")
    return {
        "stopped": "proven" if free and not ended.left and not hidden else "unproven",
        "processes_left": [process.describe() for process in ended.left],
        "port_free": port_free,
        "port_owners": [process.describe() for process in holders],
        "shared_memory_removed": ended.shared_memory_removed,
        "vram": memory,
        "remedy": " ".join(remedies),
    }


def _port(server: Server) -> tuple[bool | None, list[Process]]:
    """Whether the server's port is free, None when nobody knows which one it was; its holders."""
    spec = server.spec()
    if spec is None:
        return None, []
    if not ports.is_taken(ports.loopback_for(spec.host), spec.port):
        return True, []
    return False, ports.owners(spec.port)


def _port_remedy(holders: list[Process]) -> str:
    if not holders:
        return (
            "The port is held by a process that does not listen or that this user may not see. "
            "Look with become."
        )
    marks = (environment_of(process.pid).get(SERVER_MARKER) for process in holders)
    who = [
        f"process {process.pid} ({process.comm}{f' of server {mark}' if mark else ''})"
        for process, mark in zip(holders, marks)
    ]
    return f"The port is held by {', '.join(who)}, which is none of this server's."


def _memory_remedies(memory: dict[str, Any]) -> list[str]:
    if memory["state"] == "no_baseline":
        return [
            "Nobody read the memory of the GPU before the launch, it cannot be read now, or "
            "another server came or went since, so it cannot be told whether all of it is back."
        ]
    return [
        f"GPU {gpu['uuid']} has {gpu['used_mib'] - gpu['baseline_mib']} MiB more in use than "
        f"before the launch. {_memory_owner(gpu['processes'])}"
        for gpu in memory["gpus"]
        if "processes" in gpu
    ]


def _memory_owner(processes: list[dict[str, Any]]) -> str:
    if processes:
        pids = ", ".join(str(process["pid"]) for process in processes)
        return f"The driver names process {pids}: end it if it is yours."
    return "No process here holds it: a neighbour does, or the driver leaks; take another host."
