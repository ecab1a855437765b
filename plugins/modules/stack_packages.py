#!/usr/bin/python
# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: stack_packages
short_description: Install a part of the locked stack and prove it by running it
version_added: "0.1.0"
description:
  - Internal. Used by roles P(inferops.gpu.torch#role), P(inferops.gpu.numpy#role),
    P(inferops.gpu.vllm#role) and P(inferops.gpu.recover#role); its options and results may change.
  - Installs packages at the versions of the lock, then runs a script in the environment that
    proves that they work.
  - Fails when any other installed package is not what the lock says, and names what replaced it.
    Without O(packages) it sets all packages right instead.
  - While lock, script, driver and boot are the same, the proof is not run again.
author:
  - inferops.gpu contributors (@inferops)
extends_documentation_fragment:
  - inferops.gpu.attributes
  - inferops.gpu.job
attributes:
  check_mode:
    support: full
    details: Installs nothing and runs no proof.
  diff_mode:
    support: full
  platform:
    support: full
    platforms: linux
options:
  home:
    description: Folder on the host in which the collection keeps everything.
    type: str
    default: ~/.inferops
  name:
    description: Name of the part, for messages and for its receipt.
    type: str
    required: true
  packages:
    description: Packages to install with what they need. Without any, all of the lock, exactly.
    type: list
    elements: str
    default: []
  reinstall:
    description:
      - Install also what is there in the right version already. For an environment whose files are
        damaged, or were exchanged by hand.
    type: bool
    default: false
  proof:
    description: Python source that prints one JSON object as its last line and exits with 0.
    type: str
    required: true
  environment:
    description: Environment variables for the proof.
    type: dict
    default: {}
  prove_before:
    description:
      - Further parts, which are proven first and in the same process, so that what several of them
        import is imported once. Each gets a receipt of its own.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: Name of the part.
        type: str
        required: true
      proof:
        description: Python source of its proof.
        type: str
        required: true
      environment:
        description: Environment variables for its proof.
        type: dict
        default: {}
seealso:
  - module: inferops.gpu.stack_lock
"""

EXAMPLES = r"""
- name: Install numpy from the lock
  inferops.gpu.stack_packages:
    name: numpy
    packages: [numpy]
    proof: |
      import json, numpy
      print(json.dumps({"version": numpy.__version__}))
"""

RETURN = r"""
proof:
  description: What the proof printed, now or when it was last run. Null in check mode.
  returned: success
  type: dict
  sample: {version: 2.3.5}
proofs:
  description: The same for each part, by name.
  returned: success
  type: dict
  sample: {numpy: {version: 2.3.5}}
proven_now:
  description: Whether a proof had to be run.
  returned: success
  type: bool
  sample: true
changes:
  description: Packages that changed, or would change, with the versions before and after.
  returned: success
  type: dict
  sample: {numpy: {before: null, after: 2.3.5}}
replaced:
  description: What had been changed since the lock was installed, and which package brought it.
  returned: success
  type: list
  elements: str
  sample: ["torch 2.9.1 was replaced by 2.10.0 while installing vllm 0.19.1, which asks for it"]
"""

from typing import Any, Callable

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.inferops.gpu.plugins.module_utils.host.machine.files import own_home
from ansible_collections.inferops.gpu.plugins.module_utils.host.stack.installers import StackError
from ansible_collections.inferops.gpu.plugins.module_utils.host.stack.stack import (
    Part,
    Stack,
)
from ansible_collections.inferops.gpu.plugins.module_utils.host.stack.working import (
    JOB_OPTIONS,
    finish,
)


def parts_of(options: dict[str, Any]) -> list[Part]:
    """All that is proven, in order: a part that is imported by another one comes before it."""
    return [
        Part(
            each["name"],
            each["proof"],
            {name: str(value) for name, value in each["environment"].items()},
        )
        for each in (*options["prove_before"], options)
    ]


def nothing_done(options: dict[str, Any], changes: dict[str, Any], **other: Any) -> dict[str, Any]:
    """The result without any proof."""
    return {
        "changed": bool(changes) or options["reinstall"],
        "proof": None,
        "proofs": {},
        "proven_now": False,
        "changes": changes,
        "replaced": [],
        "diff": {
            "before": {name: change["before"] for name, change in changes.items()},
            "after": {name: change["after"] for name, change in changes.items()},
        },
        **other,
    }


def bring(stack: Stack, options: dict[str, Any], tell: Callable[[str], None]) -> dict[str, Any]:
    """Install and prove; the result of the module. Raises StackError."""
    replaced = stack.replaced()
    changes = stack.differences(options["packages"])
    if changes or options["reinstall"]:
        tell(f"installing {options['name']}")
        stack.install(options["packages"], options["reinstall"])
    if stack.replaced():
        raise StackError(
            f"{options['name']} is as the lock says, but {'; '.join(stack.replaced())}. "
            "Run the deploy again, which makes all packages what the lock says."
        )
    parts = parts_of(options)
    tell(f"proving {' and '.join(part.name for part in parts)}")
    outcomes = stack.prove_all(parts)
    proofs = {name: result for name, (result, _now) in outcomes.items()}
    return nothing_done(
        options,
        changes,
        replaced=replaced,
        proof=proofs[options["name"]],
        proofs=proofs,
        proven_now=any(now for _result, now in outcomes.values()),
    )


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "home": {"type": "str", "default": "~/.inferops"},
            "name": {"type": "str", "required": True},
            "packages": {"type": "list", "elements": "str", "default": []},
            "reinstall": {"type": "bool", "default": False},
            "proof": {"type": "str", "required": True},
            "environment": {"type": "dict", "default": {}},
            "prove_before": {
                "type": "list",
                "elements": "dict",
                "default": [],
                "options": {
                    "name": {"type": "str", "required": True},
                    "proof": {"type": "str", "required": True},
                    "environment": {"type": "dict", "default": {}},
                },
            },
            **JOB_OPTIONS,
        },
        supports_check_mode=True,
    )
    options = module.params
    own_home(module)
    stack = Stack(options["home"])
    if not module.check_mode:
        finish(module, stack, lambda tell: bring(stack, options, tell))
    try:
        is_locked = stack.lock_file.exists()
        changes = stack.differences(options["packages"]) if is_locked else {}
        replaced = stack.replaced() if is_locked else []
    except StackError as error:
        module.fail_json(msg=str(error))
    result = nothing_done(options, changes, replaced=replaced)
    module.exit_json(**{**result, "changed": result["changed"] or not is_locked})


if __name__ == "__main__":
    main()
