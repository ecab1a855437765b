#!/usr/bin/python
# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: evidence
short_description: Collect what explains a failure from a host
version_added: 0.1.0
description:
  - Writes files into a folder of the controller. They hold the server's log (head and tail), its
    record and command, the GPUs, the kernel's messages, memory, disk, processes and packages.
  - Of each proxy before a server they hold its log, that of its launcher, and C(haproxy.cfg).
  - Every part is bounded, and secrets are taken out of it before it leaves the host. A part that
    cannot be had is named with the reason.
  - The cause of the failure is looked up in the catalogue of known ones.
options:
  name:
    description: Name of the server. Of other servers on the host, the end of the log is collected.
    type: str
    required: true
  home:
    description: Folder of this collection on the host.
    type: path
    default: ~/.inferops
  dest:
    description:
      - Folder on the controller. It is made when missing, for its owner alone, as are the files.
    type: path
    required: true
  log_bytes:
    description: How much of the end of the log is collected. Of its beginning it is 64 KiB.
    type: int
    default: 1048576
  timeout_seconds:
    description: Longest time for all parts together.
    type: float
    default: 45
  part_timeout_seconds:
    description: Longest time for each part.
    type: float
    default: 15
extends_documentation_fragment:
  - inferops.gpu.attributes
attributes:
  check_mode:
    support: full
    details: Reads just the same, and writes nothing.
  diff_mode:
    support: none
    details: Nothing on the host is changed.
  platform:
    platforms: linux
seealso:
  - module: inferops.gpu.model_server_info
author:
  - inferops.gpu contributors (@inferops)
"""

EXAMPLES = r"""
- name: Collect everything about a server
  inferops.gpu.evidence:
    name: main
    dest: ./evidence/main
"""

RETURN = r"""
files:
  description: Names of the files that were written.
  returned: success
  type: list
  elements: str
  sample: [server.log, record.json, gpu.json]
missing:
  description: The parts that could not be had, with the reasons.
  returned: success
  type: dict
  sample: {kernel.txt: "dmesg fails with status 1: Operation not permitted"}
proxies:
  description: All proxies of the host, as M(inferops.gpu.proxy) returns them.
  returned: success
  type: list
  elements: dict
  sample: []
servers:
  description: All servers of the host, as M(inferops.gpu.model_server_info) returns them.
  returned: success
  type: list
  elements: dict
  sample: []
failure:
  description:
    - The same as RV(inferops.gpu.model_server#module:failure), from the log of the latest start.
    - Empty for a server that runs, starts, or was stopped on request.
  returned: success
  type: dict
  sample:
    cause_id: unknown
    cause: The cause is not one that this collection knows.
    remedy: Read the end of the log, from its last traceback upwards.
    change: see the log
    evidence: []
"""

from collections.abc import Iterator
from functools import partial

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.inferops.gpu.plugins.module_utils.host.machine.files import own_home
from ansible_collections.inferops.gpu.plugins.module_utils.host.proxy import agent
from ansible_collections.inferops.gpu.plugins.module_utils.host.proxy import (
    observation as proxy_observation,
)
from ansible_collections.inferops.gpu.plugins.module_utils.host.proxy.proxy import Proxy, proxies
from ansible_collections.inferops.gpu.plugins.module_utils.host.server import (
    evidence,
    observation,
    symptoms,
)
from ansible_collections.inferops.gpu.plugins.module_utils.host.server.layout import NAME, Layout
from ansible_collections.inferops.gpu.plugins.module_utils.host.service.logs import Log


def parts_of(proxy: Proxy) -> Iterator[evidence.Part]:
    """What explains a proxy. Its maps of keys are left where they are."""
    for name, log in (("log", proxy.log), ("launcher.log", proxy.launcher_log)):
        yield (
            f"proxy-{proxy.name}.{name}",
            partial(evidence.log_excerpt, Log(log), evidence.OTHER_LOG_BYTES),
        )
    yield f"proxy-{proxy.name}.haproxy.cfg", partial(evidence.file_text, proxy.configuration)


def keys_of(found: list[Proxy]) -> Iterator[str]:
    """What proxies send to their engines: of clients' keys no host has more than digests."""
    yield from filter(None, (agent.upstream_key(proxy.folder) for proxy in found))


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "home": {"type": "path", "default": "~/.inferops"},
            "dest": {"type": "path", "required": True},
            "log_bytes": {"type": "int", "default": 1024 * 1024},
            "timeout_seconds": {"type": "float", "default": 45},
            "part_timeout_seconds": {"type": "float", "default": 15},
        },
        supports_check_mode=True,
    )
    params = module.params
    if not NAME.fullmatch(params["name"]):
        module.fail_json(msg=f"name: {params['name']!r} may hold only letters, digits, - and _.")
    layout = Layout(own_home(module))
    server = layout.server(params["name"])
    before = proxies(layout.home)
    gathered = evidence.gather(
        layout,
        server,
        params["log_bytes"],
        params["timeout_seconds"],
        params["part_timeout_seconds"],
        [part for proxy in before for part in parts_of(proxy)],
        keys_of(before),
    )
    # The action plugin takes these out of the result, writes them and has the cause looked up.
    seen = observation.observe(server)
    module.exit_json(
        changed=False,
        parts=gathered.parts,
        missing=gathered.missing,
        servers=evidence.states(layout),
        proxies=[proxy_observation.observe(proxy) for proxy in before],
        server={**seen, "symptoms": symptoms.of(server, seen)},
    )


if __name__ == "__main__":
    main()
