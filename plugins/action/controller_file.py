# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write a small file on the controller. The module of the same name documents it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail

from ansible_collections.inferops.gpu.plugins.plugin_utils.files import holds, replace
from ansible_collections.inferops.gpu.plugins.plugin_utils.guarded_action import WorkerAction

ARGUMENTS: dict[str, Any] = {
    "path": {"type": "path", "required": True},
    "content": {"type": "str"},
    "public": {"type": "bool", "default": False},
}


class ActionModule(WorkerAction):
    """Compares, then replaces."""

    argument_spec = ARGUMENTS

    def work(self, given: dict[str, Any], variables: dict[str, Any]) -> dict[str, Any]:
        """The result that the documentation promises."""
        path, mode = Path(given["path"]), 0o644 if given["public"] else 0o600
        content, dry = given["content"], self._task.check_mode
        try:
            if not dry:
                path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            changed = content is not None and not holds(path, content, mode)
            if changed and not dry:
                replace(path, content, mode)
        except OSError as error:
            raise AnsibleActionFail(f"{path} cannot be written: {error}") from error
        return {"changed": changed, "path": str(path)}
