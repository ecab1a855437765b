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
  - A status may be behind, so nothing is given up before the way in was tried.
  - An open port is not taken as proof, because marketplace proxies answer before the host does.
  - Knows the host's SSH key beforehand. The one that came with the rental request, which the
    marketplace has seen, is replaced over the first connection by one that it has not.
  - The time is computed from the image's size and the host's bandwidth. Gives up early on a rental
    that has ended, vanished or fallen silent, and on a host that neither answers nor refuses.
  - When a marketplace has wiped the SSH key from the host, attaches it again.
  - Of a host that is given up, it reads the log that its provider tells, for half a minute at most,
    so that there is something to go by before the host is released.
  - This is an action plugin. It runs on the controller, and needs no C(delegate_to).
author:
  - inferops.gpu contributors (@inferops)
extends_documentation_fragment:
  - inferops.gpu.attributes
  - inferops.gpu.market
  - inferops.gpu.scope
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
  id_provider:
    description: Whose O(id) it is, where O(accounts) names several.
    type: str
  ssh_private_key_file:
    description: Private key on the controller. Its public half is attached.
    type: path
    required: true
  known_hosts_file:
    description: File on the controller in which the rental's host key is pinned.
    type: path
    required: true
  host_keys:
    description:
      - With V(delivered), only keys derived from O(scope_secret) and the rental's nonce count.
      - With V(first_contact), or where the provider cannot deliver a key, whatever the host shows
        first is pinned.
    type: str
    choices: [delivered, first_contact]
    default: delivered
  image_gib:
    description:
      - Size of the host's image in GiB, as far as the host has to fetch it.
      - Without it that of the image that is usual at the provider.
    type: float
  download_mbit_per_second:
    description: The host's bandwidth as advertised. V(0) is unknown and counts as 100.
    type: float
    default: 0
  history_path:
    description: A file with the outcome of earlier attempts. The computed time learns from it.
    type: path
  machine_id:
    description: The rented machine, so that its own boots in O(history_path) count.
    type: str
    default: ""
  nonce:
    description:
      - That of the run, as M(inferops.gpu.rental_attempt) has drawn it. Only the run that has made
        the rental, and only within an hour, believes the host key that came with the request.
    type: str
  expected_seconds:
    description:
      - How long the way to SSH is expected to take, as RV(inferops.gpu.rental#module:offer) tells
        it under C(first_token). It is shown beside the seconds so far.
      - The computed time is at least three times as long, unless O(history_path) knows how long
        boots take.
    type: float
  timeout_seconds:
    description: How long to wait for everything together, instead of the computed time.
    type: float
requirements:
  - requests
  - paramiko
seealso:
  - module: inferops.gpu.rental
"""

EXAMPLES = r"""
- name: Wait for the host
  inferops.gpu.rental_ready:
    id: "{{ inferops_rental.id }}"
    ssh_private_key_file: ~/.ssh/id_ed25519
    known_hosts_file: ~/.ansible/inferops/known_hosts/{{ inferops_rental.id }}
    image_gib: 12
    download_mbit_per_second: "{{ inferops_rental.download_mbit_per_second }}"
    nonce: "{{ rent_ledger.nonce }}"
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
host_key:
  description: The host's public SSH key, now pinned.
  returned: success, outside check mode
  type: str
  sample: ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAINkmoC/+/JtmNfdzyr4D1phhk6kor28slaP6ALpwjT8/
known_hosts:
  description:
    - A line of a known_hosts file for each way to the host. Check mode, which contacts no host,
      returns none with O(host_keys=first_contact).
  returned: success
  type: list
  elements: str
  sample:
    - >-
      [203.0.113.7]:33526 ssh-ed25519
      AAAAC3NzaC1lZDI1NTE5AAAAINkmoC/+/JtmNfdzyr4D1phhk6kor28slaP6ALpwjT8/
brings_host_key:
  description: Whether the provider can deliver a host key, as M(inferops.gpu.rental_info) tells.
  returned: success
  type: bool
  sample: true
seconds:
  description: How long it took until the rental ran, and until SSH was ready.
  returned: success, outside check mode
  type: dict
  sample: {running: 41.2, ssh: 6.4}
remaining_seconds:
  description: How long the rental has until its deadline, null without one.
  returned: success
  type: int
  sample: 85680
log:
  description:
    - The last lines of the log of a host that is given up, of what its machine says and what its
      container prints, without secrets.
    - What the machine says of a container that never ran is part of the RV(failure).
  returned: when a host is given up
  type: list
  elements: str
  sample:
    - "Its machine says:"
    - 2026-06-01T12:02:03Z create container some/image
    - "2026-06-01T12:02:04Z error pulling image: Error response from daemon: manifest unknown"
log_missing:
  description: Why there is no RV(log), empty where there is one.
  returned: when a host is given up
  type: str
  sample: it is empty
failure:
  description: What went wrong, as data.
  returned: failure
  type: dict
  contains:
    kind:
      description: V(HostFault) when another host may do better, else another kind.
      type: str
      sample: HostFault
    cause:
      description: What happened.
      type: str
      sample: "Rental 27011234 ended by itself: exited: container died."
    remedy:
      description: What to do about it.
      type: str
      sample: Release it and take another offer.
    money:
      description: What is at stake.
      type: str
      sample: It bills 0.3412 dollars an hour until it is released.
    stage:
      description: Where the host failed, V(boot), V(ssh) or V(login). With V(HostFault) only.
      type: str
      sample: boot
    blame:
      description:
        - Who is to blame, V(machine), V(provider), or V(run) where the run that rented the host was
          cut off before it was proven to be ours. With V(HostFault) only.
      type: str
      sample: machine
"""
