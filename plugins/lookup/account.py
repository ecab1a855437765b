# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The account that the variables of a host tell of."""

from __future__ import annotations

DOCUMENTATION = r"""
name: account
short_description: The account at the marketplace, as the variables of a host tell of it
version_added: "0.1.0"
description:
  - Internal to the roles of this collection, which have it as C(inferops_account).
  - Each option that the market modules share is variable C(inferops_) and its name, whatever the
    provider logs in with. Those that are not set are left out.
author:
  - inferops.gpu contributors (@inferops)
"""

EXAMPLES = r"""
- name: Give the account to all market modules of a play
  hosts: gpu_hosts
  roles: [inferops.gpu.inferops]
  module_defaults:
    group/inferops.gpu.market: "{{ lookup('inferops.gpu.account') }}"
  tasks: []
"""

RETURN = r"""
_raw:
  description: One dictionary, of options and their values.
  type: list
  elements: dict
"""

import os
from typing import Any

from ansible.plugins.lookup import LookupBase

from ansible_collections.inferops.gpu.plugins.module_utils.market.rentals.options import (
    ACCOUNT_OPTIONS,
)
from ansible_collections.inferops.gpu.plugins.plugin_utils.variables import coerce


class LookupModule(LookupBase):
    """Knows which options there are, so that no role has to."""

    def run(
        self, terms: list[Any], variables: dict[str, Any] | None = None, **kwargs: Any
    ) -> list[dict[str, Any]]:
        """The options that are set."""
        account = {
            option: self._templar.resolve_variable_expression(f"inferops_{option}")
            for option in ACCOUNT_OPTIONS
            if f"inferops_{option}" in (variables or {})
        }
        if "accounts" in account:
            # As text it is JSON, which no module's list of dictionaries reads.
            account["accounts"], _complaint = coerce("inferops_accounts", account["accounts"])
        for path in ("controller_dir", "audit_path"):
            if account.get(path):
                # Ansible starts modules in the playbook's folder; people mean the one they are in.
                account[path] = os.path.realpath(os.path.expanduser(str(account[path])))
        return [account]
