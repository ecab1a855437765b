# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The variables of a host, rendered and judged: before every playbook, and by playbook doctor."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ansible.errors import AnsibleError
from ansible.utils.vars import load_extra_vars

from ansible_collections.inferops.gpu.plugins.module_utils.common.checks import Problem
from ansible_collections.inferops.gpu.plugins.module_utils.market.errors import (
    MarketError,
    RequestRefused,
)
from ansible_collections.inferops.gpu.plugins.module_utils.market.own import is_own
from ansible_collections.inferops.gpu.plugins.module_utils.market.rentals.options import (
    check_credentials,
    given_secret,
    scope_secret,
)
from ansible_collections.inferops.gpu.plugins.plugin_utils import variables as known
from ansible_collections.inferops.gpu.plugins.plugin_utils.connection import (
    LOGIN_VARIABLES,
    password_for_all,
)
from ansible_collections.inferops.gpu.plugins.plugin_utils.one_rental import OneRental


class Gate:
    """Names first, then values. ``values`` are those of ours that are set, as their type.

    ``wrong`` are the names of those that are none of what they may be.
    """

    def __init__(
        self,
        templar: Any,
        loader: Any,
        variables: Mapping[str, Any],
        required: Mapping[str, str],
        rents: bool,
    ) -> None:
        self._templar, self._variables, self._required = templar, variables, required
        self._rents = rents
        # Nothing else outranks what the roles set.
        self._extra = load_extra_vars(loader)
        self.names = sorted({*known.ours(variables), *required} & set(variables))
        self.values: dict[str, Any] = {}
        self._wrong: dict[str, tuple[Any, str]] = {}
        self._unrendered: dict[str, str] = {}
        self._render()

    @property
    def wrong(self) -> set[str]:
        """Those with which nothing can be done."""
        return {*self._wrong, *self._unrendered}

    def _render(self) -> None:
        for name in self.names:
            if name not in known.options() and name not in self._required:
                continue
            try:
                value = self._templar.resolve_variable_expression(name)
            except AnsibleError as error:
                self._unrendered[name] = _unrendered(name, error)
                continue
            if value is None and (name in self._required or not self._rents):
                continue
            self.values[name], complaint = known.coerce(name, value)
            if complaint:
                self._wrong[name] = value, complaint

    def complaints(self, for_all: bool, login: bool = True) -> list[str]:
        """What is wrong with the variables, a sentence each; what follows from another is not said.

        *for_all* where this host speaks for all of its play, *login* whether the account counts.
        """
        values = self.values
        told = [text for name in known.ours(self._variables) if (text := known.unknown(name))]
        given_in_vain = sorted({*self._extra} - {*self._required} - {*LOGIN_VARIABLES})
        told += [text for name in given_in_vain if (text := known.taken(name))]
        if not is_own(values.get("inferops_provider") or ""):
            told += filter(None, [password_for_all(self._extra)])
        told += _causes(self._wrong)
        told += [
            f"{name} is not set: it is {meaning}."
            for name, meaning in self._required.items()
            if values.get(name) in (None, "")
        ]
        rental = OneRental(self._templar, self._variables, self._extra)
        told += rental.complaints(values, for_all=for_all)
        told = told or [*known.impossible(values), *(no_login(values) if login else ())]
        told = told or list(known.unrentable(values) if self._rents else ())
        # What does not render is most often made of a value that is wrong.
        return told or list(self._unrendered.values())


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


def account(values: Mapping[str, Any]) -> dict[str, Any]:
    """The account that these variables tell of, as modules take it."""
    return {name.removeprefix("inferops_"): value for name, value in values.items()}


def no_key(values: Mapping[str, Any]) -> Iterator[Problem]:
    """Why a key of the server could not be derived, as on a host of the user's own, which has no
    account behind it."""
    if given_secret(account(values)) or not values.get("inferops_provider"):
        return
    own = is_own(values["inferops_provider"])
    if values.get("inferops_gateway"):
        yield Problem(
            f"The key of gateway {values['inferops_gateway']} follows from inferops_scope_secret, "
            "which is not set.",
            "Make one with openssl rand -base64 30, and give it to every run of the fleet.",
        )
    elif values.get("inferops_proxy") and _has_no_secret(account(values)):
        yield Problem(
            "With inferops_proxy the engine's own key follows from inferops_scope_secret, which is "
            "not set.",
            "Make one with openssl rand -base64 30, or set inferops_proxy: false.",
        )
    elif own and not (
        values.get("inferops_server_api_key") or values.get("inferops_server_keyless")
    ):
        yield Problem(
            "The server's key follows from inferops_scope_secret, which is not set.",
            "Make one with openssl rand -base64 30, or set inferops_server_api_key, or say "
            "inferops_server_keyless: true.",
        )


def _has_no_secret(given: Mapping[str, Any]) -> bool:
    """Whether nothing is there that keys are derived from. Who cannot log in has other problems."""
    try:
        scope_secret(given)
    except RequestRefused:
        return True
    except MarketError:
        return False
    return False


def no_login(values: Mapping[str, Any]) -> Iterator[str]:
    """Why the marketplace will not even be asked, where these variables tell of an account."""
    if values.get("inferops_provider"):
        try:
            check_credentials(account(values))
        except MarketError as error:
            yield str(error)
