# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Action for model_server: waits with live progress and explains what went wrong.

The module starts the server on the host and returns. The waiting is done from here, by calls of
model_server_info that come back as soon as something changes, so that each phase is shown when it
begins. The catalogue of failures is consulted here too: it need not travel to the host.
"""

from __future__ import annotations

import math
import time
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.module_utils.parsing.convert_bool import boolean

from ansible_collections.inferops.gpu.plugins.module_utils.common.reasons import REQUESTED
from ansible_collections.inferops.gpu.plugins.module_utils.common.redaction import (
    REDACTED,
    redact,
)
from ansible_collections.inferops.gpu.plugins.module_utils.serving import limits
from ansible_collections.inferops.gpu.plugins.module_utils.serving.explanation import (
    Symptoms,
    blames_caches,
    explain,
    symptoms_of,
)
from ansible_collections.inferops.gpu.plugins.plugin_utils.bounds import turns
from ansible_collections.inferops.gpu.plugins.plugin_utils.guarded_action import GuardedAction

MODULE = "inferops.gpu.model_server"
INFO_MODULE = "inferops.gpu.model_server_info"
POLL_SECONDS = 5
TAIL_LINES = 60
#: Options that recover reads back from the host and gives again.
READ_BACK = ("arguments", "suggested_arguments", "extra_args")
#: A start has a dozen phases, and weights in a hundred files.
MOST_PHASES = 500


class ActionModule(GuardedAction):
    """Runs the module, then follows the start of the server."""

    _supports_check_mode = True
    _supports_diff = True
    #: Whether it starts with what another host has compiled.
    caches_carried = False

    def act(self, variables: dict[str, Any]) -> dict[str, Any]:
        self.task_vars = variables
        self.seen_warnings: list[str] = []
        arguments = dict(self._task.args)
        wait = _flag(arguments, "wait", True)
        self.caches_carried = _flag(arguments, "caches_carried", False)
        if any(REDACTED in str(arguments.get(name)) for name in READ_BACK):
            raise AnsibleActionFail(
                "A secret stands among the options of the server, and what a host says back is "
                "without it: give it by the environment instead (inferops_server_environment), "
                "and deploy again."
            )
        result = self.call(MODULE, arguments)
        # A port that is taken is refused before the start, so no log speaks of it.
        if result.get("failed") and "port_owners" in result:
            result["failure"] = explain(Symptoms(reason=result["msg"]))
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
        self.seen_warnings = answer.get("warnings", [])
        return answer["servers"][0]

    def follow(self, result: dict[str, Any], arguments: dict[str, Any]) -> dict[str, Any]:
        """Show the phases until the server serves, has died, or the time is up."""
        host = self.task_vars.get("inventory_hostname", "host")
        allowed = limits.allowed(result.get("wait_limit"), arguments.get("wait_timeout_seconds"))
        phases: list[dict[str, Any]] = []
        began = time.monotonic()
        result["phases"] = phases
        server: dict[str, Any] = {"phase": "starting", "progress": None}
        for elapsed in turns(math.inf):
            if server["phase"] not in ("starting", "stopping"):
                break
            limit = limits.passed(server, elapsed, allowed.seconds, allowed.checks_seconds)
            if limit:
                return self.timed_out(result, arguments, limit)
            known, left = server["progress"], max(allowed.seconds - elapsed, 0.1)
            wait = min(POLL_SECONDS, left)
            server = self.ask(arguments, wait_seconds=wait, known_progress=known)
            if server["progress"] != known and len(phases) < MOST_PHASES:
                seconds = round(time.monotonic() - began, 1)
                phases.append({"progress": server["progress"], "seconds": seconds})
                self.tell(host, f"{server['progress']} ({seconds:.0f} s)")
        result["server"] = server
        if server["phase"] == "running":
            result["warnings"] = [*result.get("warnings", []), *self.seen_warnings]
            return {**result, "completion": server["completion"]}
        asked = server["reason"] == REQUESTED
        event = "was stopped while it started" if asked else f"failed to start: {server['reason']}"
        return self.explain(result, arguments, event)

    def timed_out(
        self,
        result: dict[str, Any],
        arguments: dict[str, Any],
        limit: limits.Limit,
    ) -> dict[str, Any]:
        """Stop the whole tree: a server that may come up later would bill and hold its port."""
        failed = self.explain(result, arguments, limit.event, limit)
        keep = ("name", "home", "stop_timeout_seconds")
        stop = {key: arguments[key] for key in keep if key in arguments}
        stopped = self.call(MODULE, {**stop, "state": "stopped", "reason": limit.reason})
        return {**failed, "stopped": stopped.get("stopped", "unproven")}

    def explain(
        self,
        result: dict[str, Any],
        arguments: dict[str, Any],
        event: str,
        limit: limits.Limit | None = None,
    ) -> dict[str, Any]:
        """The result of a failed start: what happened, why, and what to change.

        One that has passed a limit is explained before it is stopped, by the reason that it will
        be stopped for.
        """
        server = self.ask(arguments, symptoms=True)
        symptoms = symptoms_of(server)
        failure = explain(symptoms._replace(reason=limit.reason) if limit else symptoms)
        if limit and failure["change"] in limit.option:
            failure["change"] = limit.option
        message = (
            f"Server {server['name']!r} {event}. {failure['cause']} {failure['remedy']} "
            f"Its log is {server['log_path']} on the host."
        )
        return {
            **result,
            "failed": True,
            "blames_caches": blames_caches(failure, self.caches_carried),
            "msg": redact(message),
            "server": {key: value for key, value in server.items() if key != "symptoms"},
            "failure": failure,
            "log_tail": symptoms.log.splitlines()[-TAIL_LINES:],
        }


def _flag(arguments: dict[str, Any], option: str, default: bool) -> bool:
    """What the action goes by. What the module would refuse is refused here in the same words."""
    try:
        return bool(boolean(arguments.get(option, default)))
    except TypeError as error:
        raise AnsibleActionFail(f"{option} must be true or false: {error}") from error
