# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Filters over pure knowledge: what a model and its stack need of a rental."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ansible.module_utils.parsing.convert_bool import boolean

from ansible_collections.inferops.gpu.plugins.module_utils.market.offers.disk import (
    DiskNeeds,
    model_gib,
)
from ansible_collections.inferops.gpu.plugins.module_utils.market.offers.refusals import (
    Asked,
    least_vram_gib,
    refusal,
)

DOCUMENTATION = r"""
name: rental_needs
short_description: Compute what to rent for a model and its stack, and refuse what cannot serve it
version_added: "0.1.0"
description:
  - Internal. Used by the roles and playbooks of this collection.
  - The model's files and the stack lie on the disk that is rented, unless they are somewhere else.
positional: _input, model
options:
  _input:
    description: What filter P(inferops.gpu.model_fit#filter) returns; empty where no GPU is needed.
    type: dict
    required: true
  model:
    description: The model, as on the hub or as an absolute path on the host.
    type: str
    required: true
  stack:
    description:
      - What filter P(inferops.gpu.stack_plan#filter) returns; empty where nothing is installed.
    type: dict
    default: {}
  asked:
    description:
      - What the user asks for, as far as he does. C(gpu_count), C(gpu_names), C(vram_gib) and
        C(disk_gib) are those of role P(inferops.gpu.rent#role), and C(ignore_fit) insists on a
        model that is computed not to fit. C(given_python) is the interpreter of an environment that
        is taken instead of O(stack), empty where that is installed.
    type: dict
    default: {}
  lies_elsewhere:
    description: Whether the model's files lie on another disk.
    type: bool
    default: false
  asked_gib:
    description: What the hub says that the model's files take; V(0) when it was not asked.
    type: float
    default: 0
  reserve_gib:
    description: What has to stay free.
    type: float
    default: 1
author:
  - inferops.gpu contributors (@inferops)
"""

EXAMPLES = r"""
- name: What does it need?
  ansible.builtin.debug:
    msg: "{{ config | inferops.gpu.model_fit | inferops.gpu.rental_needs('a/b') }}"
"""

RETURN = r"""
_value:
  description:
    - C(disk_gib) is what to rent at least, C(download_gib) what a new host fetches, C(least_gib)
      what is taken at least.
    - A disk smaller than C(refused_below_gib) is refused, and C(why) says so. It is 0 where the
      size of the model is not known.
    - C(beside_gib) is what the stack takes of the disk that the model's files lie on.
    - With less than C(least_vram_gib) on each GPU the model cannot start; V(0) where nobody knows.
    - C(refusal) says why what is asked for is not rented; empty when nothing speaks against it.
  type: dict
  sample:
    model_gib: 14.96
    stack_gib: 8.0
    least_gib: 23.96
    disk_gib: 37
    download_gib: 18.5
    refused_below_gib: 23.96
    beside_gib: 8.0
    least_vram_gib: 16.1
    refusal: ""
"""


def rental_needs(
    fit: Mapping[str, Any],
    model: str,
    stack: Mapping[str, Any] | None = None,
    asked: Mapping[str, Any] | None = None,
    lies_elsewhere: bool = False,
    asked_gib: float = 0,
    reserve_gib: float = 1,
) -> dict[str, Any]:
    """See DOCUMENTATION."""
    installed = {} if (asked or {}).get("given_python") else stack or {}
    computed_gib = float(fit.get("checkpoint_gib") or 0)
    disk = DiskNeeds(
        model,
        model_gib(model, lies_elsewhere, float(asked_gib), computed_gib),
        float(installed.get("installed_gib", 0)),
        float(installed.get("download_gib", 0)),
        float(reserve_gib),
    )
    wanted = _asked(model, asked or {})
    return {
        **disk.to_dict(),
        "beside_gib": 0.0 if lies_elsewhere else disk.stack_gib,
        "least_vram_gib": least_vram_gib(fit, wanted),
        "refusal": refusal(fit, disk, wanted),
    }


def _asked(model: str, given: Mapping[str, Any]) -> Asked:
    """What was asked for, where surveys and command lines give text."""
    disk_gib = given.get("disk_gib")
    return Asked(
        model=model,
        gpu_count=int(given.get("gpu_count", 1)),
        gpu_names=given.get("gpu_names") or (),
        vram_gib=float(given.get("vram_gib") or 0),
        disk_gib=None if disk_gib is None else float(disk_gib),
        ignore_fit=boolean(given.get("ignore_fit") or False),
    )


class FilterModule:
    """Filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """The filters by name."""
        return {"rental_needs": rental_needs}
