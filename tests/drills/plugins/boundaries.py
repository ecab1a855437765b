# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A callback that tells the drill's harness of each task, and waits there for its answer."""

from __future__ import annotations

import json
import os
import urllib.request
from typing import Any

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = r"""
name: boundaries
type: aggregate
short_description: Tells the harness of a drill where a play is, and what it claims
description:
  - Sends each start of a task, the end, the results of market modules and every failure to the
    address in the environment variable C(INFEROPS_DRILL_URL). The play goes on once that has
    answered, so the harness can end it right there.
"""

CLAIMING = ("inferops.gpu.rental", "inferops.gpu.rental_reap")
ANSWER_SECONDS = 60


class CallbackModule(CallbackBase):
    """Ansible calls it in its main process, between the tasks."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "boundaries"
    CALLBACK_NEEDS_ENABLED = True

    def tell(self, **news: Any) -> None:
        """Send news and wait for the answer; this machine's proxies stay out of it."""
        direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        body = json.dumps(news, default=str).encode()
        request = urllib.request.Request(os.environ["INFEROPS_DRILL_URL"], body)
        direct.open(request, timeout=ANSWER_SECONDS).close()

    def v2_playbook_on_task_start(self, task: Any, is_conditional: bool) -> None:
        """The play is about to start a task."""
        self.tell(task=task.get_name().strip())

    def v2_playbook_on_stats(self, stats: Any) -> None:
        """The play has done all of its tasks."""
        self.tell(task="the end")

    def v2_runner_on_ok(self, result: Any) -> None:
        """What a market module returned is what the play goes by."""
        if result.task.action in CLAIMING:
            self.tell(claim=result.result, action=result.task.action)

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        """A failure, whether it is rescued or not."""
        self.v2_runner_on_ok(result)
        if not ignore_errors:
            self.tell(failure=result.result, action=result.task.action)

    def v2_runner_on_unreachable(self, result: Any) -> None:
        """A host that does not answer."""
        self.tell(failure=result.result, action=result.task.action)
