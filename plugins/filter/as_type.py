# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Filters over values of variables, which may have come as text."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible.module_utils.common.validation import (
    check_type_bool,
    check_type_dict,
    check_type_list,
)

DOCUMENTATION = r"""
name: as_type
short_description: A flag, a list or a dictionary that may have come as text
version_added: "0.1.0"
description:
  - Extra variables given as C(-e name=value) and answers to surveys are text. Options of modules
    become what they should be by themselves, and filters such as P(ansible.builtin.float#filter)
    do it for numbers. This one does it for flags, lists and dictionaries.
  - Text is JSON, or else a list's entries between commas, or a dictionary's C(key=value) pairs. A
    flag is every word that options of modules take for one, which V(y) and V(t) are as well;
    P(ansible.builtin.bool#filter) takes those two for no.
positional: _input, kind
options:
  _input:
    description: The value.
    type: raw
    required: true
  kind:
    description: What it should be.
    type: str
    choices: [bool, list, dict]
    required: true
author:
  - inferops.gpu contributors (@inferops)
"""

EXAMPLES = r"""
- name: Show the options of the server, however they were given
  ansible.builtin.debug:
    msg: "{{ inferops_server_arguments | inferops.gpu.as_type('dict') }}"
"""

RETURN = r"""
_value:
  description: The flag, list or dictionary; of nothing, or an empty text, false or an empty one.
  type: raw
  sample: {max_model_len: 8192}
"""


_NEEDED = {
    "bool": "A yes or a no is needed here, and what was given is neither: write true or false.",
    "list": "A list is needed here, and what was given is none: write it as a,b or as JSON.",
    "dict": "A dictionary is needed here, and what was given is none: write it as JSON.",
}


def as_type(value: Any, kind: str) -> Any:
    """See DOCUMENTATION."""
    try:
        if kind == "bool":
            return check_type_bool(value or False)
        if kind == "dict":
            return check_type_dict(value or {})
        if isinstance(value, str) and value.lstrip().startswith("["):
            return check_type_list(json.loads(value))
        if isinstance(value, str):
            # As people write it, with blanks behind the commas, or as an answer that was left out.
            return [word for word in map(str.strip, value.split(",")) if word]
        return check_type_list(value or [])
    except (TypeError, ValueError):
        # Without the value, which may be a secret, and without its Python type.
        raise AnsibleFilterError(_NEEDED[kind]) from None


class FilterModule:
    """Filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """The filters by name."""
        return {"as_type": as_type}
