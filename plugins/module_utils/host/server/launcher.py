# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The launcher of a model server: what the host's supervisor runs for it."""

from __future__ import annotations

import sys
from pathlib import Path

from ..service import launcher
from .layout import Server

if __name__ == "__main__":
    raise SystemExit(launcher.main(Server(Path(sys.argv[1]))))
