# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Filters over pure knowledge: what helps a sick server."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ansible_collections.inferops.gpu.plugins.module_utils.serving.remedies import plan

DOCUMENTATION = r"""
name: remedies
short_description: The steps that help a sick server, in order
version_added: "0.1.0"
description:
  - Works out, from the cause of a failure or from how a server behaves, which steps to try, with
    values that fit this server. The last one is the complete reset.
  - A step that needs consent or a person is in the list all the same, and says so.
positional: _input, tried
options:
  _input:
    description:
      - C(engine), C(health), C(reason), C(cause_id), C(change), C(remedy), C(log), C(model),
        C(arguments), C(first), C(first_model), C(added_environment), C(gpus), C(fit), C(orphans),
        C(port_owners), C(free_port), C(ladder), C(allowed), C(roles) and C(least_model_len); each
        may be missing.
      - C(fit) is what filter P(inferops.gpu.model_fit#filter) says of the server as it is.
    type: dict
    required: true
  tried:
    description: The C(key) of each step that was tried already.
    type: list
    elements: str
    default: []
  max_steps:
    description: How many steps there may be.
    type: int
    default: 6
author:
  - inferops.gpu contributors (@inferops)
"""

EXAMPLES = r"""
- name: What helps?
  ansible.builtin.debug:
    msg: "{{ situation | inferops.gpu.remedies }}"
  vars:
    situation:
      cause_id: context_exceeds_kv_cache
      change: max_model_len
      arguments: {max_model_len: "32768"}
"""

RETURN = r"""
_value:
  description: The steps.
  type: list
  elements: dict
  sample:
    - id: lower_max_model_len
      key: 'lower_max_model_len ["", null, {"max_model_len": 16384}, {}]'
      why: A shorter context needs less memory for its cache.
      do: []
      model: ""
      port: null
      arguments: {max_model_len: 16384}
      environment: {}
      servers: []
      needs: ""
"""


def remedies(
    situation: Mapping[str, Any], tried: list[str] | None = None, max_steps: int = 6
) -> list[dict[str, Any]]:
    """See DOCUMENTATION."""
    return plan(situation, tuple(tried or ()), max_steps)


class FilterModule:
    """Filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """The filters by name."""
        return {"remedies": remedies}
