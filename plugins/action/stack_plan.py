# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Choose the stack for a host. The module of the same name documents it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from ansible.errors import AnsibleActionFail

from ansible_collections.inferops.gpu.plugins.module_utils.serving.before_installing import (
    unknown_to,
)
from ansible_collections.inferops.gpu.plugins.module_utils.serving.engines.vllm.choosing import (
    Choice,
    Wish,
    choose,
    plan_on,
)
from ansible_collections.inferops.gpu.plugins.module_utils.serving.engines.vllm.planning import (
    StackImpossible,
    WayOut,
    fulfils,
)
from ansible_collections.inferops.gpu.plugins.plugin_utils.guarded_action import WorkerAction

ARGUMENTS: dict[str, Any] = {
    "gpu": {"type": "dict", "required": True},
    "host": {"type": "dict", "required": True},
    "accelerator": {"type": "str", "choices": ["cuda", "cpu"], "default": "cuda"},
    "vllm_version": {"type": "str", "default": "auto"},
    "visible_devices": {"type": "str", "default": ""},
    "python": {"type": "str", "default": ""},
    "installer": {"type": "str", "choices": ["uv", "pip"], "default": "uv"},
    "image_python": {"type": "str", "default": ""},
    "image_vllm_version": {"type": "str", "default": ""},
    "image_is_asked_for": {"type": "bool", "default": True},
    "least_vllm": {"type": "str", "default": ""},
    "arguments": {"type": "dict", "default": {}},
    "extra_args": {"type": "list", "elements": "str", "default": []},
    "extra_requirements": {"type": "list", "elements": "str", "default": []},
}


class ActionModule(WorkerAction):
    """Decides, and says why."""

    argument_spec = ARGUMENTS

    def work(self, given: dict[str, Any], variables: dict[str, Any]) -> dict[str, Any]:
        """The result that the documentation promises."""
        gpu, host = given["gpu"], given["host"]
        names = ("accelerator", "vllm_version", "visible_devices", "python", "least_vllm")
        wish = Wish(**{name: given[name] for name in names})
        there = given["image_vllm_version"]
        name = variables.get("inventory_hostname", "host")
        try:
            if given["image_python"]:
                plan = plan_of_image(gpu, host, wish, given["image_python"], there)
                choice = Choice(plan, given["image_python"])
            else:
                choice = choose(gpu, host, wish, given["installer"])
        except StackImpossible as error:
            if given["image_python"] and not given["image_is_asked_for"]:
                self.tell(name, f"the vLLM of the image is not taken: {error.cause}")
                return {"changed": False, "plan": {}, "interpreter": ""}
            raise AnsibleActionFail(str(error)) from error
        for line in lines(choice.plan, given["image_python"]):
            self.tell(name, line)
        said = (given["arguments"], given["extra_args"], given["extra_requirements"])
        unknown = unknown_to("vllm", choice.plan["vllm_version"], *said)
        if unknown:
            raise AnsibleActionFail(unknown)
        return {"changed": False, "plan": choice.plan, "interpreter": choice.interpreter}


def plan_of_image(
    gpu: dict[str, Any], host: dict[str, Any], wish: Wish, python: str, there: str
) -> dict[str, Any]:
    """The plan for the vLLM that an image has. Raises StackImpossible."""
    if not fulfils(there, wish.vllm_version):
        raise StackImpossible(
            f"{python} has vLLM {there} and inferops_vllm_version asks for {wish.vllm_version}.",
            [
                WayOut(
                    "rent with the image of that release, set inferops_vllm_version to auto, or "
                    "leave inferops_image_python empty to install it"
                )
            ],
        )
    return plan_on(gpu, host, replace(wish, vllm_version=there))


def lines(plan: dict[str, Any], image_python: str) -> Iterator[str]:
    """Why it is this one, for people."""
    yield plan["why"]
    yield from plan["notes"]
    if image_python:
        yield f"nothing is installed: it is served from {image_python}"
    elif plan["image"]:
        yield (
            f"the same without an installation: rent with the image {plan['image']} (rent_image) "
            "and set inferops_image_python to its interpreter, /usr/bin/python3"
        )
