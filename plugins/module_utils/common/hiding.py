# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Passwords inside of options that are no secrets: an address may hold a login, or a token among
its parameters.
"""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import unquote

from ansible.module_utils.basic import AnsibleModule

from .redaction import SECRET_PARAMETER, is_secret

#: Also one with signs that should have been quoted, and one of an address without a scheme.
_LOGIN = re.compile(
    r"://([^\s/?#\"'<>]{1,500}"
    r"|[^\s/?#@:\[\"'<>]{0,100}:(?!\d{1,5}(?:[/?#]|$))[^@\"'<>\n]{1,200})@"
    r"|^([^\s/?#@:]{1,100}:[^\s/@]{1,200})@(?!sha256:)"
)
_PARAMETER = re.compile(r"[?&]([^?&=#\s]{1,100})=([^&#\s]+)")
_SHORTEST_ALONE = 8
"""A shorter one is hidden with what is around it: alone it may be a part of any word."""


def hide_passwords(module: AnsibleModule) -> None:
    """Let *module* show no password of an address in its options: its result holds them all.

    The system log gets options before this can be called: see GuardedAction.
    """
    module.no_log_values.update(passwords_in(module.params))


def passwords_in(value: Any) -> set[str]:
    """What must not be shown of the logins in all addresses in *value*."""
    if isinstance(value, dict):
        return {secret for one in value.values() for secret in passwords_in(one)}
    if isinstance(value, (list, tuple)):
        return {secret for one in value for secret in passwords_in(one)}
    if not isinstance(value, str):
        return set()
    logins = (login or bare for login, bare in _LOGIN.findall(value))
    found = {secret for login in logins for secret in _secrets(login)}
    for name, told in _PARAMETER.findall(value):
        if is_secret(name, told) or SECRET_PARAMETER.fullmatch(name):
            found |= {f"{name}={told}", *(one for one in (told, unquote(told)) if is_long(one))}
    return found


def secrets_in(value: Any, name: str = "") -> set[str]:
    """The values in *value* that are secrets by their names: of options, or of an environment."""
    if isinstance(value, dict):
        return {one for key, inner in value.items() for one in _named(inner, str(key), name)}
    if isinstance(value, (list, tuple)):
        return {one for inner in value for one in secrets_in(inner, name)}
    named = isinstance(value, str) and is_long(value) and is_secret(name, value)
    # Where a secret lies is none.
    return {str(value)} if named and not name.lower().endswith(("_file", "_path")) else set()


def _named(value: Any, key: str, name: str) -> set[str]:
    """Those of one value in a mapping of this *name*: keys may be told by whose they are."""
    return secrets_in(value, key) | (secrets_in(value, name) if isinstance(value, str) else set())


def without_login(address: str) -> str:
    """*address* for people: the same place, without who logs in."""
    return _LOGIN.sub(lambda found: "://" if found[1] else "", address)


def _secrets(login: str) -> set[str]:
    user, _colon, password = login.partition(":")
    alone = password or user
    if not password and not is_long(user):
        return set()  # git@
    found = {f"{login}@"}
    return found | {alone, unquote(alone)} if is_long(alone) else found


def is_long(secret: str) -> bool:
    """Whether *secret* can be told from a part of any word."""
    return len(secret) >= _SHORTEST_ALONE
