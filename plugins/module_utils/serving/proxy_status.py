# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a proxy does, as figures and in one line: who gets in, and which engines take requests."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..common.redaction import redact


def status_of(proxy: Mapping[str, Any]) -> dict[str, Any]:
    """The figures of a proxy as module proxy returns it, and `line` with all of them for a person.
    `lets_in` says whether clients get in."""
    servers = [
        {key: each[key] for key in ("name", "status", "sessions")} for each in proxy["servers"]
    ]
    status = {
        **{key: proxy[key] for key in ("name", "phase", "port", "supervised")},
        "reason": redact(str(proxy["reason"] or "")),
        "lets_in": proxy["phase"] == "running",
        "servers": servers,
    }
    return {**status, "line": _line(status)}


def _line(status: Mapping[str, Any]) -> str:
    reason = f" ({status['reason']})" if status["reason"] else ""
    parts = [f"proxy {status['name']}: {status['phase']}{reason} on port {status['port']}"]
    parts += [
        f"{each['name']} {each['status']}, {each['sessions']} sessions"
        for each in status["servers"]
    ]
    if status["phase"] not in ("running", "starting"):
        parts.append("clients do not get in: deploy again")
    elif status["lets_in"] and not status["supervised"]:
        parts.append("nothing starts it again when it ends: deploy again")
    return "; ".join(parts)
