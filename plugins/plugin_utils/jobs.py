# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Actions for modules that take minutes: they show how far it is, and outlive a connection."""

from __future__ import annotations

import time
import uuid
from typing import Any

from ansible.errors import AnsibleActionFail, AnsibleConnectionFailure

from ansible_collections.inferops.gpu.plugins.module_utils.common.plain import plain_line
from ansible_collections.inferops.gpu.plugins.plugin_utils.bounds import turns
from ansible_collections.inferops.gpu.plugins.plugin_utils.guarded_action import GuardedAction

WATCH_SECONDS = 5.0
PAUSE_SECONDS = 5.0
#: How long a host may say that it is at work.
MOST_SECONDS = 2 * 3600.0
#: How long a host may be away while it works: it bills meanwhile, and most do not come back.
MOST_SILENT_SECONDS = 90.0


class JobAction(GuardedAction):
    """Starts the work on the host, and asks for its result until there is one."""

    module = ""
    _supports_check_mode = True
    _supports_diff = True

    def act(self, variables: dict[str, Any]) -> dict[str, Any]:
        job = {"job": uuid.uuid4().hex, "watch_seconds": WATCH_SECONDS, **self._task.args}
        host = variables.get("inventory_hostname", "host")
        heard = time.monotonic()
        for _elapsed in turns(MOST_SECONDS):
            try:
                result = self._execute_module(
                    module_name=self.module, module_args=job, task_vars=variables
                )
            except AnsibleConnectionFailure as error:
                if time.monotonic() - heard > MOST_SILENT_SECONDS:
                    raise
                self.tell(host, f"the connection broke, the work goes on: {error}")
                time.sleep(PAUSE_SECONDS)
                continue
            heard = time.monotonic()
            if "running" not in result:
                return result
            self.tell(host, line(result["running"]))
        raise AnsibleActionFail(f"The host has not done it within {MOST_SECONDS / 3600:g} hours.")


def line(running: Any) -> str:
    """installing torch: 412 MiB written, 12 s"""
    running = running if isinstance(running, dict) else {}
    doing = plain_line(str(running.get("doing")), 80)
    grown, seconds = running.get("grown_mib"), running.get("seconds")
    written = f"{grown:d} MiB written, " if isinstance(grown, int) and grown else ""
    return f"{doing}: {written}{seconds if isinstance(seconds, int) else '?'} s"
