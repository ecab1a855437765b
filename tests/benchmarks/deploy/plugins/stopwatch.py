# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A callback that writes down what each task took and how many tasks each host ran."""

from __future__ import annotations

import json
import os
import resource
import time
from pathlib import Path
from typing import Any

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = r"""
name: stopwatch
type: aggregate
short_description: Writes what each task took into a file
description:
  - The file is the one in the environment variable C(INFEROPS_BENCH_TIMES). It is written at the
    end of the play.
  - A task takes from its start to the start of the next one, in seconds of this machine and of its
    processors, those of Ansible's ended processes included. Tasks of a host are those that its
    line of the recap counts as C(ok) or C(failed), so that skipped ones do not count.
"""


class CallbackModule(CallbackBase):
    """Ansible calls it in its main process."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "stopwatch"

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.tasks: list[dict[str, Any]] = []
        self.began, self.worked = time.monotonic(), cpu_seconds()

    def v2_playbook_on_task_start(self, task: Any, is_conditional: bool) -> None:
        """The play goes on to another task."""
        self.close()
        self.tasks.append({"name": task.get_name().strip()})

    def close(self) -> None:
        """The last task ends now."""
        now, worked = time.monotonic(), cpu_seconds()
        if self.tasks:
            self.tasks[-1]["seconds"] = now - self.began
            self.tasks[-1]["cpu_seconds"] = worked - self.worked
        self.began, self.worked = now, worked

    def v2_playbook_on_stats(self, stats: Any) -> None:
        """The play is over."""
        self.close()
        recap = {host: stats.summarize(host) for host in stats.processed}
        ran = {host: counted["ok"] + counted["failures"] for host, counted in recap.items()}
        told = {"tasks": self.tasks, "ran": ran}
        Path(os.environ["INFEROPS_BENCH_TIMES"]).write_text(json.dumps(told))


def cpu_seconds() -> float:
    """What this process has used, with those that it has started and that have ended."""
    used = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(one.ru_utime + one.ru_stime for one in used)
