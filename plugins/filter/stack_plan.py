# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Filters over pure knowledge: what to install on a host."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ansible.errors import AnsibleFilterError

from ansible_collections.inferops.gpu.plugins.module_utils.serving.engines.vllm.choosing import (
    plan_for,
)
from ansible_collections.inferops.gpu.plugins.module_utils.serving.engines.vllm.planning import (
    StackImpossible,
)

DOCUMENTATION = r"""
name: stack_plan
short_description: Choose the vLLM stack that suits a host
version_added: "0.1.0"
description:
  - Chooses vLLM, torch and their builds for a host by its driver and GPU, from a table.
  - Works on measured facts and on an offer's promises alike.
positional: _input
options:
  _input:
    description:
      - A dictionary with C(driver_version), C(compute_capability), C(glibc_version),
        C(architecture) and C(python_version), each may be missing or empty. The offers of
        M(inferops.gpu.offer_info) have this shape.
      - C(python_version) may be a list of all that are there, where no other can be had.
      - A driver or a GPU that is not told as a number, such as C([N/A]), is unknown, and what is
        unknown refuses nothing.
    type: dict
    required: true
  accelerator:
    description: What the server runs on.
    type: str
    choices: [cuda, cpu]
    default: cuda
  vllm_version:
    description:
      - A release of the table, or V(auto) or V(latest) for the newest that the host can run and
        whose lock has resolved. Limits such as V(>=0.30,<0.33) take the newest of those within.
    type: str
    default: auto
  gpus:
    description:
      - The GPUs of the host, as M(inferops.gpu.gpu_info) returns them. They take the place of
        C(compute_capability), and the plan suits each of them that the server will see.
    type: list
    elements: dict
  visible_devices:
    description:
      - The value of C(CUDA_VISIBLE_DEVICES), indexes or UUIDs or their beginnings; all O(gpus)
        count when it is empty or has any other name in it.
    type: str
    default: ""
  least_vllm:
    description: The oldest release that will do, such as one that knows the model; any when empty.
    type: str
    default: ""
author:
  - inferops.gpu contributors (@inferops)
"""

EXAMPLES = r"""
- name: What would be installed there?
  ansible.builtin.debug:
    msg: "{{ {'driver_version': '535.183.06'} | inferops.gpu.stack_plan }}"
"""

RETURN = r"""
_value:
  description: The plan.
  type: dict
  sample:
    accelerator: cuda
    vllm_version: 0.32.0
    torch_version: 2.13.0
    torch_backend: cu130
    cuda_version: "13.0"
    torch_device: cuda
    distribution: vllm
    requirements: [vllm==0.32.0, torch==2.13.0]
    constraints: []
    python: ">=3.11,<3.15"
    python_version: ""
    ray: false
    indexes: []
    excluded: []
    environment:
      VLLM_USE_FLASHINFER_SAMPLER: "0"
    installed_gib: 8.0
    download_gib: 3.5
    image: docker.io/vllm/vllm-openai:v0.32.0
    least_driver: "525"
    why: vLLM 0.32.0 with torch 2.13.0 (cu130) suits driver 580.95.05
    notes: []
    sources: [metadata]
"""


def stack_plan(
    host: Mapping[str, Any],
    accelerator: str = "cuda",
    vllm_version: str = "auto",
    gpus: Sequence[Mapping[str, Any]] | None = None,
    visible_devices: str = "",
    least_vllm: str = "",
) -> dict[str, Any]:
    """See DOCUMENTATION."""
    try:
        return plan_for(host, accelerator, vllm_version, gpus, str(visible_devices), least_vllm)
    except StackImpossible as error:
        raise AnsibleFilterError(str(error)) from error


class FilterModule:
    """Filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """The filters by name."""
        return {"stack_plan": stack_plan}
