#!/usr/bin/python
# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: stack_image
short_description: Take the vLLM that a host carries already, such as its container image's
version_added: "0.1.0"
description:
  - Internal. Used by role P(inferops.gpu.stack#role); its options and results may change.
  - Reads which packages an environment holds and takes them as the lock. Nothing is installed
    there, now or later. M(inferops.gpu.stack_packages) proves its parts, and fails where it would
    have to change one.
  - Run again, it takes what is there then.
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
    platforms: linux
options:
  home:
    description: Folder on the host in which the collection keeps everything.
    type: str
    default: ~/.inferops
  python:
    description:
      - Interpreter of the environment.
      - V(auto) looks where images have theirs and takes nothing. It finds none where there is an
        installation of ours already.
    type: path
    required: true
  compiles:
    description:
      - Whether a server there compiles at run time, as on a GPU. Then what it lacks for that is a
        warning.
    type: bool
    default: false
  distribution:
    description: The distribution that holds vLLM.
    type: str
    default: vllm
  places:
    description: The interpreters at which O(python=auto) looks, in this order.
    type: list
    elements: path
    default: []
seealso:
  - module: inferops.gpu.stack_lock
"""

EXAMPLES = r"""
- name: Take the vLLM of the image
  inferops.gpu.stack_image:
    python: /usr/bin/python3
"""

RETURN = r"""
packages:
  description: Versions of what is there; empty where there is none.
  returned: success
  type: dict
  sample: {numpy: 2.3.5, torch: 2.13.0, vllm: 0.32.0}
vllm_version:
  description: The version of vLLM, without the name of its build.
  returned: success
  type: str
  sample: 0.32.0
python:
  description: Interpreter of the environment; empty where O(python=auto) has found none.
  returned: success
  type: str
  sample: /usr/bin/python3
"""

from contextlib import suppress
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.inferops.gpu.plugins.module_utils.host.machine.files import own_home
from ansible_collections.inferops.gpu.plugins.module_utils.host.stack.installers import StackError
from ansible_collections.inferops.gpu.plugins.module_utils.host.stack.stack import Stack
from ansible_collections.inferops.gpu.plugins.module_utils.host.stack.toolchain import lacking


def found(stack: Stack, name: str, places: list[str]) -> tuple[str, dict[str, str]]:
    """The first interpreter that has *name*, and its packages; empty where none has it."""
    for python in () if stack.is_ours else places:
        # One that does not run has nothing for us.
        with suppress(StackError):
            packages = stack.packages_of(Path(python)) if Path(python).exists() else {}
            if name in packages:
                return python, packages
    return "", {}


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "home": {"type": "str", "default": "~/.inferops"},
            "python": {"type": "path", "required": True},
            "compiles": {"type": "bool", "default": False},
            "distribution": {"type": "str", "default": "vllm"},
            "places": {"type": "list", "elements": "path", "default": []},
        },
        supports_check_mode=True,
    )
    python, name = module.params["python"], module.params["distribution"]
    own_home(module)
    stack = Stack(module.params["home"])
    if python == "auto":
        python, packages = found(stack, name, module.params["places"])
        version = packages.get(name, "").partition("+")[0]
        module.exit_json(changed=False, packages=packages, vllm_version=version, python=python)
    before, used = stack.locked(), stack.python
    try:
        packages = stack.packages_of(Path(python))
        if name not in packages:
            raise StackError(
                f"{python} has no {name}, only {len(packages)} other packages. Name the "
                "interpreter that has it by inferops_image_python, or leave that empty to "
                "install it."
            )
        changed = (before, str(used)) != (packages, python)
        if changed and not module.check_mode:
            stack.adopt(Path(python), packages)
        for sentence in lacking(Path(python)) if module.params["compiles"] else ():
            module.warn(sentence)
    except StackError as error:
        module.fail_json(msg=str(error))
    module.exit_json(
        changed=changed,
        packages=packages,
        vllm_version=packages[name].partition("+")[0],
        python=python,
        diff={"before": {"lock": before}, "after": {"lock": packages}},
    )


if __name__ == "__main__":
    main()
