#!/usr/bin/python
# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: offer_info
short_description: List rentable GPU offers, ranked by expected cost
version_added: "0.1.0"
description:
  - Searches a marketplace, checks every answer again on the controller, and ranks what is left
    by what the whole rental is expected to cost.
  - The cost is the hourly price with the disk, the traffic, the hours spent on downloads at the
    offer's bandwidth, and the odds and cost of a host that fails.
author:
  - inferops.gpu contributors (@inferops)
extends_documentation_fragment:
  - inferops.gpu.attributes
  - inferops.gpu.market
  - inferops.gpu.scope
  - inferops.gpu.wish
attributes:
  check_mode:
    support: full
  diff_mode:
    support: N/A
  platform:
    support: full
    platforms: posix
options:
  limit:
    description: How many offers to return.
    type: int
    default: 10
seealso:
  - module: inferops.gpu.rental
"""

EXAMPLES = r"""
- name: Show the three best offers for a 24 GB card in Europe
  inferops.gpu.offer_info:
    vram_gib: 24
    countries: [SE, DE, NL, FI]
    max_price_usd_per_hour: 0.6
    limit: 3
  delegate_to: localhost

- name: Filter freely
  inferops.gpu.offer_info:
    filter: "ram_gib >= `64` && starts_with(gpu_name, 'RTX')"
  delegate_to: localhost
"""

RETURN = r"""
offers:
  description:
    - The offers, best first. What the provider does not tell of one is null.
    - All calls with the same limits share one search for a minute.
  returned: success
  type: list
  elements: dict
  sample:
    - provider: vastai
      id: "1234567"
      machine_id: "20811"
      gpu_name: RTX 4090
      gpu_count: 1
      vram_gib: 23.99
      compute_capability: "8.9"
      driver_version: 580.95.05
      cuda_version: "13.0"
      price_usd_per_hour: 0.3412
      disk_usd_per_hour: 0.0136
      disk_gib: 512.0
      disk_mb_per_second: 2400.0
      ram_gib: 63.9
      cpu_cores: 16.0
      download_mbit_per_second: 812.4
      upload_mbit_per_second: 640.1
      download_usd_per_gib: 0.002
      upload_usd_per_gib: 0.003
      reliability: 0.9953
      verified: true
      country: SE
      max_duration_hours: 720.0
      direct_ports: 99
      expected_cost:
        total_usd: 8.3612
        base_usd: 7.8628
        disk_usd: 0.3260
        traffic_usd: 0.0360
        download_wait_usd: 0.0180
        failure_usd: 0.0799
        outage_usd: 0.0385
      risk:
        failure_probability: 0.391
        reasons: [not verified]
      unchecked: []
  contains:
    machine_id:
      description: The physical machine, for O(exclude_machines); null where nobody says.
      type: str
    expected_cost:
      description: The sum by which offers are ranked, in dollars, and its parts.
      type: dict
    risk:
      description:
        - The odds that the host cannot be used, and what speaks against it. All that an offer does
          not tell is one of the reasons, such as C(driver not told, disk speed not told).
      type: dict
    unchecked:
      description: Limits of the wish about which the offer says nothing, so that it passes them.
      type: list
      elements: str
total:
  description: How many offers fulfil the wish.
  returned: success
  type: int
  sample: 42
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.inferops.gpu.plugins.module_utils.common.hiding import hide_passwords
from ansible_collections.inferops.gpu.plugins.module_utils.market.clock import Clock
from ansible_collections.inferops.gpu.plugins.module_utils.market.errors import MarketError
from ansible_collections.inferops.gpu.plugins.module_utils.market.failing import fail
from ansible_collections.inferops.gpu.plugins.module_utils.market.offers.history import History
from ansible_collections.inferops.gpu.plugins.module_utils.market.offers.ranking import choose
from ansible_collections.inferops.gpu.plugins.module_utils.market.options import (
    ACCOUNT_OPTIONS,
    WISH_OPTIONS,
    make_provider,
    make_search,
    make_usage,
    make_wish,
    with_usual,
)


def main() -> None:
    module = AnsibleModule(
        argument_spec={**ACCOUNT_OPTIONS, **WISH_OPTIONS, "limit": {"type": "int", "default": 10}},
        supports_check_mode=True,
    )
    hide_passwords(module)
    options = with_usual(module.params)
    try:
        clock = Clock.from_environment()
        provider = make_provider(options, clock)
        ranked = choose(
            make_search(options, provider, clock),
            make_wish(options),
            make_usage(options),
            History(options["history_path"]),
        )
    except MarketError as error:
        fail(module, error, "Nothing was rented.")
    module.exit_json(
        changed=False,
        offers=[offer.to_dict() for offer in ranked[: options["limit"]]],
        total=len(ranked),
    )


if __name__ == "__main__":
    main()
