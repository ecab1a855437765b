# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Private files that are replaced whole or not at all."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any


def write_private(path: Path, text: str) -> bool:
    """Replace a file in one step, 0600 in a folder of 0700. Returns whether the text changed."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.parent.chmod(0o700)
    try:
        if path.read_text() == text and path.stat().st_mode & 0o777 == 0o600:
            return False
    except (OSError, UnicodeDecodeError):
        pass
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        with os.fdopen(handle, "w") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        draft.replace(path)
    except OSError:  # a full disk: the old text stays
        draft.unlink(missing_ok=True)
        raise
    return True


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
