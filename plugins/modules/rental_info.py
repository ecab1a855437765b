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
    msg: "{{ fleet.rentals | map(attribute='billed_usd_per_hour') | sum }} dollars per hour"
"""

RETURN = r"""
unasked:
  description: The providers that did not answer, so that nobody knows what is rented there.
  returned: success
  type: list
  elements: str
  sample: []
rentals:
  description:
    - The rentals as M(inferops.gpu.rental) returns them, with the cost so far, the seconds until
      the deadline (null without one) and the lines of a known_hosts file with the SSH host key that
      the host has to show, where C(brings_host_key) says that the provider can deliver one.
    - Where C(can_be_reached) is false, nobody answers by SSH that the provider knows of.
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
      billed_usd_per_hour: 0.3412
      remaining_seconds: 85512
      contract_remaining_seconds: 2591000
      enforced_by: host
      known_hosts: ["[203.0.113.7]:33526 ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIH"]
      brings_host_key: true
      can_be_reached: true
      own: false
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.inferops.gpu.plugins.module_utils.common.ending import end
from ansible_collections.inferops.gpu.plugins.module_utils.common.hiding import hide_passwords
from ansible_collections.inferops.gpu.plugins.module_utils.market.rentals.info import (
    RENTAL_INFO_OPTIONS,
    rental_info,
)


def main() -> None:
    module = AnsibleModule(argument_spec=RENTAL_INFO_OPTIONS, supports_check_mode=True)
    hide_passwords(module)
    end(module, rental_info(module.params))


if __name__ == "__main__":
    main()
