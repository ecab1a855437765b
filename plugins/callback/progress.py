# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A callback for long tasks: who waits for what, how long, and at what cost."""

from __future__ import annotations

DOCUMENTATION = r"""
name: progress
type: aggregate
short_description: Says what long tasks are doing, how long, and what they have cost so far
version_added: "0.1.0"
author:
  - inferops.gpu contributors (@inferops)
description:
  - Renting a host, installing an inference engine and loading a model take minutes in one task
    each. This callback prints a plain line for every task that runs long, with its hosts, its
    seconds and, where the rental's price is known, the dollars spent on these hosts so far. On the
    way to a new host's first token it says how many minutes of those that are expected have gone.
  - At the end of a playbook it prints the seconds that each role took.
  - Tasks that finish quickly print nothing.
  - The price is that of the modules that ask the marketplace from the controller, such as
    M(inferops.gpu.rental). What a rented host says of it is not looked at.
  - Where P(inferops.gpu.phases#callback) shows the run, this callback is silent.
notes:
  - The lines are plain text, so that they also read well in AWX and in log files.
  - They go to standard output beside callbacks that write for people there (Ansible's own
    V(default), V(minimal) and V(oneline), P(inferops.gpu.phases#callback), and AWX's). With any
    other one they go to standard error, so that what is written for a program stays whole.
requirements:
  - enabled in C(ansible.cfg) by C(callbacks_enabled = inferops.gpu.progress)
options:
  first_after_seconds:
    description: A task that runs longer than this gets its first line.
    type: float
    default: 5
    env:
      - name: INFEROPS_PROGRESS_FIRST_AFTER_SECONDS
    ini:
      - section: callback_inferops_progress
        key: first_after_seconds
  repeat_every_seconds:
    description: Seconds from one line about a task to the next.
    type: float
    default: 10
    env:
      - name: INFEROPS_PROGRESS_REPEAT_EVERY_SECONDS
    ini:
      - section: callback_inferops_progress
        key: repeat_every_seconds
"""

import threading
import time
from typing import Any

from ansible.plugins.callback import CallbackBase

from ansible_collections.inferops.gpu.plugins.plugin_utils import screen
from ansible_collections.inferops.gpu.plugins.plugin_utils.bills import Bills
from ansible_collections.inferops.gpu.plugins.plugin_utils.interruption import say_what_bills
from ansible_collections.inferops.gpu.plugins.plugin_utils.phase_lines import host_list

_LOOK_EVERY_SECONDS = 0.5


class _RunningTask:
    """One task, and since when (monotonic seconds) each of its hosts has been in it."""

    def __init__(self, name: str, next_line_at: float) -> None:
        self.name = name
        self.next_line_at = next_line_at
        self.started_by_host: dict[str, float] = {}


class CallbackModule(CallbackBase):
    """Ansible calls it in its main process; a daemon thread there prints the lines."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "inferops.gpu.progress"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self, display: Any = None, options: Any = None) -> None:
        super().__init__(display=display, options=options)
        # Guards everything below, which both the thread and Ansible's own calls touch.
        self._guard = threading.Lock()
        self._running: dict[str, _RunningTask] = {}
        self._bills = Bills()
        self._seconds_by_role: dict[str, float] = {}
        self._role: str | None = None
        self._role_since = 0.0
        self._over = threading.Event()
        self._thread: threading.Thread | None = None

    def v2_playbook_on_start(self, playbook: Any) -> None:
        """The stdout callback is there by now: phases says all of this by itself."""
        self.disabled = screen.is_taken()
        if not self.disabled:
            say_what_bills(self._bills.lines)

    # The thread.

    def _watch(self) -> None:
        while not self._over.wait(_LOOK_EVERY_SECONDS):
            for line in self._due_lines(time.monotonic()):
                screen.show(line)

    def _due_lines(self, now: float) -> list[str]:
        """One line per task whose time has come; `now` is monotonic."""
        lines = []
        with self._guard:
            for task in self._running.values():
                if now < task.next_line_at:
                    continue
                task.next_line_at += self.get_option("repeat_every_seconds")
                hosts = sorted(task.started_by_host)
                seconds = now - min(task.started_by_host.values())
                line = f"… {host_list(hosts)}: {task.name}, {seconds:.0f} s"
                line += self._minutes(hosts)
                spent = self._bills.spent_usd(hosts)
                if spent is not None:
                    line += f", ${spent:.4f} so far"
                lines.append(line)
        return lines

    def _minutes(self, hosts: list[str]) -> str:
        """How far the one that takes longest is on its way to the first token."""
        way = self._bills.way(hosts)
        if way is None:
            return ""
        gone, expected = way
        return f", {gone / 60:.1f} of about {expected / 60:.1f} minutes to the first token"

    # Hosts entering and leaving tasks.

    def v2_runner_on_start(self, host: Any, task: Any) -> None:
        """A host enters a task."""
        now = time.monotonic()
        with self._guard:
            self._bills.begin(host.get_name(), task)
            running = self._running.setdefault(
                task._uuid,
                _RunningTask(task.get_name().strip(), now + self.get_option("first_after_seconds")),
            )
            running.started_by_host[host.get_name()] = now
        if self._thread is None:
            self._thread = threading.Thread(target=self._watch, name="progress", daemon=True)
            self._thread.start()

    def _leave(self, result: Any) -> None:
        host = result.host.get_name()
        with self._guard:
            running = self._running.get(result.task._uuid)
            if running is not None:
                running.started_by_host.pop(host, None)
                if not running.started_by_host:
                    del self._running[result.task._uuid]
            self._bills.hear(result)

    def v2_runner_on_ok(self, result: Any) -> None:
        """A host leaves a task: done."""
        self._leave(result)

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        """A host leaves a task: failed."""
        self._leave(result)

    def v2_runner_on_unreachable(self, result: Any) -> None:
        """A host leaves a task: not reachable."""
        self._leave(result)

    def v2_runner_on_skipped(self, result: Any) -> None:
        """A host leaves a task: skipped."""
        self._leave(result)

    # Seconds per role: the wall-clock time from each task's start to the next one's.

    def _close_role(self, next_role: str | None) -> None:
        now = time.monotonic()
        if self._role is not None:
            spent = now - self._role_since
            self._seconds_by_role[self._role] = self._seconds_by_role.get(self._role, 0.0) + spent
        self._role, self._role_since = next_role, now

    def v2_playbook_on_task_start(self, task: Any, is_conditional: bool) -> None:
        """The play goes on to another task."""
        self._close_role(task._role.get_name() if task._role else None)

    def v2_playbook_on_handler_task_start(self, task: Any) -> None:
        """The play goes on to a handler."""
        self._close_role(task._role.get_name() if task._role else None)

    def v2_playbook_on_stats(self, stats: Any) -> None:
        """The playbook is over."""
        self._over.set()
        if self._thread is not None:
            self._thread.join()
        self._close_role(None)
        for role, seconds in self._seconds_by_role.items():
            screen.show(f"role {role}: {seconds:.1f} s")
