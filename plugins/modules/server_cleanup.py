#!/usr/bin/python
# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: server_cleanup
short_description: Delete what an inference server can be without
version_added: 0.1.0
description:
  - Deletes compiled kernels, unfinished downloads and rotated logs, or the downloaded files of a
    model, so that the next start makes or fetches them anew.
  - Where they lie is read from the environment that the server was given.
options:
  name:
    description: Name of the server.
    type: str
    required: true
  home:
    description: Folder of this collection on the host.
    type: path
    default: ~/.inferops
  what:
    description: What to delete.
    type: list
    elements: str
    choices: [compiled, unfinished, old_logs]
    default: []
  model:
    description:
      - A model of the hub whose downloaded files are deleted. A folder of your own on the host is
        refused.
    type: str
extends_documentation_fragment:
  - inferops.gpu.attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
    details: RV(removed) names what is deleted.
  platform:
    platforms: linux
seealso:
  - module: inferops.gpu.model_server
author:
  - inferops.gpu contributors (@inferops)
"""

EXAMPLES = r"""
- name: Make room
  inferops.gpu.server_cleanup:
    name: main
    what: [unfinished, old_logs]

- name: Delete a damaged download
  inferops.gpu.server_cleanup:
    name: main
    model: Qwen/Qwen3-8B
"""

RETURN = r"""
removed:
  description: What was deleted, or would be, with its size.
  returned: success
  type: list
  elements: dict
  sample:
    - path: /home/user/.cache/vllm/torch_compile_cache
      mib: 212.5
freed_mib:
  description: How much room that gives.
  returned: success
  type: float
  sample: 212.5
"""


from ansible.module_utils.basic import AnsibleModule

from ansible_collections.inferops.gpu.plugins.module_utils.host.machine.files import own_home
from ansible_collections.inferops.gpu.plugins.module_utils.host.server import caches
from ansible_collections.inferops.gpu.plugins.module_utils.host.server.compiled import Caches
from ansible_collections.inferops.gpu.plugins.module_utils.host.server.layout import NAME, Layout
from ansible_collections.inferops.gpu.plugins.module_utils.hub import cache


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "home": {"type": "path", "default": "~/.inferops"},
            "what": {
                "type": "list",
                "elements": "str",
                "choices": ["compiled", "unfinished", "old_logs"],
                "default": [],
            },
            "model": {"type": "str"},
        },
        supports_check_mode=True,
    )
    params = module.params
    if not NAME.fullmatch(params["name"]):
        module.fail_json(msg=f"name: {params['name']!r} may hold only letters, digits, - and _.")
    layout = Layout(own_home(module))
    server = layout.server(params["name"])
    spec, environment = server.spec(), server.environment()
    folder = spec.weights.folder if spec else None
    hub = cache.hub_caches(environment, folder)
    find = {
        "compiled": Caches(layout.home, server.engine(), environment).present,
        "unfinished": lambda: cache.unfinished(hub),
        "old_logs": lambda: caches.old_logs(layout),
    }
    try:
        paths = [path for name in params["what"] for path in find[name]()]
        paths += cache.downloaded(params["model"], hub) if params["model"] else []
        removed = [{"path": str(path), "mib": caches.size_mib(path)} for path in paths]
        if not module.check_mode:
            for path in paths:
                caches.remove(path)
    except (OSError, ValueError) as error:
        module.fail_json(msg=str(error))
    freed = round(sum(one["mib"] for one in removed), 1)
    module.exit_json(changed=bool(removed), removed=removed, freed_mib=freed)


if __name__ == "__main__":
    main()
