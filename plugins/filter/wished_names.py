# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Filters over the inventory: which rentals it wishes for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

DOCUMENTATION = r"""
name: wished_names
short_description: The names of the rentals that an inventory wishes for
version_added: "0.1.0"
description:
  - Internal. Used by the roles and playbooks of this collection.
  - Of every host of the whole inventory, whatever group it is in, the name that its rental has
    (C(inferops_name), else its own). A rental by any other name is an orphan.
  - What inventory plugin P(inferops.gpu.rentals#inventory) shows is no wish. It is there because it
    is rented, whether anybody knows of it or not. A host of the fleet's own group is a wish.
positional: _input, hostvars, group
options:
  _input:
    description: The groups of the inventory with their hosts, as the variable C(groups).
    type: dict
    required: true
  hostvars:
    description: The variables of each host, as the variable C(hostvars).
    type: dict
    required: true
  group:
    description: The group of the fleet, as the variable C(inferops_group).
    type: str
    required: true
author:
  - inferops.gpu contributors (@inferops)
"""

EXAMPLES = r"""
- name: What does the inventory wish for?
  ansible.builtin.debug:
    msg: "{{ groups | inferops.gpu.wished_names(hostvars, 'gpu_hosts') }}"
"""

RETURN = r"""
_value:
  description: The wished C(names), and the hosts that are only C(shown).
  type: dict
  sample:
    names: [gpu-1, gpu-2]
    shown: [somebody-elses]
"""

#: Each alone: what reads the documentation of a filter knows no assignment to two names.
NAME = "inferops_name"
RENTAL = "inferops_rental"


def wished_names(
    groups: Mapping[str, Sequence[str]], hostvars: Mapping[str, Mapping[str, Any]], group: str
) -> dict[str, list[str]]:
    """See DOCUMENTATION."""
    fleet = groups.get(group) or ()
    shown = [host for host in groups["all"] if host not in fleet and RENTAL in hostvars[host]]
    wished = (host for host in groups["all"] if host not in shown)
    names = (str(hostvars[host].get(NAME) or host) for host in wished)
    return {"names": list(dict.fromkeys(names)), "shown": shown}


class FilterModule:
    """Filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """The filters by name."""
        return {"wished_names": wished_names}
