# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Action for model_server: waits with live progress and explains what went wrong.

The module starts the server on the host and returns. The waiting is done from here, by calls of
model_server_info that come back as soon as something changes, so that each phase is shown when it
begins. The catalogue of failures is consulted here too: it need not travel to the host.
"""

from __future__ import annotations

import time
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.module_utils.parsing.convert_bool import boolean
from ansible.utils.display import Display

from ansible_collections.inferops.gpu.plugins.module_utils.common import limits
from ansible_collections.inferops.gpu.plugins.module_utils.common.reasons import (
    HUNG,
    NOT_READY,
    REQUESTED,
)
from ansible_collections.inferops.gpu.plugins.module_utils.serving.diagnosis import explain
from ansible_collections.inferops.gpu.plugins.plugin_utils.guarded_action import GuardedAction

MODULE = "inferops.gpu.model_server"
INFO_MODULE = "inferops.gpu.model_server_info"
POLL_SECONDS = 5
TAIL_LINES = 60
DIAGNOSIS_LINES = 5000
HEAD_LINES = 1000
TIMEOUTS = {
    NOT_READY: {
        "cause_id": "timeout",
        "cause": "Nothing in its log says that it failed.",
        "remedy": "Raise wait_timeout_seconds, or bring the model to the host before the start.",
    },
    HUNG: {
        "cause_id": "hung",
        "cause": "Its port is open, it does not get on, and nothing in its log says why.",
        "remedy": "Start it again; if it is only slow, raise that check in check_timeouts_seconds.",
    },
}
STOPPED = {
    "cause_id": "stopped",
    "cause": "Another run asked for its end.",
    "remedy": "Launch it again when that run is done.",
    "change": "nothing",
}

display = Display()


class ActionModule(GuardedAction):
    """Runs the module, then follows the start of the server."""

    _supports_check_mode = True
    _supports_diff = True

    def run(
        self, tmp: str | None = None, task_vars: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        super().run(tmp, task_vars)
        self.task_vars = task_vars or {}
        arguments = dict(self._task.args)
        wait = _wait(arguments)
        result = self.call(MODULE, {**arguments, "wait": False})
        done = result.get("failed") or result.get("server", {}).get("phase") == "running"
        asked = arguments.get("state", "started") == "started" and not self._task.check_mode
        if done or not asked or not wait:
            return result
        return self.follow(result, arguments)

    def call(self, module: str, arguments: dict[str, Any]) -> dict[str, Any]:
        return self._execute_module(
            module_name=module, module_args=arguments, task_vars=self.task_vars
        )

    def ask(self, arguments: dict[str, Any], **extra: Any) -> dict[str, Any]:
        """What model_server_info says about the server now."""
        known = {key: arguments[key] for key in ("name", "home") if key in arguments}
        answer = self.call(INFO_MODULE, {**known, **extra})
        if answer.get("failed"):
            raise AnsibleActionFail(f"The server cannot be observed: {answer.get('msg')}")
        return answer["servers"][0]

    def follow(self, result: dict[str, Any], arguments: dict[str, Any]) -> dict[str, Any]:
        """Show the phases until the server serves, has died, or the time is up."""
        host = self.task_vars.get("inventory_hostname", "host")
        allowed, began = result["wait_budget"], time.monotonic()
        phases: list[dict[str, Any]] = []
        result["phases"] = phases
        server: dict[str, Any] = {"phase": "starting", "progress": None}
        while server["phase"] in ("starting", "stopping"):
            elapsed = time.monotonic() - began
            limit = limits.passed(server, elapsed, allowed["seconds"], allowed["checks_seconds"])
            if limit:
                return self.timed_out(result, arguments, limit)
            known = server["progress"]
            server = self.ask(arguments, wait_seconds=POLL_SECONDS, known_progress=known)
            if server["progress"] != known:
                seconds = round(time.monotonic() - began, 1)
                phases.append({"progress": server["progress"], "seconds": seconds})
                display.display(f"{host}: {server['progress']} ({seconds:.0f} s)")
        result["server"] = server
        if server["phase"] == "running":
            return {**result, "completion": server["completion"]}
        if server["reason"] == REQUESTED:
            return self.explain(result, arguments, "was stopped while it started", STOPPED)
        return self.explain(result, arguments, f"failed to start: {server['reason']}")

    def timed_out(
        self,
        result: dict[str, Any],
        arguments: dict[str, Any],
        limit: limits.Limit,
    ) -> dict[str, Any]:
        """Stop the whole tree: a server that may come up later would bill and hold its port."""
        failed = self.explain(
            result,
            arguments,
            limit.event,
            {**TIMEOUTS[limit.reason], "change": limit.option},
        )
        keep = ("name", "home", "stop_timeout_seconds")
        stop = {key: arguments[key] for key in keep if key in arguments}
        stopped = self.call(MODULE, {**stop, "state": "stopped", "reason": limit.reason})
        return {**failed, "stopped": stopped.get("stopped", "unproven")}

    def explain(
        self,
        result: dict[str, Any],
        arguments: dict[str, Any],
        event: str,
        if_unknown: dict[str, str] | None = None,
    ) -> dict[str, Any]:
        """The result of a failed start: what happened, why, and what to change."""
        server = self.ask(
            arguments, log_lines=DIAGNOSIS_LINES, log_head_lines=HEAD_LINES, kernel_log=True
        )
        log, kernel_log = server.pop("log_tail"), server.pop("kernel_log")
        # Of a log that was cut the begin may name the cause. A line that is in both counts once.
        both_ends = "\n".join([*server.pop("log_head"), *log])
        failure = explain(both_ends, server["exit_code"], server["signal"], "\n".join(kernel_log))
        if failure["cause_id"] == "unknown" and if_unknown:
            failure.update(if_unknown)
        message = (
            f"Server {server['name']!r} {event}. {failure['cause']} {failure['remedy']} "
            f"Its log is {server['log_path']} on the host."
        )
        return {
            **result,
            "failed": True,
            "msg": message,
            "server": server,
            "failure": failure,
            "log_tail": log[-TAIL_LINES:],
        }


def _wait(arguments: dict[str, Any]) -> bool:
    """Whether to wait. What the module would refuse is refused here in the same words."""
    try:
        return bool(boolean(arguments.get("wait", True)))
    except TypeError as error:
        raise AnsibleActionFail(f"wait must be true or false: {error}") from error
