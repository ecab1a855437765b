# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A filter over what module doctor found for each host: as lines, and as a report."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ansible_collections.inferops.gpu.plugins.module_utils.common.checks import (
    FAILED,
    NOTE,
    OK,
    UNKNOWN,
    Check,
)

DOCUMENTATION = r"""
name: doctor_report
short_description: What was found before a deploy, as lines and as a report
version_added: "0.1.0"
description:
  - Internal. Used by playbook C(inferops.gpu.doctor).
  - What is the same for all hosts is told once, and what is not with the names of the hosts.
positional: _input
options:
  _input:
    description:
      - By host, the result of module M(inferops.gpu.doctor); empty where it has failed, which is a
        failed check.
    type: dict
    required: true
author:
  - inferops.gpu contributors (@inferops)
"""

EXAMPLES = r"""
- name: What does a deploy lack?
  ansible.builtin.debug:
    msg: "{{ ({'gpu-1': seen} | inferops.gpu.doctor_report).lines }}"
"""

RETURN = r"""
_value:
  description:
    - C(lines), one for each check. C(ready), whether none has failed, and C(ending), the same as a
      sentence with the failed ones. C(report), all of it for a program.
  type: dict
  sample:
    lines:
      - "ok       api      The API of vastai answers, within 84 ms at best."
      - "FAILED   balance  The account has no credit left. Add credit at https://cloud.example"
    ready: false
    ending: "Not ready, by 1 of 2 checks: balance. Their lines above say what to do."
    report:
      ready: false
      failed: [balance]
      hosts:
        gpu-1:
          - name: api
            state: ok
            told: The API of vastai answers, within 84 ms at best.
            remedy: ""
          - name: balance
            state: failed
            told: The account has no credit left.
            remedy: Add credit at https://cloud.example
"""

#: What has to be seen is seen among lines that need not be.
_SHOWN = {OK: "ok", NOTE: "note", UNKNOWN: "unknown", FAILED: "FAILED"}
_NOT_LOOKED_AT = Check("doctor", FAILED, "It could not be looked at.", "See the failed task above.")


def doctor_report(seen: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """See DOCUMENTATION."""
    hosts = {host: _checks(result) for host, result in seen.items()}
    shared = _by_check(hosts)
    failed = list(dict.fromkeys(one.name for one in shared if one.state == FAILED))
    width = max((len(one.name) for one in shared), default=0)
    return {
        "lines": [_line(one, named, len(hosts), width) for one, named in shared.items()],
        "ready": not failed,
        "ending": _ending(failed, [one.state for one in shared]),
        "report": {
            "ready": not failed,
            "failed": failed,
            "hosts": {host: [vars(one) for one in checks] for host, checks in hosts.items()},
        },
    }


def _checks(result: Mapping[str, Any]) -> list[Check]:
    told = result.get("checks")
    return [Check(**one) for one in told] if told else [_NOT_LOOKED_AT]


def _by_check(hosts: Mapping[str, list[Check]]) -> dict[Check, list[str]]:
    """The hosts for which a check ended so; in the order of the first one's checks."""
    found: dict[Check, list[str]] = {}
    names = dict.fromkeys(one.name for checks in hosts.values() for one in checks)
    for name in names:
        for host, checks in hosts.items():
            for one in checks:
                if one.name == name:
                    found.setdefault(one, []).append(host)
    return found


def _line(one: Check, named: list[str], hosts: int, width: int) -> str:
    whose = "" if len(named) == hosts else f"{', '.join(named)}: "
    told = " ".join(filter(None, (one.told, one.remedy)))
    return f"{_SHOWN[one.state]:<7}  {one.name:<{width}}  {whose}{told}"


def _ending(failed: list[str], states: list[str]) -> str:
    if failed:
        return (
            f"Not ready, by {states.count(FAILED)} of {len(states)} checks: {', '.join(failed)}. "
            "Their lines above say what to do."
        )
    return "".join(_ready(states))


def _ready(states: list[str]) -> Iterator[str]:
    yield f"Ready to deploy, by {len(states)} checks"
    if states.count(NOTE):
        yield f"; {states.count(NOTE)} to note"
    if states.count(UNKNOWN):
        yield f"; {states.count(UNKNOWN)} nobody could find out"
    yield "."


class FilterModule:
    """Filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """The filters by name."""
        return {"doctor_report": doctor_report}
