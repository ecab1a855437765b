#!/usr/bin/python
# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: stack_plan
short_description: Choose the stack for a host by its driver and GPUs
version_added: "0.1.0"
description:
  - Internal. Used by role P(inferops.gpu.stack#role); its options and results may change.
  - Chooses vLLM, torch, their builds and the Python for a host, as filter
    P(inferops.gpu.stack_plan#filter) does for an offer, and shows why.
  - This is an action plugin. It decides on the controller.
author:
  - inferops.gpu contributors (@inferops)
extends_documentation_fragment:
  - inferops.gpu.attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: N/A
    details: Nothing is changed.
  platform:
    support: full
    platforms: posix
options:
  gpu:
    description: The GPUs, as M(inferops.gpu.gpu_info) returns them.
    type: dict
    required: true
  host:
    description: The machine around them, as M(inferops.gpu.gpu_info) returns it.
    type: dict
    required: true
  accelerator:
    description: What the server runs on.
    type: str
    choices: [cuda, cpu]
    default: cuda
  vllm_version:
    description:
      - A release of the table, V(auto) for the newest that the host can run, or limits such as
        V(>=0.30,<0.33). What O(image_vllm_version) has must fulfil it.
    type: str
    default: auto
  visible_devices:
    description: The value of C(CUDA_VISIBLE_DEVICES).
    type: str
    default: ""
  python:
    description: A path, a version or a range that is asked for; any when empty.
    type: str
    default: ""
  installer:
    description: What will install it, as M(inferops.gpu.stack_lock) says.
    type: str
    choices: [uv, pip]
    default: uv
  image_python:
    description:
      - The interpreter of an image that has vLLM already. Then nothing is installed, and
        O(image_vllm_version) is what it has.
    type: str
    default: ""
  image_vllm_version:
    description: The vLLM of that image.
    type: str
    default: ""
  image_is_asked_for:
    description: Whether what cannot be planned with it fails; else the plan is empty then.
    type: bool
    default: true
  least_vllm:
    description: The oldest release that knows the model; any when empty.
    type: str
    default: ""
  arguments:
    description:
      - Options of the server. One that the vLLM of the plan does not know is refused, as its own
        parser would refuse it behind the installation.
    type: dict
    default: {}
  extra_args:
    description: Further words of its command line.
    type: list
    elements: str
    default: []
  extra_requirements:
    description:
      - What is installed beside the plan. It may add options to vLLM, so with it none is refused.
    type: list
    elements: str
    default: []
seealso:
  - plugin: inferops.gpu.stack_plan
    plugin_type: filter
"""

EXAMPLES = r"""
- name: Choose the stack
  inferops.gpu.stack_plan:
    gpu: "{{ facts.gpu }}"
    host: "{{ facts.host }}"
  register: choice
"""

RETURN = r"""
plan:
  description: The plan, as filter P(inferops.gpu.stack_plan#filter) returns it.
  returned: success
  type: dict
  sample: {vllm_version: 0.32.0, torch_version: 2.13.0, torch_backend: cu130}
interpreter:
  description: The Python that the environment is made with, as uv or pip understands it.
  returned: success
  type: str
  sample: ">=3.11,<3.14"
"""
