# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Filters over pure knowledge: why a server failed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible_collections.inferops.gpu.plugins.module_utils.serving.diagnosis import explain

DOCUMENTATION = r"""
name: explain_failure
short_description: Why a server failed, from its log and the way it ended
version_added: "0.1.0"
description:
  - Looks the log up in the catalogue of known failures.
positional: _input, exit_code, signal, kernel_log
options:
  _input:
    description: The log of one start.
    type: str
    required: true
  exit_code:
    description: Exit status of the main process.
    type: int
  signal:
    description: Name of the signal that ended it.
    type: str
  kernel_log:
    description: What the kernel said since the start.
    type: str
    default: ""
author:
  - inferops.gpu contributors (@inferops)
"""

EXAMPLES = r"""
- name: Why?
  ansible.builtin.debug:
    msg: >-
      {{ (server.log_tail | join('\n')
      | inferops.gpu.explain_failure(server.exit_code, server.signal)).cause }}
"""

RETURN = r"""
_value:
  description: The same as RV(inferops.gpu.model_server#module:failure).
  type: dict
  sample:
    cause_id: weights_truncated
    cause: A weight file is incomplete.
    remedy: Delete the model's files on the host and download them again.
    change: model files
    evidence: []
    link: https://huggingface.co/docs/safetensors
    exit_code: 1
    signal: null
    also: []
"""


def explain_failure(
    log: str, exit_code: int | None = None, signal: str | None = None, kernel_log: str = ""
) -> dict[str, Any]:
    """See DOCUMENTATION."""
    return explain(log, exit_code, signal, kernel_log)


class FilterModule:
    """Filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """The filters by name."""
        return {"explain_failure": explain_failure}
