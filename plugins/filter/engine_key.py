# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Filters over the account: the key that a proxy sends to the engine behind it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ansible.errors import AnsibleFilterError

from ansible_collections.inferops.gpu.plugins.module_utils.market.access import client_key
from ansible_collections.inferops.gpu.plugins.module_utils.market.errors import MarketError
from ansible_collections.inferops.gpu.plugins.module_utils.market.rentals.options import (
    given_secret,
    scope_secret,
)

DOCUMENTATION = r"""
name: engine_key
short_description: The key that a proxy sends to the engine behind it
version_added: "0.1.0"
description:
  - Internal. Used by the roles and playbooks of this collection.
  - It is derived from the secret of the scope and the name of the rental, as filter
    P(inferops.gpu.client_key#filter) derives that of clients, and never the same as theirs.
  - It is the same on every controller that has the secret.
  - Fails where there is no secret, such as on hosts of your own without a scope. An engine that is
    meant to stand behind a proxy is never started without a key.
positional: _input, name, whose
options:
  _input:
    description:
      - C(scope), C(provider), C(api_key) and C(scope_secret), as the market modules take them.
    type: dict
    required: true
  name:
    description: The rental's name within its scope, or the gateway's.
    type: str
    required: true
  whose:
    description:
      - V(engine) for the key of the proxy before an engine, V(gateway) for that of a gateway, which
        it sends to such proxies.
    type: str
    choices: [engine, gateway]
    default: engine
author:
  - inferops.gpu contributors (@inferops)
"""

EXAMPLES = r"""
- name: Let nobody but the proxy in
  ansible.builtin.set_fact:
    key: "{{ account | combine({'scope': 'prod'}) | inferops.gpu.engine_key('gpu-1') }}"
"""

RETURN = r"""
_value:
  description: The key.
  type: str
  sample: sk-5d1c3f8a90b7e2d46c0f1a8b7e6d5c4b3a291807f6e5d4c3
"""


DERIVED = {"engine": client_key.engine_key, "gateway": client_key.gateway_key}


def engine_key(source: Mapping[str, Any], name: str, whose: str = "engine") -> str:
    """See DOCUMENTATION."""
    scope = source.get("scope")
    if not scope:
        raise AnsibleFilterError("The key of an engine behind a proxy needs inferops_scope.")
    if whose == "gateway" and not given_secret(source):
        # Its servers may be rented with other accounts than those that the gateway knows.
        raise AnsibleFilterError(
            "A gateway needs inferops_scope_secret, from which its key follows, the same for all "
            "of its servers. Make one with openssl rand -base64 30."
        )
    try:
        return DERIVED[whose](scope_secret(source), str(scope), str(name))
    except MarketError as error:
        raise AnsibleFilterError(
            "The key of an engine behind a proxy follows from inferops_scope_secret, which is not "
            "set. Make one with openssl rand -base64 30, or set inferops_proxy: false."
        ) from error


class FilterModule:
    """Filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """The filters by name."""
        return {"engine_key": engine_key}
