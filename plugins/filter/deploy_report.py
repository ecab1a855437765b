# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Filters over what a deploy has seen: its report."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from ansible_collections.inferops.gpu.plugins.module_utils.market.clock import Clock
from ansible_collections.inferops.gpu.plugins.module_utils.market.rentals.report import (
    Deployed,
    Now,
    artifact_of,
    deploy_lines,
)
from ansible_collections.inferops.gpu.plugins.module_utils.market.rentals.report import (
    deploy_report as report_of,
)

DOCUMENTATION = r"""
name: deploy_report
short_description: Say what a deploy has brought, how long it took and what it costs
version_added: "0.1.0"
description:
  - Internal. Used by the roles and playbooks of this collection.
  - What was expected of an offer before it was rented stands beside what was measured.
positional: _input
options:
  _input:
    description:
      - C(endpoint), C(rental), C(offer) and C(deadline), as M(inferops.gpu.endpoint) and
        M(inferops.gpu.rental) return them; the offer is empty where nothing was rented.
      - C(checked_at), C(connected_at) and C(installed_at), when the deploy began, when its host was
        looked at and when all was installed; null for the last where nothing was.
      - C(ready_seconds), as M(inferops.gpu.rental_ready) returns them; and C(attempts), those that
        had failed before.
    type: dict
    required: true
author:
  - inferops.gpu contributors (@inferops)
"""

EXAMPLES = r"""
- name: Show what it costs
  ansible.builtin.debug:
    msg: "{{ (seen | inferops.gpu.deploy_report).lines }}"
"""

RETURN = r"""
_value:
  description:
    - The C(report) for programs, C(lines) for people, and of the report as C(artifact) what a next
      job may go by, with nothing in it that a rented host says.
    - C(first_token) of the report has each phase and their sum, a line for people, and by C(ratios)
      how many times longer each took than the offer alone had let expect, for the history. Empty
      where nothing was expected.
  type: dict
  sample:
    lines: ["Endpoint: http://127.0.0.1:40213/v1 serves Qwen/Qwen3-0.6B"]
    report:
      endpoint: http://127.0.0.1:40213/v1
      model: Qwen/Qwen3-0.6B
      completion: " there"
      command: ""
      rental: {provider: vastai, id: "27011234", offer: "1", price_per_hour: 0.3412}
      seconds: {rent: 4.1, ssh: 95.0, install: 240.2, launch: 160.3, total: 499.6}
      first_token:
        expected_seconds: 612.4
        happened_seconds: 540.0
        phases:
          ssh: {expected_seconds: 229.2, happened_seconds: 180.0}
        ratios: {ssh: 0.785, install: 0.946, launch: 0.932}
        line: "First token: after 9.0 minutes, expected were 10.2"
      deadline: {at: 1795312800, enforced_by: host}
      attempts: []
      cost: 0.0841
"""


def deploy_report(seen: Mapping[str, Any]) -> dict[str, Any]:
    """See DOCUMENTATION."""
    deployed = Deployed(**seen)
    now = Now(time.time(), Clock.from_environment().now())
    report = report_of(deployed, now)
    lines = deploy_lines(deployed, report, now)
    return {"report": report, "lines": lines, "artifact": artifact_of(report)}


class FilterModule:
    """Filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """The filters by name."""
        return {"deploy_report": deploy_report}
