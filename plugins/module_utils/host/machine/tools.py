# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the system's own tools are found, whatever PATH a login has brought.

That of a session without a login shell often lacks the folders of the administrator's tools.
"""

from __future__ import annotations

import os

SYSTEM_FOLDERS = (
    "/usr/local/sbin",
    "/usr/local/bin",
    "/usr/sbin",
    "/usr/bin",
    "/sbin",
    "/bin",
)


def search_path(given: str = "") -> str:
    """The folders that were given, then those of the system that are missing among them."""
    folders = [folder for folder in given.split(os.pathsep) if folder]
    return os.pathsep.join(dict.fromkeys([*folders, *SYSTEM_FOLDERS]))


def tool_environment() -> dict[str, str]:
    """The environment in which a tool is looked up by its name."""
    return {**os.environ, "PATH": search_path(os.environ.get("PATH", ""))}
