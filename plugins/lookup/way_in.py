# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The way to a rental's SSH that answers."""

from __future__ import annotations

DOCUMENTATION = r"""
name: way_in
short_description: The way to the SSH of a rental that answers from here
version_added: "0.1.0"
description:
  - A marketplace may offer several ways to one host, such as a port of its own machine and a
    proxy, and any of them can be dead. Tries one after the other and gives back the first at which
    SSH answers within five seconds; where none does, the very first.
  - Nobody logs in, and no host key is judged.
author:
  - inferops.gpu contributors (@inferops)
options:
  _terms:
    description: The ways, as RV(inferops.gpu.rental_info#module:rentals) has them in C(ssh).
    type: list
    elements: dict
    required: true
"""

EXAMPLES = r"""
- name: Connect to a rental by the way that answers
  ansible.builtin.set_fact:
    ansible_host: "{{ way.host }}"
    ansible_port: "{{ way.port }}"
  vars:
    way: "{{ lookup('inferops.gpu.way_in', fleet.rentals[0].ssh) }}"
"""

RETURN = r"""
_raw:
  description: One way, with its C(host) and its C(port).
  type: list
  elements: dict
"""

from typing import Any

from ansible.errors import AnsibleLookupError
from ansible.plugins.lookup import LookupBase

from ansible_collections.inferops.gpu.plugins.module_utils.market.access.answering import (
    first_that_answers,
)
from ansible_collections.inferops.gpu.plugins.module_utils.market.model import Endpoint


class LookupModule(LookupBase):
    """Tries the ways from the controller."""

    def run(
        self, terms: list[Any], variables: dict[str, Any] | None = None, **kwargs: Any
    ) -> list[dict[str, Any]]:
        """The way that answers."""
        given = terms[0] if len(terms) == 1 and isinstance(terms[0], list) else terms
        try:
            ways = [Endpoint(str(one["host"]), int(one["port"])) for one in given]
        except (KeyError, TypeError, ValueError) as error:
            raise AnsibleLookupError(f"This is no way to a host: {error}.") from error
        if not ways:
            raise AnsibleLookupError("There is no way to a host among none: give its ssh.")
        chosen = first_that_answers(ways)
        return [{"host": chosen.host, "port": chosen.port}]
