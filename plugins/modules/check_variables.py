#!/usr/bin/python
# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: check_variables
short_description: Refuse misspelt, missing and ill-valued variables before anything is rented
version_added: "0.1.0"
description:
  - Internal. Used by the playbooks; its options and results may change.
  - Compares the variables of the host with those that the roles of this collection document. A
    name that none of them knows, but that is close to one, is refused with the one that was
    probably meant.
  - Values are rendered, made what their type wants them to be (answers to surveys and
    C(-e name=value) are text), and checked against type and choices of the roles' argument
    specifications, and against ranges.
  - A model that no hub and no host can have is refused, and a version of vLLM that is not in the
    compatibility table.
  - A missing key of the account is told here once, before anybody asks the marketplace.
  - With O(rents) the controller itself is looked at, too.
  - All playbooks must mean the same rental by a host. C(inferops_name) is refused where two hosts
    have the same, and where only the play knows it and not the inventory; an extra variable where
    the roles set it themselves; C(inferops_group) and C(inferops_hosts) where the inventory has
    them.
  - A check with C(run_once) speaks for all hosts of its play, so scope, provider and account must
    be the same for all of them.
  - Every playbook begins with it, before a role's own argument specification is looked at.
  - This is an action plugin. It runs on the controller.
author:
  - inferops.gpu contributors (@inferops)
extends_documentation_fragment:
  - inferops.gpu.attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: N/A
  platform:
    support: full
    platforms: posix
options:
  required:
    description: Variables that must be set and not empty, each with a few words on what it is.
    type: dict
    default: {}
  rents:
    description:
      - Whether the play may rent. Then libraries and programs that the controller lacks, and
        folders that nothing can be written to, are refused as well, before they cost money, and so
        are wishes that the marketplace or a host would refuse later, and variables left empty.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Check the variables
  inferops.gpu.check_variables:
    required:
      inferops_scope: the set of rentals that this fleet owns, such as prod
"""

RETURN = r"""
checked:
  description: The variables that were looked at.
  returned: success
  type: list
  elements: str
  sample: [inferops_model, inferops_scope, rent_vram_gib]
values:
  description:
    - What they are, rendered and as their type, without secrets. The variables themselves stay as
      they are, for nothing outranks an extra variable.
  returned: success
  type: dict
  sample: {inferops_scope: prod, rent_vram_gib: 24.0}
at:
  description: When they were looked at, by the controller's clock, in seconds since the epoch.
  returned: success
  type: float
  sample: 1763650000.5
"""
