# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write a small file on the controller. The module of the same name documents it."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail

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
            changed = content is not None and not _holds(path, content, mode)
            if changed and not dry:
                _replace(path, content, mode)
        except OSError as error:
            raise AnsibleActionFail(f"{path} cannot be written: {error}") from error
        return {"changed": changed, "path": str(path)}


def _holds(path: Path, content: str, mode: int) -> bool:
    try:
        return path.read_text() == content and path.stat().st_mode & 0o777 == mode
    except (FileNotFoundError, UnicodeDecodeError):
        return False


def _replace(path: Path, content: str, mode: int) -> None:
    """Whoever reads it sees the old text or the new one; parallel hosts may write the same."""
    handle, draft = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "w") as stream:
            stream.write(content)
        os.chmod(draft, mode)
        os.replace(draft, path)
    except OSError:
        os.unlink(draft)
        raise
