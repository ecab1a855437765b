# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Filters over a whole fleet: what it costs, when it ends, how its servers do."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ansible.module_utils.parsing.convert_bool import boolean

from ansible_collections.inferops.gpu.plugins.module_utils.common.redaction import redact
from ansible_collections.inferops.gpu.plugins.module_utils.serving import (
    proxy_status,
    server_status,
)
from ansible_collections.inferops.gpu.plugins.plugin_utils.fleet_verdicts import (
    ends_words,
    next_lines,
    verdicts,
)

DOCUMENTATION = r"""
name: fleet_status
short_description: What a fleet costs and how its servers do, as lines and as a report
version_added: "0.1.0"
description:
  - Internal. Used by the roles and playbooks of this collection.
  - Puts together what the provider says of the rentals of a scope and what each host says of the
    servers on it, with why they ended and what slows them down, and gives a verdict on each.
positional: _input
options:
  _input:
    description:
      - C(scope); C(rentals) and C(unasked), of M(inferops.gpu.rental_info).
      - C(hosts), by name. Each has C(rental), the one that it was looked up as, empty when there is
        none, C(name), under which that was, and C(found), the result of
        M(inferops.gpu.model_server_info) with O(ignore:health_check) and O(ignore:symptoms),
        skipped where there was no address yet. C(limits) has C(budget_usd) and
        C(price_usd_per_hour), where the host was rented with such. A host that could not be looked
        up is empty. C(gateway) says that it is one, which has no rental.
      - C(named), all names of the inventory, by which orphans are known; C(warn_hours), before a
        deadline is told to be near; C(reaper), whether playbook C(inferops.gpu.reap) runs
        regularly; C(now), in seconds since the epoch, by default the controller's own time.
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
    - C(rentals) and C(servers), a line for each; C(next), a line for each host that needs
      somebody, the most urgent first; and C(report), all of it for a program.
  type: dict
  sample:
    rentals:
      - >-
        gpu-1: rental 7 of vastai is running; 1 x RTX 4090; 0.3600 dollars per hour, 0.7200 so far;
        ends in 22.0 hours, by the switch that was sent along with its rental request
      - "Scope prod: 1 rentals, 0.3600 dollars per hour."
    servers:
      - >-
        gpu-1/main: running, serving (tokens flow); Qwen/Qwen3-8B on port 8001; up 2.0 h;
        812.5 tokens/s; 12 running, 0 waiting; KV cache 31 %
      - "gpu-1/proxy main: running on port 8000; main UP, 12 sessions"
    next:
      - >-
        gpu-1: ends soon (ends in 1.2 hours, by its provider). Playbook inferops.gpu.extend renews
        it.
    report:
      scope: prod
      at: 1795312800
      rentals: []
      unasked: []
      verdicts:
        gpu-1:
          level: warn
          verdict: ends soon
          why: ends in 1.2 hours, by its provider
          next: Playbook inferops.gpu.extend renews it.
          notes:
            - {level: ok, verdict: serving, why: tokens flow, next: ""}
      hosts:
        gpu-1:
          name: gpu-1
          own: false
          gateway: false
          limits: {}
          state: ""
          unknown: ""
          proxies:
            - name: main
              phase: running
              port: 8000
              supervised: true
              reason: ""
              lets_in: true
              servers: [{name: main, status: UP, sessions: 12}]
              line: "proxy main: running on port 8000; main UP, 12 sessions"
          servers:
            - name: main
              phase: running
              health: serving
              reason: tokens flow
              model: Qwen/Qwen3-8B
              port: 8001
              proxy_port: 8000
              uptime_seconds: 7260
              tokens_per_second: 812.5
              requests_running: 12
              requests_waiting: 0
              kv_cache_usage: 0.31
              gpus: []
              failure: {}
              levers: []
"""

#: What reading an answer raises that has other keys or types than our module gives.
_ODD_SHAPE = (LookupError, TypeError, ValueError, AttributeError)


def fleet_status(fleet: Mapping[str, Any]) -> dict[str, Any]:
    """See DOCUMENTATION."""
    rentals, now = fleet.get("rentals") or [], float(fleet.get("now") or time.time())
    hosts = {name: host_status(seen, now) for name, seen in (fleet.get("hosts") or {}).items()}
    told = verdicts(
        rentals,
        hosts,
        fleet.get("named"),
        float(fleet.get("warn_hours") or 0) * 3600,
        boolean(fleet.get("reaper") or False),
    )
    return {
        "rentals": [
            *map(_rental_line, rentals),
            _sum_line(fleet["scope"], rentals, fleet.get("unasked") or ()),
        ],
        "servers": [line for name in hosts for line in _host_lines(name, hosts[name])],
        "next": next_lines(told),
        "report": {
            "scope": fleet["scope"],
            "at": round(now),
            "rentals": rentals,
            "unasked": list(fleet.get("unasked") or ()),
            "hosts": hosts,
            "verdicts": told,
        },
    }


def host_status(seen: Mapping[str, Any], now: float) -> dict[str, Any]:
    """The servers of one host; or why nothing is known of them."""
    rental = seen.get("rental") or {}
    state, unknown = _unknown(seen)
    servers: list[dict[str, Any]] = []
    proxies: list[dict[str, Any]] = []
    try:
        if not state:
            found = seen["found"]
            servers = [server_status.status_of(one, now) for one in found["servers"]]
            proxies = [proxy_status.status_of(one) for one in found.get("proxies") or ()]
    except _ODD_SHAPE:
        # One host that lies must not take the lines of the others away.
        servers, proxies = [], []
        state, unknown = "odd", "it answers what no module of this collection answers"
    return {
        "name": seen.get("name") or "",
        "own": bool(rental.get("own")),
        "gateway": bool(seen.get("gateway")),
        "limits": dict(seen.get("limits") or {}),
        "state": state,
        "unknown": unknown,
        "servers": servers,
        "proxies": proxies,
    }


def _unknown(seen: Mapping[str, Any]) -> tuple[str, str]:
    """Why nothing is known of the servers of a host, in a word and for people; else empty."""
    if not seen:
        return "not_looked_up", "it could not be looked up"
    found = seen["found"]
    if not seen.get("gateway"):
        state, unknown = _unreached(seen)
        if state:
            return state, unknown
    if "servers" not in found:
        return "silent", redact(f"it does not answer: {found.get('msg') or 'no message'}")
    return "", ""


def _unreached(seen: Mapping[str, Any]) -> tuple[str, str]:
    """Why nobody could ask the host of a rental, in the same way."""
    if not seen["rental"]:
        return "not_rented", "nothing is rented under this name"
    if seen["rental"].get("status") == "stopped":
        still = "its rental stands still: playbook inferops.gpu.deploy starts it again"
        return "stands_still", still
    if seen["found"].get("skipped"):
        return "no_address", "its rental has no address yet"
    return "", ""


def _host_lines(name: str, told: Mapping[str, Any]) -> list[str]:
    # One host that could not be looked up must not take the lines of the others away.
    if told["unknown"]:
        return [f"{name}: {told['unknown']}"]
    lines = [f"{name}/{one['line']}" for one in (*told["servers"], *told["proxies"])]
    nothing = "no gateway was made here" if told["gateway"] else "no server was started here"
    return lines or [f"{name}: {nothing}"]


def _rental_line(rental: Mapping[str, Any]) -> str:
    named = f"{rental['mark']['name']}: rental {rental['id']} of {rental['provider']}"
    if rental.get("status") == "unreadable":
        return f"{named} may bill, and nobody knows how much: {rental['status_text']}"
    price = rental["billed_usd_per_hour"]
    bills = "price not told" if price is None else f"{price:.4f} dollars per hour"
    return (
        f"{named} is {rental['status_text']}; {rental['gpu_count']} x {rental['gpu_name']}; "
        f"{bills}, {rental['cost_usd']:.4f} so far; {ends_words(rental)}"
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
