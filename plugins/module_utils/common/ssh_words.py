# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What may stand in a command of ssh and in the files that it reads: a host, a user, a public key.

Whoever has told it is a stranger: a word that begins with a dash is an option, and a line break in
one is another line of a file.
"""

from __future__ import annotations

import ipaddress
import re

_USER = re.compile(r"[A-Za-z_][A-Za-z0-9._-]{0,31}")
_LABEL = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?")
#: A name that ends so is a way to write an IPv4 address.
_NUMBER = re.compile(r"[0-9]+|0[xX][0-9A-Fa-f]*")
_LONGEST_HOST = 253
#: Of those that sshd has by default; that of a security key has an @ in it.
_PUBLIC_KEY = re.compile(r"(?:ssh|ecdsa|sk)-[a-z0-9@.-]{1,60} [A-Za-z0-9+/]{40,2000}={0,3}")


def is_user(value: object) -> bool:
    """Whether it is a name to log in with."""
    return isinstance(value, str) and bool(_USER.fullmatch(value))


def is_host(value: object) -> bool:
    """Whether it is the name or the address of a host."""
    return isinstance(value, str) and (_is_name(value) or _is_address(value))


def is_public_key(value: object) -> bool:
    """Whether it is a public key, of type and body alone."""
    return isinstance(value, str) and bool(_PUBLIC_KEY.fullmatch(value))


def _is_name(value: str) -> bool:
    labels = value.split(".")
    named = all(_LABEL.fullmatch(label) for label in labels)
    return named and len(value) <= _LONGEST_HOST and not _NUMBER.fullmatch(labels[-1])


def _is_address(value: str) -> bool:
    try:
        # A zone (fe80::1%eth0) names an interface of this machine.
        return "%" not in value and bool(ipaddress.ip_address(value))
    except ValueError:
        return False
