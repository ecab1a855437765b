#!/usr/bin/python
# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: stack_installer
short_description: Provide what resolves and installs the stack on a host, uv or pip
version_added: "0.1.0"
description:
  - Installs a pinned uv in an environment of its own. Where it cannot be had, a pip that works on
    other environments takes its place.
  - pip brings no Python along, so which releases can be planned depends on what is installed there.
author:
  - inferops.gpu contributors (@inferops)
extends_documentation_fragment:
  - inferops.gpu.attributes
  - inferops.gpu.sources
attributes:
  check_mode:
    support: full
    details: Takes it that uv can be had, unless it could not before.
  diff_mode:
    support: N/A
    details: There is one installer, or the other.
  platform:
    support: full
    platforms: linux
options:
  home:
    description: Folder on the host in which the collection keeps everything.
    type: str
    default: ~/.inferops
  installer:
    description: What to provide. With V(auto) it is uv, or pip where uv cannot be installed.
    type: str
    choices: [auto, uv, pip]
    default: auto
  uv_version:
    description: The version of uv.
    type: str
    default: 0.13.8
seealso:
  - module: inferops.gpu.stack_lock
"""

EXAMPLES = r"""
- name: Provide uv, or pip
  inferops.gpu.stack_installer:
  register: provided
"""

RETURN = r"""
installer:
  description: What is there, V(uv) or V(pip).
  returned: success
  type: str
  sample: uv
uv:
  description: Where uv is, or would be.
  returned: success
  type: str
  sample: /root/.inferops/bootstrap/bin/uv
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.inferops.gpu.plugins.module_utils.host.stack.installers import StackError
from ansible_collections.inferops.gpu.plugins.module_utils.host.stack.options import (
    INSTALLER_OPTIONS,
    SOURCE_OPTIONS,
    make_sources,
)
from ansible_collections.inferops.gpu.plugins.module_utils.host.stack.stack import Stack


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "home": {"type": "str", "default": "~/.inferops"},
            **INSTALLER_OPTIONS,
            **SOURCE_OPTIONS,
        },
        supports_check_mode=True,
    )
    options = module.params
    stack = Stack(options["home"])
    try:
        provided = stack.provide_installer(
            options["installer"],
            options["uv_version"],
            make_sources(options),
            module.check_mode,
        )
    except StackError as error:
        module.fail_json(msg=str(error))
    if provided.warning:
        module.warn(provided.warning)
    module.exit_json(changed=provided.is_new, installer=provided.name, uv=str(stack.uv))


if __name__ == "__main__":
    main()
