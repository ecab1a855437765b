#!/usr/bin/python
# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: mend_attempt
short_description: Count how often a server is mended by itself
version_added: 0.1.0
description:
  - Internal. Used by the roles and playbooks of this collection.
  - Notes on the host that its server is about to be mended, unless that was tried as often as is
    allowed within a time. Who may do what an alert asks for does not remember the alerts before.
options:
  name:
    description: Name of the server.
    type: str
    required: true
  home:
    description: Folder of this collection on the host.
    type: path
    default: ~/.inferops
  most:
    description: How many attempts are allowed within O(window_hours).
    type: int
    default: 3
  window_hours:
    description: Attempts before that do not count.
    type: float
    default: 6
extends_documentation_fragment:
  - inferops.gpu.attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
    details: RV(attempts) tells how many there were.
  platform:
    platforms: linux
seealso:
  - module: inferops.gpu.model_server_info
author:
  - inferops.gpu contributors (@inferops)
"""

EXAMPLES = r"""
- name: May it be mended once more?
  inferops.gpu.mend_attempt:
    name: main
  register: counted
"""

RETURN = r"""
allowed:
  description: Whether this attempt may be made. Then it is noted.
  returned: success
  type: bool
  sample: true
attempts:
  description: How many there were before, within O(window_hours).
  returned: success
  type: int
  sample: 1
"""


import time

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.inferops.gpu.plugins.module_utils.host.machine import locks
from ansible_collections.inferops.gpu.plugins.module_utils.host.machine.files import own_home
from ansible_collections.inferops.gpu.plugins.module_utils.host.server import mends
from ansible_collections.inferops.gpu.plugins.module_utils.host.server.layout import NAME, Layout

_WAIT_SECONDS = 10


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "home": {"type": "path", "default": "~/.inferops"},
            "most": {"type": "int", "default": 3},
            "window_hours": {"type": "float", "default": 6},
        },
        supports_check_mode=True,
    )
    params = module.params
    if not NAME.fullmatch(params["name"]):
        module.fail_json(msg=f"name: {params['name']!r} may hold only letters, digits, - and _.")
    folder = Layout(own_home(module, "servers")).server(params["name"]).folder
    try:
        # Two alerts at once are one attempt each.
        with locks.held(folder / "mends.lock", _WAIT_SECONDS):
            now, window = time.time(), params["window_hours"] * 3600
            before = mends.judged(mends.attempts(folder), now, window, params["most"])
            if before.allowed and not module.check_mode:
                mends.note(folder, [*before.at, now])
    except (OSError, locks.Busy) as error:
        module.fail_json(msg=f"the attempt could not be noted: {error}")
    module.exit_json(changed=before.allowed, allowed=before.allowed, attempts=len(before.at))


if __name__ == "__main__":
    main()
