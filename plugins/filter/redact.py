# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Filters over text and data: without the secrets in it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from ansible_collections.inferops.gpu.plugins.module_utils.common.known import without
from ansible_collections.inferops.gpu.plugins.module_utils.common.redaction import (
    redact_in,
)

DOCUMENTATION = r"""
name: redact
short_description: Text, or data, without the secrets in it
version_added: "0.1.0"
description:
  - Takes out values of variables that are named like secrets, tokens that are known by their look,
    headers of authorisation, passwords and keys in addresses, and private keys.
positional: _input, secrets
options:
  _input:
    description: Any text, or data with texts in it.
    type: raw
    required: true
  secrets:
    description: Texts to take out as well, such as keys that have no look of their own.
    type: list
    elements: str
    default: []
author:
  - inferops.gpu contributors (@inferops)
"""

EXAMPLES = r"""
- name: Show a message that may hold a key
  ansible.builtin.debug:
    msg: "{{ 'api_key=abcdef' | inferops.gpu.redact }}"
"""

RETURN = r"""
_value:
  description: The same, V((redacted\)) in the place of each secret.
  type: raw
  sample: api_key=(redacted)
"""


def redact(value: Any, secrets: Iterable[str] = ()) -> Any:
    """See DOCUMENTATION."""
    return redact_in(without(value, secrets), secrets)


class FilterModule:
    """Filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """The filters by name."""
        return {"redact": redact}
