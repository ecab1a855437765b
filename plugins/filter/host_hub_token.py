# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Filters over secrets: whether a rented host gets the hub's token."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ansible.module_utils.parsing.convert_bool import boolean

from ansible_collections.inferops.gpu.plugins.module_utils.hub.sharing import token_for_host

DOCUMENTATION = r"""
name: host_hub_token
short_description: The hub's token for a host that needs it
version_added: "0.1.0"
description:
  - Internal. Used by the roles and playbooks of this collection.
  - A host gets the token only where the hub does not give the model to everybody, or where nobody
    has asked it. For a model that was downloaded before it gets none.
positional: _input
options:
  _input:
    description: The token, empty for none.
    type: str
    required: true
  always:
    description: Whether every host gets it.
    type: bool
    default: false
  asked:
    description: What M(inferops.gpu.model_info) says of the model; empty where nobody has asked.
    type: dict
    default: {}
  model:
    description: What the server is started with, by its name on the hub or as a folder on the host.
    type: str
    default: ""
author:
  - inferops.gpu contributors (@inferops)
"""

EXAMPLES = r"""
- name: Give the token to a host that needs it
  ansible.builtin.set_fact:
    token: "{{ lookup('env', 'HF_TOKEN') | inferops.gpu.host_hub_token(asked=told) }}"
  no_log: true
"""

RETURN = r"""
_value:
  description: The token, empty where the host gets none.
  type: str
  sample: ""
"""


def host_hub_token(
    token: str, always: Any = False, asked: Mapping[str, Any] | None = None, model: str = ""
) -> str:
    """See DOCUMENTATION."""
    needs_token = (asked or {}).get("needs_token")
    return token_for_host(token, boolean(always), needs_token, model)


class FilterModule:
    """Filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """The filters by name."""
        return {"host_hub_token": host_hub_token}
