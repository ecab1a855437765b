# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The end of a proxy, and its proof: no process, no port of its own, no key left on the host."""

from __future__ import annotations

from typing import Any

from ..machine import locks, ports
from ..service import lifecycle as services
from ..service.supervisors.supervisor import SupervisorError
from . import lifecycle
from .proxy import Proxy

SECONDS = 10
"""How long it may take where a server waits for it: told to end, it ends its streams at once."""

LOCK_SECONDS = 30
"""How long another run may take that changes it just now, beside the time to end."""


def is_there(proxy: Proxy) -> bool:
    """Whether anything of it is left to end or to remove."""
    return services.is_present(proxy) or any(lifecycle.held(proxy).values())


def end(proxy: Proxy, timeout_seconds: float) -> list[dict[str, Any]]:
    """End its whole tree, and remove what the host knew of keys. Says which processes are left.
    Raises SupervisorError. Whoever calls it holds the lock."""
    left = services.end(proxy, timeout_seconds).left
    lifecycle.forget_keys(proxy)
    return [process.describe() for process in left]


def end_before_server(
    proxy: Proxy, timeout_seconds: float, change: bool = True
) -> dict[str, Any] | None:
    """End it, as nobody may be let in to a server that is about to end. None where nothing of it is
    there; never raises, for what cannot be ended keeps no server alive.

    `stopped` is `proven`, or `unproven` with a `remedy`, or null where nothing may change.
    """
    seconds = min(timeout_seconds, SECONDS)
    try:
        if not is_there(proxy):
            return None
        if not change:
            return _told(proxy, None, [], "")
        with locks.held(proxy.lock, seconds + LOCK_SECONDS):
            left = end(proxy, seconds)
    except (SupervisorError, locks.Busy, OSError) as error:
        return _told(proxy, "unproven", [], f"The proxy cannot be ended: {error}.")
    remedies = [
        f"Process {one['pid']} ({one['name']}) of the proxy is left: it survived SIGKILL or "
        "belongs to another user. Try with become."
        for one in left
    ]
    remedies += [
        f"Port {port} of the proxy is held by a process that this user may not see. Look with "
        "become."
        for port in _hidden(proxy)
    ]
    return _told(proxy, "unproven" if remedies else "proven", left, " ".join(remedies))


def _hidden(proxy: Proxy) -> list[int]:
    """Its ports that somebody holds who cannot be seen: it may be what is left of it."""
    spec = proxy.spec()
    return [
        each.port
        for each in (spec.listens if spec else ())
        if ports.in_the_way(ports.loopback_for(each.address), each.port) == []
    ]


def _told(
    proxy: Proxy, stopped: str | None, left: list[dict[str, Any]], remedy: str
) -> dict[str, Any]:
    return {
        "name": proxy.name,
        "changed": True,
        "stopped": stopped,
        "processes_left": left,
        "remedy": remedy,
    }
