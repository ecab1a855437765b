# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tell what was spent, without a process for it. The module documents it."""

from __future__ import annotations

from typing import Any

from ansible_collections.inferops.gpu.plugins.module_utils.market.rentals.costing import (
    RENTAL_COSTS_OPTIONS,
    rental_costs,
)
from ansible_collections.inferops.gpu.plugins.plugin_utils.guarded_action import WorkerAction


class ActionModule(WorkerAction):
    """The module's own work, in the worker."""

    module = "inferops.gpu.rental_costs"
    argument_spec = RENTAL_COSTS_OPTIONS

    def work(self, given: dict[str, Any], variables: dict[str, Any]) -> dict[str, Any]:
        """The result that the documentation promises."""
        return rental_costs(given, bool(self._task.check_mode))
