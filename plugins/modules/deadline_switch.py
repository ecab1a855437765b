#!/usr/bin/python
# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: deadline_switch
short_description: Read, arm or move the dead-man switch of a rented host
version_added: "0.1.0"
description:
  - Every rental of M(inferops.gpu.rental) carries a switch that ends it from the inside when its
    deadline has passed and no controller came back. It uses a key that is good for this rental
    only.
  - With O(state=armed), starts the switch again when its process is dead, repairs its deadline
    when that cannot be read, and moves the deadline when one is given.
  - Moves the deadline on the host only. The mark of the rental, which other controllers read, is
    moved by the playbook C(inferops.gpu.extend).
author:
  - inferops.gpu contributors (@inferops)
extends_documentation_fragment:
  - inferops.gpu.attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  platform:
    platforms: linux
options:
  state:
    description:
      - V(armed) makes the switch work where that is possible. Where it is not, it says so and does
        not fail, so that a play can decide who else ends the rental.
      - V(read) only reports it.
    type: str
    choices: [armed, read]
    default: armed
  deadline:
    description:
      - The new deadline in epoch seconds, by a clock that the host shares.
      - A deadline that is less than a minute away from the present one is no change.
    type: int
  remaining_seconds:
    description:
      - The new deadline as seconds from now, so that the host's clock need not be right.
      - Moving the deadline by less than a minute is no change.
    type: float
  enforced_by:
    description:
      - Who is to end the rental, as M(inferops.gpu.rental) and M(inferops.gpu.rental_extend) say.
      - The host is asked for its switch with V(host) only.
    type: str
    choices: [host, provider, reaper, nobody]
    default: host
  is_set:
    description: Whether M(inferops.gpu.host_look) has just seen that the switch is as it should be.
    type: bool
    default: false
  reaper:
    description: Whether the playbook C(inferops.gpu.reap) runs regularly.
    type: bool
    default: false
  allow_unenforced_deadline:
    description: With V(false) it fails where nobody ends the rental.
    type: bool
    default: true
notes:
  - The controller decides who ends the rental, by what the host says of its switch.
seealso:
  - module: inferops.gpu.rental
"""

EXAMPLES = r"""
- name: See to it that the host ends by itself
  inferops.gpu.deadline_switch:
  register: switch
  failed_when: not switch.armed

- name: See to it that somebody ends the rental
  inferops.gpu.deadline_switch:
    remaining_seconds: 7200
    reaper: true
    allow_unenforced_deadline: false

- name: Let it live for two more hours
  inferops.gpu.deadline_switch:
    remaining_seconds: 7200

- name: Who ends this host?
  inferops.gpu.deadline_switch:
    state: read
  register: switch
"""

RETURN = r"""
armed:
  description: Whether the switch runs, can read its deadline, and has a key to release with.
  returned: when the host was asked
  type: bool
  sample: true
deadline:
  description: When the host ends, in epoch seconds by its own clock. Null without a switch.
  returned: when the host was asked
  type: int
  sample: 1795312800
remaining_seconds:
  description: Seconds until then. Null without a switch.
  returned: when the host was asked
  type: int
  sample: 82800
pid:
  description: The process of the switch, null when it does not run.
  returned: when the host was asked
  type: int
  sample: 57
problem:
  description: Why the switch is not armed; empty when it is.
  returned: when the host was asked
  type: str
  sample: ""
enforced_by:
  description:
    - Who ends the rental. That is O(enforced_by), but where it is nobody, or a host whose switch is
      not armed, V(reaper) with O(reaper=true), or else V(nobody).
  returned: always
  type: str
  sample: host
"""

import time
from dataclasses import replace

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.inferops.gpu.plugins.module_utils.host import deadline
from ansible_collections.inferops.gpu.plugins.module_utils.host.deadline import (
    SAME_SECONDS,
    Switch,
)


def _wanted(module: AnsibleModule, present: int, now: float) -> int:
    """The deadline that the switch should have; *present* is the one that it has."""
    wish = module.params["deadline"]
    if module.params["remaining_seconds"] is not None:
        wish = int(now + module.params["remaining_seconds"])
    if wish is None:
        return present
    if wish <= now:
        module.fail_json(
            msg="The new deadline has passed, so the host would end at once. If that is wanted, "
            "release the rental: inferops.gpu.rental with state: absent."
        )
    return present if abs(wish - present) < SAME_SECONDS else int(wish)


def _armed(module: AnsibleModule, wanted: int) -> Switch:
    try:
        deadline.arm(wanted)
    except (OSError, RuntimeError, ValueError) as error:
        module.fail_json(msg=f"The switch that ends this host could not be armed: {error}")
    return deadline.read()


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "state": {"type": "str", "choices": ["armed", "read"], "default": "armed"},
            "deadline": {"type": "int"},
            "remaining_seconds": {"type": "float"},
            # The controller's action goes by these.
            "enforced_by": {
                "type": "str",
                "choices": ["host", "provider", "reaper", "nobody"],
                "default": "host",
            },
            "is_set": {"type": "bool", "default": False},
            "reaper": {"type": "bool", "default": False},
            "allow_unenforced_deadline": {"type": "bool", "default": True},
        },
        mutually_exclusive=[("deadline", "remaining_seconds")],
        supports_check_mode=True,
    )
    now = time.time()
    found = after = deadline.read()
    if module.params["state"] == "armed" and found.deadline and found.can_be_armed:
        wanted = _wanted(module, found.deadline, now)
        after = replace(found, deadline=wanted, problem="")
    changed = after != found
    if changed and not module.check_mode:
        after = _armed(module, wanted)
    module.exit_json(
        changed=changed,
        diff={
            "before": {"armed": found.armed, "deadline": found.deadline},
            "after": {"armed": after.armed, "deadline": after.deadline},
        },
        **after.to_dict(now),
    )


if __name__ == "__main__":
    main()
