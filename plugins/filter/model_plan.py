# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Filters over pure knowledge: what a model asks of a host, before any is rented."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ansible.errors import AnsibleFilterError

from ansible_collections.inferops.gpu.plugins.module_utils.serving.before_renting import (
    Wish,
)
from ansible_collections.inferops.gpu.plugins.module_utils.serving.before_renting import (
    model_plan as plan,
)
from ansible_collections.inferops.gpu.plugins.module_utils.serving.engines.knowledge import (
    PlanImpossible,
)

DOCUMENTATION = r"""
name: model_plan
short_description: Say what a model asks of a host, before any is rented
version_added: "0.1.0"
description:
  - Internal. Used by the roles and playbooks of this collection.
  - How much memory it needs, which release is the oldest that knows it, and which driver that
    takes.
positional: _input, wish
options:
  _input:
    description:
      - What M(inferops.gpu.model_info) returned of the model, whether or not it succeeded, or the
        result of a task that was skipped.
    type: dict
    required: true
  wish:
    description:
      - What is to be served. C(engine), C(accelerator), C(arguments) and C(extra_args) are as the
        variables of these names, C(release) is V(auto) or the one that is asked for, and C(config)
        is the model's C(config.json) where the user gives it; it counts more than what the hub
        says.
    type: dict
    required: true
author:
  - inferops.gpu contributors (@inferops)
"""

EXAMPLES = r"""
- name: How large must a GPU be?
  ansible.builtin.debug:
    msg: "{{ (asked | inferops.gpu.model_plan({'engine': 'vllm'})).fit.why }}"
"""

RETURN = r"""
_value:
  description:
    - C(fit) is what filter P(inferops.gpu.model_fit#filter) says; with C(unknown) in it, nothing is
      known of the model, and C(why) says why.
    - C(least_release) is the oldest release that knows it, C(least_driver) the oldest driver that
      such a release runs on; each is empty where that is not known.
    - C(engine) is what M(inferops.gpu.rental) takes as its option of this name.
  type: dict
  sample:
    fit: {fits: unknown, vram_gib: 19.7, why: it takes one of 19.7 GiB}
    least_release: 0.8.4
    least_driver: "525"
    engine: {name: vllm, accelerator: cuda, release: auto, least_release: 0.8.4}
"""


def model_plan(asked: Mapping[str, Any], wish: Mapping[str, Any]) -> dict[str, Any]:
    """See DOCUMENTATION."""
    try:
        return plan(asked, Wish(**wish))
    except PlanImpossible as error:
        raise AnsibleFilterError(str(error)) from error
    except ValueError as error:
        raise AnsibleFilterError(f"Options of the engine: {error}") from error


class FilterModule:
    """Filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """The filters by name."""
        return {"model_plan": model_plan}
