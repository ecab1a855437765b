# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Action for model_cache: shows how far a download is while another process does it.

A task with `async` starts that process and returns. A task without it that finds the process at
work asks again and again; should the process have died, the call that finds out goes on itself.
"""

from __future__ import annotations

from typing import Any

from ansible.errors import AnsibleActionFail

from ansible_collections.inferops.gpu.plugins.plugin_utils.bounds import turns
from ansible_collections.inferops.gpu.plugins.plugin_utils.guarded_action import GuardedAction

MODULE = "inferops.gpu.model_cache"
WATCH_SECONDS = 5
COUNTED = ("bytes_done", "bytes_total", "bytes_per_second")
GIB = 1024**3


class ActionModule(GuardedAction):
    """Runs the module, again for as long as somebody else downloads."""

    #: A terabyte at 25 MB/s. Role model_cache has a time limit of its own.
    most_seconds = 12 * 3600
    _supports_check_mode = True
    _supports_async = True
    _supports_diff = True

    def act(self, variables: dict[str, Any]) -> dict[str, Any]:
        if self._task.async_val:
            return self._execute_module(module_name=MODULE, task_vars=variables, wrap_async=True)
        arguments = {"watch_seconds": WATCH_SECONDS, **self._task.args}
        told = ""
        for _elapsed in turns(self.most_seconds):
            result = self._execute_module(
                module_name=MODULE, module_args=arguments, task_vars=variables
            )
            if result.get("failed") or "progress" not in result:
                return result
            progress = line(result["progress"])
            if progress not in ("", told):
                told = progress
                self.tell(variables.get("inventory_hostname", "host"), progress)
        raise AnsibleActionFail(
            f"The model is not complete within {self.most_seconds / 3600:g} hours. Run again: what "
            "is there is kept."
        )


def line(progress: Any) -> str:
    """model 3.0 of 15.3 GiB, 98 MB/s, about 135 s left; nothing where nobody knows it yet."""
    try:
        done, total, rate = (float(progress[name]) for name in COUNTED)
        checked = float(progress.get("bytes_checked", 0))
    except (TypeError, KeyError, ValueError, OverflowError):
        return ""
    text = f"model {done / GIB:.1f} of {total / GIB:.1f} GiB, {rate / 1e6:.0f} MB/s"
    if done >= total:
        return f"{text}, {checked / GIB:.1f} GiB checked"
    return text + (f", about {(total - done) / rate:.0f} s left" if rate > 0 else "")
