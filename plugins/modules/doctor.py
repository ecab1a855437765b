#!/usr/bin/python
# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: doctor
short_description: Look whether all is there that a deploy needs, before anything is rented
version_added: "0.1.0"
description:
  - Reads the variables of the host, as the playbooks do, and looks at what a deploy with them would
    need. It rents nothing, asks nobody for a change, and makes neither files nor keys; only what
    processes of one controller share of a marketplace's answers is kept in
    C(inferops_controller_dir).
  - By the rules that refuse it there, it tells what a deploy would be refused, and what to do. It
    never fails for what it finds. RV(checks) has it, and playbook C(inferops.gpu.doctor) shows it.
  - On the controller, it looks at Ansible's version and settings, the variables, the Python
    libraries of the interpreter that modules run with, OpenSSH's client, the folders that are
    written to, and the SSH key.
  - Of the marketplace, it looks at scope and scope secret, whether its API answers and how fast,
    whether it takes the credentials, what they may and what the account has, where it tells that,
    the clock, who ends a rental at its deadline, and what the marketplace cannot do.
  - The hub is asked for the model as module M(inferops.gpu.model_info) does, and a mirror of the
    package index whether it lets anybody in.
  - Hosts of one's own, which no marketplace rents out, are reached instead.
  - Where Ansible is set to make variables of facts, nobody is asked for anything.
  - Hosts of one run share what an account is answered.
  - This is an action plugin. It runs on the controller, and on hosts of one's own a ping.
author:
  - inferops.gpu contributors (@inferops)
extends_documentation_fragment:
  - inferops.gpu.attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: N/A
    details: Nothing is changed.
  platform:
    support: full
    platforms: posix
options:
  timeout_seconds:
    description: How long hub and package index may be silent.
    type: float
    default: 10
requirements:
  - requests
seealso:
  - module: inferops.gpu.model_info
  - module: inferops.gpu.rental
"""

EXAMPLES = r"""
- name: Does anything keep this fleet from being deployed?
  hosts: gpu_hosts
  gather_facts: false
  roles: [inferops.gpu.inferops]
  tasks:
    - name: Look at all that a deploy needs
      inferops.gpu.doctor:
      register: seen

    - name: Go on where nothing has failed
      ansible.builtin.assert:
        that: seen.checks | selectattr('state', 'eq', 'failed') | length == 0
"""

RETURN = r"""
checks:
  description: What was looked at, one after the other. More may be added.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description:
        - What it is about. V(ansible), V(settings), V(variables), V(libraries), V(ssh client), the
          variable of each folder, and V(ssh key) are the controller's; V(scope), V(scope secret),
          V(api), V(credentials), V(rights), V(balance), V(clock), V(deadline) and V(provider) the
          marketplace's; V(model) and V(package index) others'; V(host) and V(server key) are those
          of a host of one's own.
        - A check that finds several things is told once for each.
      type: str
      sample: balance
    state:
      description:
        - V(ok), or V(note) for what is worth to know and no obstacle, such as what a provider
          cannot do.
        - V(failed) for what a deploy would be refused, or should not begin with.
        - V(unknown) for what nobody could find out, so that a deploy may still fail for it.
      type: str
      choices: [ok, note, failed, unknown]
      sample: failed
    told:
      description: What was found.
      type: str
      sample: The account has no credit left.
    remedy:
      description: What to do; empty where nothing needs to change.
      type: str
      sample: Add credit at https://cloud.vast.ai/
  sample:
    - name: credentials
      state: ok
      told: vastai takes them.
      remedy: ""
    - name: balance
      state: failed
      told: The account has no credit left.
      remedy: Add credit at https://cloud.vast.ai/
"""
