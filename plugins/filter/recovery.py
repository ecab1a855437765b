# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Filters over pure knowledge: what is wrong with a server, and what is done about it next."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ansible_collections.inferops.gpu.plugins.module_utils.serving.recovery import Case, decide

DOCUMENTATION = r"""
name: recovery
short_description: What is wrong with a server, and which step comes next
version_added: "0.1.0"
description:
  - Internal. Used by the roles and playbooks of this collection.
  - Finds the cause, works out which steps help, with values that fit this server, and says which
    one is taken now, what it changes, and what there is to report. The last one is the complete
    reset.
  - A step that needs consent or a person is in the plan all the same, and says so.
  - Role P(inferops.gpu.recover#role) does nothing but what this says.
positional: _input
options:
  _input:
    description:
      - C(server), as M(inferops.gpu.model_server_info) returns it with O(ignore:health_check) and
        O(ignore:symptoms). The following may be missing.
      - C(servers), all of the host; C(proxies), those before this server; C(gpus), as
        M(inferops.gpu.gpu_info) returns them; C(fit), what filter
        P(inferops.gpu.model_fit#filter) says of the server as it is.
      - C(first) and C(before), what the server was asked for and how it was before anything was
        tried; C(tried), the steps that were taken, with C(helped), C(message) and C(failure).
      - C(apply), C(allowed), C(ladder), C(least_model_len), C(max_steps) and C(limit_seconds),
        what the user allows; C(roles), those that can be run.
      - C(elapsed_seconds), C(price_usd_per_hour), C(cost_usd) and C(evidence), for the report; and
        C(proxied), whether a proxy stands before the servers of the fleet.
    type: dict
    required: true
author:
  - inferops.gpu contributors (@inferops)
"""

EXAMPLES = r"""
- name: What is wrong, and what helps?
  ansible.builtin.debug:
    msg: "{{ ({'server': found.servers[0]} | inferops.gpu.recovery).shown }}"
"""

RETURN = r"""
_value:
  description:
    - C(refusal), why nothing can be done at all. Only then all but C(step) and C(estimates)
      is missing.
    - C(failure), as RV(inferops.gpu.model_server#module:failure); C(plan), the steps that are left;
      C(step), the one to take now, empty when none is.
    - C(shown), C(told) and C(error), lines for a person before, after, and where it failed; and
      C(report), for a program.
    - C(estimates), whether it is worth computing which memory the server needs; C(collects),
      whether evidence is collected first; and after the last step C(keeps_proxy), whether the proxy
      before the server has to follow it, and C(reopens), whether the way of clients is opened
      again.
    - C(reset_refusal), why the GPUs must not be reset, empty when they may be; and C(proof), a
      program that fails unless the packages of its engine are whole.
  type: dict
  sample:
    refusal: ""
    failure: {cause_id: context_exceeds_kv_cache, change: max_model_len}
    plan:
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
    step: {}
    shown: []
    report: {mended: false}
    told: []
    error: ""
    estimates: true
    collects: false
    keeps_proxy: false
    reopens: false
    reset_refusal: ""
    proof: import vllm
"""


def recovery(case: Mapping[str, Any]) -> dict[str, Any]:
    """See DOCUMENTATION."""
    return decide(Case(**case))


class FilterModule:
    """Filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """The filters by name."""
        return {"recovery": recovery}
