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
    first.
author:
  - inferops.gpu contributors (@inferops)
extends_documentation_fragment:
  - inferops.gpu.attributes
  - inferops.gpu.market
attributes:
  check_mode:
    support: full
  diff_mode:
    support: N/A
  platform:
    support: full
    platforms: posix
options:
  scope:
    description: The set of rentals to list.
    type: str
    required: true
  name:
    description: List only the rentals of this name. More than one is a duplicate.
    type: str
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
  description: The rentals as M(inferops.gpu.rental) returns them, with the cost so far.
  returned: success
  type: list
  elements: dict
  sample:
    - provider: vastai
      id: "27011234"
      label: inferops/prod/gpu-1/9f2c41aa/1795312800
      mark: {scope: prod, name: gpu-1, nonce: 9f2c41aa, deadline: 1795312800}
      status: running
      price_usd_per_hour: 0.3412
      started_at: 1795226400.0
      cost_usd: 0.0841
"""

import time

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.inferops.gpu.plugins.module_utils.market.errors import MarketError
from ansible_collections.inferops.gpu.plugins.module_utils.market.lifecycle import (
    Lifecycle,
    duplicates_warning,
)
from ansible_collections.inferops.gpu.plugins.module_utils.market.options import (
    MARKET_OPTIONS,
    make_provider,
)


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            **MARKET_OPTIONS,
            "scope": {"type": "str", "required": True},
            "name": {"type": "str"},
        },
        supports_check_mode=True,
    )
    name = module.params["name"]
    try:
        lifecycle = Lifecycle(make_provider(module.params), module.params["scope"])
        rentals = lifecycle.find(name) if name else lifecycle.rentals()
    except (MarketError, ValueError) as error:
        module.fail_json(msg=str(error))
    if name and len(rentals) > 1:
        module.warn(duplicates_warning(rentals))
    now = time.time()
    module.exit_json(
        changed=False,
        rentals=[{**rental.to_dict(), "cost_usd": rental.cost_usd(now)} for rental in rentals],
    )


if __name__ == "__main__":
    main()
