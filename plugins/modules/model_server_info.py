#!/usr/bin/python
# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: model_server_info
short_description: Report the inference servers of a host
version_added: 0.1.0
description:
  - Reads the record of each server and sets it right by a look at the process table, so that a
    server that died since is not called running.
  - Can wait for a change, which is how the progress of a start is followed.
options:
  name:
    description: Report this server only. Without it, all servers below O(home) are reported.
    type: str
  home:
    description: Folder of this collection on the host.
    type: path
    default: ~/.inferops
  wait_seconds:
    description:
      - Wait up to this long for the progress of the server to differ from O(known_progress).
      - A server that is not starting is reported at once. Needs O(name).
    type: float
    default: 0
  known_progress:
    description: The C(progress) that the caller knows already.
    type: str
  log_lines:
    description: Number of last log lines of the latest start to return for each server.
    type: int
    default: 0
  kernel_log:
    description:
      - Return what the kernel said of killed processes and of GPUs since the latest start of each
        server.
    type: bool
    default: false
extends_documentation_fragment:
  - inferops.gpu.attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
    details: Nothing is changed.
  platform:
    platforms: linux
seealso:
  - module: inferops.gpu.model_server
author:
  - inferops.gpu contributors (@inferops)
"""

EXAMPLES = r"""
- name: Report all servers of the host
  inferops.gpu.model_server_info:
  register: found

- name: Show the end of the log of one
  inferops.gpu.model_server_info:
    name: main
    log_lines: 50
"""

RETURN = r"""
servers:
  description: The servers, by name. One that is asked for by O(name) is reported even if unknown.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: Name of the server.
      type: str
      sample: main
    phase:
      description:
        - One of V(starting), V(running), V(stopping), V(stopped), V(error) and V(unknown).
        - V(running) means that a completion came back. V(unknown) means alive without a record.
      type: str
      sample: running
    reason:
      description: Why it is in this phase, null when there is nothing to say.
      type: str
      sample: null
    progress:
      description: What it is doing, as a line for a person.
      type: str
      sample: loading weights 2/4
    alive:
      description: Whether the main process lives. PID, start time and boot must all match.
      type: bool
      sample: true
    processes:
      description: Number of living processes of the server, orphans included.
      type: int
      sample: 4
    pid:
      description: PID of the main process of the latest start.
      type: int
      sample: 4242
    pgid:
      description: Its process group and session.
      type: int
      sample: 4242
    port:
      description: Port of the server.
      type: int
      sample: 8000
    port_bound:
      description: Whether one of its processes listens on the port.
      type: bool
      sample: true
    model:
      description: The model it was started with.
      type: str
      sample: Qwen/Qwen3-8B
    supervisor:
      description: What keeps it running, V(systemd) or V(supervisord).
      type: str
      sample: systemd
    exit_code:
      description: Exit status of the main process, null when it lives or was ended by a signal.
      type: int
      sample: null
    signal:
      description: The signal that ended the main process, null when none did.
      type: str
      sample: null
    restarts:
      description: How often it was started again since it was asked for.
      type: int
      sample: 0
    completion:
      description: The text that proved that it serves.
      type: str
      sample: " the lazy dog."
    started_at:
      description: When it was asked for, in seconds since the epoch.
      type: float
      sample: 1763650000.5
    ready_at:
      description: When the first completion came back, in seconds since the epoch.
      type: float
      sample: 1763650061.0
    ended_at:
      description: When its main process ended, in seconds since the epoch. Null while it lives.
      type: float
      sample: null
    seconds:
      description: How long the start took, or has taken so far.
      type: float
      sample: 60.5
    spec_hash:
      description: Changes with everything that needs a restart to take effect.
      type: str
      sample: 0f3c5d7e9a1b2c3d
    log_path:
      description: Where the log lies on the host.
      type: str
      sample: /home/user/.inferops/servers/main/server.log
    log_tail:
      description: The last lines of the log of the latest start, as many as O(log_lines) asks for.
      returned: when O(log_lines) is not 0
      type: list
      elements: str
      sample: []
    kernel_log:
      description: What the kernel said. Empty where the user may not read it.
      returned: when O(kernel_log=true)
      type: list
      elements: str
      sample:
        - "NVRM: Xid (PCI:0000:06:00): 79, GPU has fallen off the bus."
"""

from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.inferops.gpu.plugins.module_utils.host import kernel_log, lifecycle
from ansible_collections.inferops.gpu.plugins.module_utils.host.servers import (
    NAME,
    Layout,
    secret_values,
)


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str"},
            "home": {"type": "path", "default": "~/.inferops"},
            "wait_seconds": {"type": "float", "default": 0},
            "known_progress": {"type": "str"},
            "log_lines": {"type": "int", "default": 0},
            "kernel_log": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    name, wait_seconds = module.params["name"], module.params["wait_seconds"]
    if name is not None and not NAME.fullmatch(name):
        module.fail_json(msg=f"name: {name!r} may hold only letters, digits, - and _.")
    if wait_seconds and name is None:
        module.fail_json(msg="wait_seconds needs the name of one server.")
    layout = Layout(Path(module.params["home"]).resolve())
    servers = [layout.server(name)] if name is not None else layout.servers()
    reported = []
    for server in servers:
        seen = lifecycle.wait_for_change(server, module.params["known_progress"], wait_seconds)
        if module.params["log_lines"]:
            seen["log_tail"] = lifecycle.log_tail(server, module.params["log_lines"])
        if module.params["kernel_log"]:
            seen["kernel_log"] = kernel_log.since(seen["started_at"])
        module.no_log_values.update(secret_values(server.environment()))
        reported.append(seen)
    module.exit_json(changed=False, servers=reported)


if __name__ == "__main__":
    main()
