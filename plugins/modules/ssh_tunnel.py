#!/usr/bin/python
# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: ssh_tunnel
short_description: Keep an SSH tunnel from the controller to a port of a host
version_added: "0.1.0"
description:
  - Opens a tunnel to a port on the host's loopback that outlives the play, or closes it.
  - The tunnel listens on the controller's loopback only.
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
    support: full
    platforms: posix
options:
  name:
    description: Name of the tunnel among those of O(folder).
    type: str
    required: true
  state:
    description: Whether the tunnel should be open.
    type: str
    choices: [present, absent]
    default: present
  folder:
    description: Folder on the controller for control sockets. Only its owner may enter.
    type: path
    default: ~/.ansible/inferops/tunnels
  host:
    description: Where SSH reaches the host.
    type: str
  port:
    description: Port of SSH.
    type: int
    default: 22
  user:
    description: User of SSH.
    type: str
    default: root
  private_key_file:
    description: Private key on the controller.
    type: path
  known_hosts_file:
    description:
      - File on the controller in which the host's key is pinned, as role
        P(inferops.gpu.connect#role) writes it.
      - A host whose key is not in it is refused.
    type: path
  remote_port:
    description: Port on the host's loopback.
    type: int
  local_port:
    description: Port on the controller's loopback. V(0) takes a free one and keeps it.
    type: int
    default: 0
notes:
  - Runs on the controller. In plays over rented hosts use C(delegate_to=localhost).
requirements:
  - OpenSSH's client on the controller
"""

EXAMPLES = r"""
- name: Reach the server on the controller
  inferops.gpu.ssh_tunnel:
    name: prod/gpu-1
    host: 203.0.113.7
    port: 33526
    private_key_file: ~/.ssh/id_ed25519
    known_hosts_file: ~/.ansible/inferops/known_hosts/vastai-27011234
    remote_port: 8000
  delegate_to: localhost

- name: Close the tunnel
  inferops.gpu.ssh_tunnel:
    name: prod/gpu-1
    state: absent
  delegate_to: localhost
"""

RETURN = r"""
local_port:
  description: The local end. Null when closed, or in check mode when it is not chosen yet.
  returned: success
  type: int
  sample: 40213
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.inferops.gpu.plugins.module_utils.endpoint.tunnel import (
    Target,
    Tunnel,
    TunnelError,
)


def present(module: AnsibleModule, tunnel: Tunnel) -> dict[str, Any]:
    """Keep the tunnel that is open, or open one."""
    options = module.params
    target = Target(
        host=options["host"],
        port=options["port"],
        user=options["user"],
        private_key_file=options["private_key_file"],
        known_hosts_file=options["known_hosts_file"],
        remote_port=options["remote_port"],
    )
    before, after = tunnel.keep(target, options["local_port"], module.check_mode)
    return {
        "changed": before is None or before != after,
        "local_port": after,
        "diff": {
            "before": {"open": before is not None, "local_port": before},
            "after": {"open": True, "local_port": after},
        },
    }


def absent(module: AnsibleModule, tunnel: Tunnel) -> dict[str, Any]:
    """Close the tunnel when it is open."""
    was_open = tunnel.is_open()
    if not module.check_mode:
        tunnel.close()
    return {
        "changed": was_open,
        "local_port": None,
        "diff": {"before": {"open": was_open}, "after": {"open": False}},
    }


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "folder": {"type": "path", "default": "~/.ansible/inferops/tunnels"},
            "host": {"type": "str"},
            "port": {"type": "int", "default": 22},
            "user": {"type": "str", "default": "root"},
            "private_key_file": {"type": "path", "no_log": False},
            "known_hosts_file": {"type": "path"},
            "remote_port": {"type": "int"},
            "local_port": {"type": "int", "default": 0},
        },
        required_if=[
            ("state", "present", ("host", "private_key_file", "known_hosts_file", "remote_port"))
        ],
        supports_check_mode=True,
    )
    tunnel = Tunnel(module.params["folder"], module.params["name"])
    try:
        act = present if module.params["state"] == "present" else absent
        result = act(module, tunnel)
    except TunnelError as error:
        module.fail_json(msg=str(error))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
