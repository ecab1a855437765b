# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a deploy that has succeeded reports: endpoint, how long it took, what it costs, its end."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..model import rental_cost_usd
from ..offers.minutes import beside
from ..offers.showing import happened_line


@dataclass(frozen=True)
class Deployed:
    """What a deploy has seen. Times are in epoch seconds of this controller.

    ``ready_seconds`` is how long it took until the host ran and then until SSH let in, both absent
    for a host that was there. ``installed_at`` is None where nothing was installed.
    """

    endpoint: Mapping[str, Any]
    rental: Mapping[str, Any]
    checked_at: float
    connected_at: float
    offer: Mapping[str, Any] = field(default_factory=dict)
    deadline: Mapping[str, Any] = field(default_factory=dict)
    ready_seconds: Mapping[str, float] = field(default_factory=dict)
    attempts: Sequence[Mapping[str, Any]] = ()
    installed_at: float | None = None


@dataclass(frozen=True)
class Now:
    """The controller's own time, by which it has measured, and the market's, which may run on its
    own where it is simulated."""

    here: float
    market: float


def deploy_report(seen: Deployed, now: Now) -> dict[str, Any]:
    """The report for a program."""
    rental, endpoint = seen.rental, seen.endpoint
    seconds = _seconds(seen, now.here)
    return {
        "endpoint": endpoint["url"],
        "model": endpoint["model"],
        "completion": endpoint["completion"],
        "command": endpoint.get("command") or "",
        "rental": {
            "provider": rental["provider"],
            "id": rental["id"],
            "offer": seen.offer.get("id", ""),
            "price_per_hour": rental["price_usd_per_hour"],
        },
        "seconds": {phase: round(took, 1) for phase, took in seconds.items()},
        "first_token": _first_token(seen, seconds),
        "deadline": dict(seen.deadline),
        "attempts": list(seen.attempts),
        "cost": rental_cost_usd(rental, now.market + _offset(seen)),
    }


def artifact_of(report: Mapping[str, Any]) -> dict[str, Any]:
    """What of the report a next job gets as a variable: nothing that the host has said."""
    deadline = report["deadline"]
    return {
        "endpoint": report["endpoint"],
        "rental": report["rental"],
        "deadline": {name: deadline.get(name) for name in ("at", "enforced_by")},
        "cost_usd": report["cost"],
    }


def deploy_lines(seen: Deployed, report: Mapping[str, Any], now: Now) -> list[str]:
    """The same for people."""
    own = bool(seen.rental.get("own"))
    took = report["first_token"].get("line")
    return [
        f"Endpoint: {report['endpoint']} serves {report['model']}",
        f"Completion: {json.dumps(report['completion'])}",
        took or "First token: nothing was expected of a host that was there",
        f"Cost: {'none, for it is a host of your own' if own else _cost(report)}",
        f"Deadline: {_ends(seen, now)}{'' if own else '; playbook inferops.gpu.extend renews it'}",
        "Stop it: ansible-playbook inferops.gpu.teardown with the same inventory and variables",
    ]


def _seconds(seen: Deployed, now: float) -> dict[str, float]:
    """How long each phase took; the waiting for SSH is none of the renting."""
    ssh = float(seen.ready_seconds.get("ssh") or 0.0)
    installed = seen.connected_at if seen.installed_at is None else float(seen.installed_at)
    return {
        "rent": seen.connected_at - seen.checked_at - ssh,
        "ssh": ssh,
        "install": installed - seen.connected_at,
        "launch": now - installed,
        "total": now - seen.checked_at,
    }


def _first_token(seen: Deployed, seconds: Mapping[str, float]) -> dict[str, Any]:
    """What was expected of the offer beside what happened; empty where none was taken.

    What an offer promises begins with the rental request, so booting counts as SSH.
    """
    booted = float(seen.ready_seconds.get("running") or 0.0)
    happened = {**seconds, "ssh": booted + seconds["ssh"]}
    told = beside(seen.offer.get("first_token") or {}, happened)
    return {**told, "line": happened_line(told)} if told else {}


def _cost(report: Mapping[str, Any]) -> str:
    price = report["rental"]["price_per_hour"]
    rate = "a price per hour that is not told"
    if price is not None:
        rate = f"{price:.4f} dollars per hour"
    return f"{report['cost']:.4f} dollars so far, {rate} until it is stopped"


def _ends(seen: Deployed, now: Now) -> str:
    at = seen.deadline.get("at")
    if not at:
        return "none"
    left = (at - now.market - _offset(seen)) / 3600
    return f"in {left:.1f} hours, enforced by {seen.deadline['enforced_by']}"


def _offset(seen: Deployed) -> float:
    """The provider's clock minus this one."""
    return float(seen.deadline.get("clock_offset_seconds") or 0.0)
