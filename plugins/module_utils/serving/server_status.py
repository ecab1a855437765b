# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a server does, as figures and in one line: it serves or not, why it ended, what slows it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..common.redaction import redact
from .explanation import failure_of
from .slowness import levers

FIGURES = ("tokens_per_second", "requests_running", "requests_waiting", "kv_cache_usage")


def status_of(server: Mapping[str, Any], now: float) -> dict[str, Any]:
    """The figures of a server as model_server_info returns it with `health_check` and `symptoms`,
    and `line` with all of them for a person. `now` is in seconds since the epoch.
    """
    health = server["health"]
    running = server["phase"] == "running" and server["ready_at"]
    spec = server.get("spec") or {}
    status = {
        **{key: server[key] for key in ("name", "phase", "model", "port", "supervised")},
        "proxy_port": spec.get("proxy_port"),
        "health": health["state"],
        "reason": redact(health["reason"]),
        "uptime_seconds": round(now - server["ready_at"]) if running else None,
        **{figure: health.get(figure) for figure in FIGURES},
        "gpus": health.get("gpus") or [],
        "failure": failure_of(server),
        "levers": levers(health, spec.get("arguments") or {}),
    }
    return {**status, "line": _line(status)}


def _line(status: Mapping[str, Any]) -> str:
    words = status["health"].replace("_", " ")
    parts = [f"{status['name']}: {status['phase']}, {words} ({status['reason']})"]
    parts.append(f"{status['model']} on port {status['port']}")
    if status["uptime_seconds"] is not None:
        parts.append(f"up {status['uptime_seconds'] / 3600:.1f} h")
    if status["tokens_per_second"] is not None:
        parts.append(f"{status['tokens_per_second']:g} tokens/s")
    if status["requests_running"] is not None and status["requests_waiting"] is not None:
        parts.append(
            f"{status['requests_running']:g} running, {status['requests_waiting']:g} waiting"
        )
    if status["kv_cache_usage"] is not None:
        parts.append(f"KV cache {status['kv_cache_usage']:.0%}".replace("%", " %"))
    if status["phase"] == "running" and not status["supervised"]:
        parts.append("nothing starts it again when it crashes: stop it and deploy again")
    if status["failure"]:
        parts.append(f"{status['failure']['cause']} {status['failure']['remedy']}")
    parts += [f"{lever['seen']} {lever['help']}" for lever in status["levers"]]
    return "; ".join(parts)
