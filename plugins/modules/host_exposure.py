#!/usr/bin/python
# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: host_exposure
short_description: See which ports of a host other machines may reach, and refuse unexpected ones
version_added: "0.1.0"
description:
  - Reads from the kernel which TCP ports something listens on beyond the loopback, by IPv4 and by
    IPv6. It fails where one of them is not expected, and where that cannot be told.
  - The port of the SSH server by which Ansible came is expected. Where nobody tells it, as on a
    connection that is none of SSH, that is port 22.
  - Whether a firewall or the marketplace lets anybody through to a port is not asked, as both
    change without the host. UDP is not looked at, and neither is what the kernel hands on by rules
    of its own without anybody who listens.
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
  expected_ports:
    description: Ports that may be open beside that of the SSH server.
    type: list
    elements: int
    default: []
seealso:
  - module: inferops.gpu.endpoint
"""

EXAMPLES = r"""
- name: See that nothing but SSH can be reached from outside
  inferops.gpu.host_exposure:

- name: See that nothing but SSH and a page of figures can be reached from outside
  inferops.gpu.host_exposure:
    expected_ports: [9100]
"""

RETURN = r"""
open_ports:
  description: What listens beyond the loopback, by port. A process that may not be seen is null.
  returned: success
  type: list
  elements: dict
  contains:
    address:
      description: Where it listens.
      type: str
    port:
      description: On which port.
      type: int
    process:
      description: Its pid and name, null where this user may not see them.
      type: dict
  sample:
    - {address: "0.0.0.0", port: 22, process: {pid: 71, name: sshd}}
ssh_port:
  description: The port of the SSH server, which is expected.
  returned: success
  type: int
  sample: 22
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.inferops.gpu.plugins.module_utils.host.machine import ports

SSH_PORT = 22


def shown(one: ports.Reachable) -> dict[str, Any]:
    process = one.process and {"pid": one.process.pid, "name": one.process.comm}
    return {"address": one.address, "port": one.port, "process": process}


def in_words(one: dict[str, Any]) -> str:
    process = one["process"]
    who = (
        f"process {process['pid']} ({process['name']!r})"
        if process
        else "a process of another user"
    )
    return f"{who} on {one['address']} port {one['port']}"


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "expected_ports": {"type": "list", "elements": "int", "default": []},
        },
        supports_check_mode=True,
    )
    try:
        found = [shown(one) for one in ports.reachable()]
    except OSError as error:
        module.fail_json(
            msg=f"What listens on this host cannot be told ({error}), so it is not called closed."
        )
    asked, ssh_port = module.params["expected_ports"], ports.of_this_login() or SSH_PORT
    strange = [one for one in found if one["port"] not in (*asked, ssh_port)]
    if strange:
        wanted = sorted({*asked, *(one["port"] for one in strange)})
        module.fail_json(
            msg="Nobody expected this to listen beyond the host's loopback: "
            f"{', '.join(map(in_words, strange))}. Stop it, or let it listen on 127.0.0.1. If "
            "others may reach it, or if the image opens it by itself and you want it so, set "
            f"inferops_expected_ports: {wanted}.",
            open_ports=found,
        )
    module.exit_json(changed=False, open_ports=found, ssh_port=ssh_port)


if __name__ == "__main__":
    main()
