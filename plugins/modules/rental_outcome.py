#!/usr/bin/python
# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: rental_outcome
short_description: Remember how an attempt to use a rented machine ended
version_added: "0.1.0"
description:
  - Adds one line to a history file on the controller. M(inferops.gpu.offer_info) and
    M(inferops.gpu.rental) rank by it, M(inferops.gpu.rental_ready) waits by it.
  - The history is a help, not a record that anything relies on. A file that cannot be written is
    a warning.
author:
  - inferops.gpu contributors (@inferops)
extends_documentation_fragment:
  - inferops.gpu.attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
  platform:
    support: full
    platforms: posix
options:
  history_path:
    description: The file. It is made when needed, readable by its owner only.
    type: path
    required: true
  provider:
    description: The marketplace.
    type: str
    required: true
  machine_id:
    description: The physical machine.
    type: str
    required: true
  outcome:
    description: Whether the host could be used.
    type: str
    choices: [served, failed]
    required: true
  stage:
    description: Where it failed, such as V(boot), V(ssh) or V(driver).
    type: str
    default: ""
  boot_seconds:
    description: How long it took until SSH worked, if it did.
    type: float
    default: 0
  cost_usd:
    description: What the attempt cost.
    type: float
    default: 0
notes:
  - Runs on the controller. In plays over rented hosts use C(delegate_to=localhost).
seealso:
  - module: inferops.gpu.rental
"""

EXAMPLES = r"""
- name: Remember a machine whose driver was not what it promised
  inferops.gpu.rental_outcome:
    history_path: ~/.ansible/inferops/history.jsonl
    provider: vastai
    machine_id: "20811"
    outcome: failed
    stage: driver
    cost_usd: 0.03
  delegate_to: localhost
"""

RETURN = r""" # """

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.inferops.gpu.plugins.module_utils.market.clock import Clock
from ansible_collections.inferops.gpu.plugins.module_utils.market.offers.history import (
    Attempt,
    History,
)


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "history_path": {"type": "path", "required": True},
            "provider": {"type": "str", "required": True},
            "machine_id": {"type": "str", "required": True},
            "outcome": {"type": "str", "choices": ["served", "failed"], "required": True},
            "stage": {"type": "str", "default": ""},
            "boot_seconds": {"type": "float", "default": 0.0},
            "cost_usd": {"type": "float", "default": 0.0},
        },
        supports_check_mode=True,
    )
    options = module.params
    attempt = Attempt(
        time=Clock.from_environment().now(),
        provider=options["provider"],
        machine_id=options["machine_id"],
        outcome=options["outcome"],
        stage=options["stage"],
        seconds=options["boot_seconds"],
        usd=options["cost_usd"],
    )
    if not module.check_mode:
        warning = History(options["history_path"]).add(attempt)
        if warning:
            module.warn(warning)
    # A history is about runs, not a state to keep.
    module.exit_json(changed=False)


if __name__ == "__main__":
    main()
