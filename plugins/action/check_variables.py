# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Check the variables of a host. The module of the same name documents it."""

from __future__ import annotations

import time
from typing import Any, ClassVar

from ansible.errors import AnsibleActionFail

from ansible_collections.inferops.gpu.plugins.module_utils.common.hiding import (
    passwords_in,
    secrets_in,
)
from ansible_collections.inferops.gpu.plugins.plugin_utils import controller
from ansible_collections.inferops.gpu.plugins.plugin_utils import variables as known
from ansible_collections.inferops.gpu.plugins.plugin_utils.gate import Gate, no_key
from ansible_collections.inferops.gpu.plugins.plugin_utils.guarded_action import WorkerAction


class ActionModule(WorkerAction):
    """Refuses what the gate complains of and, where it may rent, what the controller lacks."""

    argument_spec: ClassVar = {
        "required": {"type": "dict", "default": {}},
        "rents": {"type": "bool", "default": False},
    }

    def work(self, given: dict[str, Any], variables: dict[str, Any]) -> dict[str, Any]:
        """The result that the documentation promises."""
        rents = given["rents"]
        gate = Gate(self._templar, self._loader, variables, given["required"], rents)
        values = gate.values
        complaints = gate.complaints(for_all=bool(self._task.run_once))
        judged = known.Judged()
        if rents:
            # Options are looked at where all else is well-formed.
            judged = judged if complaints else known.judged_options(values)
            complaints += map(str, controller.wanting(values))
            complaints += map(str, no_key(values))
            complaints += () if judged.doubt else judged.complaints
        if complaints:
            raise AnsibleActionFail(" ".join(complaints))
        told = {name: value for name, value in values.items() if not known.is_secret(name)}
        # What no role takes for a secret may hold one all the same.
        self.secrets |= passwords_in(told) | secrets_in(told)
        result = {"changed": False, "checked": gate.names, "values": told, "at": time.time()}
        if judged.doubt:
            doubt = f"Only the host can tell {judged.doubt}."
            result["warnings"] = [" ".join([doubt, *judged.complaints])]
        return result
