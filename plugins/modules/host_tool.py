#!/usr/bin/python
# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: host_tool
short_description: Install a Python tool on a host, in an environment of its own
version_added: "0.1.0"
description:
  - Internal. Used by role P(inferops.gpu.launch#role); its options and results may change.
  - Makes a virtual environment with the Python that runs the module, and installs one version of a
    tool there with pip. So it works with and without uv.
author:
  - inferops.gpu contributors (@inferops)
extends_documentation_fragment:
  - inferops.gpu.attributes
  - inferops.gpu.sources
attributes:
  check_mode:
    support: full
  diff_mode:
    support: N/A
    details: There is one version, or another.
  platform:
    support: full
    platforms: linux
options:
  name:
    description: Name of its distribution.
    type: str
    required: true
  version:
    description:
      - The version to have. Of those that the roles ask for by themselves the files are known by
        their hashes, and no others are installed; of another version any file is.
    type: str
    required: true
  folder:
    description: Folder of the environment on the host.
    type: path
    required: true
  uv:
    description:
      - A uv on the host, which does it in a tenth of the time. Where there is none, or where it
        cannot, the host's own Python with pip does it.
    type: path
seealso:
  - module: inferops.gpu.stack_lock
"""

EXAMPLES = r"""
- name: Install supervisord
  inferops.gpu.host_tool:
    name: supervisor
    version: 4.3.0
    folder: ~/.inferops/supervisor/venv
"""

RETURN = r"""
bin_dir:
  description: Folder of its commands.
  returned: success
  type: str
  sample: /root/.inferops/supervisor/venv/bin
"""

from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.inferops.gpu.plugins.module_utils.common.hiding import hide_passwords
from ansible_collections.inferops.gpu.plugins.module_utils.host.stack.installers import StackError
from ansible_collections.inferops.gpu.plugins.module_utils.host.stack.options import (
    SOURCE_OPTIONS,
    make_sources,
)
from ansible_collections.inferops.gpu.plugins.module_utils.host.stack.tools import (
    has_tool,
    install_tool,
)


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "version": {"type": "str", "required": True},
            "folder": {"type": "path", "required": True},
            "uv": {"type": "path"},
            **SOURCE_OPTIONS,
        },
        supports_check_mode=True,
    )
    hide_passwords(module)
    folder = Path(module.params["folder"])
    requirement = f"{module.params['name']}=={module.params['version']}"
    missing = not has_tool(folder, requirement)
    try:
        if missing and not module.check_mode:
            uv = Path(module.params["uv"]) if module.params["uv"] else None
            install_tool(folder, requirement, make_sources(module.params), uv)
    except StackError as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=missing, bin_dir=str(folder / "bin"))


if __name__ == "__main__":
    main()
