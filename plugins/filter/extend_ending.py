# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Filters over results of tasks: what an extension says in the end."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ansible_collections.inferops.gpu.plugins.module_utils.market.rentals.extending import (
    extend_ending as ending,
)

DOCUMENTATION = r"""
name: extend_ending
short_description: Say until when a rental lives, who ends it, and whether its host was told
version_added: "0.1.0"
description:
  - Internal. Used by the roles and playbooks of this collection.
positional: _input, name
options:
  _input:
    description: What M(inferops.gpu.rental_extend) returned.
    type: dict
    required: true
  name:
    description: The name of the rental.
    type: str
    required: true
  switch:
    description: What M(inferops.gpu.deadline_switch) returned; empty where it did not run.
    type: dict
    default: {}
  reaper:
    description: Whether playbook C(inferops.gpu.reap) runs regularly.
    type: bool
    default: false
author:
  - inferops.gpu contributors (@inferops)
"""

EXAMPLES = r"""
- name: Show the deadline
  ansible.builtin.debug:
    msg: "{{ extended | inferops.gpu.extend_ending('gpu-1', switch) }}"
"""

RETURN = r"""
_value:
  description: The sentences.
  type: str
  sample: "gpu-1 ends in 12.00 hours, enforced by host; it has cost 0.0841 dollars."
"""


def extend_ending(
    extended: Mapping[str, Any],
    name: str,
    switch: Mapping[str, Any] | None = None,
    reaper: bool = False,
) -> str:
    """See DOCUMENTATION."""
    return ending(extended, switch or {}, name, bool(reaper))


class FilterModule:
    """Filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """The filters by name."""
        return {"extend_ending": extend_ending}
