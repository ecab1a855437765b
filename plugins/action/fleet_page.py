# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write the page of a fleet on the controller. The module of the same name documents it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible_collections.inferops.gpu.plugins.plugin_utils.fleet_page.deploys import (
    deploy_reports,
)
from ansible_collections.inferops.gpu.plugins.plugin_utils.fleet_page.page import fleet_page
from ansible_collections.inferops.gpu.plugins.plugin_utils.guarded_action import WorkerAction
from ansible_collections.inferops.gpu.plugins.plugin_utils.kept_file import keep_file

PAGE = "status.html"
ARGUMENTS: dict[str, Any] = {
    "folder": {"type": "path", "required": True},
    "report": {"type": "dict", "required": True},
}


class ActionModule(WorkerAction):
    """Reads what deploys have left, and writes the page."""

    argument_spec = ARGUMENTS

    def work(self, given: dict[str, Any], variables: dict[str, Any]) -> dict[str, Any]:
        """The result that the documentation promises."""
        folder, report = Path(given["folder"]), given["report"]
        page = fleet_page(report, deploy_reports(folder, report["hosts"]))
        return keep_file(folder / PAGE, page, self._task.check_mode)
