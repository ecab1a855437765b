# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Filters over connections."""

from __future__ import annotations

from collections.abc import Callable

from ansible_collections.inferops.gpu.plugins.plugin_utils import connection

DOCUMENTATION = r"""
name: ssh_arguments
short_description: The options with which Ansible's ssh reaches a rented host
version_added: "0.1.0"
description:
  - Internal. Used by the roles and playbooks of this collection.
  - For the variable C(ansible_ssh_args). Only the host keys of one file count, and nothing of the
    user's own settings of ssh is read. What C(ssh_args) of Ansible's configuration sets comes
    behind, without what would open the controller to the host, such as C(-A) or C(-o SendEnv).
positional: _input, host_keys
options:
  _input:
    description: The file of host keys.
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
    ansible_ssh_args: "{{ '/home/user/known_hosts' | inferops.gpu.ssh_arguments }}"
"""

RETURN = r"""
_value:
  description: The options.
  type: str
"""


def ssh_arguments(known_hosts_file: str, host_keys: str = connection.DELIVERED) -> str:
    """See DOCUMENTATION."""
    return connection.ssh_arguments(known_hosts_file, host_keys)


class FilterModule:
    """Filters of this file."""

    def filters(self) -> dict[str, Callable[..., str]]:
        """The filters by name."""
        return {"ssh_arguments": ssh_arguments}
