#!/usr/bin/python
# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: scrape_targets
short_description: Open the ways by which Prometheus reads the servers of a host
version_added: "0.1.0"
description:
  - Internal. Used by role P(inferops.gpu.monitoring#role); its options and results may change.
  - Keeps an SSH tunnel from the controller to the port of each server that should run, and to those
    of the exporters, and writes down the key by which the server's figures are read, for the user
    of the controller alone. Asks for nothing itself.
  - The port is that of the engine itself, also where a proxy stands before it, which shows figures
    to keys of their own alone.
  - The tunnels of servers that were stopped are closed, and their keys removed. Others end with
    their host.
  - This is an action plugin. It runs on the controller.
author:
  - inferops.gpu contributors (@inferops)
extends_documentation_fragment:
  - inferops.gpu.attributes
  - inferops.gpu.ssh
attributes:
  check_mode:
    support: full
    details: Opens nothing. A way that is not open yet is left out of the targets.
  diff_mode:
    support: N/A
    details: A tunnel is open, or it is not.
  platform:
    support: full
    platforms: posix
options:
  name:
    description: Name of the rental. Its letters are those that marks may have.
    type: str
    required: true
  scope:
    description: The scope of the rental.
    type: str
    required: true
  alias:
    description: What figures call the host, its name in the inventory.
    type: str
    required: true
  servers:
    description: The servers of the host, as M(inferops.gpu.model_server_info) returns them.
    type: list
    elements: dict
    default: []
  exporters:
    description: Ports on the host's loopback, by the name of what publishes figures there.
    type: dict
    default: {}
  keys_folder:
    description: Folder on the controller for the keys. Only its owner may enter.
    type: path
    required: true
  client_key:
    description: What a server asks its clients for.
    type: str
  engine_key:
    description: What an engine behind a proxy asks for.
    type: str
  folder:
    description: Folder on the controller for control sockets, as M(inferops.gpu.endpoint) has it.
    type: path
    default: ~/.ansible/inferops/tunnels
  host:
    description: Where SSH reaches the host. Without it the servers are on this machine.
    type: str
requirements:
  - OpenSSH's client on the controller
"""

EXAMPLES = r"""
- name: Open the ways to what the host's servers tell
  inferops.gpu.scrape_targets:
    name: gpu-1
    scope: prod
    alias: gpu-1
    servers: "{{ found.servers }}"
    exporters: {dcgm: 9400}
    keys_folder: ~/.ansible/inferops/monitoring/keys
    host: 203.0.113.7
    port: 33526
    user: root
    private_key_file: ~/.ssh/id_ed25519
    known_hosts_file: ~/.ansible/inferops/known_hosts/vastai-27011234
  register: ways
"""

RETURN = r"""
targets:
  description:
    - One for each server and exporter. C(name) is made of the names of host and server, C(job) says
      what is read, C(address) is on the controller, and C(key_file) has the key, null where none is
      asked for. C(labels) are what every figure from there gets.
  returned: success
  type: list
  elements: dict
  sample:
    - name: gpu-1.vllm
      job: inferops_engine
      address: 127.0.0.1:40213
      key_file: /home/user/.ansible/inferops/monitoring/keys/gpu-1.vllm
      labels: {scope: prod, host: gpu-1, server: vllm, engine: vllm}
"""
