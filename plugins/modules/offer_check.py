#!/usr/bin/python
# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: offer_check
short_description: Compare a rented host with the offer by which it was rented
version_added: "0.1.0"
description:
  - Puts what an offer promised beside what was measured on the host, and fails when a promise is
    broken. Role P(inferops.gpu.rent#role) releases such a host and takes the next offer.
author:
  - inferops.gpu contributors (@inferops)
extends_documentation_fragment:
  - inferops.gpu.attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: N/A
    details: Nothing is changed.
  platform:
    support: full
    platforms: posix
options:
  offer:
    description: The offer, as RV(inferops.gpu.rental#module:offer).
    type: dict
    required: true
  gpu:
    description: The GPUs, as RV(inferops.gpu.gpu_info#module:gpu).
    type: dict
    required: true
  host:
    description: The machine, as RV(inferops.gpu.gpu_info#module:host).
    type: dict
    required: true
  speed:
    description: What M(inferops.gpu.host_speed) returned; nothing is compared without it.
    type: dict
    default: {}
  disk_gib:
    description: The disk that was rented.
    type: float
    required: true
  speed_share:
    description:
      - Speeds below this share of what can be expected from one connection to, or one process on, a
        host with the advertised speed count as broken.
    type: float
    default: 0.3
notes:
  - Runs on the controller. In plays over rented hosts use C(delegate_to=localhost).
seealso:
  - module: inferops.gpu.gpu_info
  - module: inferops.gpu.host_speed
"""

EXAMPLES = r"""
- name: Look at the host
  inferops.gpu.gpu_info:
  register: found

- name: Is it what was paid for?
  inferops.gpu.offer_check:
    offer: "{{ rented.offer }}"
    gpu: "{{ found.gpu }}"
    host: "{{ found.host }}"
    disk_gib: 40
  delegate_to: localhost
"""

RETURN = r"""
promises:
  description: Each promise with what was measured, null where nobody looked.
  returned: always
  type: list
  elements: dict
  sample:
    - {name: driver, advertised: 580.95.05, measured: 535.230.02, kept: false}
failure:
  description: Cause, remedy and money, with the stage that failed.
  returned: when a promise is broken
  type: dict
  sample: {kind: HostFault, stage: driver, blame: machine}
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.inferops.gpu.plugins.module_utils.market.errors import HostFault
from ansible_collections.inferops.gpu.plugins.module_utils.market.failing import fail
from ansible_collections.inferops.gpu.plugins.module_utils.market.promises import compare


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "offer": {"type": "dict", "required": True},
            "gpu": {"type": "dict", "required": True},
            "host": {"type": "dict", "required": True},
            "speed": {"type": "dict", "default": {}},
            "disk_gib": {"type": "float", "required": True},
            "speed_share": {"type": "float", "default": 0.3},
        },
        supports_check_mode=True,
    )
    given = module.params
    promises = compare(
        given["offer"],
        given["gpu"],
        given["host"],
        given["speed"],
        given["disk_gib"],
        given["speed_share"],
    )
    told = [promise.to_dict() for promise in promises]
    broken = [promise for promise in promises if not promise.kept]
    if broken:
        differences = ", ".join(
            f"{one.name} {one.measured} instead of {one.advertised}" for one in broken
        )
        error = HostFault(
            f"The host is not what its offer promised: {differences}.", stage=broken[0].name
        )
        rate = given["offer"]["price_usd_per_hour"]
        money = f"It bills {rate:.4f} dollars an hour until it is released."
        fail(module, error, money, promises=told)
    module.exit_json(changed=False, promises=told)


if __name__ == "__main__":
    main()
