# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a proxy does, in one line."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..common.redaction import redact


def line_of(proxy: Mapping[str, Any]) -> str:
    """Of a proxy as module proxy returns it: its phase, and each engine behind it."""
    reason = f" ({redact(str(proxy['reason']))})" if proxy.get("reason") else ""
    phase = proxy.get("phase")
    parts = [f"proxy {proxy.get('name')}: {phase}{reason} on port {proxy.get('port')}"]
    parts += [
        f"{server.get('name')} {server.get('status')}, {server.get('sessions')} sessions"
        for server in proxy.get("servers") or ()
    ]
    if phase == "running" and not proxy.get("supervised", True):
        parts.append("nothing starts it again when it ends: deploy again")
    return "; ".join(parts)
