# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a model server's start adds to that of any service: its port, and its GPUs' memory."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Sequence
from typing import NamedTuple

from ..gpus.report import Report
from ..machine import locks, ports
from ..machine.files import read_json, write_json
from ..machine.processes import Process, carrying, environment_of
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


LOOPBACK = "127.0.0.1"
"""Where a proxy listens that a server was started for."""

CLAIM_SECONDS = 120
"""How long a port that was given out waits for its server, which may have to end an old one."""


class Wanted(NamedTuple):
    """A port that is asked for, None for `auto`; `known` is the one that is had already, and
    `owners` are those who may hold it now."""

    port: int | None
    known: int | None = None
    owners: Sequence[Process] = ()


def claim_ports(
    layout: Layout,
    server: Server,
    host: str,
    port: int | None,
    proxy: Wanted | None = None,
    leaving: Sequence[Process] = (),
) -> tuple[int | None, int | None]:
    """As choose_ports, kept for this server until it is seen to start. Raises locks.Busy."""
    with locks.held(layout.locks / ".ports", CLAIM_SECONDS):
        chosen = choose_ports(layout, server, host, port, proxy, leaving)
        own = (server.name, _of_proxy(server.name))
        claims = {name: claim for name, claim in _claims(layout).items() if name not in own}
        now = time.time()
        claims.update({name: (one, now) for name, one in zip(own, chosen) if one is not None})
        with contextlib.suppress(OSError):  # on a full disk the start itself says so
            write_json(layout.port_claims, claims)
    return chosen


def choose_ports(
    layout: Layout,
    server: Server,
    host: str,
    port: int | None,
    proxy: Wanted | None = None,
    leaving: Sequence[Process] = (),
) -> tuple[int | None, int | None]:
    """The ports of the server and of the proxy before it, where None is asked for as `auto`. None
    where no port is free, and for the proxy where there is none.

    Clients keep the port that they know, whether a proxy comes or goes: what *leaving* processes
    hold will be free. No port of the one is ever that of the other.
    """
    spec, own, reserved = server.spec(), server.processes(), _reserved(layout, server)
    known = spec.port if spec else None
    of_clients = (spec.proxy_port if spec else None) or known
    place = ports.loopback_for(host)
    if proxy is None:
        return port or ports.choose(place, of_clients, [*own, *leaving], reserved), None
    ways = proxy.port or ports.choose(
        LOOPBACK,
        proxy.known or of_clients,
        [*proxy.owners, *own],
        reserved | ({port} if port else set()),
    )
    kept = reserved | ({ways} if ways else set())
    return port or ports.choose(place, known, own, kept), ways


def choose_port(layout: Layout, server: Server, host: str) -> int | None:
    """The port that `auto` would mean now, None when there is none: see ports.choose."""
    spec = server.spec()
    proxy = Wanted(spec.proxy_port) if spec and spec.proxy_port else None
    return choose_ports(layout, server, host, None, proxy)[0]


def _reserved(layout: Layout, server: Server) -> set[int]:
    """What other servers, and the proxies before them, have or will bind."""
    own = (server.name, _of_proxy(server.name))
    found = {port for name, (port, _at) in _claims(layout).items() if name not in own}
    for other in layout.servers():
        spec = other.spec() if other != server and _is_wanted(other) else None
        found |= {spec.port, spec.proxy_port or spec.port} if spec else set()
    return found


def _of_proxy(name: str) -> str:
    """Under which name the port of the proxy before a server is claimed: no server's has a dot."""
    return f"{name}.proxy"


def _claims(layout: Layout) -> dict[str, tuple[int, float]]:
    """Port and time of claim by the name of the server. Its start, once recorded, ends a claim."""
    found = {}
    for name, (port, claimed_at) in (read_json(layout.port_claims) or {}).items():
        record = layout.server(name.partition(".")[0]).record()
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
