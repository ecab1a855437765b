# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An offer as people see it: what it is, what it will cost, how it may fail, when it ends."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
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
#: The phases that are measured, as people call them.
_PHASES = {"ssh": "SSH", "install": "install", "launch": "launch"}


def offer_lines(
    offer: Mapping[str, Any],
    deadline: Mapping[str, Any],
    disk_gib: float,
    hours: float,
    pretend: bool = False,
    runners_up: Iterable[Mapping[str, Any]] = (),
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
        *first_token_lines(offer),
        *_image_lines(offer.get("engine_image")),
        f"Odds of failure: {offer['risk']['failure_probability']:.0%}".replace("%", " %")
        + (f" ({reasons})" if reasons else ""),
        *map(_runner_up, runners_up),
        f"Deadline: {deadline_words(deadline)}",
    ]


def first_token_lines(offer: Mapping[str, Any]) -> list[str]:
    """When the first token is expected, what that rests on, and what the waiting is worth."""
    way, waiting = offer["first_token"], offer["waiting"]
    assumed = ", ".join(way["assumed"])
    learnt = ", ".join(f"{_PHASES[phase]} x {pace:.2f}" for phase, pace in way["paces"].items())
    return [
        f"First token: expected {_minutes(way['total_seconds'])} minutes after the request "
        f"(SSH {_minutes(way['ssh_seconds'])}, stack {_minutes(way['stack_seconds'])} beside "
        f"weights {_minutes(way['weights_seconds'])}, load {_minutes(way['load_seconds'])}, "
        f"start {_minutes(way['start_seconds'])})"
        + (f"; by the history: {learnt}" if learnt else "")
        + (f"; assumed: {assumed}" if assumed else ""),
        f"Waiting: {waiting['hours'] * 60:.1f} minutes with failed attempts before it, counted as "
        f"{waiting['usd']:.2f} dollars that nobody bills, {waiting['usd_per_hour']:g} for each "
        "hour (rent_wait_usd_per_hour)",
    ]


def _image_lines(image: Mapping[str, Any] | None) -> Iterator[str]:
    if image:
        yield (
            f"Image: {image['name']} of {image['gib']:g} GiB, which has the engine already; "
            "inferops_image_python= installs it instead"
        )


def happened_line(told: Mapping[str, Any]) -> str:
    """What was expected until the first token beside what happened, by phase."""
    phases = ", ".join(
        f"{_PHASES[phase]} {_minutes(one['happened_seconds'])} of "
        f"{_minutes(one['expected_seconds'])}"
        for phase, one in told["phases"].items()
    )
    return (
        f"First token: after {_minutes(told['happened_seconds'])} minutes, expected were "
        f"{_minutes(told['expected_seconds'])} ({phases})"
    )


def _runner_up(other: Mapping[str, Any]) -> str:
    return (
        f"Runner-up: offer {other['id']} for {other['price_usd_per_hour']:.4f} dollars per hour, "
        f"behind by {other['behind_usd']:.2f} dollars: {other['why']}"
    )


def _minutes(seconds: float) -> str:
    return f"{seconds / 60:.1f}"


def deadline_words(deadline: Mapping[str, Any]) -> str:
    """When a rental ends, and who sees to it."""
    if not deadline.get("at"):
        return "none"
    return f"in {deadline['hours']} hours, enforced by {deadline['enforced_by']}"


def _told(value: Any, form: str = "") -> str:
    """What an offer tells, or that it does not."""
    return "not told" if value in (None, "") else format(value, form)
