# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Action for model_cache: shows how far a download is while another process does it.

A task with `async` starts that process and returns. A task without it that finds the process at
work asks again and again; should the process have died, the call that finds out goes on itself.
"""

from __future__ import annotations

from typing import Any

from ansible_collections.inferops.gpu.plugins.plugin_utils.guarded_action import (
    GuardedAction,
    tell,
)

MODULE = "inferops.gpu.model_cache"
WATCH_SECONDS = 5


class ActionModule(GuardedAction):
    """Runs the module, again for as long as somebody else downloads."""

    _supports_check_mode = True
    _supports_async = True
    _supports_diff = True

    def run(
        self, tmp: str | None = None, task_vars: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        super().run(tmp, task_vars)
        variables = task_vars or {}
        if self._task.async_val:
            return self._execute_module(module_name=MODULE, task_vars=variables, wrap_async=True)
        arguments = {"watch_seconds": WATCH_SECONDS, **self._task.args}
        told = None
        while True:
            result = self._execute_module(
                module_name=MODULE, module_args=arguments, task_vars=variables
            )
            progress = result.get("progress")
            if result.get("failed") or "progress" not in result:
                return result
            if progress and progress != told:
                told = progress
                host = variables.get("inventory_hostname", "host")
                tell(host, line(progress))


def line(progress: dict[str, Any]) -> str:
    """model 3.0 of 15.3 GiB, 98 MB/s"""
    done, total = progress["bytes_done"] / 1024**3, progress["bytes_total"] / 1024**3
    return f"model {done:.1f} of {total:.1f} GiB, {progress['bytes_per_second'] / 1e6:.0f} MB/s"
