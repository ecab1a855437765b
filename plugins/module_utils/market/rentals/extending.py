# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What follows when a deadline was moved in its mark: who has to be told, and what is said."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..model import STOPPED
from ..providers.provider import HOST, PROVIDER
from .enforcing import enforcer_found

_NOT_TOLD = (
    "Its host was not told: it obeys a later deadline by itself, and an earlier one once it is "
    "told."
)


def tells_host(status: str, remaining_seconds: float | None, dry_run: bool) -> bool:
    """Whether a host has to be told: what stands still has nobody who could be."""
    return not dry_run and remaining_seconds is not None and status != STOPPED


def asked_to_end(enforced_by: str) -> str:
    """Who is asked to end it. A host that lets us in can be, whatever its status says."""
    return PROVIDER if enforced_by == PROVIDER else HOST


def extend_ending(
    extended: Mapping[str, Any], switch: Mapping[str, Any], name: str, reaper: bool
) -> str:
    """The last words about rental *name*, from what the tasks returned.

    *extended* is that of module rental_extend, *switch* that of deadline_switch, empty where it did
    not run.
    """
    seconds = extended["remaining_seconds"]
    ends = "has no deadline" if seconds is None else f"ends in {seconds / 3600:.2f} hours"
    # Nobody on a host that stands still ends it.
    planned = enforcer_found(extended["enforced_by"], armed=True, reaper=reaper)
    parts = [
        f"{name} {ends}, enforced by {switch.get('enforced_by', planned)}; it has cost "
        f"{extended['cost_usd']:.4f} dollars.",
        extended["note"],
        _NOT_TOLD if extended["tells_host"] and not _was_told(switch) else "",
    ]
    return " ".join(filter(None, parts))


def _was_told(switch: Mapping[str, Any]) -> bool:
    return "enforced_by" in switch and not switch.get("failed") and not switch.get("unreachable")
