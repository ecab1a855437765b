# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Filters over results of tasks: what evidence tells."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ansible_collections.inferops.gpu.plugins.module_utils.serving.collected import (
    evidence_outcome as outcome,
)

DOCUMENTATION = r"""
name: evidence_outcome
short_description: Say what evidence tells, and what of it could not be had
version_added: "0.1.0"
description:
  - Internal. Used by the roles and playbooks of this collection.
  - Decides which diagnosis a summary of evidence gives, and names what is lacking in it.
positional: _input
options:
  _input:
    description: What M(inferops.gpu.evidence) returned; empty where it was not called.
    type: dict
    required: true
  failure:
    description: The C(task) that failed, its C(message) and C(diagnosis). Empty on demand.
    type: dict
    default: {}
  waited:
    description: What M(inferops.gpu.rental_ready) returned, whose log is that of a host that let
      nobody in. Empty where it was not called.
    type: dict
    default: {}
author:
  - inferops.gpu contributors (@inferops)
"""

EXAMPLES = r"""
- name: What is lacking?
  ansible.builtin.debug:
    msg: "{{ (collected | inferops.gpu.evidence_outcome).missing }}"
"""

RETURN = r"""
_value:
  description:
    - The C(task) and C(message) of the failure, the C(diagnosis), what is C(missing) by name with
      the reasons, what the provider's C(files) hold, and on one line what was C(told) by the host.
  type: dict
  sample:
    task: evidence on demand
    message: No failure was reported.
    diagnosis: {}
    missing: {everything on the host: no rental is connected under this name}
    files: {}
    told: "The host was not reached: no rental is connected under this name"
"""


def evidence_outcome(
    collected: Mapping[str, Any],
    failure: Mapping[str, Any] | None = None,
    waited: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """See DOCUMENTATION."""
    return outcome(collected, failure or {}, waited or {})


class FilterModule:
    """Filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """The filters by name."""
        return {"evidence_outcome": evidence_outcome}
