#!/usr/bin/python
# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: rental_ready
short_description: Wait until a rental runs and accepts SSH
version_added: "0.1.0"
description:
  - Waits for the provider to call the rental running, attaches the SSH key to it, and then tries
    fresh SSH connections until a command has run. Progress is shown live.
  - An open port is not taken as proof, because marketplace proxies answer before the host does.
  - Gives up at once when the rental has failed for good, or when another host key is shown than
    the one seen first.
  - This is an action plugin. It runs on the controller, and needs no C(delegate_to).
author:
  - inferops.gpu contributors (@inferops)
extends_documentation_fragment:
  - inferops.gpu.attributes
  - inferops.gpu.market
attributes:
  check_mode:
    support: full
    details: Does not wait in check mode.
  diff_mode:
    support: N/A
  platform:
    support: full
    platforms: posix
options:
  id:
    description: The rental's id.
    type: str
    required: true
  ssh_private_key_file:
    description: Private key on the controller. The public half beside it (C(.pub)) is attached.
    type: path
    required: true
  known_hosts_file:
    description: File on the controller in which the rental's host key is pinned.
    type: path
    required: true
  timeout_seconds:
    description: How long to wait for everything together.
    type: float
    default: 900
requirements:
  - requests
  - paramiko
"""

EXAMPLES = r"""
- name: Wait for the host
  inferops.gpu.rental_ready:
    id: "{{ inferops_rental.id }}"
    ssh_private_key_file: ~/.ssh/id_ed25519
    known_hosts_file: ~/.ansible/inferops/known_hosts/{{ inferops_rental.id }}
"""

RETURN = r"""
rental:
  description: The rental as M(inferops.gpu.rental) returns it, now running.
  returned: success
  type: dict
  sample: {provider: vastai, id: "27011234", status: running}
ssh:
  description: The way that worked.
  returned: success, outside check mode
  type: dict
  sample: {user: root, host: 203.0.113.7, port: 33526}
seconds:
  description: How long it took until the rental ran, and until SSH was ready.
  returned: success, outside check mode
  type: dict
  sample: {running: 41.2, ssh: 6.4}
"""
