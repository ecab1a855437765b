# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A small file on the controller that an action keeps as it should be."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail

from ansible_collections.inferops.gpu.plugins.module_utils.common.private_files import (
    FILE_MODE,
    holds,
    make_folders,
    replace,
)


def keep_file(path: Path, text: str | None, dry: bool, mode: int = FILE_MODE) -> dict[str, Any]:
    """Have a file hold *text*, and make its folder; that alone without a text.

    A *dry* run changes nothing. Returns `changed` and `path`; raises AnsibleActionFail.
    """
    try:
        if not dry:
            make_folders(path.parent)
        changed = text is not None and not holds(path, text, mode)
        if text is not None and changed and not dry:
            replace(path, text, mode)
    except OSError as error:
        raise AnsibleActionFail(f"{path} cannot be written: {error}") from error
    return {"changed": changed, "path": str(path)}
