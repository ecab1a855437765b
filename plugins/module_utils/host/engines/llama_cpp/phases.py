# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How far a start has come, read from llama.cpp's own log lines, whose prefixes are left out."""

from __future__ import annotations

import re

PHASES = (
    (re.compile(r"\binit: build_info:"), "starting the server"),
    (re.compile(r"\binit: loading model\b"), "loading weights"),
    (re.compile(r"\bload_model: initializing\b"), "reserving the KV cache"),
    (re.compile(r"\binit: model loaded\b"), "weights loaded"),
    (re.compile(r"\binit: listening on\b"), "serving"),
)


def current(log_text: str) -> str | None:
    """The text of the last phase that the log shows, or None when it shows none."""
    for line in reversed(log_text.splitlines()):
        for pattern, text in reversed(PHASES):
            if pattern.search(line):
                return text
    return None
