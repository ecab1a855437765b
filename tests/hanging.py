# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What hangs: when a test says so, and a call that does, for tests of what must not wait for it.

No test asserts how long something takes. It waits for what it wants to see, for as long as here.
"""

from __future__ import annotations

import os
import threading
from typing import Any

#: How long a test waits before it says that something hangs. Nothing that is well takes so long, on
#: a busy machine either. Less where something is broken on purpose, and to be found out.
HANGS_AFTER_SECONDS = float(os.environ.get("INFEROPS_HANGS_AFTER_SECONDS", "300"))


class Hanging:
    """Hangs until the test is over, or for so long that whoever waits for it is found out.

    An order of events, and not a time.
    """

    def __init__(self) -> None:
        self.came_back = False
        self.thread: threading.Thread | None = None
        self.test_is_over = threading.Event()

    def __call__(self, *_arguments: Any) -> Any:
        self.thread = threading.current_thread()
        self.test_is_over.wait(HANGS_AFTER_SECONDS)
        self.came_back = True
        raise ValueError("nobody waited for this")
