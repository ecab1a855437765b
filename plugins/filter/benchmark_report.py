# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Filters over pure knowledge: what a benchmark will send, and what came of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ansible.errors import AnsibleFilterError

from ansible_collections.inferops.gpu.plugins.module_utils.serving.benchmark import showing
from ansible_collections.inferops.gpu.plugins.module_utils.serving.benchmark.costs import price_of
from ansible_collections.inferops.gpu.plugins.module_utils.serving.benchmark.report import (
    Case,
    error_of,
    report,
)

DOCUMENTATION = r"""
name: benchmark_report
short_description: What a benchmark sends, and what came of it
version_added: "0.1.0"
description:
  - Internal. Used by role P(inferops.gpu.benchmark#role); its options and results may change.
  - Without a result it says what will be sent at most and what the host bills meanwhile, and fails
    for what cannot be sent, and for an earlier report that is none.
  - With one it makes the report, what tokens cost, and what is worse than before. Nothing that a
    host says becomes more in it than figures and plain lines.
positional: _input
options:
  _input:
    description:
      - C(asked), the options of M(inferops.gpu.benchmark); C(found), its result; C(host), C(model),
        C(engine) and C(arguments), the wish; C(now), when it is.
      - The following may be missing. C(rental), as M(inferops.gpu.rental) returns it; C(gpus), as
        M(inferops.gpu.gpu_info) does; C(others), earlier reports, a name and a text each;
        C(regression_percent), by how much it may be worse than the first of them.
    type: dict
    required: true
  dry_run:
    description: Whether nothing will be sent.
    type: bool
    default: false
author:
  - inferops.gpu contributors (@inferops)
"""

EXAMPLES = r"""
- name: What will be sent?
  ansible.builtin.debug:
    msg: "{{ (case | inferops.gpu.benchmark_report).planned }}"
"""

RETURN = r"""
_value:
  description:
    - C(planned), a sentence; and with a result C(shown), lines for a person; C(report), for a
      program; C(markdown) and C(csv), the same as a page and as a table; C(replay), the variables
      by which another deploy serves so; and C(error), why it failed, empty where it did not.
  type: dict
  sample:
    planned: "Sends loads of 1, 4 requests at once: at most 2 loads, 32 requests and 20480 tokens,
      within 1800 s."
    shown: ["Most: 576.9 output tokens/s at 16 at once, $0.1284 per million."]
    report: {schema: inferops.gpu.benchmark/1, highest_kept: null}
    markdown: "# Qwen/Qwen3-8B on gpu-1"
    csv: concurrency,requests
    replay: {inferops_model: Qwen/Qwen3-8B}
    error: ""
"""


def benchmark_report(case: Mapping[str, Any], dry_run: bool = False) -> dict[str, Any]:
    """See DOCUMENTATION."""
    given = Case(**case)
    try:
        told = report(given)
        planned = showing.planned(given.plan, price_of(given.rental), dry_run)
    except ValueError as error:
        raise AnsibleFilterError(str(error)) from error
    if not given.found:
        return {"planned": planned}
    return {
        "planned": planned,
        "shown": showing.told(told),
        "report": told,
        "markdown": showing.markdown(told),
        "csv": showing.csv_of(told),
        "replay": told["replay"],
        "error": error_of(told, given),
    }


class FilterModule:
    """Filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """The filters by name."""
        return {"benchmark_report": benchmark_report}
