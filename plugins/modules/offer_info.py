#!/usr/bin/python
# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: offer_info
short_description: List rentable GPU offers, ranked by expected cost and waiting
version_added: "0.1.0"
description:
  - Searches a marketplace, checks every answer again on the controller, and ranks what is left
    by what the whole rental is expected to cost, in dollars and in waiting.
  - The dollars are the hourly price with the disk, the traffic, the hours spent on downloads at the
    offer's bandwidth, and the odds and cost of a host that fails.
  - The waiting is the time from the rental request to the first token, computed from the offer's
    network, disk, memory and cores and the sizes of image, packages and model, and that of failed
    attempts before. Each hour of it counts O(wait_usd_per_hour).
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
    - C(gpu_name) is in the provider's words, and C(gpu) the same for one GPU at every provider.
    - All calls with the same limits share one search for a minute.
  returned: success
  type: list
  elements: dict
  sample:
    - provider: vastai
      id: "1234567"
      machine_id: "20811"
      gpu_name: RTX 4090
      gpu: rtx4090
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
      ranked_usd: 11.5112
      waiting: {hours: 0.63, usd_per_hour: 5.0, usd: 3.15}
      first_token:
        total_seconds: 612.4
        ssh_seconds: 229.2
        stack_seconds: 119.0
        weights_seconds: 211.5
        load_seconds: 8.2
        start_seconds: 163.5
        phases: {ssh: 229.2, install: 211.5, launch: 171.7}
        paces: {}
        assumed: [an image that is not on the host yet]
      engine_image: {name: "vastai/vllm:v0.32.0-cuda-13.0", gib: 10.5}
      risk:
        failure_probability: 0.391
        reasons: [not verified]
      unchecked: []
  contains:
    machine_id:
      description: The physical machine, for O(exclude_machines); null where nobody says.
      type: str
    expected_cost:
      description: What will be billed, as far as that can be expected, in dollars, and its parts.
      type: dict
    ranked_usd:
      description:
        - The sum by which offers are ranked, of C(total_usd) in RV(offers[].expected_cost) and
          RV(offers[].waiting.usd).
      type: float
    waiting:
      description: What waiting is worth. Nobody bills it.
      type: dict
      contains:
        hours:
          description: Until the first token, with those of failed attempts before it.
          type: float
        usd_per_hour:
          description: O(wait_usd_per_hour).
          type: float
        usd:
          description: What all of them are worth.
          type: float
    first_token:
      description:
        - How long it takes from the rental request to the first token. An estimate, from what the
          offer tells, the sizes that were asked for and O(history_path).
      type: dict
      contains:
        total_seconds:
          description: All of it. The stack and the weights come side by side.
          type: float
        ssh_seconds:
          description: Boot and image, until SSH lets in.
          type: float
        stack_seconds:
          description: Packages and their proof.
          type: float
        weights_seconds:
          description: The model's files, beside the packages over the same line.
          type: float
        load_seconds:
          description: The weights on their way to the GPU, from memory or the disk.
          type: float
        start_seconds:
          description: Imports, compilation, graphs and the first completion.
          type: float
        phases:
          description: The same by the phases that a deploy measures.
          type: dict
        paces:
          description: By how much the history has made a phase slower or faster, if it has.
          type: dict
        assumed:
          description: What was counted on without being told.
          type: list
          elements: str
    engine_image:
      description:
        - The image that has the O(engine) already, and what a host has to fetch of it. Null where
          an installation is expected to serve sooner, or there is none.
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
runners_up:
  description:
    - Up to three offers after the first one, and what each loses by.
  returned: success
  type: list
  elements: dict
  sample:
    - id: "1234570"
      machine_id: "20990"
      gpu_name: RTX 4090
      price_usd_per_hour: 0.3009
      total_usd: 7.4812
      first_token_seconds: 4752.1
      behind_usd: 5.8211
      why: >-
        waiting 6.70 dollars more (79.2 minutes to the first token instead of 10.2), rent 0.88
        dollars less
total:
  description: How many offers fulfil the wish.
  returned: success
  type: int
  sample: 42
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.inferops.gpu.plugins.module_utils.common.hiding import hide_passwords
from ansible_collections.inferops.gpu.plugins.module_utils.market.clock import Clock
from ansible_collections.inferops.gpu.plugins.module_utils.market.errors import MarketError
from ansible_collections.inferops.gpu.plugins.module_utils.market.failing import fail
from ansible_collections.inferops.gpu.plugins.module_utils.market.offers.history import History
from ansible_collections.inferops.gpu.plugins.module_utils.market.offers.ranking import (
    RankedOffer,
    choose,
)
from ansible_collections.inferops.gpu.plugins.module_utils.market.offers.runners_up import (
    runners_up,
)
from ansible_collections.inferops.gpu.plugins.module_utils.market.rentals.asking import (
    ask_all,
    together,
)
from ansible_collections.inferops.gpu.plugins.module_utils.market.rentals.options import (
    ACCOUNT_OPTIONS,
    WISH_OPTIONS,
    accounts_of,
    make_image_for,
    make_provider,
    make_search,
    make_usage,
    make_wish,
    with_usual,
)
from ansible_collections.inferops.gpu.plugins.module_utils.serving.engines.registry import (
    image_release,
)


def ranked_at(account: dict[str, Any]) -> list[RankedOffer]:
    """What one provider has, best first."""
    options, clock = with_usual(account), Clock.from_environment()
    provider = make_provider(options, clock)
    return choose(
        make_search(options, provider, clock),
        make_wish(options),
        make_usage(options),
        History(options["history_path"]),
        make_image_for(account, provider, image_release),
    )


def by_dollars(one: RankedOffer) -> float:
    """What offers of all providers are sorted by."""
    return one.ranked_usd


def main() -> None:
    module = AnsibleModule(
        argument_spec={**ACCOUNT_OPTIONS, **WISH_OPTIONS, "limit": {"type": "int", "default": 10}},
        supports_check_mode=True,
    )
    hide_passwords(module)
    try:
        answers, failed = ask_all(accounts_of(module.params), ranked_at)
        if not answers:
            raise together([error for _account, error in failed])
    except MarketError as error:
        fail(module, error, "Nothing was rented.")
    for account, error in failed:
        module.warn(f"{account['provider']} is left out: {error}")
    ranked = sorted((one for _account, found in answers for one in found), key=by_dollars)
    module.exit_json(
        changed=False,
        offers=[offer.to_dict() for offer in ranked[: module.params["limit"]]],
        runners_up=runners_up(ranked, ranked[0]),
        total=len(ranked),
    )


if __name__ == "__main__":
    main()
