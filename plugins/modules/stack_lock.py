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
  - Installs a pinned uv in an environment of its own, makes the environment for the server, and
    resolves all requirements at once into one lock.
  - Nothing else is installed. M(inferops.gpu.stack_packages) installs parts of the lock.
  - Resolves again only when what it was resolved from has changed.
author:
  - inferops.gpu contributors (@inferops)
extends_documentation_fragment:
  - inferops.gpu.attributes
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
    description: Requirement lines, such as V(vllm==0.32.0).
    type: list
    elements: str
    required: true
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
    description: The interpreter, as uv understands it. One on the host is preferred to a download.
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
  index_url:
    description: A mirror of the Python package index.
    type: str
    default: ""
  extra_index_urls:
    description: Indexes beside the package index, for wheels that it does not have.
    type: list
    elements: str
    default: []
  cache_dir:
    description:
      - Folder on the host that keeps wheels for the next installation. By default uv's own.
    type: str
    default: ""
  hashes:
    description: Whether the lock pins the hash of each file. Then nothing else can be installed.
    type: bool
    default: false
  lock:
    description:
      - A lock that was resolved before, to be used instead of resolving. It must hold what
        O(requirements) pin, and hashes when O(hashes) is true.
    type: str
    default: ""
  find_links:
    description:
      - Folders on the host, or pages, with wheels. They replace O(torch_backend), so they must hold
        torch, unless O(torch_index_url) does.
    type: list
    elements: str
    default: []
  installer:
    description:
      - What resolves and installs. With V(auto) it is uv, or pip where uv cannot be installed.
      - pip takes the host's own Python and installs the lock as a whole with its first part.
    type: str
    choices: [auto, uv, pip]
    default: auto
  uv_version:
    description: The version of uv.
    type: str
    default: 0.13.8
seealso:
  - module: inferops.gpu.stack_packages
"""

EXAMPLES = r"""
- name: Resolve the stack
  inferops.gpu.stack_lock:
    requirements: [vllm==0.32.0, torch==2.13.0]
    torch_backend: cu130
"""

RETURN = r"""
packages:
  description: Versions in the lock. Empty in check mode before the first resolution.
  returned: success
  type: dict
  sample: {numpy: 2.3.5, torch: 2.13.0, vllm: 0.32.0}
lock_file:
  description: The lock on the host.
  returned: success
  type: str
  sample: /root/.inferops/stack/lock.txt
lock:
  description: The text of the lock, when it has hashes.
  returned: success and O(hashes)
  type: str
  sample: "numpy==2.3.5 --hash=sha256:..."
lock_sha256:
  description: Its hash, or null before the first resolution.
  returned: success
  type: str
  sample: 3a1f0a0d5b
python:
  description: Interpreter of the environment.
  returned: success
  type: str
  sample: /root/.inferops/stack/venv/bin/python
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

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.inferops.gpu.plugins.module_utils.host.stack import (
    Sources,
    Stack,
    StackError,
    Wanted,
)


def _have_installer(module: AnsibleModule, stack: Stack, sources: Sources) -> tuple[str, bool]:
    """What will resolve and install, and whether it had to be installed itself."""
    wish, version = module.params["installer"], module.params["uv_version"]
    if wish == "auto" and stack.installer() == "pip":
        wish = "pip"
    if wish != "pip":
        missing = not stack.has_uv(version)
        try:
            if missing and not module.check_mode:
                stack.install_uv(version, sources)
            return "uv", missing
        except StackError as error:
            if wish == "uv":
                raise
            module.warn(f"pip does the work of uv here, slower and with the host's Python. {error}")
    missing = stack.installer() != "pip"
    if missing and not module.check_mode:
        stack.install_pip(sources)
    return "pip", missing


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "home": {"type": "str", "default": "~/.inferops"},
            "requirements": {"type": "list", "elements": "str", "required": True},
            "constraints": {"type": "list", "elements": "str", "default": []},
            "excluded": {"type": "list", "elements": "str", "default": []},
            "python": {"type": "str", "default": ">=3.11,<3.14"},
            "torch_backend": {"type": "str", "default": ""},
            "torch_index_url": {"type": "str", "default": ""},
            "index_url": {"type": "str", "default": ""},
            "extra_index_urls": {"type": "list", "elements": "str", "default": []},
            "cache_dir": {"type": "str", "default": ""},
            "hashes": {"type": "bool", "default": False},
            "lock": {"type": "str", "default": ""},
            "find_links": {"type": "list", "elements": "str", "default": []},
            "installer": {"type": "str", "choices": ["auto", "uv", "pip"], "default": "auto"},
            "uv_version": {"type": "str", "default": "0.13.8"},
        },
        supports_check_mode=True,
    )
    options = module.params
    sources = Sources(
        torch_backend=options["torch_backend"],
        torch_index_url=options["torch_index_url"],
        index_url=options["index_url"],
        extra_index_urls=options["extra_index_urls"],
        find_links=options["find_links"],
        cache_dir=options["cache_dir"],
    )
    stack = Stack(options["home"])
    before = stack.locked()
    try:
        installer, installed_now = _have_installer(module, stack, sources)
        wanted = Wanted(
            requirements=options["requirements"],
            constraints=options["constraints"],
            excluded=options["excluded"],
            python=options["python"],
            sources=sources,
            hashes=options["hashes"],
            installer=installer,
        )
        stale = not stack.is_locked(wanted, options["lock"])
        if stale and not module.check_mode:
            stack.resolve(wanted, options["lock"])
    except StackError as error:
        module.fail_json(msg=str(error))
    module.exit_json(
        changed=installed_now or stale,
        packages=stack.locked(),
        lock_file=str(stack.lock_file),
        lock=stack.lock_file.read_text() if options["hashes"] and stack.locked() else "",
        lock_sha256=stack.lock_sha256(),
        python=str(stack.python),
        uv=str(stack.uv),
        installer=installer,
        diff={"before": {"lock": before}, "after": {"lock": stack.locked()}},
    )


if __name__ == "__main__":
    main()
