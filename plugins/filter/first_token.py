# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Filters over offers: how long it was expected to take, and how long it took."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ansible_collections.inferops.gpu.plugins.module_utils.market.offers.minutes import beside
from ansible_collections.inferops.gpu.plugins.module_utils.market.offers.showing import (
    happened_line,
)

DOCUMENTATION = r"""
name: first_token
short_description: Hold the expected seconds until the first token against what happened
version_added: "0.1.0"
description:
  - Internal. Used by the roles and playbooks of this collection.
  - What was expected of an offer before it was rented beside what a deploy has measured, by phase.
positional: _input
options:
  _input:
    description: The offer as M(inferops.gpu.rental) returns it; empty where none was taken.
    type: dict
    required: true
  happened:
    description:
      - The seconds of each phase. C(ssh) is from the request until SSH lets in, C(install) until
        stack and model are there, C(launch) until a completion has come back.
    type: dict
    required: true
author:
  - inferops.gpu contributors (@inferops)
"""

EXAMPLES = r"""
- name: Was it as expected?
  ansible.builtin.debug:
    msg: "{{ result.offer | inferops.gpu.first_token({'ssh': 95, 'install': 240, 'launch': 160}) }}"
"""

RETURN = r"""
_value:
  description:
    - Each phase and their sum, a line for people, and by C(ratios) how many times longer each
      took than the offer alone had let expect, for the history. Empty where nothing was expected.
  type: dict
  sample:
    expected_seconds: 612.4
    happened_seconds: 540.0
    phases:
      ssh: {expected_seconds: 229.2, happened_seconds: 180.0}
      install: {expected_seconds: 211.5, happened_seconds: 200.0}
      launch: {expected_seconds: 171.7, happened_seconds: 160.0}
    ratios: {ssh: 0.785, install: 0.946, launch: 0.932}
    line: >-
      First token: after 9.0 minutes, expected were 10.2 (SSH 3.0 of 3.8, install 3.3 of 3.5, launch
      2.7 of 2.9)
"""


def first_token(offer: Mapping[str, Any], happened: Mapping[str, Any]) -> dict[str, Any]:
    """See DOCUMENTATION."""
    took = {phase: float(seconds) for phase, seconds in happened.items()}
    told = beside(offer.get("first_token") or {}, took)
    return {**told, "line": happened_line(told)} if told else {}


class FilterModule:
    """Filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """The filters by name."""
        return {"first_token": first_token}
