# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Action for rental_reap: is strict only with the whole inventory, and runs the module, guarded."""

from __future__ import annotations

from typing import Any

from ansible.module_utils.parsing.convert_bool import boolean

from ansible_collections.inferops.gpu.plugins.module_utils.market.errors import RequestRefused
from ansible_collections.inferops.gpu.plugins.module_utils.market.failing import failure
from ansible_collections.inferops.gpu.plugins.module_utils.market.rentals.reaping import refuse_part
from ansible_collections.inferops.gpu.plugins.plugin_utils.guarded_action import ModuleAction


class ActionModule(ModuleAction):
    """Tells the system log what it does."""

    logs = True

    def act(self, variables: dict[str, Any]) -> dict[str, Any]:
        """The result of the module. Only the controller knows what part of it a run sees."""
        if boolean(self._task.args.get("strict") or False):
            try:
                refuse_part(variables)
            except RequestRefused as refused:
                return failure(refused, "")
        return super().act(variables)
