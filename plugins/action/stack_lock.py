# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Action for stack_lock: waits for it with progress, and takes no lock that it has not read.

What one host resolved is given to the next, so both ways go through the grammar of common/lock.py.
"""

from __future__ import annotations

from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.module_utils.parsing.convert_bool import boolean

from ansible_collections.inferops.gpu.plugins.module_utils.common import lock
from ansible_collections.inferops.gpu.plugins.module_utils.serving.before_installing import no_room
from ansible_collections.inferops.gpu.plugins.plugin_utils.jobs import JobAction


class ActionModule(JobAction):
    """The work of stack_lock."""

    module = "inferops.gpu.stack_lock"

    def act(self, variables: dict[str, Any]) -> dict[str, Any]:
        asked = self._task.args
        try:
            given = lock.read(str(asked.get("lock") or ""))
        except lock.LockError as error:
            raise AnsibleActionFail(f"The lock file is not given to any host. {error}") from None
        result = super().act(variables)
        if "to_install" in result:
            room = float(asked.get("disk_free_mib") or 0)
            size, home = float(asked.get("installed_gib") or 0), str(asked.get("home"))
            told = no_room(result["to_install"], size, room, home)
            if told:
                return {**result, "failed": True, "msg": told}
        if not result.get("lock"):
            return result
        try:
            pins = _read(result["lock"], asked)
            if given:
                lock.agreed(pins, given)
        except lock.LockError as error:
            told = f"The lock that this host tells of is not kept. {error} Take another host."
            return {"failed": True, "changed": bool(result.get("changed")), "msg": told}
        return {**result, "lock": lock.render(pins), "packages": lock.versions(pins)}


def _read(text: Any, asked: dict[str, Any]) -> lock.Pins:
    """The pins of a lock that a host returned. Raises LockError unless they fulfil the plan."""
    if not isinstance(text, str):
        raise lock.LockError("It is no text.")
    pins = lock.read(text)
    build = str(asked.get("torch_backend") or "")
    lock.require_plan(
        pins, asked.get("requirements") or [], build, boolean(asked.get("hashes", True))
    )
    return pins
