# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Action for deadline_switch: asks the host where it has a say, and tells who ends the rental."""

from __future__ import annotations

from typing import Any

from ansible.module_utils.parsing.convert_bool import boolean

from ansible_collections.inferops.gpu.plugins.module_utils.market.errors import RequestRefused
from ansible_collections.inferops.gpu.plugins.module_utils.market.providers.provider import HOST
from ansible_collections.inferops.gpu.plugins.module_utils.market.rentals.enforcing import (
    enforcer_found,
    refuse_nobody,
)
from ansible_collections.inferops.gpu.plugins.plugin_utils.guarded_action import ModuleAction


class ActionModule(ModuleAction):
    """Asks the host unless its switch was seen, or is not what ends the rental."""

    def act(self, variables: dict[str, Any]) -> dict[str, Any]:
        given = self._task.args
        planned, seen = str(given.get("enforced_by") or HOST), _is(given, "is_set")
        asks = planned == HOST and not seen
        result = super().act(variables) if asks else {"changed": False}
        if asks and "armed" not in result:  # it failed, or is no answer of ours
            return result
        armed = seen or bool(result.get("armed"))
        found = enforcer_found(planned, armed, _is(given, "reaper"))
        told = {**result, "enforced_by": found}
        accepted = _is(given, "allow_unenforced_deadline", True)
        try:
            refuse_nobody(found, str(result.get("problem") or ""), accepted)
        except RequestRefused as refused:
            return {**told, "failed": True, "msg": str(refused)}
        return told


def _is(given: dict[str, Any], option: str, default: bool = False) -> bool:
    value = given.get(option)
    return default if value is None else bool(boolean(value))
