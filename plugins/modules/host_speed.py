#!/usr/bin/python
# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: host_speed
short_description: Measure a host's disk and network for a few seconds
version_added: "0.1.0"
description:
  - Internal. Used by role P(inferops.gpu.rent#role); its options and results may change.
  - Writes a file to the disk and flushes it, and reads from an address, both bounded in size and
    time. M(inferops.gpu.offer_check) compares the result with what the offer promised.
  - What cannot be measured is null, with the reason.
author:
  - inferops.gpu contributors (@inferops)
extends_documentation_fragment:
  - inferops.gpu.attributes
attributes:
  check_mode:
    support: full
    details: Measures nothing and returns nulls.
  diff_mode:
    support: N/A
    details: Nothing is changed.
  platform:
    support: full
    platforms: posix
options:
  home:
    description: The collection's folder on the host; the test file is written there.
    type: path
    default: ~/.inferops
  disk_mib:
    description: How much to write. V(0) leaves the disk out.
    type: int
    default: 256
  download_url:
    description: What to read from. Without it the network is left out.
    type: str
  download_mib:
    description: How much to read at most.
    type: int
    default: 64
  timeout_seconds:
    description: How long to read at most.
    type: float
    default: 10
seealso:
  - module: inferops.gpu.offer_check
"""

EXAMPLES = r"""
- name: Measure the disk
  inferops.gpu.host_speed:
    disk_mib: 128
"""

RETURN = r"""
disk_mb_per_second:
  description: Writing speed with flush, null when it was not measured.
  returned: success
  type: float
  sample: 1210.5
download_mbit_per_second:
  description: Reading speed over one connection, null when it was not measured.
  returned: success
  type: float
  sample: 640.2
problems:
  description: Why something could not be measured.
  returned: success
  type: list
  elements: str
  sample: []
"""

from typing import Any, Callable

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.inferops.gpu.plugins.module_utils.common.hiding import hide_passwords
from ansible_collections.inferops.gpu.plugins.module_utils.host.machine import speed
from ansible_collections.inferops.gpu.plugins.module_utils.host.machine.files import own_home


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "home": {"type": "path", "default": "~/.inferops"},
            "disk_mib": {"type": "int", "default": 256},
            "download_url": {"type": "str"},
            "download_mib": {"type": "int", "default": 64},
            "timeout_seconds": {"type": "float", "default": 10.0},
        },
        supports_check_mode=True,
    )
    hide_passwords(module)
    given = module.params
    problems: list[str] = []

    def measured(wanted: Any, measure: Callable[[], float]) -> float | None:
        if not wanted or module.check_mode:
            return None
        try:
            return round(measure(), 1)
        except (OSError, ValueError) as error:
            problems.append(str(error))
            return None

    disk = measured(
        given["disk_mib"],
        lambda: speed.disk_mb_per_second(own_home(module), given["disk_mib"]),
    )
    download = measured(
        given["download_url"],
        lambda: speed.download_mbit_per_second(
            given["download_url"], given["download_mib"], given["timeout_seconds"]
        ),
    )
    module.exit_json(
        changed=False,
        disk_mb_per_second=disk,
        download_mbit_per_second=download,
        problems=problems,
    )


if __name__ == "__main__":
    main()
