#!/usr/bin/python
# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: compiled_cache
short_description: Carry what an engine has compiled from a host to the next of its kind
version_added: "0.1.0"
description:
  - Internal. Used by role P(inferops.gpu.launch#role); its options and results may change.
  - Keeps in a folder on the controller what an inference engine has compiled on a host, and gives
    it to another one, so that a start there has less to compile.
  - A cache fits where GPU, driver, processor, packages, model, options and folders are the same.
    What differs is told.
  - Compiled code is run, and the host that has compiled it belongs to somebody else. O(trust) says
    whose is taken.
  - It is a help. Whatever goes wrong is told in RV(told), and nothing fails.
  - What a host sends is read by a strict grammar, never unpacked on the controller, and bounded in
    number, size and time. Its hashes stay on the controller, and each host compares them before a
    file of it lies where an engine looks.
author:
  - inferops.gpu contributors (@inferops)
extends_documentation_fragment:
  - inferops.gpu.attributes
attributes:
  check_mode:
    support: full
    details: Nothing is looked at, and nothing carried.
  diff_mode:
    support: N/A
    details: It holds what programs have compiled.
  platform:
    support: full
    platforms: linux
options:
  state:
    description:
      - V(given) gives the host a cache that fits, if it has compiled nothing itself.
      - V(kept) keeps what the host has compiled, if it was given nothing.
      - V(withdrawn) removes what is compiled from the host, and O(cache_id) from the store.
    type: str
    choices: [given, kept, withdrawn]
    required: true
  home:
    description: Folder on the host in which the collection keeps everything.
    type: path
    default: ~/.inferops
  python:
    description: Interpreter of the virtual environment that holds the engine.
    type: path
    required: true
  engine:
    description: The inference engine.
    type: str
    choices: [vllm, llama_cpp]
    default: vllm
  model:
    description: The model that is served, as the engine gets it.
    type: str
    required: true
  arguments:
    description: Options of the engine, as of M(inferops.gpu.model_server).
    type: dict
    default: {}
  suggested_arguments:
    description: Those that apply where O(arguments) says nothing of them.
    type: dict
    default: {}
  extra_args:
    description: Words at the end of the engine's command line.
    type: list
    elements: str
    default: []
  environment:
    description: Environment variables of the server.
    type: dict
    default: {}
  store:
    description:
      - Folder on the controller. It is made when missing, for its owner alone.
      - Or a store that several controllers share, which must be yours alone to write to.
        C(s3://bucket/folder) is a bucket, with the account, region and endpoint that boto3 finds.
        C(user@host:/folder) and C(rsync://host/module/folder) are reached by rsync.
    type: str
    default: ""
  mirror:
    description: Folder on the controller for what is brought from a store that is shared.
    type: path
    default: ""
  trust:
    description:
      - Whose caches a host may get. V(machine) are those that the very same machine has made,
        V(verified) also those of machines that the marketplace had verified when they were rented,
        V(scope) those of any host of the scope.
    type: str
    choices: [machine, verified, scope]
    default: machine
  scope:
    description: The scope of the rental. No other scope's caches are taken.
    type: str
    default: ""
  scope_secret:
    description:
      - The secret of the scope. With it lists are sealed, and one that is not counts as none, so
        that whoever writes into a store that is shared puts no code on a host.
      - The environment variable E(INFEROPS_SCOPE_SECRET) gives it as well.
    type: str
  rental:
    description: The rental, as M(inferops.gpu.rental) returns it. It names the machine.
    type: dict
    default: {}
  offer:
    description: The offer that it was rented by, as M(inferops.gpu.rental) returns it.
    type: dict
    default: {}
  max_gib:
    description:
      - How much all caches of the store may take. Those that were used longest ago go first.
    type: float
    default: 20
  max_count:
    description: How many there may be.
    type: int
    default: 50
  timeout_seconds:
    description: How long packing, sending and unpacking may take each.
    type: int
    default: 120
  cache_id:
    description:
      - The cache that was given, as RV(cache_id) named it. With O(state=kept), there is nothing new
        on the host then.
    type: str
    default: ""
  server_runs:
    description:
      - Whether the server has run before, and was not started by this run. Then it has compiled
        what it needs, and nothing is given or kept.
    type: bool
    default: false
  step:
    description: What the host does. The controller sets it.
    type: str
    choices: [look, pack, unpack, tidy, clear]
    default: look
  contents:
    description: What the archive that was sent holds. The controller sets it.
    type: dict
    default: {}
seealso:
  - module: inferops.gpu.model_server
  - module: inferops.gpu.server_cleanup
"""

EXAMPLES = r"""
- name: Give the host what another one of its kind has compiled
  inferops.gpu.compiled_cache:
    state: given
    python: "{{ inferops_python }}"
    model: "{{ inferops_model_path }}"
    store: ~/caches
    trust: verified
    scope: prod
    rental: "{{ inferops_rental }}"
"""

RETURN = r"""
carried:
  description: Whether something was sent or kept.
  returned: always
  type: bool
  sample: true
cache_id:
  description: Which cache that is. Empty for none.
  returned: always
  type: str
  sample: 4c1b9f0c2f0d4e1c8a7b6d5e4f3a2b1c
told:
  description: What was done, or why nothing was, for people.
  returned: always
  type: str
  sample: "carried 84 MiB of what was compiled on a host of the same kind"
"""

import shutil
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.inferops.gpu.plugins.module_utils.common import compiled_cache
from ansible_collections.inferops.gpu.plugins.module_utils.common.compiled_cache import Limit
from ansible_collections.inferops.gpu.plugins.module_utils.common.hiding import hide_passwords
from ansible_collections.inferops.gpu.plugins.module_utils.host.engines import registry
from ansible_collections.inferops.gpu.plugins.module_utils.host.engines.engine import Wish
from ansible_collections.inferops.gpu.plugins.module_utils.host.gpus import report as gpus
from ansible_collections.inferops.gpu.plugins.module_utils.host.machine.files import own_home
from ansible_collections.inferops.gpu.plugins.module_utils.host.server import compiled
from ansible_collections.inferops.gpu.plugins.module_utils.host.server.compiled import Caches
from ansible_collections.inferops.gpu.plugins.module_utils.host.server.spec import (
    as_variable,
    secret_values,
)
from ansible_collections.inferops.gpu.plugins.module_utils.host.stack.installers import StackError
from ansible_collections.inferops.gpu.plugins.module_utils.host.stack.stack import Stack


def looked(caches: Caches, params: dict[str, Any]) -> dict[str, Any]:
    """What the controller has to know to choose."""
    engine = caches.engine
    arguments = {
        **engine.by_name(params["suggested_arguments"]),
        **engine.by_name(params["arguments"]),
    }
    words = tuple(params["extra_args"])
    wish = Wish(params["python"], params["model"], (), "", 0, arguments, words)
    packages = Stack(str(caches.home)).packages_of(Path(params["python"]))
    caches.prepare()
    return {
        "key": compiled.key(engine, wish, caches.environment, gpus.report(), packages),
        "has_own": caches.has_own(),
        "was_given": caches.was_given(),
        "free_bytes": shutil.disk_usage(caches.home).free,
        "incoming": str(caches.incoming),
    }


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "state": {
                "type": "str",
                "choices": ["given", "kept", "withdrawn"],
                "required": True,
            },
            "home": {"type": "path", "default": "~/.inferops"},
            "python": {"type": "path", "required": True},
            "engine": {
                "type": "str",
                "choices": list(registry.ENGINES),
                "default": registry.DEFAULT,
            },
            "model": {"type": "str", "required": True},
            "arguments": {"type": "dict", "default": {}},
            "suggested_arguments": {"type": "dict", "default": {}},
            "extra_args": {"type": "list", "elements": "str", "default": []},
            "environment": {"type": "dict", "default": {}},
            "store": {"type": "str", "default": ""},
            "mirror": {"type": "path", "default": ""},
            "trust": {
                "type": "str",
                "choices": ["machine", "verified", "scope"],
                "default": "machine",
            },
            "scope": {"type": "str", "default": ""},
            "scope_secret": {"type": "str", "no_log": True},
            "rental": {"type": "dict", "default": {}},
            "offer": {"type": "dict", "default": {}},
            "max_gib": {"type": "float", "default": 20},
            "max_count": {"type": "int", "default": 50},
            "timeout_seconds": {"type": "int", "default": 120},
            "cache_id": {"type": "str", "default": ""},
            "server_runs": {"type": "bool", "default": False},
            "step": {
                "type": "str",
                "choices": ["look", "pack", "unpack", "tidy", "clear"],
                "default": "look",
            },
            "contents": {"type": "dict", "default": {}},
        },
        supports_check_mode=True,
    )
    hide_passwords(module)
    params = module.params
    given = params["environment"]
    environment = {name: as_variable(one) for name, one in given.items() if one is not None}
    module.no_log_values.update(secret_values(environment))
    home = own_home(module, compiled.FOLDER)
    caches = Caches(home, registry.ENGINES[params["engine"]], environment)
    limit, result = Limit.of(params["timeout_seconds"]), {}
    try:
        if params["step"] == "look":
            result = looked(caches, params)
        elif params["step"] == "pack":
            contents = caches.pack(limit).to_dict()
            result = {"contents": contents, "outgoing": str(caches.outgoing)}
        elif params["step"] == "unpack":
            caches.unpack(compiled_cache.read(params["contents"]), limit)
        elif params["step"] == "tidy":
            caches.tidy()
        else:
            caches.clear()
    except (compiled_cache.CacheError, StackError, OSError) as error:
        module.fail_json(msg=str(error))
    # The action plugin tells what became of it.
    module.exit_json(changed=params["step"] in ("unpack", "clear"), **result)


if __name__ == "__main__":
    main()
