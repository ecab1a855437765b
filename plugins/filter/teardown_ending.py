# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Filters over results of tasks: what a teardown says in the end."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ansible_collections.inferops.gpu.plugins.module_utils.market.rentals.ending import (
    Ending,
    ending_message,
)

DOCUMENTATION = r"""
name: teardown_ending
short_description: Say what a teardown ended, what is unproven and what it released for how much
version_added: "0.1.0"
description:
  - Internal. Used by the roles and playbooks of this collection.
  - Puts what the tasks of role P(inferops.gpu.teardown#role) returned into the last words of a
    teardown.
positional: _input
options:
  _input:
    description:
      - What M(inferops.gpu.rental) returned when it was to release what is rented, or to let it
        stand still.
    type: dict
    required: true
  name:
    description: The name of the rental.
    type: str
    required: true
  scope:
    description: The scope that it belongs to.
    type: str
    required: true
  server:
    description: What M(inferops.gpu.model_server) returned when it was to stop the server, and the
      proxy before it.
    type: dict
    default: {}
  tunnel:
    description: What M(inferops.gpu.endpoint) returned when it was to close the tunnel.
    type: dict
    default: {}
  failed:
    description: What was said of a failure before the release.
    type: str
    default: ""
  dry_run:
    description: Whether nothing was done, as in check mode.
    type: bool
    default: false
author:
  - inferops.gpu contributors (@inferops)
"""

EXAMPLES = r"""
- name: Show what was released
  ansible.builtin.debug:
    msg: "{{ released | inferops.gpu.teardown_ending('gpu-1', 'prod') }}"
"""

RETURN = r"""
_value:
  description: The sentences.
  type: str
  sample: >-
    Server: stopped, proven. Tunnel: closed. Released and proven gone: rental 27011234 of vastai for
    0.0841 dollars.
"""


def teardown_ending(
    released: Mapping[str, Any],
    name: str,
    scope: str,
    server: Mapping[str, Any] | None = None,
    tunnel: Mapping[str, Any] | None = None,
    failed: str = "",
    dry_run: bool = False,
) -> str:
    """See DOCUMENTATION."""
    gone = released.get("released", [])
    stopped = released if "released" not in released else None
    own = bool((released.get("rental") or {}).get("own"))
    return ending_message(
        Ending(name, scope, server or {}, tunnel or {}, gone, failed, bool(dry_run), stopped, own)
    )


class FilterModule:
    """Filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """The filters by name."""
        return {"teardown_ending": teardown_ending}
