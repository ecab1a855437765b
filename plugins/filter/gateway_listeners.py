# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Filters over the addresses of a gateway: where clients reach it."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ansible.errors import AnsibleFilterError

DOCUMENTATION = r"""
name: gateway_listeners
short_description: Where clients reach a gateway, refused where keys would go in the clear
version_added: "0.1.0"
description:
  - Internal. Used by the roles and playbooks of this collection.
  - The port on the loopback comes first.
positional: _input, port
options:
  _input:
    description: The further listeners, as M(inferops.gpu.proxy) takes them.
    type: list
    elements: dict
    required: true
  port:
    description: The port on the loopback.
    type: int
    required: true
author:
  - inferops.gpu contributors (@inferops)
"""

EXAMPLES = r"""
- name: Listen on the loopback alone
  ansible.builtin.set_fact:
    ways: "{{ [] | inferops.gpu.gateway_listeners(8000) }}"
"""

RETURN = r"""
_value:
  description: Option C(listeners) of M(inferops.gpu.proxy).
  type: list
  elements: dict
  sample: [{port: 8000}]
"""


def gateway_listeners(listeners: Sequence[Mapping[str, Any]], port: Any) -> list[dict[str, Any]]:
    """See DOCUMENTATION."""
    for each in listeners:
        address = str(each.get("address") or "127.0.0.1")
        if not each.get("certificate") and not _is_loopback(address):
            raise AnsibleFilterError(
                f"gateway_listeners: at {address} keys and prompts would go in the clear. Give "
                "certificate, or put what speaks TLS before the gateway's port on the loopback."
            )
    return [{"port": int(port)}, *map(dict, listeners)]


def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


class FilterModule:
    """Filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """The filters by name."""
        return {"gateway_listeners": gateway_listeners}
