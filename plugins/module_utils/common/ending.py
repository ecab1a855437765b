# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a module ends whose work may be done by an action as well."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NoReturn

from ansible.module_utils.basic import AnsibleModule


def end(module: AnsibleModule, result: Mapping[str, Any]) -> NoReturn:
    """End *module* with a result that has its failure in `failed`, its sentences in `warnings`."""
    told = dict(result)
    for sentence in told.pop("warnings", ()):
        module.warn(sentence)
    leave = module.fail_json if told.pop("failed", False) else module.exit_json
    leave(**told)
    raise AssertionError("unreachable: both exit")
