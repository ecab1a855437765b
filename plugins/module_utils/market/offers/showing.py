# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An offer as people see it: what it is, what it will cost, how it may fail, when it ends."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

#: The parts of an expected cost, in the order in which they are told.
_PARTS = {
    "base": "base_usd",
    "disk": "disk_usd",
    "traffic": "traffic_usd",
    "waiting for downloads": "download_wait_usd",
    "outages": "outage_usd",
    "failures": "failure_usd",
}


def offer_lines(
    offer: Mapping[str, Any],
    deadline: Mapping[str, Any],
    disk_gib: float,
    hours: float,
    pretend: bool = False,
) -> list[str]:
    """The lines about an *offer* with its expected cost for so many *hours*.

    With *pretend* it would be rented.
    """
    price, cost = offer["price_usd_per_hour"], offer["expected_cost"]
    parts = ", ".join(f"{name} {cost[key]:.2f}" for name, key in _PARTS.items())
    reasons = ", ".join(offer["risk"]["reasons"])
    unchecked = ", ".join(offer.get("unchecked") or ())
    return [
        f"{'Would rent' if pretend else 'Rented'} offer {offer['id']} of {offer['provider']}: "
        f"{_told(offer['gpu_count'])} x {_told(offer['gpu_name'])} ({_told(offer['vram_gib'])} GiB "
        f"each), country {_told(offer['country'])}, driver {_told(offer['driver_version'])}, "
        f"reliability {_told(offer['reliability'], '.3f')}"
        + (f" (unchecked, because not told: {unchecked})" if unchecked else ""),
        f"Price: {price:.4f} dollars per hour with {disk_gib:g} GiB of disk; expected for "
        f"{hours:g} hours: {cost['total_usd']:.2f} dollars ({parts})",
        f"Odds of failure: {offer['risk']['failure_probability']:.0%}".replace("%", " %")
        + (f" ({reasons})" if reasons else ""),
        f"Deadline: {deadline_words(deadline)}",
    ]


def deadline_words(deadline: Mapping[str, Any]) -> str:
    """When a rental ends, and who sees to it."""
    if not deadline.get("at"):
        return "none"
    return f"in {deadline['hours']} hours, enforced by {deadline['enforced_by']}"


def _told(value: Any, form: str = "") -> str:
    """What an offer tells, or that it does not."""
    return "not told" if value in (None, "") else format(value, form)
