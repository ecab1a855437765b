# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Filters over pure knowledge: which options of a server its engine does not know."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ansible_collections.inferops.gpu.plugins.module_utils.serving.engines.registry import (
    DEFAULT,
    knowledge,
)

DOCUMENTATION = r"""
name: unknown_options
short_description: Say which options a release of an engine does not know
version_added: "0.1.0"
description:
  - Compares names with a table of the options that each release has, and says for each that is
    unknown which other releases had it, and which is spelled alike.
  - Names of vLLM are read as its own parser reads them, with C(-) or C(_), abbreviated, short,
    negated by C(no-) or with a key behind a dot. Values are not looked at; the host's parser does
    it.
  - Of a release that the table does not have, nothing is known and nothing is said. What plugins of
    vLLM add is not in the table.
positional: _input, extra_args, releases
options:
  _input:
    description: Options with their values, as the variable C(inferops_server_arguments).
    type: dict
    required: true
  extra_args:
    description: Words of the command line, as the variable C(inferops_server_extra_args).
    type: list
    elements: str
    required: true
  releases:
    description: The releases that may run. What one of them knows is not unknown.
    type: list
    elements: str
    required: true
  engine:
    description: What serves. Of an engine whose options nobody knows, none is unknown.
    type: str
    default: vllm
author:
  - inferops.gpu contributors (@inferops)
"""

EXAMPLES = r"""
- name: Is each of these an option?
  ansible.builtin.debug:
    msg: "{{ {'max_modle_len': 8192} | inferops.gpu.unknown_options([], ['0.32.0']) }}"
"""

RETURN = r"""
_value:
  description: A sentence for each that is unknown.
  type: list
  elements: str
  sample:
    - >-
      arguments: vLLM 0.32.0 has no option --max-modle-len. The nearest that it has is
      --max-model-len.
"""


def unknown_options(
    arguments: Mapping[str, Any],
    extra_args: Sequence[str],
    releases: Sequence[str],
    engine: str = DEFAULT,
) -> list[str]:
    """See DOCUMENTATION."""
    return knowledge(engine).unknown_options(arguments, extra_args, releases)


class FilterModule:
    """Filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """The filters by name."""
        return {"unknown_options": unknown_options}
