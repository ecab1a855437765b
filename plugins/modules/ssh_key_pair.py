#!/usr/bin/python
# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: ssh_key_pair
short_description: Provide an SSH key pair that can be used without asking anybody
version_added: "0.1.0"
description:
  - Internal. Used by role P(inferops.gpu.rent#role); its options and results may change.
  - Makes an Ed25519 key pair on the controller when there is none, and refuses one that is locked
    by a passphrase or damaged.
  - This is an action plugin. Hosts of one play share the pair.
author:
  - inferops.gpu contributors (@inferops)
extends_documentation_fragment:
  - inferops.gpu.attributes
attributes:
  check_mode:
    support: full
    details: Does not know the public key of a pair that is not made yet.
  diff_mode:
    support: N/A
    details: There is a pair, or there is none.
  platform:
    support: full
    platforms: posix
options:
  private_key_file:
    description: The private key. The public one is made of it, whatever lies beside it.
    type: path
    required: true
requirements:
  - OpenSSH's ssh-keygen on the controller
"""

EXAMPLES = r"""
- name: Provide the SSH key pair
  inferops.gpu.ssh_key_pair:
    private_key_file: ~/.ssh/inferops_ed25519
"""

RETURN = r"""
public_key:
  description: The public key without its comment; null in check mode while there is no pair yet.
  returned: success
  type: str
  sample: ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKk1
"""
