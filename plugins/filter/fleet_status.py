# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Filters over a whole fleet: what it costs, when it ends, how its servers do."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ansible_collections.inferops.gpu.plugins.module_utils.common.redaction import redact
from ansible_collections.inferops.gpu.plugins.module_utils.serving.proxy_status import line_of
from ansible_collections.inferops.gpu.plugins.module_utils.serving.server_status import status_of

DOCUMENTATION = r"""
name: fleet_status
short_description: What a fleet costs and how its servers do, as lines and as a report
version_added: "0.1.0"
description:
  - Internal. Used by the roles and playbooks of this collection.
  - Puts together what the provider says of the rentals of a scope and what each host says of the
    servers on it, with why they ended and what slows them down.
positional: _input
options:
  _input:
    description:
      - C(scope); C(rentals) and C(unasked), of M(inferops.gpu.rental_info).
      - C(hosts), by name. Each has C(rental), the one that it was looked up as, empty when there is
        none, and C(found), the result of M(inferops.gpu.model_server_info) with
        O(ignore:health_check) and O(ignore:symptoms), skipped where there was no address yet. A
        host that could not be looked up is empty.
    type: dict
    required: true
author:
  - inferops.gpu contributors (@inferops)
"""

EXAMPLES = r"""
- name: What is rented, and what does it cost?
  ansible.builtin.debug:
    msg: "{{ (found | combine({'scope': 'prod'}) | inferops.gpu.fleet_status).rentals }}"
"""

RETURN = r"""
_value:
  description:
    - C(rentals) and C(servers), a line for each, and C(report), the same for a program.
  type: dict
  sample:
    rentals:
      - >-
        gpu-1: rental 7 of vastai is running; 1 x RTX 4090; 0.3600 dollars per hour, 0.7200 so far;
        ends in 22.0 hours, by the switch that was sent along with its rental request
      - "Scope prod: 1 rentals, 0.3600 dollars per hour."
    servers:
      - >-
        gpu-1/main: running, serving (tokens flow); Qwen/Qwen3-8B on port 8000; up 2.0 h;
        812.5 tokens/s; 12 running, 0 waiting; KV cache 31 %
      - "gpu-1/proxy main: running on port 8001; main UP, 12 sessions"
    report:
      scope: prod
      rentals: []
      unasked: []
      hosts:
        gpu-1:
          unknown: ""
          proxies: []
          servers:
            - name: main
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
"""

ENFORCERS = {
    # The list does not show whether a host has its switch: deploy and extend read it back.
    "host": "the switch that was sent along with its rental request",
    "provider": "its provider",
    "nobody": "nobody but playbook inferops.gpu.reap",
}


def fleet_status(fleet: Mapping[str, Any]) -> dict[str, Any]:
    """See DOCUMENTATION."""
    rentals = fleet.get("rentals") or []
    hosts = fleet.get("hosts") or {}
    told = {name: host_status(seen) for name, seen in hosts.items() if seen}
    return {
        "rentals": [
            *map(_rental_line, rentals),
            _sum_line(fleet["scope"], rentals, fleet.get("unasked") or ()),
        ],
        "servers": [line for name in hosts for line in _host_lines(name, told.get(name))],
        "report": {
            "scope": fleet["scope"],
            "rentals": rentals,
            "unasked": list(fleet.get("unasked") or ()),
            "hosts": told,
        },
    }


def host_status(seen: Mapping[str, Any]) -> dict[str, Any]:
    """The servers of one host; or why nothing is known of them."""
    found = seen["found"]
    unknown = ""
    if not seen["rental"]:
        unknown = "nothing is rented under this name"
    elif seen["rental"].get("status") == "stopped":
        unknown = "its rental stands still: playbook inferops.gpu.deploy starts it again"
    elif found.get("skipped"):
        unknown = "its rental has no address yet"
    elif "servers" not in found:
        unknown = redact(f"it does not answer: {found.get('msg') or 'no message'}")
    servers = [] if unknown else found["servers"]
    proxies = [] if unknown else found.get("proxies") or []
    now = time.time()
    return {
        "unknown": unknown,
        "servers": [status_of(server, now) for server in servers],
        "proxies": [{**proxy, "line": line_of(proxy)} for proxy in proxies],
    }


def _host_lines(name: str, told: Mapping[str, Any] | None) -> list[str]:
    # One host that could not be looked up must not take the lines of the others away.
    if told is None:
        return [f"{name}: it could not be looked up"]
    if told["unknown"]:
        return [f"{name}: {told['unknown']}"]
    lines = [f"{name}/{one['line']}" for one in (*told["servers"], *told["proxies"])]
    return lines or [f"{name}: no server was started here"]


def _rental_line(rental: Mapping[str, Any]) -> str:
    named = f"{rental['mark']['name']}: rental {rental['id']} of {rental['provider']}"
    if rental.get("status") == "unreadable":
        return f"{named} may bill, and nobody knows how much: {rental['status_text']}"
    left = rental["remaining_seconds"]
    if left is None:
        ends = "no deadline"
    elif left < 0:
        ends = "PAST its deadline"
    else:
        ends = f"ends in {left / 3600:.1f} hours, by {ENFORCERS[rental['enforced_by']]}"
    contract = rental["contract_remaining_seconds"]
    if contract is not None and (left is None or contract < left):
        ends = f"its contract ends in {contract / 3600:.1f} hours"
    price = rental["billed_usd_per_hour"]
    bills = "price not told" if price is None else f"{price:.4f} dollars per hour"
    return (
        f"{named} is {rental['status_text']}; {rental['gpu_count']} x {rental['gpu_name']}; "
        f"{bills}, {rental['cost_usd']:.4f} so far; {ends}"
    )


def _sum_line(scope: str, rentals: Sequence[Mapping[str, Any]], unasked: Sequence[str] = ()) -> str:
    told = [rental["billed_usd_per_hour"] for rental in rentals]
    least = "at least " if None in told or unasked else ""
    price = sum(one or 0 for one in told)
    unknown = f" What is rented at {', '.join(unasked)} is unknown." if unasked else ""
    return f"Scope {scope}: {len(rentals)} rentals, {least}{price:.4f} dollars per hour.{unknown}"


class FilterModule:
    """Filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """The filters by name."""
        return {"fleet_status": fleet_status}
