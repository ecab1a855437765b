#!/usr/bin/python
# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: rental_extend
short_description: Move the deadline of a rental
version_added: "0.1.0"
description:
  - Moves the deadline in the rental's mark to so many hours from now. Later deploys keep it, unless
    a different one is asked for.
  - The switch on the host has to be moved too, with M(inferops.gpu.deadline_switch). The playbook
    C(inferops.gpu.extend) does both.
author:
  - inferops.gpu contributors (@inferops)
extends_documentation_fragment:
  - inferops.gpu.attributes
  - inferops.gpu.market
  - inferops.gpu.scope
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  platform:
    support: full
    platforms: posix
options:
  name:
    description: Name of the rental within its scope.
    type: str
    required: true
  hours:
    description:
      - The rental ends so many hours from now. A deadline that is later already stays, unless
        O(shorten=true).
    type: float
    required: true
  shorten:
    description: Whether an earlier deadline than before is meant.
    type: bool
    default: false
seealso:
  - module: inferops.gpu.deadline_switch
  - module: inferops.gpu.rental
"""

EXAMPLES = r"""
- name: Keep the host for another twelve hours
  inferops.gpu.rental_extend:
    scope: prod
    name: gpu-1
    hours: 12
  delegate_to: localhost
"""

RETURN = r"""
rental:
  description: The rental, as M(inferops.gpu.rental) returns it.
  returned: success
  type: dict
  sample: {provider: vastai, id: "27011234", status: running}
remaining_seconds:
  description: Seconds until the deadline; null when there is none.
  returned: success
  type: int
  sample: 43200
enforced_by:
  description: Who ends it then, as M(inferops.gpu.rental_info) tells.
  returned: success
  type: str
  sample: host
asked_to_end:
  description:
    - Who is asked to end it once its host is reached, for
      O(inferops.gpu.deadline_switch#module:enforced_by).
  returned: success
  type: str
  sample: host
tells_host:
  description:
    - Whether its host has to be told. In check mode, of a rental that stands still and of one
      without a deadline it has not.
  returned: success
  type: bool
  sample: true
note:
  description: Why the deadline was not moved; empty where it was.
  returned: success
  type: str
  sample: "Nothing was moved: it lives as long already."
cost_usd:
  description: What the rental has cost so far, in dollars.
  returned: success
  type: float
  sample: 0.0841
"""

from collections.abc import Callable, Mapping
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.inferops.gpu.plugins.module_utils.common.hiding import hide_passwords
from ansible_collections.inferops.gpu.plugins.module_utils.market.clock import Clock
from ansible_collections.inferops.gpu.plugins.module_utils.market.errors import (
    MarketError,
    RequestRefused,
)
from ansible_collections.inferops.gpu.plugins.module_utils.market.failing import fail
from ansible_collections.inferops.gpu.plugins.module_utils.market.model import Rental, rate_of
from ansible_collections.inferops.gpu.plugins.module_utils.market.providers.provider import Provider
from ansible_collections.inferops.gpu.plugins.module_utils.market.rentals.asking import (
    ask_all,
    precedence,
    together,
)
from ansible_collections.inferops.gpu.plugins.module_utils.market.rentals.extending import (
    asked_to_end,
    tells_host,
)
from ansible_collections.inferops.gpu.plugins.module_utils.market.rentals.info import enforced_by
from ansible_collections.inferops.gpu.plugins.module_utils.market.rentals.lifecycle import Lifecycle
from ansible_collections.inferops.gpu.plugins.module_utils.market.rentals.options import (
    ACCOUNT_OPTIONS,
    accounts_of,
    make_lifecycle,
    make_provider,
)

#: A deadline that moves by less has not moved: seconds pass between two calls.
_SAME_SECONDS = 60


def extended(module: AnsibleModule, lifecycle: Lifecycle, rental: Rental, now: float) -> Rental:
    """The rental with its new deadline, or as it was when that is no change."""
    mark = rental.mark
    if mark is None:
        raise ValueError("only rentals with a mark have a deadline")
    deadline = int(now + module.params["hours"] * 3600)
    later = deadline - mark.deadline
    moves = abs(later) >= _SAME_SECONDS and (later > 0 or module.params["shorten"])
    # No deadline at all is later than any.
    if not moves or (not mark.deadline and not module.params["shorten"]):
        return rental
    return lifecycle.move_deadline(rental, deadline, mark.lifetime_seconds, module.check_mode)


def where_it_is(
    options: Mapping[str, Any], name: str, clock: Clock, warn: Callable[[str], None]
) -> tuple[Provider, Lifecycle, list[Rental]]:
    """The provider that has the rental of this name that counts, and the rentals of it there.

    Raises the error of one that does not answer where none of the others has it. *warn* gets what
    makes the answer less sure than it should be.
    """

    def look(account: dict[str, Any]) -> tuple[Provider, Lifecycle, list[Rental]]:
        provider = make_provider(account, clock)
        lifecycle = make_lifecycle(account, provider, clock, warn=warn)
        # One list may be behind: that nothing bills is said of what was proven.
        found = lifecycle.account.find(name) or lifecycle.account.prove_none(name)
        return provider, lifecycle, found

    answers, failed = ask_all(accounts_of(options), look)
    for _account, (_provider, lifecycle, _found) in answers:
        for doubt in lifecycle.account.doubts:
            warn(doubt)
    having = [answer for _account, answer in answers if answer[2]]
    if failed and not having:
        raise together([error for _account, error in failed])
    having = having or [answer for _account, answer in answers]
    return min(having, key=lambda one: precedence(one[2][0]) if one[2] else ())


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            **ACCOUNT_OPTIONS,
            "name": {"type": "str", "required": True},
            "hours": {"type": "float", "required": True},
            "shorten": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    hide_passwords(module)
    clock = Clock.from_environment()
    name, stakes = module.params["name"], "The deadline stays as it was."
    try:
        provider, lifecycle, found = where_it_is(module.params, name, clock, module.warn)
        if not found:
            raise RequestRefused(
                f"Nothing is rented under the name {name}.",
                remedy="Run deploy to rent a host.",
                money=lifecycle.account.sure("Nothing bills under it."),
            )
        stakes += f" Rental {found[0].id} goes on billing {rate_of(found[0])}."
        now = lifecycle.account.now()
        rental = extended(module, lifecycle, found[0], now)
    except (MarketError, ValueError) as error:
        fail(module, error, stakes)
    deadline = rental.mark.deadline if rental.mark else 0
    remaining_seconds = round(deadline - now) if deadline else None
    ends_it = enforced_by(rental, provider)
    module.exit_json(
        changed=rental != found[0],
        rental=rental.to_dict(),
        cost_usd=lifecycle.account.cost_usd(rental),
        remaining_seconds=remaining_seconds,
        enforced_by=ends_it,
        asked_to_end=asked_to_end(ends_it),
        tells_host=tells_host(rental.status, remaining_seconds, module.check_mode),
        note=note(module, rental != found[0], deadline - now),
        diff={"before": shown(found[0]), "after": shown(rental)},
    )


def note(module: AnsibleModule, moved: bool, remaining_seconds: float) -> str:
    """Why nothing was moved; empty where it was."""
    if moved:
        return ""
    wanted = module.params["hours"] * 3600
    sooner = "; shorten (variable extend_shorten) lets it end sooner"
    later = remaining_seconds < 0 or remaining_seconds > wanted + _SAME_SECONDS
    return f"Nothing was moved: it lives as long already{sooner if later else ''}."


def shown(rental: Rental) -> dict[str, Any]:
    """What a diff shows of a rental."""
    return {"id": rental.id, "deadline": rental.mark.deadline if rental.mark else None}


if __name__ == "__main__":
    main()
