# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a teardown says in the end: what ended, what is unproven, what was released for how much."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..model import is_dearer

Result = Mapping[str, Any]


@dataclass(frozen=True)
class Ending:
    """What the tasks of a teardown returned. One that did not run has returned nothing.

    ``server`` is of the one that stops the server, ``tunnel`` of the one that closes it, and
    ``failed`` is what was said of a failure before the release. ``stopped`` is of the one that let
    the rental stand still, where it was not to be released. ``own`` tells a host of the user's own.
    """

    name: str
    scope: str
    server: Result = field(default_factory=dict)
    tunnel: Result = field(default_factory=dict)
    released: Sequence[Result] = ()
    failed: str = ""
    dry_run: bool = False
    stopped: Result | None = None
    own: bool = False


def ending_message(ending: Ending) -> str:
    """The last words of a teardown that has come to its end."""
    told = {"Proxy": _proxy(ending), "Server": _server(ending), "Tunnel": _tunnel(ending)}
    parts = [f"{what}: {how}." for what, how in told.items() if how]
    last = _rentals(ending) if ending.stopped is None else _standing(ending, ending.stopped)
    return " ".join(part for part in (*parts, last) if part)


def _proxy(ending: Ending) -> str:
    """What became of the proxy before the server; nothing where none was there."""
    proxy = ending.server.get("proxy")
    if not proxy:
        return ""
    if ending.dry_run:
        return "would be ended"
    if proxy.get("stopped") == "proven":
        return "ended, proven"
    remedy = proxy.get("remedy") or "nobody can tell whether something is left"
    return f"ended, unproven: {_open(str(remedy))}" + _gone_with_it(ending)


def _server(ending: Ending) -> str:
    """What became of the server; nothing where nothing is rented and so nobody could look."""
    server = ending.server
    if server.get("unreachable"):
        return "not stopped, for its host does not answer" + _gone_with_it(ending)
    if ending.failed or server.get("failed"):
        why = ending.failed or str(server.get("msg") or "no message")
        return f"not stopped: {_open(why)}" + _gone_with_it(ending)
    if not server or server.get("skipped"):
        return "not looked at" if ending.released or ending.own or _stands(ending) else ""
    if ending.dry_run:
        return "would be stopped" if server.get("changed") else "none is there"
    if server.get("stopped") == "proven":
        return "stopped, proven"
    remedy = server.get("remedy") or "nobody can tell whether something is left"
    return f"stopped, unproven: {_open(str(remedy))}" + _gone_with_it(ending)


def _gone_with_it(ending: Ending) -> str:
    """What to do about a server that may still run: nothing, for its rental is proven gone."""
    if ending.dry_run:
        return ""
    if ending.own:
        return ". What may be left of it goes on"
    how = "ended" if ending.stopped is not None else "went"
    return f". What may be left of it {how} with the rental"


def _tunnel(ending: Ending) -> str:
    """What became of the tunnel; nothing where none was open."""
    tunnel = ending.tunnel
    if tunnel.get("failed"):
        return f"not closed: {_open(str(tunnel.get('msg') or 'no message'))}. Nothing answers in it"
    if not tunnel.get("changed"):
        return ""
    return "would be closed" if ending.dry_run else "closed"


def _stands(ending: Ending) -> bool:
    return bool(ending.stopped and ending.stopped.get("rental"))


def _standing(ending: Ending, stopped: Result) -> str:
    """What stands still, what that bills, and what can become of it."""
    rental = stopped.get("rental")
    if not rental:
        return _nothing(ending)
    if rental.get("own"):
        return _own(ending)
    verb = "would stand" if ending.dry_run and stopped.get("changed") else "stands"
    price = rental.get("stopped_usd_per_hour")
    bills = "a price that is not told" if price is None else f"{price:.4f} dollars per hour"
    return (
        f"Rental {rental['id']} of {rental['provider']} {verb} still: its disk bills {bills}, and "
        f"it has cost {stopped['cost_usd']:.4f} dollars. Playbook inferops.gpu.deploy starts it "
        "again, if its GPUs are free then, and inferops.gpu.teardown releases it."
    )


def _own(ending: Ending) -> str:
    return f"{ending.name} is a host of your own: nothing of it is rented, and nothing released."


def _nothing(ending: Ending) -> str:
    return f"Nothing is rented under the name {ending.name} in scope {ending.scope}."


def _rentals(ending: Ending) -> str:
    """What was released, and what it has cost."""
    if ending.own:
        return _own(ending)
    if not ending.released:
        return _nothing(ending)
    verb = "Would release" if ending.dry_run else "Released and proven gone:"
    told = f"{verb} {', '.join(_one(rental, ending.dry_run) for rental in ending.released)}."
    if len(ending.released) > 1:
        untold = any(one.get("price_usd_per_hour") is None for one in ending.released)
        cost = sum(one["cost_usd"] for one in ending.released)
        told += f" Together: {'at least ' if untold else ''}{cost:.4f} dollars."
    return told


def _one(rental: Result, dry_run: bool) -> str:
    named = f"rental {rental['id']} of {rental['provider']}"
    if rental.get("price_usd_per_hour") is None:
        return f"{named} at a price that is not told{_billed(rental)}"
    told = f"{named} for {rental['cost_usd']:.4f} dollars{' so far' if dry_run else ''}"
    return told + _billed(rental)


def _billed(rental: Result) -> str:
    """What its provider has billed for it. Bills come later than what they are for."""
    billed = rental.get("billed_usd")
    if billed is None:
        return ""
    so_far = " so far" if is_dearer(rental["cost_usd"], billed) else ""
    return f" ({billed:.4f} billed{so_far})"


def _open(sentence: str) -> str:
    """Without its full stop, for a sentence that goes on."""
    return sentence.strip().rstrip(".")
