#!/usr/bin/python
# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: stack_lock
short_description: Resolve the Python stack of a host into one lock
version_added: "0.1.0"
description:
  - Internal. Used by role P(inferops.gpu.stack#role); its options and results may change.
  - Installs a pinned uv in an environment of its own, resolves all requirements at once into one
    lock, and makes an environment for it. What was there stands until that is done, and a server
    keeps the environment that it runs from.
  - Nothing else is installed. M(inferops.gpu.stack_packages) installs parts of the lock.
  - Resolves again only when what it was resolved from has changed.
  - Without O(requirements) it only provides what resolves, and says which one that is. pip brings
    no Python along, so which requirements can be planned depends on it.
author:
  - inferops.gpu contributors (@inferops)
extends_documentation_fragment:
  - inferops.gpu.attributes
  - inferops.gpu.job
  - inferops.gpu.sources
attributes:
  check_mode:
    support: full
    details: Does not know the versions before the first resolution.
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
  requirements:
    description: Requirement lines, such as V(vllm==0.32.0). Without any, nothing is resolved.
    type: list
    elements: str
    default: []
  constraints:
    description: Constraint lines.
    type: list
    elements: str
    default: []
  excluded:
    description: Packages that are left out, whoever requires them.
    type: list
    elements: str
    default: []
  python:
    description:
      - The interpreter, as uv understands it. One on the host is preferred to a download, unless
        O(compiles) and it lacks what that takes.
    type: str
    default: ">=3.11,<3.14"
  torch_backend:
    description: uv's name of PyTorch's index, such as V(cu130) or V(cpu).
    type: str
    default: ""
  torch_index_url:
    description: A mirror to use instead of O(torch_backend).
    type: str
    default: ""
  engine_package:
    description: The package of the engine, such as V(vllm).
    type: str
    default: ""
  engine_index_url:
    description:
      - Where the engine's other builds come from. Nothing but O(engine_package) is taken from
        there.
    type: str
    default: ""
  hashes:
    description:
      - Whether the lock pins the hash of each file. Then nothing else can be installed. Without, it
        is warned of.
    type: bool
    default: true
  lock:
    description:
      - A lock that was resolved before. The host resolves all the same, to its versions. It must
        hold what is needed and nothing else, and of its hashes those are taken that the host's own
        sources tell, too.
    type: str
    default: ""
  tells_lock:
    description: Whether RV(lock) is returned.
    type: bool
    default: false
  compiles:
    description:
      - Whether a server there compiles at run time, as on a GPU. Then a Python without headers is
        left for one that uv brings, unless O(python) is a path; and what is lacking still is a
        warning.
    type: bool
    default: false
  find_links:
    description:
      - Folders on the host, or pages, with wheels. They replace O(torch_backend), so they must hold
        torch, unless O(torch_index_url) does.
  python_mirror:
    description: Where uv downloads the Pythons from that it brings, when not from its own place.
    type: str
    default: ""
  installer:
    description:
      - What resolves and installs. With V(auto) it is uv, or pip where uv cannot be installed. In
        check mode it takes it that uv can be had, unless it could not before.
      - pip takes O(python) where that is a path, else the host's own Python. It installs the lock
        as a whole with its first part.
    type: str
    choices: [auto, uv, pip]
    default: auto
  uv_version:
    description: The version of uv. Only the files of the default one are known by their hashes.
    type: str
    default: 0.13.8
  installed_gib:
    description:
      - What the stack takes on the disk when torch is among what is to be installed. Where
        O(disk_free_mib) is less, it fails. V(0) when that is not known.
    type: float
    default: 0
  disk_free_mib:
    description: What is free on the disk of O(home).
    type: float
    default: 0
seealso:
  - module: inferops.gpu.stack_packages
"""

EXAMPLES = r"""
- name: Provide uv, or pip
  inferops.gpu.stack_lock:
  register: provided

- name: Resolve the stack
  inferops.gpu.stack_lock:
    requirements: [vllm==0.32.0, torch==2.13.0]
    torch_backend: cu130
"""

RETURN = r"""
packages:
  description: Versions in the lock. Empty in check mode before the first resolution.
  returned: with O(requirements)
  type: dict
  sample: {numpy: 2.3.5, torch: 2.13.0, vllm: 0.32.0}
to_install:
  description:
    - Packages of the lock that are not installed yet, or in another version. Empty in check mode
      before the first resolution.
  returned: with O(requirements)
  type: list
  elements: str
  sample: [torch, vllm]
lock_file:
  description: The lock on the host.
  returned: with O(requirements)
  type: str
  sample: /root/.inferops/stack/lock.txt
lock:
  description: The text of the lock; before the first resolution it is empty.
  returned: with O(requirements) and O(tells_lock)
  type: str
  sample: "numpy==2.3.5 --hash=sha256:..."
lock_sha256:
  description: Its hash, or null before the first resolution.
  returned: with O(requirements)
  type: str
  sample: 3a1f0a0d5b
python:
  description: Interpreter of the environment.
  returned: with O(requirements)
  type: str
  sample: /root/.inferops/stack/venvs/3a1f0a0d5b7c/bin/python
uv:
  description: Where uv is, or would be.
  returned: success
  type: str
  sample: /root/.inferops/bootstrap/bin/uv
installer:
  description: What resolves and installs here, V(uv) or V(pip).
  returned: success
  type: str
  sample: uv
"""

from typing import Any, Callable

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.inferops.gpu.plugins.module_utils.common.hiding import hide_passwords
from ansible_collections.inferops.gpu.plugins.module_utils.host.machine.files import own_home
from ansible_collections.inferops.gpu.plugins.module_utils.host.stack.installers import Wanted
from ansible_collections.inferops.gpu.plugins.module_utils.host.stack.options import (
    SOURCE_OPTIONS,
    make_sources,
)
from ansible_collections.inferops.gpu.plugins.module_utils.host.stack.stack import Stack
from ansible_collections.inferops.gpu.plugins.module_utils.host.stack.toolchain import lacking
from ansible_collections.inferops.gpu.plugins.module_utils.host.stack.working import (
    JOB_OPTIONS,
    finish,
)

BESIDE = (
    "torch_backend",
    "torch_index_url",
    "engine_package",
    "engine_index_url",
    "python_mirror",
)
_NO_HASHES = (
    "The lock has no hashes (stack_hashes): any file of these versions is installed, whatever is "
    "in it."
)


def resolve(
    stack: Stack, options: dict[str, Any], tell: Callable[[str], None], dry_run: bool
) -> dict[str, Any]:
    """Provide what resolves, and the lock; the result of the module. Raises StackError."""
    sources = make_sources(options, **{name: options[name] for name in BESIDE})
    tell("providing the installer")
    installer = stack.provide_installer(
        options["installer"], options["uv_version"], sources, dry_run
    )
    provided: dict[str, Any] = {
        "changed": installer.is_new,
        "installer": installer.name,
        "uv": str(stack.uv),
        "warnings": [installer.warning] if installer.warning else [],
    }
    if not options["requirements"]:
        return provided
    before = stack.locked()
    wanted = Wanted(
        requirements=options["requirements"],
        constraints=options["constraints"],
        excluded=options["excluded"],
        python=options["python"],
        sources=sources,
        hashes=options["hashes"],
        installer=installer.name,
    )
    stale = not stack.is_locked(wanted, options["lock"])
    if stale and not dry_run:
        tell("resolving the lock")
        stack.resolve(wanted, options["lock"], options["compiles"])
    if options["compiles"]:
        provided["warnings"] += lacking(stack.python)
    if not options["hashes"]:
        provided["warnings"].append(_NO_HASHES)
    if options["tells_lock"]:
        provided["lock"] = stack.lock_file.read_text() if stack.locked() else ""
    return {
        **provided,
        "changed": installer.is_new or stale,
        "packages": stack.locked(),
        "to_install": [name for name, change in stack.differences([]).items() if change["after"]],
        "lock_file": str(stack.lock_file),
        "lock_sha256": stack.lock_sha256(),
        "python": str(stack.python),
        "diff": {"before": {"lock": before}, "after": {"lock": stack.locked()}},
    }


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "home": {"type": "str", "default": "~/.inferops"},
            "requirements": {"type": "list", "elements": "str", "default": []},
            "constraints": {"type": "list", "elements": "str", "default": []},
            "excluded": {"type": "list", "elements": "str", "default": []},
            "python": {"type": "str", "default": ">=3.11,<3.14"},
            "torch_backend": {"type": "str", "default": ""},
            "torch_index_url": {"type": "str", "default": ""},
            "engine_package": {"type": "str", "default": ""},
            "engine_index_url": {"type": "str", "default": ""},
            "hashes": {"type": "bool", "default": True},
            "lock": {"type": "str", "default": ""},
            "tells_lock": {"type": "bool", "default": False},
            "python_mirror": {"type": "str", "default": ""},
            "compiles": {"type": "bool", "default": False},
            "installer": {"type": "str", "choices": ["auto", "uv", "pip"], "default": "auto"},
            "uv_version": {"type": "str", "default": "0.13.8"},
            # The controller's action goes by these.
            "installed_gib": {"type": "float", "default": 0.0},
            "disk_free_mib": {"type": "float", "default": 0.0},
            **SOURCE_OPTIONS,
            **JOB_OPTIONS,
        },
        supports_check_mode=True,
    )
    hide_passwords(module)
    own_home(module)
    stack, dry_run = Stack(module.params["home"]), module.check_mode
    finish(module, stack, lambda tell: resolve(stack, module.params, tell, dry_run))


if __name__ == "__main__":
    main()
