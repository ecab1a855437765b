# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Filters over offers: what people see of one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ansible_collections.inferops.gpu.plugins.module_utils.market.offers.showing import (
    offer_lines as lines,
)

DOCUMENTATION = r"""
name: offer_lines
short_description: Show an offer, its cost, its minutes, its odds of failure and its deadline
version_added: "0.1.0"
description:
  - Internal. Used by the roles and playbooks of this collection.
  - Plain lines for people, the same before an offer is rented and after.
positional: _input
options:
  _input:
    description: An offer as M(inferops.gpu.rental) and M(inferops.gpu.offer_info) return it.
    type: dict
    required: true
  deadline:
    description: Its deadline, as M(inferops.gpu.rental) returns it.
    type: dict
    required: true
  disk_gib:
    description: The disk that is rented with it.
    type: float
    required: true
  hours:
    description: The hours that its expected cost is for.
    type: float
    required: true
  pretend:
    description: Whether it is not rented but would be.
    type: bool
    default: false
  runners_up:
    description: What was not taken, as M(inferops.gpu.rental) returns it.
    type: list
    elements: dict
    default: []
author:
  - inferops.gpu contributors (@inferops)
"""

EXAMPLES = r"""
- name: Show what was rented
  ansible.builtin.debug:
    msg: "{{ result.offer | inferops.gpu.offer_lines(result.deadline, disk_gib=40, hours=24) }}"
"""

RETURN = r"""
_value:
  description: The lines.
  type: list
  elements: str
"""


def offer_lines(
    offer: Mapping[str, Any],
    deadline: Mapping[str, Any],
    disk_gib: float,
    hours: float,
    pretend: bool = False,
    runners_up: Iterable[Mapping[str, Any]] = (),
) -> list[str]:
    """See DOCUMENTATION."""
    return lines(offer, deadline, float(disk_gib), float(hours), pretend, runners_up)


class FilterModule:
    """Filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """The filters by name."""
        return {"offer_lines": offer_lines}
