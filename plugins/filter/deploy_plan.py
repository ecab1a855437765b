# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Filters over pure knowledge: what a dry run says it would do."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ansible.errors import AnsibleFilterError

from ansible_collections.inferops.gpu.plugins.module_utils.serving import planned
from ansible_collections.inferops.gpu.plugins.module_utils.serving.engines.knowledge import (
    PlanImpossible,
)
from ansible_collections.inferops.gpu.plugins.module_utils.serving.prebuilt import Wish

DOCUMENTATION = r"""
name: deploy_plan
short_description: Show what would be installed and served on an offer
version_added: "0.1.0"
description:
  - Internal. Used by the roles and playbooks of this collection.
  - Plain lines for people about a plan that was made before anything is rented.
positional: _input, serving, environment
options:
  _input:
    description: The offer, as M(inferops.gpu.rental) returns it; empty where none is known.
    type: dict
    required: true
  serving:
    description:
      - C(model) and C(port) of the server; C(accelerator), C(release), C(least_release),
        C(arguments) and C(extra_args), as filters P(inferops.gpu.engine_plan#filter) and
        P(inferops.gpu.model_fit#filter) take them; and C(weights_gib) of the model's files, V(0)
        where nobody knows.
    type: dict
    required: true
  environment:
    description: As filter P(inferops.gpu.prebuilt_engine#filter) takes it.
    type: dict
    required: true
author:
  - inferops.gpu contributors (@inferops)
"""

EXAMPLES = r"""
- name: What would be installed on this offer?
  ansible.builtin.debug:
    msg: "{{ (offer | inferops.gpu.deploy_plan(serving, inferops_environment_wish)).lines }}"
"""

RETURN = r"""
_value:
  description:
    - The C(lines), and the C(refusal) of options that the release which would run does not know;
      it is empty where there are none, and where that release is not sure.
    - C(artifact) is what whoever approves it, and a next job, may go by.
  type: dict
  sample:
    refusal: ""
    lines: ["Plan: vLLM 0.32.0 suits it, from vllm==0.32.0"]
"""


def deploy_plan(
    offer: Mapping[str, Any], serving: Mapping[str, Any], environment: Mapping[str, Any]
) -> dict[str, Any]:
    """See DOCUMENTATION."""
    try:
        return planned.deploy_plan(offer, planned.Serving(**serving), Wish(**environment))
    except PlanImpossible as error:
        raise AnsibleFilterError(str(error)) from error


class FilterModule:
    """Filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """The filters by name."""
        return {"deploy_plan": deploy_plan}
