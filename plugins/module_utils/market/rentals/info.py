# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is rented: the work of module rental_info, wherever it is done."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from ..access.host_keys import derive, known_hosts_lines
from ..clock import Clock
from ..errors import MarketError
from ..failing import failure
from ..mark import check_name
from ..model import RUNNING, SILENT, STOPPED, Rental, rental_rate
from ..own import is_own, own_rental
from ..providers.provider import HOST, NOBODY, Provider
from ..secret import SHORT_WARNING, is_short
from .account import SHARED_FOR_SECONDS, duplicates_warning, named
from .asking import ask_all, precedence, together
from .labels import damaged_warning, unreadable_warning, written_over_warning
from .lifecycle import Lifecycle
from .options import (
    ACCOUNT_OPTIONS,
    accounts_of,
    given_secret,
    make_lifecycle,
    make_provider,
    scope_secret,
)

RENTAL_INFO_OPTIONS: dict[str, Any] = {
    **ACCOUNT_OPTIONS,
    "name": {"type": "str"},
    "warn_hours": {"type": "float", "default": 0.0},
}


def rental_info(given: Mapping[str, Any]) -> dict[str, Any]:
    """The result of module rental_info, which documents it; sentences are under `warnings`.

    *given* has the shape of RENTAL_INFO_OPTIONS. A failure says so under `failed`.
    """
    name = given["name"]
    try:
        if name is not None:
            # An empty one would stand for the whole scope.
            check_name(name)
        if is_own(given["provider"]):
            return _of_own(given)
        answers, failed = ask_all(accounts_of(given), _at_one)
        found = [one for _account, answer in answers for one in answer.found]
        if len(answers) > 1:
            found.sort(key=lambda one: precedence(one[0]))
        if failed and (not answers or (name and not found)):
            raise together([error for _account, error in failed])
    except (MarketError, ValueError) as error:
        return failure(error, "What is rented, and so what bills, is unknown.")
    rentals, told = [one for one, _told in found], [one for _rental, one in found]
    damaged = [one for _account, answer in answers for one in answer.damaged]
    warnings = [duplicates_warning(rentals)] if name and len(rentals) > 1 else []
    warnings += [
        f"What is rented at {account['provider']} is unknown: {error}" for account, error in failed
    ]
    warnings += [damaged_warning(damaged)] if damaged else []
    warnings += [SHORT_WARNING] if is_short(given_secret(given)) else []
    warnings += filter(None, map(written_over_warning, rentals))
    warnings += filter(None, map(unreadable_warning, rentals))
    warnings += filter(None, (_deadline_warning(one, given["warn_hours"]) for one in told))
    return {
        "changed": False,
        "rentals": told,
        "unasked": [account["provider"] for account, _error in failed],
        "warnings": warnings,
    }


class _Answer(NamedTuple):
    """What one provider has of the scope, or of the name: each rental with what is told of it."""

    found: list[tuple[Rental, dict[str, Any]]]
    damaged: list[Rental]


def _at_one(account: Mapping[str, Any]) -> _Answer:
    clock, name = Clock.from_environment(), account["name"]
    provider = make_provider(account, clock)
    lifecycle = make_lifecycle(account, provider, clock)
    rentals = lifecycle.account.rentals(SHARED_FOR_SECONDS, name)
    damaged = lifecycle.account.damaged(SHARED_FOR_SECONDS)
    if name:
        rentals = named(rentals, name)
    secret = scope_secret(account) if provider.delivers_host_key else None
    return _Answer([(one, _told(one, secret, lifecycle, provider)) for one in rentals], damaged)


def _of_own(given: Mapping[str, Any]) -> dict[str, Any]:
    """The host of that name. What others there are only the inventory knows."""
    name = given["name"]
    untold = dict.fromkeys(("remaining_seconds", "contract_remaining_seconds"))
    bill = {"billed_usd_per_hour": 0.0, "cost_usd": 0.0, "enforced_by": NOBODY, **untold}
    # The inventory knows the way to it.
    known = {**bill, "can_be_reached": False}
    found = [{**own_rental(given["provider"], name), **known}] if name else []
    return {"changed": False, "rentals": found, "unasked": [], "warnings": []}


def _told(
    rental: Rental, secret: str | None, lifecycle: Lifecycle, provider: Provider
) -> dict[str, Any]:
    now = lifecycle.account.now()
    deadline = rental.mark.deadline if rental.mark else 0
    return {
        **rental.to_dict(),
        "billed_usd_per_hour": rental.billed_usd_per_hour,
        "cost_usd": lifecycle.account.cost_usd(rental),
        "remaining_seconds": round(deadline - now) if deadline else None,
        "contract_remaining_seconds": round(rental.ends_at - now) if rental.ends_at else None,
        "enforced_by": enforced_by(rental, provider),
        "known_hosts": known_hosts(rental, secret),
        "brings_host_key": provider.delivers_host_key,
        "can_be_reached": can_be_reached(rental),
    }


def can_be_reached(rental: Rental) -> bool:
    """Whether somebody may answer on it: nobody does where its provider says it stands still."""
    return bool(rental.ssh) and rental.status != STOPPED


def enforced_by(rental: Rental, provider: Provider) -> str:
    """Who ends it at its deadline: a host that does not run ends nothing."""
    if provider.enforces_deadline == HOST and rental.status not in (RUNNING, SILENT):
        return NOBODY
    return provider.enforces_deadline


def known_hosts(rental: Rental, secret: str | None) -> list[str]:
    """The lines of a known_hosts file that the host has to match, from the scope's secret."""
    if rental.mark is None or secret is None:
        return []
    return known_hosts_lines(rental.ssh, derive(secret, rental.mark, generation=2).public)


def _deadline_warning(told: Mapping[str, Any], warn_hours: float) -> str:
    remaining = told["remaining_seconds"]
    if remaining is None or remaining >= warn_hours * 3600:
        return ""
    name = told["mark"]["name"]
    if remaining < 0:
        return (
            f"{name}: rental {told['id']} is past its deadline and still bills "
            f"{rental_rate(told)}. Run playbook inferops.gpu.reap."
        )
    return (
        f"{name}: rental {told['id']} ends in {remaining / 60:.0f} minutes. "
        "Playbook inferops.gpu.extend renews it."
    )
