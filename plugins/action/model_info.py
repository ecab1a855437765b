# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ask the hub from the controller, without a process for it. The module documents it."""

from __future__ import annotations

from typing import Any

from ansible_collections.inferops.gpu.plugins.module_utils.hub.asking import (
    MODEL_INFO_OPTIONS,
    model_info,
)
from ansible_collections.inferops.gpu.plugins.plugin_utils.guarded_action import WorkerAction


class ActionModule(WorkerAction):
    """Shows what the hub says. On another machine than the controller the module asks."""

    module = "inferops.gpu.model_info"
    argument_spec = MODEL_INFO_OPTIONS

    def work(self, given: dict[str, Any], variables: dict[str, Any]) -> dict[str, Any]:
        """The result that the documentation promises."""
        result = {"changed": False, **model_info(given)}
        if not result.get("failed"):
            host = variables.get("inventory_hostname", "localhost")
            self.tell(host, line(given["model"], result))
        return result


def line(model: str, result: dict[str, Any]) -> str:
    """Model Qwen/Qwen3-8B: 15.26 GiB in 12 files"""
    if result["reachable"]:
        return f"Model {model}: {result['size_gib']} GiB in {len(result['files'])} files"
    return f"Nobody knows yet whether {model} can be had. {result['note']}"
