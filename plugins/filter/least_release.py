# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Filters over pure knowledge: which release of an engine a model needs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ansible_collections.inferops.gpu.plugins.module_utils.serving.before_renting import known_since
from ansible_collections.inferops.gpu.plugins.module_utils.serving.engines.registry import DEFAULT

DOCUMENTATION = r"""
name: least_release
short_description: Say which release of an engine is the oldest that knows a model
version_added: "0.1.0"
description:
  - Looks up the architecture that the model's C(config.json) names in a table of the releases that
    brought each. What vLLM serves with the code of transformers has no least release.
positional: _input, arguments
options:
  _input:
    description: The content of C(config.json), as text or as data.
    type: raw
    required: true
  arguments:
    description: Options of the server, as the variable C(inferops_server_arguments).
    type: dict
    default: {}
  engine:
    description: What serves the model. Where its releases are not known, the answer is empty.
    type: str
    default: vllm
author:
  - inferops.gpu contributors (@inferops)
"""

EXAMPLES = r"""
- name: Which vLLM knows it?
  ansible.builtin.debug:
    msg: "{{ {'architectures': ['Qwen3ForCausalLM']} | inferops.gpu.least_release }}"
"""

RETURN = r"""
_value:
  description: The release; empty where it is not known.
  type: str
  sample: 0.8.4
"""


def least_release(
    config: Mapping[str, Any] | str,
    arguments: Mapping[str, Any] | None = None,
    engine: str = DEFAULT,
) -> str:
    """See DOCUMENTATION."""
    return known_since(config, arguments, engine)


class FilterModule:
    """Filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """The filters by name."""
        return {"least_release": least_release}
