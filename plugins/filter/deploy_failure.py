# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Filters over results of tasks: what has failed in a deploy."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ansible_collections.inferops.gpu.plugins.module_utils.market.rentals.outcome import what_failed

DOCUMENTATION = r"""
name: deploy_failure
short_description: Say what has failed in a deploy
version_added: "0.1.0"
description:
  - Internal. Used by the roles and playbooks of this collection.
positional: _input, task
options:
  _input:
    description: What the task that failed returned.
    type: dict
    required: true
  task:
    description: Its name.
    type: str
    required: true
  verdict:
    description:
      - What M(inferops.gpu.rental_attempt) returned of the last attempt to rent that failed; empty
        where none did.
    type: dict
    default: {}
author:
  - inferops.gpu contributors (@inferops)
"""

EXAMPLES = r"""
- name: What was it?
  ansible.builtin.debug:
    msg: "{{ (ansible_failed_result | inferops.gpu.deploy_failure('Launch')).message }}"
"""

RETURN = r"""
_value:
  description:
    - The C(task), its C(message), which may hold secrets, and the C(diagnosis), empty where there
      is none. That a rental bills is not said here, for what becomes of it is still to come.
  type: dict
  sample: {task: Launch, message: The server died., diagnosis: {cause_id: crash}}
"""


def deploy_failure(
    result: Mapping[str, Any], task: str, verdict: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """See DOCUMENTATION."""
    return what_failed(task, result, verdict or {})


class FilterModule:
    """Filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """The filters by name."""
        return {"deploy_failure": deploy_failure}
