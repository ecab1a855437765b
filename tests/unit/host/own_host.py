# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""This machine as a host of one's own, for plays that look at servers on it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from tests.hanging import HANGS_AFTER_SECONDS


def link_tools(home: Path) -> None:
    """Let the supervisor of *home* be the one beside this Python."""
    bin_dir = home / "supervisor" / "venv" / "bin"
    bin_dir.parent.mkdir(parents=True)
    bin_dir.symlink_to(Path(sys.executable).parent)


def variables_of(home: Path, controller: Path) -> dict[str, Any]:
    """The variables of a play, which keeps what is its own below *controller*."""
    return {
        "inferops_scope": "test",
        "inferops_provider": "local",
        "ansible_python_interpreter": sys.executable,
        "inferops_evidence_dir": str(controller / "evidence"),
        "inferops_controller_dir": str(controller / "controller"),
        "inferops_home": str(home),
        "inferops_server": "main",
        "inferops_server_keyless": True,
        "inferops_stop_timeout_seconds": 5,
        "recover_start_timeout_seconds": int(HANGS_AFTER_SECONDS),
    }
