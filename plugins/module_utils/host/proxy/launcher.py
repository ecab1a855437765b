# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The launcher of a proxy, with the agent of its engines: what the host's supervisor runs."""

from __future__ import annotations

import sys
from pathlib import Path

from ..service import launcher
from . import agent
from .proxy import Proxy

if __name__ == "__main__":
    service = Proxy(Path(sys.argv[1]))
    agent.start(service)
    raise SystemExit(launcher.main(service))
