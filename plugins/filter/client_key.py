# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Filters over the account: the key that a server asks its clients for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ansible.module_utils.parsing.convert_bool import boolean

from ansible_collections.inferops.gpu.plugins.module_utils.market.access.client_key import (
    client_key as derived,
)
from ansible_collections.inferops.gpu.plugins.module_utils.market.errors import MarketError
from ansible_collections.inferops.gpu.plugins.module_utils.market.rentals.options import (
    scope_secret,
)

DOCUMENTATION = r"""
name: client_key
short_description: The key that a server asks its clients for
version_added: "0.1.0"
description:
  - Internal. Used by the roles and playbooks of this collection.
  - The given key, or one that is derived from the secret of the scope and the name of the rental.
    It is the same on every controller that has the secret.
  - Empty where there is neither, such as on hosts of your own without a scope.
positional: _input
options:
  _input:
    description: The key that the user has given, empty for none.
    type: str
    required: true
  name:
    description: The rental's name within its scope.
    type: str
    required: true
  source:
    description:
      - C(scope), C(provider), C(api_key) and C(scope_secret), as the market modules take them.
        Without a scope, and where C(keyless) is true, no key is derived.
    type: dict
    required: true
author:
  - inferops.gpu contributors (@inferops)
"""

EXAMPLES = r"""
- name: Ask clients for a key
  ansible.builtin.set_fact:
    key: "{{ '' | inferops.gpu.client_key('gpu-1', account | combine({'scope': 'prod'})) }}"
"""

RETURN = r"""
_value:
  description: The key, empty for none.
  type: str
  sample: sk-0f6b9a36b4a1c7f0a4d3c5e2b1a09f8e7d6c5b4a39281706
"""


def client_key(given: Any, name: str, source: Mapping[str, Any]) -> str:
    """See DOCUMENTATION."""
    scope = source.get("scope")
    if given or not scope or boolean(source.get("keyless") or False):
        return str(given or "")
    try:
        return derived(scope_secret(source), str(scope), str(name))
    except MarketError:
        return ""


class FilterModule:
    """Filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """The filters by name."""
        return {"client_key": client_key}
