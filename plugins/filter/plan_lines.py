# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Filters over pure knowledge: what people see of a plan."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ansible_collections.inferops.gpu.plugins.module_utils.serving.engines.knowledge import (
    Wish,
    read_line,
)
from ansible_collections.inferops.gpu.plugins.module_utils.serving.engines.registry import (
    DEFAULT,
    knowledge,
)

DOCUMENTATION = r"""
name: plan_lines
short_description: Show what would be installed and served
version_added: "0.1.0"
description:
  - Internal. Used by the roles and playbooks of this collection.
  - Plain lines for people about a plan that was made before anything is rented.
positional: _input
options:
  _input:
    description: A plan as filter P(inferops.gpu.stack_plan#filter) returns it.
    type: dict
    required: true
  model:
    description: The model that would be served.
    type: str
    required: true
  port:
    description: The port on the host's loopback.
    type: str
    required: true
  image_python:
    description:
      - The Python of an image that has the stack already; empty where it is installed. With V(auto)
        that of O(engine_image).
    type: str
    default: ""
  engine_image:
    description: The image that would be rented because it has the stack already; empty for none.
    type: str
    default: ""
  served:
    description:
      - What says how the weights are read, C(weights_gib) of the model's files, C(ram_gib) of the
        host that would be rented, and C(arguments), C(extra_args) and C(engine) of the server.
        What is not known is left out or null.
    type: dict
    default: {}
author:
  - inferops.gpu contributors (@inferops)
"""

EXAMPLES = r"""
- name: What would be installed on this offer?
  ansible.builtin.debug:
    msg: "{{ offer | inferops.gpu.stack_plan | inferops.gpu.plan_lines('Qwen/Qwen3-0.6B', 8000) }}"
"""

RETURN = r"""
_value:
  description: The lines.
  type: list
  elements: str
"""


def plan_lines(
    plan: Mapping[str, Any],
    model: str,
    port: int | str,
    image_python: str = "",
    engine_image: str = "",
    served: Mapping[str, Any] | None = None,
) -> list[str]:
    """See DOCUMENTATION."""
    if image_python == AUTO and engine_image:
        image = f"take what the image {engine_image} has, or install it where that fails a proof"
    elif image_python not in ("", AUTO):
        image = f"take what {image_python} of the image has, and install nothing"
    elif plan["image"]:
        image = f"the same is prebuilt in the image {plan['image']} (rent_image, with {_WISH})"
    else:
        image = "no prebuilt image"
    packages = " and ".join(plan["requirements"])
    return [
        f"Plan: {plan['why']}" + (f", from {packages}" if packages else ""),
        f"Plan: {image}",
        f"Plan: serve {model} on the host's loopback, port {port}, reached by an SSH tunnel",
        f"Plan: its {read_line(_reading(plan, served or {}))}",
        "Nothing was rented and nothing was changed. Run again without --check to do it.",
    ]


def _reading(plan: Mapping[str, Any], served: Mapping[str, Any]) -> dict[str, Any]:
    """How the weights are read, as far as an offer tells it."""
    engine = served.get("engine") or DEFAULT
    wish = Wish(
        engine,
        served.get("arguments") or {},
        served.get("extra_args") or (),
        accelerator=plan.get("accelerator", "cuda"),
        stack=plan,
    )
    weights_gib, ram_gib = (float(served.get(name) or 0) for name in ("weights_gib", "ram_gib"))
    return knowledge(engine).reading_foreseen(weights_gib, ram_gib, wish)


#: The variable that names the Python of an image, and its value that lets us find it.
_WISH = "inferops_image_python"
AUTO = "auto"


class FilterModule:
    """Filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """The filters by name."""
        return {"plan_lines": plan_lines}
