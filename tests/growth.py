# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether something takes a time that grows with its text, and no faster. Compares, so that a busy
machine does not fail it: no test asserts how long something takes.
"""

from __future__ import annotations

import time
from collections.abc import Callable

PARTS = 8
"""A quadratic pattern needs 64 times as long for eight times the text."""

SLACK, LEAST_SECONDS = 3, 0.02


def grows_with_its_text(read: Callable[[str], object], text: str) -> bool:
    """Compares the text with its first part."""
    part = _seconds(read, text[: len(text) // PARTS])
    return _seconds(read, text) < SLACK * PARTS * max(part, LEAST_SECONDS)


def _seconds(read: Callable[[str], object], text: str) -> float:
    began = time.process_time()
    read(text)
    return time.process_time() - began
