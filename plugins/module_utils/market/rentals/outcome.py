# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a failed attempt and a failed deploy say: what failed, what bills, what it has cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..model import rental_billed_usd_per_hour, rental_rate
from .attempts import RELEASE, Ledger

_TEARDOWN = "playbook inferops.gpu.teardown"


@dataclass(frozen=True)
class Release:
    """What became of what this run may have rented under ``nonce``, which is empty for nothing.

    ``on_failure`` is what was asked for. ``released`` holds what was released and proven gone,
    ``failed`` is what the task returned that could not do so. ``silent`` tells that the call which
    may have rented it has ended without a word. ``started`` is the id of an older rental that this
    run has started, or may have, and ``stopped`` what the task returned that let it stand still
    again.
    """

    nonce: str
    on_failure: str
    released: Sequence[Mapping[str, Any]] = ()
    failed: Mapping[str, Any] = field(default_factory=dict)
    silent: bool = False
    started: str = ""
    stopped: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Failed:
    """A deploy that failed: of which host, at which task, and where its evidence lies, if any."""

    host: str
    task: str
    message: str
    unreachable: bool = False
    evidence: str = ""


def what_failed(task: str, result: Mapping[str, Any], verdict: Mapping[str, Any]) -> dict[str, Any]:
    """The task that ended a deploy, its message and its diagnosis, from what it returned.

    *verdict* is that of the last attempt to rent that failed, empty for none. Where that ended the
    deploy, its message says of a rental that it bills, and what becomes of it is still to come.
    """
    # A file that cannot be included has a reason and no message.
    message = result.get("msg") or result.get("reason") or "no message"
    # Whatever is odd about it, an answer lets the bill be stopped.
    if "attempt" in verdict and message == verdict.get("told"):
        message = verdict["attempt"].get("message", message)
    return {"task": task, "message": str(message), "diagnosis": result.get("failure") or {}}


def failed_attempt(ledger: Ledger, max_attempts: int) -> str:
    """What is said of the last attempt of *ledger*, which makes room for the next one."""
    attempt = ledger.attempts[-1]
    told = f"It was released and proven gone, for {attempt['cost_usd']:.4f} dollars."
    if attempt["blame"] != "machine":
        return f"{attempt['message']} {told}"
    return (
        f"Attempt {ledger.requests_sent} of {max_attempts} failed at {attempt['stage']}: "
        f"{attempt['message']} {told} Machine {attempt['machine_id']} is shunned."
    )


def failed_deploy(
    failed: Failed,
    release: Release,
    ledger: Ledger,
    rental: Mapping[str, Any],
    cost_usd: float,
) -> list[str]:
    """The last message of a deploy, in parts: what failed and what to change, what bills, what was
    tried before, where the evidence is. *rental* is what it had, with what that has cost so far.

    *ledger* has counted what the last call's rental requests have cost by themselves.
    """
    parts = [
        f'At "{failed.task}": {failed.message}',
        "The host does not answer any more." if failed.unreachable else "",
        _bill(release, rental, cost_usd),
        _earlier(ledger),
        f"Evidence: {failed.evidence}." if failed.evidence else "",
    ]
    return [part for part in parts if part]


def in_one(failed: Failed, parts: Sequence[str]) -> str:
    """The parts of :func:`failed_deploy` as one message about its host."""
    first, *others = parts
    return " ".join((f"Deploying {failed.host} failed {first[0].lower()}{first[1:]}", *others))


def _bill(release: Release, rental: Mapping[str, Any], cost_usd: float) -> str:
    """What still bills, or may; nothing where nothing was rented."""
    parts = (_bill_of_nonce(release, rental, cost_usd), _bill_of_started(release, rental))
    return " ".join(filter(None, parts)) or _bill_of_older(rental)


def _bill_of_nonce(release: Release, rental: Mapping[str, Any], cost_usd: float) -> str:
    """What became of what this run has rented, or may have."""
    if release.failed:
        return _not_released(release)
    if release.released:
        return " ".join(map(_gone, release.released))
    if not release.nonce:
        return ""
    if release.on_failure == RELEASE:
        return _not_listed(release)
    return _kept(release, rental, cost_usd)


def _bill_of_started(release: Release, rental: Mapping[str, Any]) -> str:
    """What became of what this run has started, or may have; told otherwise where it is kept."""
    if release.stopped:
        return _stopped(release.started, release.stopped)
    if release.started and not rental:
        return (
            f"Rental {release.started} had stood still, and may have been started. It was kept as "
            f"asked (rent_on_failure: keep), and may bill its GPUs until {_TEARDOWN} releases it."
        )
    return ""


def _bill_of_older(rental: Mapping[str, Any]) -> str:
    if rental and not rental.get("own"):
        return (
            f"Rental {rental.get('id')} is older than this run, so it was kept: {_rate(rental)} "
            f"until {_TEARDOWN} releases it."
        )
    return ""


def _gone(one: Mapping[str, Any]) -> str:
    return (
        f"Rental {one['id']} was released and proven gone; it cost {one['cost_usd']:.4f} dollars."
    )


def _stopped(started: str, result: Mapping[str, Any]) -> str:
    rental = result.get("rental") or {}
    if result.get("failed"):
        told = f"RENTAL {started} COULD NOT BE STOPPED AGAIN: {result.get('msg') or 'no message'}"
        if "failure" in result:
            return told
        # It was killed, or never ran: nobody has said yet what that means.
        return f"{told}. It may bill its GPUs until {_TEARDOWN} releases it."
    if not rental:
        return f"Rental {started}, which had stood still before, is gone."
    return (
        f"Rental {rental['id']} had stood still before and does so again: "
        f"{_rate(rental)} until {_TEARDOWN} releases it."
    )


def _not_released(release: Release) -> str:
    told = f"ITS RELEASE FAILED AS WELL: {release.failed.get('msg') or 'no message'}"
    if "failure" in release.failed:
        return told
    # It was killed, or never ran: nobody has said yet what that means.
    carrying = f"Whatever carries its nonce {release.nonce}"
    return f"{told}. {carrying} may bill until {_TEARDOWN} releases it."


def _not_listed(release: Release) -> str:
    sent = "A rental request was sent, but no"
    if release.silent:
        sent = "The call that rents ended without a word, so a rental may have been made. No"
    return (
        f"{sent} rental with its nonce {release.nonce} is listed. It may still appear and bill: "
        f"run {_TEARDOWN} in a minute."
    )


def _kept(release: Release, rental: Mapping[str, Any], cost_usd: float) -> str:
    if release.silent:
        return (
            "The call that rents ended without a word, so a rental with its nonce "
            f"{release.nonce} may have been made. It was kept as asked (rent_on_failure: keep), "
            f"and bills until {_TEARDOWN} releases it."
        )
    named = rental.get("id") or f"with nonce {release.nonce}"
    return (
        f"Rental {named} was kept as asked (rent_on_failure: keep): it has cost {cost_usd:.4f} "
        f"dollars and {_rate(rental, 'bills')} until {_TEARDOWN} releases it."
    )


def _rate(rental: Mapping[str, Any], bills: str = "it bills") -> str:
    price = rental_billed_usd_per_hour(rental)
    told = rental_rate(rental) if price is None else f"{price:.4f} dollars per hour"
    return f"{bills} {told}"


def _earlier(ledger: Ledger) -> str:
    """What attempts before the last one have cost, and requests that ended well by themselves."""
    if not ledger.attempts and not ledger.spent_usd:
        return ""
    return f"{len(ledger.attempts)} earlier attempts cost {ledger.spent_usd:.4f} dollars."
