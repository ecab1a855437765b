# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Check the variables of a host. The module of the same name documents it."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from ansible.errors import AnsibleActionFail, AnsibleError
from ansible.utils.vars import load_extra_vars

from ansible_collections.inferops.gpu.plugins.module_utils.market.errors import MarketError
from ansible_collections.inferops.gpu.plugins.module_utils.market.own import is_own
from ansible_collections.inferops.gpu.plugins.module_utils.market.rentals.options import (
    check_credentials,
    given_secret,
)
from ansible_collections.inferops.gpu.plugins.plugin_utils import controller
from ansible_collections.inferops.gpu.plugins.plugin_utils import variables as known
from ansible_collections.inferops.gpu.plugins.plugin_utils.guarded_action import WorkerAction
from ansible_collections.inferops.gpu.plugins.plugin_utils.one_rental import OneRental


class ActionModule(WorkerAction):
    """Looks at names first, then at values."""

    argument_spec: ClassVar = {
        "required": {"type": "dict", "default": {}},
        "rents": {"type": "bool", "default": False},
    }

    def work(self, given: dict[str, Any], variables: dict[str, Any]) -> dict[str, Any]:
        """The result that the documentation promises."""
        required = given["required"]
        names = sorted({*known.ours(variables), *required} & set(variables))
        complaints = [text for name in known.ours(variables) if (text := known.unknown(name))]
        # Nothing else outranks what the roles set.
        extra = load_extra_vars(self._loader)
        given_in_vain = sorted({*extra} - {*required})
        complaints += [text for name in given_in_vain if (text := known.taken(name))]
        values: dict[str, Any] = {}
        wrong: dict[str, tuple[Any, str]] = {}
        unrendered: list[str] = []
        for name in names:
            if name not in known.options() and name not in required:
                continue
            try:
                value = self._templar.resolve_variable_expression(name)
            except AnsibleError as error:
                unrendered.append(_unrendered(name, error))
                continue
            if value is None and (name in required or not given["rents"]):
                continue
            values[name], complaint = known.coerce(name, value)
            if complaint:
                wrong[name] = value, complaint
        complaints += _causes(wrong)
        complaints += [
            f"{name} is not set: it is {meaning}."
            for name, meaning in required.items()
            if values.get(name) in (None, "")
        ]
        rental = OneRental(self._templar, variables, extra)
        complaints += rental.complaints(values, for_all=bool(self._task.run_once))
        complaints = complaints or [*known.impossible(values), *_no_login(values)]
        complaints = complaints or list(known.unrentable(values) if given["rents"] else ())
        # What does not render is most often made of a value that is wrong.
        complaints = complaints or unrendered
        judged = known.Judged()
        if given["rents"]:
            # Options are looked at where all else is well-formed.
            judged = judged if complaints else known.judged_options(values)
            complaints += controller.wanting(values)
            complaints += _no_key(values)
            complaints += () if judged.doubt else judged.complaints
        if complaints:
            raise AnsibleActionFail(" ".join(complaints))
        told = {name: value for name, value in values.items() if not known.is_secret(name)}
        result = {"changed": False, "checked": names, "values": told, "at": time.time()}
        if judged.doubt:
            doubt = f"Only the host can tell {judged.doubt}."
            result["warnings"] = [" ".join([doubt, *judged.complaints])]
        return result


def _causes(wrong: Mapping[str, tuple[Any, str]]) -> list[str]:
    """The complaints, without those of a role's variable that a shared one has given its value."""
    shared = [value for name, (value, _text) in wrong.items() if name.startswith(known.SHARED)]
    return [
        text
        for name, (value, text) in wrong.items()
        if name.startswith(known.SHARED) or value not in shared
    ]


def _unrendered(name: str, error: AnsibleError) -> str:
    """What is told of a variable that does not render; of a secret nothing."""
    return f"{name} cannot be rendered" + (
        "." if known.is_secret(name) else f": {str(error).rstrip('.')}."
    )


def _account(values: Mapping[str, Any]) -> dict[str, Any]:
    """The account that these variables tell of, as modules take it."""
    return {name.removeprefix("inferops_"): value for name, value in values.items()}


def _no_key(values: Mapping[str, Any]) -> Iterator[str]:
    """Why a server on a host of the user's own would have no key: there is no account behind it."""
    given = values.get("inferops_server_api_key") or values.get("inferops_server_keyless")
    own = is_own(values.get("inferops_provider", ""))
    if own and not given and not given_secret(_account(values)):
        yield (
            "The server's key follows from inferops_scope_secret, which is not set: make one with "
            "openssl rand -base64 30, or set inferops_server_api_key, or say "
            "inferops_server_keyless: true."
        )


def _no_login(values: Mapping[str, Any]) -> Iterator[str]:
    """Why the marketplace will not even be asked, where these variables tell of an account."""
    if values.get("inferops_provider"):
        try:
            check_credentials(_account(values))
        except MarketError as error:
            yield str(error)
