# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The secrets that the variables of a host hold."""

from __future__ import annotations

DOCUMENTATION = r"""
name: fleet_secrets
short_description: The secrets that the variables of a host hold
version_added: "0.1.0"
description:
  - Internal to the roles of this collection, which have it as C(inferops_secrets) and take these
    texts out of what is kept or shown.
author:
  - inferops.gpu contributors (@inferops)
"""

EXAMPLES = r"""
- name: Show a message that may hold a key of this fleet
  ansible.builtin.debug:
    msg: "{{ told.msg | inferops.gpu.redact(lookup('inferops.gpu.fleet_secrets')) }}"
"""

RETURN = r"""
_raw:
  description: One list of texts.
  type: list
  elements: list
"""

from typing import Any

from ansible.plugins.lookup import LookupBase

from ansible_collections.inferops.gpu.plugins.module_utils.common.known import as_written
from ansible_collections.inferops.gpu.plugins.plugin_utils.fleet_secrets import fleet_secrets


class LookupModule(LookupBase):
    """Reads every variable that an argument specification calls secret."""

    def run(
        self, terms: list[Any], variables: dict[str, Any] | None = None, **kwargs: Any
    ) -> list[list[str]]:
        """The texts."""
        found = fleet_secrets(variables or {}, self._templar.template)
        return [sorted(as_written(found))]
