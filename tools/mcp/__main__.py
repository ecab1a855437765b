# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``python tools/mcp``: the server, until its client hangs up."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# It is started by its path, from any folder.
sys.path[:0] = [str(ROOT), str(ROOT / "collections")]

from tools.mcp.server import mcp  # noqa: E402

if __name__ == "__main__":
    mcp.run("stdio")
