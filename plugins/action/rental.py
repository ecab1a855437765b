# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rent, keep or release, without a process where nothing is to do. The module documents it."""

from __future__ import annotations

from functools import partial
from typing import Any

from ansible.utils.display import Display

from ansible_collections.inferops.gpu.plugins.module_utils.market.rentals.attempts import is_silent
from ansible_collections.inferops.gpu.plugins.module_utils.market.rentals.desk import (
    RENTAL_OPTIONS,
    RENTAL_REQUIRED_IF,
)
from ansible_collections.inferops.gpu.plugins.module_utils.market.rentals.rental import rental
from ansible_collections.inferops.gpu.plugins.module_utils.market.rentals.starting import started_in
from ansible_collections.inferops.gpu.plugins.module_utils.serving.engines.registry import (
    image_release,
)
from ansible_collections.inferops.gpu.plugins.plugin_utils.guarded_action import WorkerAction, shown

display = Display()


class ActionModule(WorkerAction):
    """Looks in the worker, and is done where nothing is to be changed.

    What spends or ends a rental is done by a process of its own: Ansible rescues a task whose
    module was killed, and ends the whole run with a worker that was.
    """

    module = "inferops.gpu.rental"
    logs = True
    argument_spec = RENTAL_OPTIONS
    required_if = RENTAL_REQUIRED_IF

    def work(self, given: dict[str, Any], variables: dict[str, Any]) -> dict[str, Any]:
        """The result that the documentation promises."""
        seen: dict[str, Any] = {}
        dry = self._task.check_mode or given["state"] == "found"
        if dry or given["state"] == "present":
            host = variables.get("inventory_hostname", "localhost")
            tell = partial(display.vvv, host=host)
            seen = rental(given, True, lambda line: tell(shown(line)), image_release)
            if dry or not seen.get("changed"):
                return seen
        result = self._execute_module(module_name=self.module, task_vars=variables)
        # One that was killed takes along what it would have told of what it has started.
        return {**started_in(seen), **result} if is_silent(result) else result
