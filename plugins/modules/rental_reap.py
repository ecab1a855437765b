#!/usr/bin/python
# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: rental_reap
short_description: Judge every rental of a scope, and release what must not bill any longer
version_added: "0.1.0"
description:
  - Reads the provider's complete list and gives a verdict on each rental of the scope. It needs
    nothing but the account's key, so it works from any controller. What the list misses and the
    provider charges for is judged as well; where lists alone tell what is rented, and this
    controller has not known it before, a warning says so.
  - Only judges, unless O(release=true). Then it releases what is past its deadline and what is a
    duplicate, and proves each gone.
  - Fails when it cannot judge a rental, or cannot prove a release. The verdicts are returned
    then as well.
author:
  - inferops.gpu contributors (@inferops)
extends_documentation_fragment:
  - inferops.gpu.attributes
  - inferops.gpu.market
  - inferops.gpu.scope
attributes:
  check_mode:
    support: full
    details: Judges, and releases nothing.
  diff_mode:
    support: none
  platform:
    support: full
    platforms: posix
options:
  release:
    description: Whether to release what the verdicts allow.
    type: bool
    default: false
  names:
    description:
      - The names that the inventory has. A rental of another name is an V(orphan).
      - Without it, nothing is an orphan.
    type: list
    elements: str
  strict:
    description:
      - Releases orphans too. Needs O(confirm_scope), and O(names) with at least one name.
      - Refused with C(--limit), and in a job of a workflow of AWX, which may be a slice. Such a run
        may see a part of the inventory only.
    type: bool
    default: false
  confirm_scope:
    description: The scope, spelled out once more, so that O(strict) never hits a wrong one.
    type: str
  max_orphans:
    description:
      - Releases no orphan at all when there are more than this, because then a wrong inventory is
        more likely than so many forgotten rentals. What is past its deadline goes all the same.
    type: int
    default: 10
seealso:
  - module: inferops.gpu.rental
"""

EXAMPLES = r"""
- name: What is past its deadline?
  inferops.gpu.rental_reap:
    scope: prod
  delegate_to: localhost

- name: Release it
  inferops.gpu.rental_reap:
    scope: prod
    release: true
  delegate_to: localhost
"""

RETURN = r"""
verdicts:
  description: One verdict for each rental of the scope, those that live first, by their age.
  returned: always, unless the provider could not be asked
  type: list
  elements: dict
  sample:
    - provider: vastai
      id: "27011234"
      name: gpu-1
      deadline: 1795312800
      verdict: expired
      reason: past its deadline 1795312800
      release: true
      outcome: released
      price_usd_per_hour: 0.3412
      billed_usd_per_hour: 0.3412
      cost_usd: 8.2
      console_url: https://console.vast.ai/instances/
  contains:
    verdict:
      description:
        - V(adopted) is as it should be. V(expired) is past its deadline, V(duplicate) has an older
          rental under its name, V(orphan) is not named by the inventory, V(unknown) cannot be
          judged.
      type: str
    billed_usd_per_hour:
      description: What it bills as it is now, which is less than its price while it is stopped.
      type: float
    release:
      description: Whether it may be released under these options.
      type: bool
    outcome:
      description: V(kept), V(would release), V(released) or V(unproven).
      type: str
counts:
  description: How many rentals have which verdict.
  returned: with RV(verdicts)
  type: dict
  sample: {adopted: 2, expired: 1, duplicate: 0, orphan: 0, unknown: 0}
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.inferops.gpu.plugins.module_utils.common.hiding import hide_passwords
from ansible_collections.inferops.gpu.plugins.module_utils.market.clock import Clock
from ansible_collections.inferops.gpu.plugins.module_utils.market.errors import (
    MarketError,
    RequestRefused,
    UnprovenAbsence,
)
from ansible_collections.inferops.gpu.plugins.module_utils.market.failing import fail
from ansible_collections.inferops.gpu.plugins.module_utils.market.model import Rental, rate, rate_of
from ansible_collections.inferops.gpu.plugins.module_utils.market.providers.provider import Provider
from ansible_collections.inferops.gpu.plugins.module_utils.market.rentals.asking import (
    ask_all,
    precedence,
    together,
)
from ansible_collections.inferops.gpu.plugins.module_utils.market.rentals.lifecycle import Lifecycle
from ansible_collections.inferops.gpu.plugins.module_utils.market.rentals.options import (
    ACCOUNT_OPTIONS,
    accounts_of,
    make_lifecycle,
    make_provider,
)
from ansible_collections.inferops.gpu.plugins.module_utils.market.rentals.reaping import (
    ORPHAN,
    UNKNOWN,
    VERDICTS,
    Clocks,
    Judgement,
    judge_rentals,
)


def judgements(
    options: Mapping[str, Any], rentals: list[Rental], damaged: list[Rental], clocks: Clocks
) -> list[Judgement]:
    """The verdicts; raises RequestRefused for a strictness that is not spelled out."""
    strict, names = options["strict"], options["names"]
    if strict and not names:
        raise RequestRefused(
            "strict needs names: without any, every rental of the scope would be an orphan.",
            remedy="Give the names of the inventory, and see whether it could be read.",
        )
    if strict and options["confirm_scope"] != options["scope"]:
        raise RequestRefused(
            "strict needs the scope spelled out: confirm_scope is "
            f"{options['confirm_scope'] or 'not set'}, the scope is {options['scope']}.",
            remedy="Set confirm_scope (variable reap_confirm_scope) to the scope whose orphans may "
            "be released.",
        )
    return judge_rentals(rentals, damaged, clocks, names, strict)


def carry_out(
    module: AnsibleModule, lifecycles: Mapping[str, Lifecycle], judged: list[Judgement]
) -> tuple[list[str], list[UnprovenAbsence]]:
    """What became of each judgement's rental, and what could not be proven gone."""
    acting = module.params["release"] and not module.check_mode
    spared = too_many_orphans(module, judged)
    outcomes, unproven = [], []
    for one in judged:
        if not one.release or not acting or (spared and one.verdict == ORPHAN):
            outcomes.append("would release" if one.release else "kept")
            continue
        try:
            lifecycles[one.rental.provider].release(one.rental)
            outcomes.append("released")
        except UnprovenAbsence as error:
            outcomes.append("unproven")
            unproven.append(error)
    return outcomes, unproven


def too_many_orphans(module: AnsibleModule, judged: list[Judgement]) -> MarketError | None:
    """Why no orphan may be released, if none may; a wish to release them has to be there."""
    doomed = [one for one in judged if one.release and one.verdict == ORPHAN]
    most = module.params["max_orphans"]
    if not module.params["release"] or len(doomed) <= most:
        return None
    rates = [one.rental.billed_usd_per_hour for one in doomed]
    told = f"{'at least ' if None in rates else ''}{rate(sum(filter(None, rates)))}"
    return RequestRefused(
        f"{len(doomed)} orphans would be released, more than max_orphans ({most}) allows, so none "
        "was.",
        remedy="Look at the verdicts; if they are right, raise max_orphans.",
        money=f"The orphans bill {told}. See {doomed[0].rental.console_url}",
    )


def result(judged: list[Judgement], outcomes: list[str], now: float) -> dict[str, Any]:
    """What the module returns about its judgements."""
    return {
        "changed": "released" in outcomes,
        "verdicts": [
            {**one.to_dict(now), "outcome": outcome} for one, outcome in zip(judged, outcomes)
        ],
        "counts": {word: sum(one.verdict == word for one in judged) for word in VERDICTS},
    }


def problem(judged: list[Judgement], unproven: list[UnprovenAbsence]) -> MarketError | None:
    """What could not be judged or not be proven gone, if anything."""
    unknown = [one for one in judged if one.verdict == UNKNOWN]
    if not unknown and not unproven:
        return None
    told = [f"Rental {one.rental.id} cannot be judged: {one.reason}." for one in unknown]
    rates = [f"{one.rental.id} bills {rate_of(one.rental)}" for one in unknown]
    told += [error.cause for error in unproven]
    places = dict.fromkeys(one.rental.console_url for one in unknown)
    remedy = f"See {', '.join(places)}. " if places else ""
    remedy += unproven[0].remedy if unproven else ""
    stakes = [f"{', '.join(rates)}."] if rates else []
    stakes += [error.money for error in unproven]
    return MarketError(" ".join(told), remedy=remedy.strip(), money=" ".join(stakes))


class Read(NamedTuple):
    """What one provider has of the scope."""

    lifecycle: Lifecycle
    rentals: list[Rental]
    damaged: list[Rental]


def read(
    module: AnsibleModule, provider: Provider, account: Mapping[str, Any], clock: Clock
) -> Read:
    """The complete listing of one provider, which tells its time as well."""
    lifecycle = make_lifecycle(account, provider, clock, module.log, module.warn)
    return Read(lifecycle, *lifecycle.account.everything())


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            **ACCOUNT_OPTIONS,
            "release": {"type": "bool", "default": False},
            "names": {"type": "list", "elements": "str"},
            "strict": {"type": "bool", "default": False},
            "confirm_scope": {"type": "str"},
            "max_orphans": {"type": "int", "default": 10},
        },
        supports_check_mode=True,
    )
    hide_passwords(module)
    clock = Clock.from_environment()
    stakes = "Nothing was released; what is past its deadline may go on billing."
    try:
        accounts = [(make_provider(one, clock), one) for one in accounts_of(module.params)]
        stakes += "".join(f" See {provider.console_url}" for provider, _account in accounts)
        answers, failed = ask_all(accounts, lambda one: read(module, *one, clock))
        if not answers:
            raise together([error for _account, error in failed])
        rentals = [rental for _account, one in answers for rental in one.rentals]
        if len(accounts) > 1:
            rentals.sort(key=precedence)
        damaged = [rental for _account, one in answers for rental in one.damaged]
        for _account, one in answers:
            for doubt in one.lifecycle.account.doubts:
                module.warn(doubt)
        now = clock.now()
        # Of several providers' clocks the one that is behind: nothing is past its deadline early.
        offset = min(provider.clock_offset_seconds for (provider, _one), _answer in answers)
        judged = judgements(module.params, rentals, damaged, Clocks(now, now + offset))
        lifecycles = {provider.name: one.lifecycle for (provider, _account), one in answers}
        outcomes, unproven = carry_out(module, lifecycles, judged)
    except (MarketError, ValueError) as error:
        fail(module, error, stakes)
    told = result(judged, outcomes, now)
    error = problem(judged, unproven) or too_many_orphans(module, judged)
    unasked = [error for _account, error in failed]
    if error or unasked:
        error = together([*filter(None, [error]), *unasked])
        fail(module, error, "", **told)
    module.exit_json(**told)


if __name__ == "__main__":
    main()
