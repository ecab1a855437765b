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
  - Internal. Used by role P(inferops.gpu.rent#role); its options and results may change.
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
  receipt_path:
    description:
      - File on which the comparison is kept as JSON, whether the promises were kept or not. Its
        folder is made when missing. Nothing is written in check mode.
    type: path
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
receipt:
  description:
    - By name, what was C(promised), what is the C(least) that is accepted, what was C(measured),
      and whether it was C(kept), null where nobody looked.
  returned: always
  type: dict
  sample:
    driver: {promised: 580.95.05, least: 580.95.05, measured: 535.230.02, kept: false}
    disk_mb_per_second: {promised: 2100.0, least: 150.0, measured: null, kept: null}
summary:
  description: The same on one line.
  returned: always
  type: str
  sample: gpus 1 of 1, vram_gib 23.99 of 24.0, driver 580.95.05 of 580.95.05, disk_gib 36.1 of 40.0
failure:
  description: Cause, remedy and money, with the stage that failed.
  returned: when a promise is broken
  type: dict
  sample: {kind: HostFault, stage: driver, blame: machine}
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.inferops.gpu.plugins.module_utils.common.ending import end
from ansible_collections.inferops.gpu.plugins.module_utils.market.offers.checking import (
    OFFER_CHECK_OPTIONS,
    offer_check,
)


def main() -> None:
    module = AnsibleModule(argument_spec=OFFER_CHECK_OPTIONS, supports_check_mode=True)
    end(module, offer_check(module.params, module.check_mode))


if __name__ == "__main__":
    main()
