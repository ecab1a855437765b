#!/usr/bin/python
# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: endpoint
short_description: Open the way to a server and prove it with a completion, or close it
version_added: "0.1.0"
description:
  - Keeps an SSH tunnel from the controller to a server on a host's loopback, and asks for a
    completion through it. Fails unless one with text came back, or a vector or scores of a model
    that writes none.
  - The tunnel listens on the controller's loopback only. It outlives the play, until it is closed.
  - This is an action plugin. It runs on the controller.
author:
  - inferops.gpu contributors (@inferops)
extends_documentation_fragment:
  - inferops.gpu.attributes
  - inferops.gpu.ssh
attributes:
  check_mode:
    support: full
    details: Opens nothing, and asks for nothing.
  diff_mode:
    support: N/A
    details: The tunnel is open, or it is not.
  platform:
    support: full
    platforms: posix
options:
  name:
    description: Name of the tunnel among those of O(folder).
    type: str
    required: true
  state:
    description: Whether the tunnel should be open and prove itself, or be closed.
    type: str
    choices: [present, absent]
    default: present
  folder:
    description: Folder on the controller for control sockets. Only its owner may enter.
    type: path
    default: ~/.ansible/inferops/tunnels
  host:
    description:
      - Where SSH reaches the host. Without it the server is on this machine, and no tunnel is
        opened.
    type: str
  remote_port:
    description: Port on the host's loopback. Needed for O(state=present).
    type: int
  local_port:
    description: Port on the controller's loopback. V(0) takes a free one and keeps it.
    type: int
    default: 0
  model:
    description: The model that is asked. Needed for O(state=present).
    type: str
  prompt:
    description: What it is asked.
    type: str
    default: Hello
  max_tokens:
    description: How long the completion may become.
    type: int
    default: 16
  api_key:
    description: Key of the server.
    type: str
  closed:
    description:
      - Prove as well that the way is closed. Every route that engines are known to have is asked
        without a key and with a wrong one, in ways that change nothing, and with O(api_key) what is
        for no client. It fails where one is not refused, and where that could not be told.
      - For a server behind a proxy, as role P(inferops.gpu.proxy#role) keeps one. Engines
        themselves let everybody see some of their routes.
    type: bool
    default: false
    version_added: "0.1.0"
  timeout_seconds:
    description: How long the completion may take, and as long the questions of O(closed).
    type: float
    default: 60
requirements:
  - OpenSSH's client on the controller
"""

EXAMPLES = r"""
- name: Reach the server on the controller
  inferops.gpu.endpoint:
    name: prod/gpu-1
    host: 203.0.113.7
    port: 33526
    private_key_file: ~/.ssh/id_ed25519
    known_hosts_file: ~/.ansible/inferops/known_hosts/vastai-27011234
    remote_port: 8000
    model: Qwen/Qwen3-8B
  register: reached

- name: Close the tunnel
  inferops.gpu.endpoint:
    name: prod/gpu-1
    state: absent
"""

RETURN = r"""
url:
  description: Where clients on the controller reach the server.
  returned: with O(state=present), not in check mode
  type: str
  sample: http://127.0.0.1:40213/v1
model:
  description: The model that answered.
  returned: with O(state=present), not in check mode
  type: str
  sample: Qwen/Qwen3-8B
completion:
  description:
    - The text that came back. Of a model that writes none, what else it made of one, in words.
  returned: with O(state=present), not in check mode
  type: str
  sample: ", my name is"
header_file:
  description:
    - File on the controller with the header that carries O(api_key), readable by its owner alone,
      as C(curl -H @FILE) takes it. Null without a key. It goes with the tunnel.
  returned: with O(state=present), not in check mode
  type: str
  sample: /home/user/.ansible/inferops/tunnels/2c26b46b68ffc68f.header
command:
  description:
    - A command line for a shell on the controller that asks the server the same. Without
      the key itself, which is in RV(header_file).
  returned: with O(state=present), not in check mode
  type: str
  sample: >-
    curl http://127.0.0.1:40213/v1/completions
    -H @/home/user/.ansible/inferops/tunnels/2c26b46b68ffc68f.header
    -H 'Content-Type: application/json' -d '{"model": "Qwen/Qwen3-8B", "prompt": "Hello"}'
local_port:
  description: The local end. Null when closed, or in check mode when it is not chosen yet.
  returned: success
  type: int
  sample: 40213
"""
