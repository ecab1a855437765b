#!/usr/bin/python
# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: fleet_page
short_description: Write what a fleet costs and how it does as a page for a browser
version_added: "0.1.0"
description:
  - Internal. Used by playbook C(inferops.gpu.status); its options and results may change.
  - Writes C(status.html), one file that needs no other and asks no address for anything. It has
    the verdict on each host and what to do next, costs, deadlines, load, and the phases of each
    deployment, expected beside happened.
  - What hosts and marketplaces have told is text on it and nothing else. A browser runs no script
    on it but the two that it came with. Secrets are not on it.
  - Beside the report of the fleet it reads those that deploys have left in the same folder. One
    that cannot be read is left out.
  - Replaces the file in one step, for its owner alone. Its folder is made when it is missing. A
    folder of another user is refused.
  - This is an action plugin. It runs on the controller, without a process of its own.
author:
  - inferops.gpu contributors (@inferops)
extends_documentation_fragment:
  - inferops.gpu.attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: N/A
    details: Nobody compares two pages by their lines.
  platform:
    support: full
    platforms: posix
options:
  folder:
    description:
      - The folder of the reports, C(inferops_report_dir). A relative path counts from where Ansible
        was called.
    type: path
    required: true
  report:
    description: The report of the fleet, RV(inferops.gpu.fleet_status#filter:_value) at C(report).
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Keep the report for people
  inferops.gpu.fleet_page:
    folder: ~/reports
    report: "{{ (found | combine({'scope': 'prod'}) | inferops.gpu.fleet_status).report }}"
"""

RETURN = r"""
path:
  description: The file.
  returned: success
  type: str
  sample: /home/user/reports/status.html
"""
