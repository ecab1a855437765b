# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Passwords inside of options that are no secrets: an address may hold a login."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import unquote

from ansible.module_utils.basic import AnsibleModule

_LOGIN = re.compile(r"://([^\s/?#\"'<>]{1,500})@")
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
    return {secret for login in _LOGIN.findall(value) for secret in _secrets(login)}


def without_login(address: str) -> str:
    """*address* for people: the same place, without who logs in."""
    return _LOGIN.sub("://", address)


def _secrets(login: str) -> set[str]:
    user, _colon, password = login.partition(":")
    alone = password or user
    if not password and len(user) < _SHORTEST_ALONE:
        return set()  # git@
    found = {f"{login}@"}
    return found | {alone, unquote(alone)} if len(alone) >= _SHORTEST_ALONE else found
