# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How often a hub is asked that may be away for a moment."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from ...hub.hub import HubError

ATTEMPTS = 5
FIRST_PAUSE_SECONDS = 1.0

_Answer = TypeVar("_Answer")


def patiently(
    question: Callable[[], _Answer],
    measure: Callable[[], int] = lambda: 0,
    beside: Callable[[], int] = lambda: 0,
) -> _Answer:
    """Ask a few times, with longer and longer pauses. Raises HubError.

    What *measure* counts has grown where an attempt that failed has brought something: such a one
    is none of the few. Nor is one for which the hub is too busy, while what others bring *beside*
    grows: it lets in fewer connections at once, and is not away.
    """
    tries = failures = 0
    seen = beside()
    while True:
        before = measure()
        try:
            return question()
        except HubError as error:
            waits = error.busy and beside() > seen
            tries = 0 if measure() > before else tries + 1
            failures = failures + 1 if tries and not waits else 0
            if error.kind != "unreachable" or failures >= ATTEMPTS:
                raise
        seen = beside()
        time.sleep(FIRST_PAUSE_SECONDS * 2 ** min(max(tries - 1, 0), ATTEMPTS))
