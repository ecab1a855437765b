#!/usr/bin/python
# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: gateway_access
short_description: Let a gateway reach one port of a host's loopback, and nothing else
version_added: 0.1.0
description:
  - Keeps one line for each gateway in C(~/.ssh/authorized_keys) of the user that the module runs
    as. Whoever has the key gets no shell, and can forward to O(port) of the loopback alone.
  - A line of a gateway that is not in O(gateways) goes. All other lines stay as they are.
options:
  gateways:
    description: The gateways that are let in. None when empty.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description:
          - Its name, which stands at the end of the line. Letters, digits, C(.), C(_), C(@) and
            C(-).
        type: str
        required: true
      public_key:
        description: Type and body of its public key.
        type: str
        required: true
  port:
    description: The port that they may reach. Needed unless O(gateways) is empty.
    type: int
extends_documentation_fragment:
  - inferops.gpu.attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
    details: Shows the lines of the gateway.
  platform:
    platforms: linux
seealso:
  - module: inferops.gpu.gateway_tunnels
author:
  - inferops.gpu contributors (@inferops)
"""

EXAMPLES = r"""
- name: Let the gateway in
  inferops.gpu.gateway_access:
    port: 8000
    gateways:
      - name: main@gate-1
        public_key: ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPq3cHdSGQ0pYpbxrcQHmH0Qf1sG6VYvbtQ1xJ7ot0Aa

- name: Let none in any more
  inferops.gpu.gateway_access:
    gateways: []
"""

RETURN = r"""
user:
  description: The user that the gateway has to log in as.
  returned: success
  type: str
  sample: root
host_keys:
  description: The public keys that this host may show, each of type and body.
  returned: success
  type: list
  elements: str
  sample: [ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPq3cHdSGQ0pYpbxrcQHmH0Qf1sG6VYvbtQ1xJ7ot0Aa]
"""

import os
import pwd
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.inferops.gpu.plugins.module_utils.common import ssh_words
from ansible_collections.inferops.gpu.plugins.module_utils.host.tunnel import access


def lines(params: dict[str, Any]) -> list[str]:
    """The lines that there shall be. Raises ValueError."""
    port, gateways = params["port"], params["gateways"]
    if gateways and not (port and 0 < port < 65536):
        raise ValueError(f"port: {port} is not between 1 and 65535")
    for each in gateways:
        if not access.GATEWAY.fullmatch(each["name"]):
            raise ValueError(f"name: {each['name']!r} is no name of letters, digits, ., _, @, -")
        if not ssh_words.is_public_key(each["public_key"]):
            raise ValueError("public_key: it is no public key of type and body")
    return [access.line(each["name"], each["public_key"], port) for each in gateways]


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "gateways": {
                "type": "list",
                "elements": "dict",
                "required": True,
                "options": {
                    "name": {"type": "str", "required": True},
                    "public_key": {"type": "str", "required": True},
                },
            },
            "port": {"type": "int"},
        },
        supports_check_mode=True,
    )
    user = pwd.getpwuid(os.getuid())
    file = Path(user.pw_dir) / ".ssh" / "authorized_keys"
    try:
        before = access.read(file)
        after = access.changed(before, lines(module.params))
        is_changed = after != before
        if is_changed and not module.check_mode:
            access.write(file, after)
        keys = access.host_keys()
    except (OSError, ValueError) as error:
        module.fail_json(msg=f"{error}.")
    result: dict[str, Any] = {"user": user.pw_name, "host_keys": keys}
    if is_changed and module._diff:
        shown = ("".join(f"{line}\n" for line in access.own(text)) for text in (before, after))
        result["diff"] = dict(zip(("before", "after"), shown))
    module.exit_json(changed=is_changed, **result)


if __name__ == "__main__":
    main()
