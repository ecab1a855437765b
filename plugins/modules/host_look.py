#!/usr/bin/python
# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: host_look
short_description: See in one look what a host is, what it serves, and whether that is as asked
version_added: "0.1.0"
description:
  - Internal. Used by role P(inferops.gpu.rent#role) and playbook C(deploy); its options and results
    may change.
  - Brings what M(inferops.gpu.gpu_info) says of the host, how its server does, and what the model
    says of itself, in one call.
  - With O(wishes_of) it says whether a deploy that asked for exactly the same succeeded here, and
    whether all of it is still so, so that nothing has to be done again. For that it looks at the
    specification of the server, its process, the lock, its receipts, the packages, the GPUs and the
    files of the model, and asks the server for a completion.
  - With O(proxied) it looks at the proxy before the server as well, whether it runs with its
    settings and its keys, leads to the server, and turns away who has no key.
  - Changes nothing.
author:
  - inferops.gpu contributors (@inferops)
extends_documentation_fragment:
  - inferops.gpu.attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: N/A
    details: Nothing is changed.
  platform:
    support: full
    platforms: linux
options:
  home:
    description: Folder on the host in which the collection keeps everything.
    type: path
    default: ~/.inferops
  server:
    description: Name of the server.
    type: str
    default: vllm
  model:
    description: A model, by its name on the hub or as a folder on the host, that is described.
    type: str
    default: ""
  hub_dir:
    description: Where the hub's own client keeps models.
    type: path
    default: ~/.cache/huggingface/hub
  wishes_of:
    description:
      - Names of roles. All their variables, together with this collection's own code, are one wish.
        Without any, nothing is compared.
    type: list
    elements: str
    default: []
  wishes:
    description: The digest of that wish. It is computed on the controller, from O(wishes_of).
    type: str
    default: ""
  proxied:
    description: Whether a proxy before the server is asked for. One that is not is told.
    type: bool
    default: false
  switch_seconds:
    description: Seconds until the deadline that the host's switch has to be set for, if it has to.
    type: float
seealso:
  - module: inferops.gpu.gpu_info
  - module: inferops.gpu.model_server_info
"""

EXAMPLES = r"""
- name: Is everything as asked already?
  inferops.gpu.host_look:
    wishes_of: [stack, torch, numpy, vllm, model_cache, launch]
  register: look

- name: Install
  ansible.builtin.include_role:
    name: inferops.gpu.stack
  when: not look.as_asked
"""

RETURN = r"""
gpu:
  description: The GPUs, as M(inferops.gpu.gpu_info) returns them.
  returned: success
  type: dict
  sample: {present: true, driver_version: 580.95.05}
host:
  description: The machine around them, as M(inferops.gpu.gpu_info) returns it.
  returned: success
  type: dict
  sample: {init_system: none, disk_free_mib: 81920}
server:
  description: How its server does, as M(inferops.gpu.model_server_info) returns it.
  returned: success
  type: dict
  sample: {name: vllm, phase: running, port: 8000}
proxy:
  description:
    - The proxy before it, as M(inferops.gpu.proxy) returns it, null where none was ever there.
  returned: success
  type: dict
  sample: null
proxy_is_in_the_way:
  description: Whether a proxy is there that is not asked for, so that it has to end.
  returned: success
  type: bool
  sample: false
client_port:
  description: The port that clients reach, of the proxy where one is asked for, else of the server.
  returned: success
  type: int
  sample: 8000
model:
  description:
    - The texts of the model's C(config.json) and of C(hf_quant_config.json), in which ModelOpt
      says how it was quantised, what its index of weights states, and where the weights lie, null
      where they are not on the host.
  returned: success
  type: dict
  sample:
    config: "{}"
    quantization: null
    weights_bytes: 16060522496
    weights: {bytes: 16060556664, file_system: ext4, cached_share: 1.0}
switch:
  description: The switch that ends the rental, as M(inferops.gpu.deadline_switch) reads it.
  returned: success
  type: dict
  sample: {armed: true, remaining_seconds: 82800}
switch_is_set:
  description: Whether that switch is set for O(switch_seconds). True where it does not have to be.
  returned: success
  type: bool
  sample: true
installed:
  description: Whether a stack was proven here before, however long ago.
  returned: success
  type: bool
  sample: true
as_asked:
  description: Whether all that is asked for is so, proven by a completion.
  returned: success
  type: bool
  sample: true
done:
  description: RV(as_asked) and RV(switch_is_set), so that a deploy has nothing to do.
  returned: success
  type: bool
  sample: true
differs:
  description: What is not as asked, in words. Empty without a digest of wishes.
  returned: success
  type: list
  elements: str
  sample: [the stack has another lock]
completion:
  description: The text that proved it.
  returned: success
  type: str
  sample: " the lazy dog."
at:
  description: When the host answered, by the controller's clock, in seconds since the epoch.
  returned: success
  type: float
  sample: 1763650000.5
wishes:
  description: The digest of what is asked for, for O(inferops.gpu.model_server#module:wishes).
  returned: success
  type: str
  sample: 0f3c5d7e9a1b2c3d
"""

import time
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.inferops.gpu.plugins.module_utils.host import deadline
from ansible_collections.inferops.gpu.plugins.module_utils.host.engines import registry
from ansible_collections.inferops.gpu.plugins.module_utils.host.gpus import report as gpus
from ansible_collections.inferops.gpu.plugins.module_utils.host.machine import facts
from ansible_collections.inferops.gpu.plugins.module_utils.host.machine.files import own_home
from ansible_collections.inferops.gpu.plugins.module_utils.host.models.description import described
from ansible_collections.inferops.gpu.plugins.module_utils.host.models.files import problems
from ansible_collections.inferops.gpu.plugins.module_utils.host.models.store import Copy
from ansible_collections.inferops.gpu.plugins.module_utils.host.proxy import (
    asked as asked_of_proxy,
)
from ansible_collections.inferops.gpu.plugins.module_utils.host.proxy import ending
from ansible_collections.inferops.gpu.plugins.module_utils.host.proxy import (
    observation as proxy_observation,
)
from ansible_collections.inferops.gpu.plugins.module_utils.host.proxy.proxy import Proxy, proxy_of
from ansible_collections.inferops.gpu.plugins.module_utils.host.server import (
    asked,
    lifecycle,
    observation,
    readiness,
    vram,
)
from ansible_collections.inferops.gpu.plugins.module_utils.host.server.layout import (
    NAME,
    Layout,
    Server,
)
from ansible_collections.inferops.gpu.plugins.module_utils.host.server.spec import secret_values
from ansible_collections.inferops.gpu.plugins.module_utils.host.stack.installers import StackError
from ansible_collections.inferops.gpu.plugins.module_utils.host.stack.stack import Stack

COMPLETION_SECONDS = 30.0


def differing(
    layout: Layout, server: Server, seen: dict[str, Any], wishes: str, report: gpus.Report
) -> list[str]:
    """What is not as asked, in words; what costs little to see comes first."""
    stack = Stack(str(layout.home))
    at_boot = asked.starts_at_boot(layout, server)
    told = asked.differences(server, seen, wishes, stack.lock_sha256(), report, at_boot)
    if told:
        return told
    try:
        told = stack.unproven(server.engine().parts)
    except StackError as error:
        return [str(error)]
    spec = server.spec()
    if spec is not None and spec.model.startswith("/"):
        model = Path(spec.model)
        told += [f"{name} of the model was changed" for name in Copy.holding(model).altered()]
        told += problems(model)
    return told


def differing_before(
    proxy: Proxy, seen: dict[str, Any] | None, server: dict[str, Any], wishes: str
) -> list[str]:
    """What is not as asked of the proxy before a server; `seen` is what there is of one."""
    if seen is None:
        return ["there is no proxy before the server"]
    return asked_of_proxy.differences(proxy, seen, wishes, server["port"])


def is_installed(stack: Stack) -> bool:
    """Whether the last part of any engine was ever proven here."""
    lasts = [engine.parts[-1] for engine in registry.ENGINES.values() if engine.parts]
    return any(map(stack.was_proven, lasts))


def completion(server: Server) -> readiness.Readiness:
    """What the server answers on the host's loopback."""
    spec = server.spec()
    if spec is None:
        return readiness.Readiness("port", "the server's specification is missing or damaged")
    return spec.ask(server.processes(), COMPLETION_SECONDS)


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "home": {"type": "path", "default": "~/.inferops"},
            "server": {"type": "str", "default": registry.DEFAULT},
            "model": {"type": "str", "default": ""},
            "hub_dir": {"type": "path", "default": "~/.cache/huggingface/hub"},
            "wishes_of": {"type": "list", "elements": "str", "default": []},
            "wishes": {"type": "str", "default": ""},
            "proxied": {"type": "bool", "default": False},
            "switch_seconds": {"type": "float"},
        },
        supports_check_mode=True,
    )
    given = module.params
    if not NAME.fullmatch(given["server"]):
        module.fail_json(msg=f"server: {given['server']!r} may hold only letters, digits, - and _.")
    layout = Layout(own_home(module))
    server = layout.server(given["server"])
    module.no_log_values.update(secret_values(server.environment()))
    report = gpus.report()
    seen = observation.observe(server, keep=not module.check_mode)
    seen["memory_before_mib"] = {}
    if seen["processes"]:
        others = lifecycle.others(server)
        seen["memory_before_mib"] = vram.baseline(layout.baseline, server.name, others)
    proxy, before = proxy_of(layout.home, given["server"]), None
    if proxy.folder.is_dir():
        before = proxy_observation.observe(proxy, keep=not module.check_mode)
    in_the_way = before is not None and not given["proxied"] and ending.is_there(proxy)
    told, answer = [], readiness.Readiness("port", "")
    if given["wishes"]:
        told = differing(layout, server, seen, given["wishes"], report)
        if given["proxied"]:
            told = told or differing_before(proxy, before, seen, given["wishes"])
        elif in_the_way:
            told = told or ["a proxy is there that is not asked for"]
        if not told:
            answer = completion(server)
            told = [answer.detail] if answer.waiting_for else []
    unknown = dict.fromkeys(("config", "quantization", "weights_bytes", "weights"))
    model = described(given["model"], Path(given["hub_dir"])) if given["model"] else unknown
    switch, now, wanted = deadline.read(), time.time(), given["switch_seconds"]
    module.exit_json(
        changed=False,
        gpu=report.to_dict(),
        host=facts.host_facts(layout.home),
        server=seen,
        proxy=before,
        proxy_is_in_the_way=in_the_way,
        client_port=before["port"] if before and given["proxied"] else seen["port"],
        model=model,
        switch=switch.to_dict(now),
        switch_is_set=wanted is None or switch.is_set_for(wanted, now),
        installed=is_installed(Stack(str(layout.home))),
        as_asked=bool(given["wishes"]) and not told,
        differs=told,
        completion=answer.completion,
        wishes=given["wishes"],
    )


if __name__ == "__main__":
    main()
