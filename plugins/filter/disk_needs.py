# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Filters over pure knowledge: how much disk a model and its stack need."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ansible_collections.inferops.gpu.plugins.module_utils.market.offers.disk import (
    DiskNeeds,
    model_gib,
)

DOCUMENTATION = r"""
name: disk_needs
short_description: Compute how much disk to rent for a model and its stack
version_added: "0.1.0"
description:
  - Internal. Used by the roles and playbooks of this collection.
  - The model's files and the stack lie on the disk that is rented, unless they are somewhere else.
positional: _input
options:
  _input:
    description:
      - What filter P(inferops.gpu.stack_plan#filter) returns; empty where an image has the stack.
    type: dict
    required: true
  model:
    description: The model, as on the hub or as an absolute path on the host.
    type: str
    required: true
  lies_elsewhere:
    description: Whether the model's files lie on another disk.
    type: bool
    default: false
  asked_gib:
    description: What the hub says that the model's files take; V(0) when it was not asked.
    type: float
    default: 0
  computed_gib:
    description: What they take as computed from the model's config; V(0) when it is not known.
    type: float
    default: 0
  reserve_gib:
    description: What has to stay free.
    type: float
    default: 1
author:
  - inferops.gpu contributors (@inferops)
"""

EXAMPLES = r"""
- name: How much disk does it need?
  ansible.builtin.debug:
    msg: "{{ {} | inferops.gpu.stack_plan | inferops.gpu.disk_needs('a/b', computed_gib=14.96) }}"
"""

RETURN = r"""
_value:
  description:
    - C(disk_gib) is what to rent at least, C(download_gib) what a new host fetches, C(least_gib)
      what is taken at least.
    - A disk smaller than C(refused_below_gib) is refused, and C(why) says so. It is 0 where the
      size of the model is not known.
  type: dict
  sample:
    model_gib: 14.96
    stack_gib: 8.0
    least_gib: 23.96
    disk_gib: 37
    download_gib: 18.5
    refused_below_gib: 23.96
"""


def disk_needs(
    stack: Mapping[str, Any],
    model: str,
    lies_elsewhere: bool = False,
    asked_gib: float = 0,
    computed_gib: float = 0,
    reserve_gib: float = 1,
) -> dict[str, Any]:
    """See DOCUMENTATION."""
    return DiskNeeds(
        model,
        model_gib(model, lies_elsewhere, float(asked_gib), float(computed_gib)),
        float(stack.get("installed_gib", 0)),
        float(stack.get("download_gib", 0)),
        float(reserve_gib),
    ).to_dict()


class FilterModule:
    """Filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """The filters by name."""
        return {"disk_needs": disk_needs}
