# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The collection's folder on the host, and private files of JSON in it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ...common.private_files import require_ours, write_private

MANIFEST = ".inferops.json"
"""In the folder of a model that was downloaded here: its files, and what is proven of them."""


def own_home(module: Any, *used: str) -> Path:
    """The folder that a module was given as `home`. It fails where that is a stranger's, or one of
    the folders in it that are `used`.
    """
    try:
        home = require_ours(Path(module.params["home"]))
        for name in used:
            require_ours(home / name)
        return home
    except OSError as error:
        module.fail_json(msg=f"home: {error}")
        raise


def read_json(path: Path) -> dict[str, Any] | None:
    """The JSON object in a file; None when it is missing, unreadable or not an object."""
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) else None


def write_json(path: Path, content: dict[str, Any]) -> bool:
    """Write an object as private JSON. Returns whether the file changed."""
    return write_private(path, json.dumps(content, indent=1, sort_keys=True) + "\n")
