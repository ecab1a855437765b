# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The secrets that the variables of a host hold, so that none is shown, whoever says it back.

Most tasks have none of them among their arguments, and a host that was given one may say it at any
time. What is read here is every variable that an argument specification calls secret.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ansible.errors import AnsibleError

from ansible_collections.inferops.gpu.plugins.module_utils.common.hiding import (
    is_long,
    passwords_in,
    secrets_in,
)
from ansible_collections.inferops.gpu.plugins.module_utils.market.rentals.options import (
    ACCOUNT_OPTIONS,
)
from ansible_collections.inferops.gpu.plugins.plugin_utils.connection import LOGIN_VARIABLES
from ansible_collections.inferops.gpu.plugins.plugin_utils.variables import (
    SHARED,
    coerce,
    is_secret,
    options,
)

#: Ansible loads actions before it makes a process for a task, so this is read once in a run.
SECRET_VARIABLES = frozenset({*filter(is_secret, options()), *LOGIN_VARIABLES})
#: What logs in to a marketplace, and what the controller alone asks. No rented host has it, and
#: asking a password manager for it at each task would take longer than most tasks.
OF_THE_CONTROLLER = frozenset(f"{SHARED}{option}" for option in ACCOUNT_OPTIONS) | {
    "inferops_controller_hub_endpoint"
}
#: By the end of a name, what is no secret as a whole and may hold some.
_MAY_HOLD = ("_url", "_endpoint", "_mirror", "_links", "_environment", "_accounts")


def fleet_secrets(
    variables: Mapping[str, Any],
    render: Callable[[Any], Any],
    names: Iterable[str] = SECRET_VARIABLES,
) -> set[str]:
    """What the variables of these *names* hold, as far as it can be known here.

    *render* gives the value of a template. One that cannot be rendered yet holds nothing yet.
    """
    found: set[str] = set()
    for name in names:
        given = variables.get(name)
        if not given:
            continue
        try:
            value = render(given)
        except AnsibleError:
            continue
        if value:
            found |= _secrets(name, value)
    return found


def _secrets(name: str, value: Any) -> set[str]:
    """Those of one variable, which may be text where its type is another."""
    if isinstance(value, str):
        value, _complaint = coerce(name, value)
    whole = set() if name.endswith(_MAY_HOLD) else _texts_in(value)
    return whole | passwords_in(value) | secrets_in(value)


def _texts_in(value: Any) -> set[str]:
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        return {text for one in value for text in _texts_in(one)}
    return {str(value)} if isinstance(value, str) and is_long(value) else set()
