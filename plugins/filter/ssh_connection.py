# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Filters over connections."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible.parsing.dataloader import DataLoader
from ansible.utils.vars import load_extra_vars

from ansible_collections.inferops.gpu.plugins.plugin_utils import connection

DOCUMENTATION = r"""
name: ssh_connection
short_description: How Ansible's ssh reaches a rented host
version_added: "0.1.0"
description:
  - Internal. Used by the roles and playbooks of this collection.
  - Only the host keys of one file count, and nothing of the user's own settings of ssh is read.
    What C(ssh_args) of Ansible's configuration sets comes behind, without what would open the
    controller to the host, such as C(-A) or C(-o SendEnv).
  - Only a key logs in. It fails where an extra variable gives all hosts a password.
positional: _input, folder, host_keys
options:
  _input:
    description: The rental, as M(inferops.gpu.rental) returns it.
    type: dict
    required: true
  folder:
    description: The folder of the variable C(inferops_controller_dir).
    type: str
    required: true
  host_keys:
    description: As the variable C(inferops_host_keys).
    type: str
    choices: [delivered, first_contact]
    default: delivered
author:
  - inferops.gpu contributors (@inferops)
"""

EXAMPLES = r"""
- name: Connect to a rented host
  ansible.builtin.set_fact:
    ansible_ssh_args: "{{ (inferops_rental | inferops.gpu.ssh_connection('~/.inferops')).args }}"
"""

RETURN = r"""
_value:
  description:
    - C(known_hosts_file) is the rental's own file of host keys. C(args) and C(common_args) are for
      the variables C(ansible_ssh_args) and C(ansible_ssh_common_args).
  type: dict
  sample:
    known_hosts_file: /home/user/.ansible/inferops/known_hosts/vastai-27011234.derived
    args: -F /dev/null -o StrictHostKeyChecking=yes
    common_args: -o IdentitiesOnly=yes -o ServerAliveInterval=15 -o ServerAliveCountMax=4
"""


def ssh_connection(
    rental: Mapping[str, Any], folder: str, host_keys: str = connection.DELIVERED
) -> dict[str, str]:
    """See DOCUMENTATION."""
    # Ansible has read them by now, and kept what it has read.
    if refusal := connection.password_for_all(load_extra_vars(DataLoader())):
        raise AnsibleFilterError(refusal)
    place = os.path.realpath(os.path.expanduser(folder))
    known = connection.known_hosts_file(place, rental["provider"], rental["id"], host_keys)
    return {
        "known_hosts_file": known,
        "args": connection.ssh_arguments(known, host_keys),
        "common_args": connection.COMMON_ARGUMENTS,
    }


class FilterModule:
    """Filters of this file."""

    def filters(self) -> dict[str, Callable[..., dict[str, str]]]:
        """The filters by name."""
        return {"ssh_connection": ssh_connection}
