# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Filters over pure knowledge: what is known of an engine before any host is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible_collections.inferops.gpu.plugins.module_utils.serving.engines.registry import spelling

DOCUMENTATION = r"""
name: engine_facts
short_description: Say which roles install an engine, and what it loads
version_added: "0.1.0"
description:
  - Internal. Used by the roles and playbooks of this collection.
positional: _input
options:
  _input:
    description: The engine, as M(inferops.gpu.model_server) names it.
    type: str
    required: true
author:
  - inferops.gpu contributors (@inferops)
"""

EXAMPLES = r"""
- name: What installs it?
  ansible.builtin.debug:
    msg: "{{ ('llama_cpp' | inferops.gpu.engine_facts).roles }}"
"""

RETURN = r"""
_value:
  description:
    - C(roles) install it, in order; the last one has tasks C(whole) that do all that is left.
      C(weights_format) is the option of M(inferops.gpu.model_cache). C(release_variable) says which
      release of it is wanted.
  type: dict
  sample:
    roles: [llama_cpp]
    weights_format: gguf
    release_variable: llama_cpp_version
"""


def engine_facts(engine: str) -> dict[str, Any]:
    """See DOCUMENTATION."""
    known = spelling(engine)
    return {
        "roles": list(known.roles),
        "weights_format": known.weights_format,
        "release_variable": known.release_variable,
    }


class FilterModule:
    """Filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """The filters by name."""
        return {"engine_facts": engine_facts}
