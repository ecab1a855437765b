# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Action for evidence: gathers on the host, writes on the controller, and explains."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail

from ansible_collections.inferops.gpu.plugins.module_utils.common.private_files import (
    open_private,
    private_folder,
)
from ansible_collections.inferops.gpu.plugins.module_utils.common.redaction import redact
from ansible_collections.inferops.gpu.plugins.module_utils.serving.explanation import failure_of
from ansible_collections.inferops.gpu.plugins.plugin_utils.bounds import bounded
from ansible_collections.inferops.gpu.plugins.plugin_utils.guarded_action import GuardedAction

MODULE = "inferops.gpu.evidence"
FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
#: A host with many servers has a few dozen.
MOST_FILES = 500


class ActionModule(GuardedAction):
    """Runs the module and keeps what it brings."""

    _supports_check_mode = True

    def act(self, variables: dict[str, Any]) -> dict[str, Any]:
        # It is made to be passed on, and on a host of one's own it may hold the account's key too.
        self.secrets |= self._secrets_of_the_fleet(variables)
        result = self._execute_module(
            module_name=MODULE, module_args=self._task.args, task_vars=variables
        )
        if result.get("failed") or "parts" not in result:
            return result
        parts, server = self._cleaned(result.pop("parts")), result.pop("server")
        dest = Path(str(self._task.args["dest"])).expanduser()
        try:
            files = sorted(parts) if self._task.check_mode else write(dest, parts)
        except OSError as error:
            raise AnsibleActionFail(f"The evidence cannot be written to {dest}: {error}") from error
        return {**result, "files": files, "failure": failure_of(server), "dest": str(dest)}

    def _cleaned(self, parts: dict[str, str]) -> dict[str, str]:
        """The parts without secrets, whatever the host has done about them."""

        def clean() -> dict[str, str]:
            return {name: redact(text, self.secrets) for name, text in parts.items()}

        return bounded(self.most_seconds, clean) if self._is_elsewhere() else clean()


def write(folder: Path, parts: dict[str, str]) -> list[str]:
    """Write the parts, each for its owner alone. A name that leads elsewhere is refused, and so is
    what comes after more files than any host has.
    """
    folder = private_folder(folder)
    names = [name for name in parts if FILE_NAME.fullmatch(name)][:MOST_FILES]
    for name in names:
        handle = open_private(folder / name, os.O_WRONLY | os.O_TRUNC)
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            stream.write(parts[name])
    return sorted(names)
