# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Filters over the servers of a gateway: which it shall have, refused where one is not known."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ansible.errors import AnsibleFilterError

DOCUMENTATION = r"""
name: gateway_ways
short_description: The ways to the servers of a gateway, or why it stays as it is
version_added: "0.1.0"
description:
  - Internal. Used by the roles and playbooks of this collection.
  - Fails where a server has not been looked at in this run, where two serve under different names,
    and where every server is a fallback. A gateway that was changed all the same would lose
    servers that are only away.
positional: _input, hostvars
options:
  _input:
    description: The servers that the gateway shall have, by their names in the inventory.
    type: list
    elements: str
    required: true
  hostvars:
    description: The variables of each host, as the variable C(hostvars).
    type: dict
    required: true
author:
  - inferops.gpu contributors (@inferops)
"""

EXAMPLES = r"""
- name: Find the ways
  ansible.builtin.set_fact:
    ways: "{{ ['gpu-1'] | inferops.gpu.gateway_ways(hostvars) }}"
"""

RETURN = r"""
_value:
  description: What filter P(inferops.gpu.gateway_way#filter) says of each.
  type: list
  elements: dict
  sample: []
"""

WAY = "gateway_way"


def gateway_ways(
    servers: Sequence[str], hostvars: Mapping[str, Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """See DOCUMENTATION."""
    unknown = [name for name in servers if name not in hostvars]
    missing = [name for name in servers if name not in unknown and WAY not in hostvars[name]]
    if not servers:
        _refuse("No server is in gateway_servers.")
    if unknown:
        _refuse(f"The inventory has no {', '.join(unknown)}.")
    if missing:
        _refuse(f"In this run nobody has looked at {', '.join(missing)}.")
    ways = [dict(hostvars[name][WAY]) for name in servers]
    models = sorted({way["model"] for way in ways})
    if len(models) > 1:
        _refuse(
            f"Its servers serve under different names ({', '.join(models)}), and a client asks for "
            "one: set inferops_served_model_name."
        )
    if all(way["fallback"] for way in ways):
        _refuse(
            "Each of its servers is a fallback: set inferops_fallback to false for those that are "
            "to be asked first."
        )
    return ways


def _refuse(why: str) -> None:
    raise AnsibleFilterError(
        f"The gateway stays as it is. {why} Deploy what is missing, or name in gateway_servers "
        "those that shall be behind it."
    )


class FilterModule:
    """Filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """The filters by name."""
        return {"gateway_ways": gateway_ways}
