# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Filters over pure knowledge: which build of an engine a host gets, and what it takes of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ansible.errors import AnsibleFilterError

from ansible_collections.inferops.gpu.plugins.module_utils.serving.engines.knowledge import (
    PlanImpossible,
)
from ansible_collections.inferops.gpu.plugins.module_utils.serving.engines.registry import knowledge

DOCUMENTATION = r"""
name: engine_plan
short_description: Say which build of an engine suits a host, and what it needs there
version_added: "0.1.0"
description:
  - Internal. Used by the roles and playbooks of this collection.
  - Of vLLM it is what filter P(inferops.gpu.stack_plan#filter) says, and of an engine whose builds
    nobody knows it asks for nothing.
positional: _input, engine
options:
  _input:
    description:
      - What is known of the host, as an offer or filter P(inferops.gpu.stack_plan#filter) has it.
        It may be empty.
    type: dict
    required: true
  engine:
    description: The engine, as M(inferops.gpu.model_server) names it.
    type: str
    required: true
  accelerator:
    description: What it computes on.
    type: str
    choices: [cuda, cpu]
    default: cuda
  release:
    description: The release; V(auto) for the usual one.
    type: str
    default: auto
  least_release:
    description: The oldest release that knows the model; empty for any.
    type: str
    default: ""
author:
  - inferops.gpu contributors (@inferops)
"""

EXAMPLES = r"""
- name: Which build?
  ansible.builtin.debug:
    msg: "{{ {'driver_version': '580.95.05'} | inferops.gpu.engine_plan('llama_cpp') }}"
"""

RETURN = r"""
_value:
  description:
    - C(requirements) and C(lock) are what is installed, from C(index) where it is not empty, with
      the variables C(environment). C(least_driver) is empty where it needs none. C(why) is for a
      person.
  type: dict
  sample:
    accelerator: cuda
    build: cu128
    release: 2026.10.11549
    requirements: [xllamacpp==2026.10.11549]
    lock: ""
    index: https://xorbitsai.github.io/xllamacpp/whl/cu128
    environment: {INFEROPS_ACCELERATOR: cuda}
    least_driver: "570"
    download_gib: 0.8
    installed_gib: 1.6
    why: llama.cpp b11549 (xllamacpp 2026.10.11549, cu128)
"""


def engine_plan(
    host: Mapping[str, Any],
    engine: str,
    accelerator: str = "cuda",
    release: str = "auto",
    least_release: str = "",
) -> dict[str, Any]:
    """See DOCUMENTATION."""
    try:
        return knowledge(engine).plan(host, accelerator, release, least_release)
    except PlanImpossible as error:
        raise AnsibleFilterError(str(error)) from error


class FilterModule:
    """Filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """The filters by name."""
        return {"engine_plan": engine_plan}
