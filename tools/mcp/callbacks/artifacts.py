# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes what a playbook keeps for the next job of a workflow into a file, as AWX keeps it."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: artifacts
type: notification
short_description: Write the artifacts of a run into a file
description:
  - Part of the server in tools/mcp. The file is named by E(INFEROPS_MCP_ARTIFACTS).
"""


class CallbackModule(CallbackBase):
    """At the end of a run."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "notification"
    CALLBACK_NAME = "artifacts"
    CALLBACK_NEEDS_ENABLED = True

    def v2_playbook_on_stats(self, stats: Any) -> None:
        """Those that are of the whole run."""
        kept = stats.custom.get("_run", {})
        Path(os.environ["INFEROPS_MCP_ARTIFACTS"]).write_text(json.dumps(kept, default=str))
