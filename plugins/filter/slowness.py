# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Filters over pure knowledge: why a server is slow."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ansible_collections.inferops.gpu.plugins.module_utils.serving.slowness import levers

DOCUMENTATION = r"""
name: slowness
short_description: What slows a server down, and which lever helps
version_added: "0.1.0"
description:
  - Reads the figures of a server and its GPUs. Empty when nothing shows that it is slow.
positional: _input, arguments
options:
  _input:
    description: The C(health) of a server as M(inferops.gpu.model_server_info) returns it.
    type: dict
    required: true
  arguments:
    description: The arguments of the server.
    type: dict
    default: {}
author:
  - inferops.gpu contributors (@inferops)
"""

EXAMPLES = r"""
- name: Why is it slow?
  ansible.builtin.debug:
    msg: "{{ server.health | inferops.gpu.slowness(server.spec.arguments) }}"
"""

RETURN = r"""
_value:
  description: The levers.
  type: list
  elements: dict
  sample:
    - id: batch_small
      seen: 9 requests wait although the KV cache has room (50%).
      help: Raise max_num_seqs.
"""


def slowness(
    health: Mapping[str, Any], arguments: Mapping[str, Any] | None = None
) -> list[dict[str, str]]:
    """See DOCUMENTATION."""
    return levers(health, arguments or {})


class FilterModule:
    """Filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """The filters by name."""
        return {"slowness": slowness}
