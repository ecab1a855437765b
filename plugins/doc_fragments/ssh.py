# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    """How a tunnel to a host logs in there."""

    DOCUMENTATION = r"""
options:
  port:
    description: Port of SSH. Without it, as ssh's settings say, and else V(22).
    type: int
  user:
    description: User of SSH. Without it, as ssh's settings say. Needed beside O(known_hosts_file).
    type: str
  private_key_file:
    description:
      - Private key on the controller. Without it, as ssh's settings say. Needed beside
        O(known_hosts_file).
    type: path
  known_hosts_file:
    description:
      - File on the controller in which the host's key is pinned, as role
        P(inferops.gpu.connect#role) writes it for a host that is rented. One whose key is not in it
        is refused, and nothing of the user's own settings of ssh holds for it.
      - Without it the host is one of the user's own, and the user's settings and known hosts hold.
    type: path
  ssh_arguments:
    description:
      - Further arguments for ssh, as C(ansible_ssh_common_args) has them, such as a C(ProxyJump).
      - Only for a host of the user's own, which has no O(known_hosts_file).
    type: str
    default: ""
"""
