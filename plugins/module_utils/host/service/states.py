# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The phases of a service, and what each step from one to the next changes in its record.

    starting --ready--> running --ended--> stopped, which the supervisor starts again
    starting --ended--> error, which nobody starts again; so does a loop of ends
    any --stopping--> stopping --ended--> stopped, by a wish

The launcher writes while it lives; else whoever looks or ends the service does.
"""

from __future__ import annotations

import time
from typing import Any

PHASES = ("starting", "running", "stopping", "stopped", "error")
ENDED = ("stopped", "error")

CRASHED = "crashed"
DIED_STARTING = "died during startup"
HOST_RESTARTED = "the host was restarted"
NOT_LAUNCHED = "the supervisor did not start the launcher"

Changes = dict[str, Any]


def restarting(restarts: int) -> Changes:
    """Started again, for the so manieth time; nothing runs yet."""
    return {
        "phase": "starting",
        "restarts": restarts,
        "pid": None,
        "ready_at": None,
        "reason": None,
        "waiting_for": None,
        "checks_since": None,
    }


def started(check: str | None) -> Changes:
    """Its main process was started and waits for its first check; how the last one ended goes."""
    return {
        "phase": "starting",
        "exit_code": None,
        "signal": None,
        "oom_kills": None,
        "ended_at": None,
        "waiting_for": check,
        "checks_since": {check: time.time()} if check else None,
    }


def waiting(since: dict[str, float] | None, check: str) -> Changes:
    """It waits for this check now. When that began to be asked stays."""
    return {"waiting_for": check, "checks_since": {check: time.time(), **(since or {})}}


def ready(**proof: Any) -> Changes:
    """Its probe has passed."""
    return {"phase": "running", "ready_at": time.time(), "waiting_for": None, **proof}


def stopping() -> Changes:
    """Its end was asked for."""
    return {"phase": "stopping"}


def stopped(reason: str | None) -> Changes:
    """It ended, and may be started again."""
    return {"phase": "stopped", "reason": reason}


def failed(reason: str) -> Changes:
    """It ended, or never began, and is not started again."""
    return {"phase": "error", "reason": reason}
