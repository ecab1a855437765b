# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Filters over a gateway: how it does, in a line."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ansible_collections.inferops.gpu.plugins.module_utils.common.plain import plain_line
from ansible_collections.inferops.gpu.plugins.module_utils.serving.proxy_status import status_of

DOCUMENTATION = r"""
name: gateway_report
short_description: Say how a gateway does, and which servers it cannot reach
version_added: "0.1.0"
description:
  - Internal. Used by the roles and playbooks of this collection.
positional: _input, tunnels
options:
  _input:
    description: C(proxy) of M(inferops.gpu.proxy).
    type: dict
    required: true
  tunnels:
    description: C(tunnels) of M(inferops.gpu.gateway_tunnels).
    type: list
    elements: dict
    required: true
author:
  - inferops.gpu contributors (@inferops)
"""

EXAMPLES = r"""
- name: Say how it does
  ansible.builtin.debug:
    msg: "{{ proxy_kept.proxy | inferops.gpu.gateway_report(gateway_opened.tunnels) }}"
"""

RETURN = r"""
_value:
  description: One line.
  type: str
  sample: >-
    proxy main: running on port 8000; gpu-1 UP, 3 sessions; no tunnel to gpu-2, it is tried again
"""

_MOST_SHOWN = 300


def gateway_report(proxy: Mapping[str, Any], tunnels: Sequence[Mapping[str, Any]]) -> str:
    """See DOCUMENTATION."""
    parts = [status_of(proxy)["line"]]
    for tunnel in tunnels:
        if tunnel["phase"] != "running":
            reason = f" ({plain_line(tunnel['reason'], _MOST_SHOWN)})" if tunnel["reason"] else ""
            parts.append(f"no tunnel to {tunnel['name']}{reason}, it is tried again")
    return "; ".join(parts)


class FilterModule:
    """Filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """The filters by name."""
        return {"gateway_report": gateway_report}
