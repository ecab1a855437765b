#!/usr/bin/python
# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: controller_file
short_description: Write a small file on the controller
version_added: "0.1.0"
description:
  - Internal. Used by roles and playbooks, for host keys, locks and reports; its options and results
    may change.
  - Replaces a file on the controller in one step, unless it holds the same already. Its folder is
    made when it is missing, for its owner alone. A folder of another user is refused.
  - This is an action plugin. It takes no process of its own, as M(ansible.builtin.copy) does.
author:
  - inferops.gpu contributors (@inferops)
extends_documentation_fragment:
  - inferops.gpu.attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: N/A
    details: It may hold a key.
  platform:
    support: full
    platforms: posix
options:
  path:
    description: The file. A relative path counts from where Ansible was called.
    type: path
    required: true
  content:
    description: What it holds. Without it whatever it holds stays, and only its folder is made.
    type: str
  public:
    description: Whether others may read it.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Keep the report
  inferops.gpu.controller_file:
    path: ~/reports/gpu-1.json
    content: "{{ inferops_report | to_nice_json }}"
"""

RETURN = r"""
path:
  description: The file.
  returned: success
  type: str
  sample: /home/user/reports/gpu-1.json
"""
