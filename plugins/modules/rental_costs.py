#!/usr/bin/python
# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: rental_costs
short_description: Tell what the rentals of a scope have cost
version_added: "0.1.0"
description:
  - Joins what the audit trail of O(audit_path) says, what is rented now, and what the marketplaces
    have billed, where they tell. Failed attempts are among it.
  - A cost is estimated by prices and times. Where a bill tells it, that counts once the rental has
    ended a day ago, and the larger of both until then.
  - Without an audit trail it knows what is rented now, and what bills name by their labels.
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
    details: Tables of costs are read by programs.
  platform:
    support: full
    platforms: posix
options:
  first_day:
    description: The first day that counts, as V(2026-11-01), of UTC. By default that of this month.
    type: str
    default: ""
  last_day:
    description: The last day that counts. By default today.
    type: str
    default: ""
  folder:
    description:
      - Write C(costs.csv), a line for each day of each rental, and C(focus.csv), the same as a data
        set of FOCUS 1.2, into this folder, for its owner alone. Both are replaced.
    type: path
seealso:
  - module: inferops.gpu.rental_info
"""

EXAMPLES = r"""
- name: What has this month cost?
  inferops.gpu.rental_costs:
    scope: prod
    audit_path: ~/.ansible/inferops/audit.jsonl
  delegate_to: localhost
  register: costs

- name: Show it
  ansible.builtin.debug:
    msg: "{{ costs.lines }}"
"""

RETURN = r"""
lines:
  description: The costs as a table for people, the dearest rental first, with the sum last.
  returned: success
  type: list
  elements: str
  sample:
    - "gpu-1: 8.1901 dollars (8.1901 billed), 24.00 h, 1 x RTX 4090, rental 27011234 of vastai"
    - "2026-11-01 to 2026-11-30 (UTC): 8.1901 dollars for 1 rental."
rentals:
  description: One row for each rental that has cost something in that time.
  returned: success
  type: list
  elements: dict
  sample:
    - provider: vastai
      rental: "27011234"
      name: gpu-1
      gpu: RTX 4090
      gpu_count: 1
      operator: ada
      job: ""
      state: released
      began_at: "2026-11-28T10:00:00Z"
      ended_at: "2026-11-29T10:00:00Z"
      hours: 24.0
      price_usd_per_hour: 0.3412
      estimated_usd: 8.1888
      billed_usd: 8.1901
      cost_usd: 8.1901
      basis: bill
  contains:
    state:
      description:
        - V(bills), V(stands still) (its disk bills), V(released), V(ended) (nobody wrote when),
          V(unclear) (may bill, but no listing shows it, or none was to be had) or V(billed)
          (nothing but its bill tells of it).
      type: str
    billed_usd:
      description: What its provider has billed for all of its life so far. Null where nobody tells.
      type: float
    basis:
      description: V(bill) or V(estimate), by which the cost goes.
      type: str
by:
  description: Dollars by V(day), V(name), V(job), V(operator), V(provider) and V(gpu).
  returned: success
  type: dict
  sample: {day: {"2026-11-28": 4.78, "2026-11-29": 3.41}, name: {gpu-1: 8.19}}
cost_usd:
  description: What all of it has cost in that time.
  returned: success
  type: float
  sample: 8.1901
estimated_usd:
  description: The same by prices and times alone.
  returned: success
  type: float
  sample: 8.1888
usd_per_hour:
  description: What is rented now bills in an hour.
  returned: success
  type: float
  sample: 0.0
since:
  description: The first moment that counts.
  returned: success
  type: str
  sample: "2026-11-01T00:00:00Z"
until:
  description: The first moment that counts no more.
  returned: success
  type: str
  sample: "2026-12-01T00:00:00Z"
budget:
  description: What is left of O(monthly_budget_usd) in this month; null without one.
  returned: success
  type: dict
  sample: {usd: 100.0, spent_usd: 8.19, to_come_usd: 12.5, left_usd: 79.31}
files:
  description: The files in O(folder); none in check mode.
  returned: success
  type: list
  elements: str
  sample: [/home/ada/reports/costs.csv, /home/ada/reports/focus.csv]
unasked:
  description: The providers that did not answer, so that the audit trail alone tells of them.
  returned: success
  type: list
  elements: str
  sample: []
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.inferops.gpu.plugins.module_utils.common.ending import end
from ansible_collections.inferops.gpu.plugins.module_utils.common.hiding import hide_passwords
from ansible_collections.inferops.gpu.plugins.module_utils.market.rentals.costing import (
    RENTAL_COSTS_OPTIONS,
    rental_costs,
)


def main() -> None:
    module = AnsibleModule(argument_spec=RENTAL_COSTS_OPTIONS, supports_check_mode=True)
    hide_passwords(module)
    end(module, rental_costs(module.params, module.check_mode))


if __name__ == "__main__":
    main()
