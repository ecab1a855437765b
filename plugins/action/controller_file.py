# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write a small file on the controller. The module of the same name documents it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible_collections.inferops.gpu.plugins.plugin_utils.guarded_action import WorkerAction
from ansible_collections.inferops.gpu.plugins.plugin_utils.kept_file import keep_file

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
        mode = 0o644 if given["public"] else 0o600
        return keep_file(Path(given["path"]), given["content"], self._task.check_mode, mode)
