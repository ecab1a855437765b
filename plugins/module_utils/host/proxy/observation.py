# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A proxy as it is now, for a result."""

from __future__ import annotations

from typing import Any

from ..service.observation import look
from .proxy import Proxy
from .runtime import NoAnswer


def observe(proxy: Proxy, keep: bool = True) -> dict[str, Any]:
    """What is so. A corrected record is written unless `keep` is false (check mode).

    `servers` are the engines behind it as HAProxy sees them, none where it cannot be asked;
    `max_connections` is how many requests all of them are sent at once.
    """
    seen, spec = look(proxy, keep), proxy.spec()
    try:
        servers = [each._asdict() for each in proxy.runtime.servers()]
    except NoAnswer:
        servers = []
    return {
        "name": proxy.name,
        "phase": seen.phase,
        "reason": seen.reason,
        "port": proxy.port,
        "pid": seen.record.pid,
        "processes": len(seen.tree),
        "supervisor": seen.record.supervisor,
        "supervised": seen.supervised,
        "servers": servers,
        "max_connections": sum(each.max_connections for each in spec.engines) if spec else 0,
        "log_path": str(proxy.log),
    }
