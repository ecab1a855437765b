#!/usr/bin/python
# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: rental_info
short_description: List the rentals of a scope
version_added: "0.1.0"
description:
  - Reads the provider's complete list and returns the rentals that carry the scope's mark, oldest
    first. Parallel hosts share one listing when they ask within seconds.
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
    support: N/A
  platform:
    support: full
    platforms: posix
options:
  name:
    description: List only the rentals of this name. More than one is a duplicate.
    type: str
  warn_hours:
    description: Warns of rentals whose deadline is nearer than this, or has passed.
    type: float
    default: 0
seealso:
  - module: inferops.gpu.rental
  - plugin: inferops.gpu.rentals
    plugin_type: inventory
"""

EXAMPLES = r"""
- name: What does the fleet cost?
  inferops.gpu.rental_info:
    scope: prod
  delegate_to: localhost
  register: fleet

- name: Show it
  ansible.builtin.debug:
    msg: "{{ fleet.rentals | map(attribute='price_usd_per_hour') | sum }} dollars per hour"
"""

RETURN = r"""
rentals:
  description:
    - The rentals as M(inferops.gpu.rental) returns them, with the cost so far, the seconds until
      the deadline (null without one) and the lines of a known_hosts file with the SSH host key that
      the host has to show (none where the provider cannot deliver one).
  returned: success
  type: list
  elements: dict
  sample:
    - provider: vastai
      id: "27011234"
      label: inferops/prod/gpu-1/9f2c41aa/2/tovs80/1uo0/totxk0
      mark: {scope: prod, name: gpu-1, nonce: 9f2c41aa, deadline: 1795312800}
      status: running
      price_usd_per_hour: 0.3412
      started_at: 1795226400.0
      cost_usd: 0.0841
      remaining_seconds: 85512
      known_hosts: ["[203.0.113.7]:33526 ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIH"]
deadline_enforced_by:
  description: Who ends a rental at its deadline, V(host), V(provider) or V(nobody).
  returned: success
  type: str
  sample: host
"""

from collections.abc import Mapping
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.inferops.gpu.plugins.module_utils.market.access.host_keys import (
    derive,
    known_hosts_lines,
)
from ansible_collections.inferops.gpu.plugins.module_utils.market.clock import Clock
from ansible_collections.inferops.gpu.plugins.module_utils.market.errors import MarketError
from ansible_collections.inferops.gpu.plugins.module_utils.market.failing import fail
from ansible_collections.inferops.gpu.plugins.module_utils.market.model import Rental, rate
from ansible_collections.inferops.gpu.plugins.module_utils.market.options import (
    ACCOUNT_OPTIONS,
    make_lifecycle,
    make_provider,
    scope_secret,
)
from ansible_collections.inferops.gpu.plugins.module_utils.market.rentals.lifecycle import (
    SHARED_FOR_SECONDS,
    duplicates_warning,
)


def _told(rental: Rental, secret: str | None, now: float) -> dict[str, Any]:
    mark = rental.mark
    deadline = mark.deadline if mark else 0
    return {
        **rental.to_dict(),
        "cost_usd": rental.cost_usd(now),
        "remaining_seconds": round(deadline - now) if deadline else None,
        "known_hosts": _known_hosts(rental, secret),
    }


def _known_hosts(rental: Rental, secret: str | None) -> list[str]:
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
            f"{rate(told['price_usd_per_hour'])}. Run playbook inferops.gpu.reap."
        )
    return (
        f"{name}: rental {told['id']} ends in {remaining / 60:.0f} minutes. "
        "Playbook inferops.gpu.extend renews it."
    )


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            **ACCOUNT_OPTIONS,
            "name": {"type": "str"},
            "warn_hours": {"type": "float", "default": 0.0},
        },
        supports_check_mode=True,
    )
    name = module.params["name"]
    clock = Clock.from_environment()
    try:
        provider = make_provider(module.params, clock)
        lifecycle = make_lifecycle(module.params, provider, clock)
        rentals = lifecycle.rentals(SHARED_FOR_SECONDS, name)
        if name:
            rentals = [rental for rental in rentals if rental.mark and rental.mark.name == name]
        secret = scope_secret(module.params) if provider.delivers_host_key else None
        now = lifecycle.now()
        told = [_told(rental, secret, now) for rental in rentals]
    except (MarketError, ValueError) as error:
        fail(module, error, "What is rented, and so what bills, is unknown.")
    if name and len(rentals) > 1:
        module.warn(duplicates_warning(rentals))
    for one in told:
        warning = _deadline_warning(one, module.params["warn_hours"])
        if warning:
            module.warn(warning)
    module.exit_json(
        changed=False,
        rentals=told,
        deadline_enforced_by=provider.enforces_deadline,
    )


if __name__ == "__main__":
    main()
