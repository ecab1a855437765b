# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A call that hangs, for tests of what must not wait for it: an order of events, not a time."""

from __future__ import annotations

import threading
from typing import Any

MOST_SECONDS = 60


class Hanging:
    """Hangs until the test is over, or for so long that whoever waits for it is found out."""

    def __init__(self) -> None:
        self.came_back = False
        self.test_is_over = threading.Event()

    def __call__(self, *_arguments: Any) -> Any:
        self.test_is_over.wait(MOST_SECONDS)
        self.came_back = True
        raise ValueError("nobody waited for this")
