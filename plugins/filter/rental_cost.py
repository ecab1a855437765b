# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Filters over rentals: what one has cost so far."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ansible_collections.inferops.gpu.plugins.module_utils.market.clock import Clock
from ansible_collections.inferops.gpu.plugins.module_utils.market.model import rental_cost_usd

DOCUMENTATION = r"""
name: rental_cost
short_description: What a rental has cost so far
version_added: "0.1.0"
description:
  - Dollars from the start of a rental until now, by its hourly price.
positional: _input
options:
  _input:
    description: A rental as M(inferops.gpu.rental) returns it; an empty one has cost nothing.
    type: dict
    required: true
  clock_offset_seconds:
    description: The provider's clock minus this one's, by which the start of the rental is told.
    type: float
    default: 0
author:
  - inferops.gpu contributors (@inferops)
"""

EXAMPLES = r"""
- name: What has it cost?
  ansible.builtin.debug:
    msg: "{{ inferops_rental | inferops.gpu.rental_cost }} dollars"
"""

RETURN = r"""
_value:
  description: Dollars, to 0.0001.
  type: float
  sample: 0.0841
"""


def rental_cost(rental: Mapping[str, Any], clock_offset_seconds: float = 0.0) -> float:
    """See DOCUMENTATION."""
    return rental_cost_usd(rental, Clock.from_environment().now() + clock_offset_seconds)


class FilterModule:
    """Filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """The filters by name."""
        return {"rental_cost": rental_cost}
