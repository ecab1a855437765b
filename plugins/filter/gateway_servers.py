# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Filters over the ways to servers: what a gateway has behind it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

DOCUMENTATION = r"""
name: gateway_servers
short_description: The servers behind a gateway, as its proxy takes them
version_added: "0.1.0"
description:
  - Internal. Used by the roles and playbooks of this collection.
  - A server without a tunnel is on the gateway itself, and is reached as it is.
positional: _input, tunnels
options:
  _input:
    description: What filter P(inferops.gpu.gateway_ways#filter) says.
    type: list
    elements: dict
    required: true
  tunnels:
    description: C(tunnels) of M(inferops.gpu.gateway_tunnels).
    type: list
    elements: dict
    required: true
author:
  - inferops.gpu contributors (@inferops)
"""

EXAMPLES = r"""
- name: Lead to the servers
  ansible.builtin.set_fact:
    behind: "{{ ways | inferops.gpu.gateway_servers(gateway_opened.tunnels) }}"
"""

RETURN = r"""
_value:
  description: Option C(servers) of M(inferops.gpu.proxy).
  type: list
  elements: dict
  sample:
    - name: gpu-1
      socket: /home/user/.inferops/tunnels/main-gpu-1-1f0c9a52/way.sock
      engine: vllm
      fallback: false
      max_connections: 256
"""


def gateway_servers(
    ways: Sequence[Mapping[str, Any]], tunnels: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """See DOCUMENTATION."""
    sockets = {tunnel["name"]: tunnel["socket"] for tunnel in tunnels}
    return [{**way["server"], **_place(way, sockets)} for way in ways]


def _place(way: Mapping[str, Any], sockets: Mapping[str, str]) -> dict[str, Any]:
    if way["name"] in sockets:
        return {"socket": sockets[way["name"]]}
    return {"port": way["tunnel"]["remote_port"]}


class FilterModule:
    """Filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """The filters by name."""
        return {"gateway_servers": gateway_servers}
