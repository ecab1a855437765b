# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Filters over servers: how one does, for a person and for a program."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from ansible_collections.inferops.gpu.plugins.module_utils.common.redaction import redact
from ansible_collections.inferops.gpu.plugins.module_utils.serving.diagnosis import explain
from ansible_collections.inferops.gpu.plugins.module_utils.serving.slowness import levers

DOCUMENTATION = r"""
name: server_status
short_description: How a server does, in one line and as figures
version_added: "0.1.0"
description:
  - Takes a server as M(inferops.gpu.model_server_info) returns it with O(ignore:health_check) and
    O(ignore:log_lines), and adds why it ended and what slows it down.
positional: _input
options:
  _input:
    description: The server.
    type: dict
    required: true
author:
  - inferops.gpu contributors (@inferops)
"""

EXAMPLES = r"""
- name: How do they do?
  ansible.builtin.debug:
    msg: "{{ found.servers | map('inferops.gpu.server_status') | map(attribute='line') }}"
"""

RETURN = r"""
_value:
  description: The figures, and C(line) with all of them for a person.
  type: dict
  sample:
    name: main
    phase: running
    health: serving
    reason: tokens flow
    model: Qwen/Qwen3-8B
    port: 8000
    uptime_seconds: 7260
    tokens_per_second: 812.5
    requests_running: 12
    requests_waiting: 0
    kv_cache_usage: 0.31
    gpus: []
    failure: {}
    levers: []
    line: >-
      main: running, serving (tokens flow); Qwen/Qwen3-8B on port 8000; up 2.0 h; 812.5 tokens/s;
      12 running, 0 waiting; KV cache 31 %
"""

FIGURES = ("tokens_per_second", "requests_running", "requests_waiting", "kv_cache_usage")
FAILED = ("error", "stopped")


def server_status(server: Mapping[str, Any]) -> dict[str, Any]:
    """See DOCUMENTATION."""
    health = server["health"]
    # Of a log that was cut the begin may name the cause; of what was never run, only the record.
    both_ends = [*(server.get("log_head") or []), *(server.get("log_tail") or [])]
    log = "\n".join([*both_ends, server["reason"] or ""])
    ended = server["phase"] in FAILED and server["reason"] not in (None, "requested")
    kernel_log = "\n".join(server.get("kernel_log") or [])
    how = (server["exit_code"], server["signal"])
    failure = explain(log, *how, kernel_log) if ended else {}
    running = server["phase"] == "running" and server["ready_at"]
    arguments = (server.get("spec") or {}).get("arguments") or {}
    status = {
        **{key: server[key] for key in ("name", "phase", "model", "port", "supervised")},
        "health": health["state"],
        "reason": health["reason"],
        "uptime_seconds": round(time.time() - server["ready_at"]) if running else None,
        **{figure: health.get(figure) for figure in FIGURES},
        "gpus": health.get("gpus") or [],
        "failure": {**failure, "evidence": [redact(line) for line in failure["evidence"]]}
        if failure
        else {},
        "levers": levers(health, arguments),
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


class FilterModule:
    """Filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """The filters by name."""
        return {"server_status": server_status}
