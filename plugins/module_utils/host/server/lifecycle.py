# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a model server's start adds to that of any service: its port, and its GPUs' memory."""

from __future__ import annotations

import contextlib
import time

from ..gpus.report import Report
from ..machine import locks, ports
from ..machine.files import read_json, write_json
from ..machine.processes import carrying, environment_of
from ..service import lifecycle
from ..service.supervisors.supervisor import Supervisor
from . import launcher, vram
from .layout import Layout, Server
from .spec import Spec
from .tree import SERVER_MARKER

LAUNCHER = launcher.__name__
"""Named here so that it travels with the module that ships it to the host."""


def others(server: Server) -> list[str]:
    """The other servers of ours that live on this host: each one's id, and since when it lives."""
    since: dict[str, int] = {}
    for process in carrying(SERVER_MARKER):
        other = environment_of(process.pid).get(SERVER_MARKER)
        if other not in (server.id, None):
            since[other] = min(process.start_time_ticks, since.get(other, process.start_time_ticks))
    return [f"{other} {ticks}" for other, ticks in sorted(since.items())]


CLAIM_SECONDS = 120
"""How long a port that was given out waits for its server, which may have to end an old one."""


def claim_port(layout: Layout, server: Server, host: str) -> int | None:
    """The port for `auto`, kept for this server until it is seen to start. Raises locks.Busy."""
    with locks.held(layout.locks / ".ports", CLAIM_SECONDS):
        port = choose_port(layout, server, host)
        claims = {name: claim for name, claim in _claims(layout).items() if name != server.name}
        if port is not None:
            claims[server.name] = port, time.time()
        with contextlib.suppress(OSError):  # on a full disk the start itself says so
            write_json(layout.port_claims, claims)
    return port


def choose_port(layout: Layout, server: Server, host: str) -> int | None:
    """The port that `auto` would mean now, None when there is none: see ports.choose."""
    others = [other.spec() for other in layout.servers() if other != server and _is_wanted(other)]
    claimed = {port for name, (port, _at) in _claims(layout).items() if name != server.name}
    own = server.spec()
    return ports.choose(
        ports.loopback_for(host),
        own.port if own else None,
        server.processes(),
        {spec.port for spec in others if spec} | claimed,
    )


def _claims(layout: Layout) -> dict[str, tuple[int, float]]:
    """Port and time of claim by the name of the server. Its start, once recorded, ends a claim."""
    found = {}
    for name, (port, claimed_at) in (read_json(layout.port_claims) or {}).items():
        record = layout.server(name).record()
        since = max(time.time() - CLAIM_SECONDS, (record and record.started_at) or 0)
        if claimed_at > since:
            found[name] = port, claimed_at
    return found


def _is_wanted(server: Server) -> bool:
    """Whether it lives, or was started so lately that no process of it can be seen yet."""
    record = server.record()
    return bool(server.processes()) or (record is not None and record.phase == "starting")


def start(layout: Layout, spec: Spec, supervisor: Supervisor, report: Report) -> None:
    """Note the memory in use, write down what is wanted and have the supervisor run it."""
    server = layout.server(spec.name)
    vram.remember(layout.baseline, spec.name, report, others(server))
    lifecycle.start(server, spec, supervisor)
