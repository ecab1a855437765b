# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Small files on the controller."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path


def holds(path: Path, content: str, mode: int) -> bool:
    """Whether it is there with this content and these rights. Raises OSError."""
    try:
        return path.read_text() == content and path.stat().st_mode & 0o777 == mode
    except (FileNotFoundError, UnicodeDecodeError):
        return False


def replace(path: Path, content: str, mode: int) -> None:
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
