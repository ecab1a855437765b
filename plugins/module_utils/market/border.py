# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a marketplace answers is checked here before it becomes an offer or a rental.

Ids go into the paths of its API and into the names of files; hosts, ports and users into the
options of ssh and into known_hosts files; texts to the terminal. Every check raises ValueError.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator
from typing import Any

from ..common import ssh_words

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_PORT = re.compile(r"[0-9]{1,5}")
_VERSION = re.compile(r"[0-9]{1,6}(?:\.[0-9]{1,6}){0,4}(?:[-+~.][A-Za-z0-9.]{1,20})?")
_LONGEST_TEXT = 120
_LONGEST_SHOWN = 2000
_HIGHEST_PORT = 65535


def check_id(value: Any) -> None:
    """*value* is an id of a provider's."""
    _check(_ID, value, "an id")


def check_user(value: Any) -> None:
    """*value* is a name to log in with."""
    if not ssh_words.is_user(value):
        raise ValueError(f"{shown(value)} is not a user")


def check_host(value: Any) -> None:
    """*value* is the name or the address of a host."""
    if not ssh_words.is_host(value):
        raise ValueError(f"{shown(value)} is not the name or address of a host")


def check_port(value: Any) -> None:
    """*value* is a TCP port."""
    if not _is_whole(value) or not 0 < value <= _HIGHEST_PORT:
        raise ValueError(f"{shown(value)} is not a port")


def port_of(value: Any) -> int:
    """The number that *value* is or tells; whether it is a port is not decided here."""
    if _is_whole(value):
        return int(value)
    _check(_PORT, value, "a port")
    return int(value)


def check_texts(*values: Any) -> None:
    """Each of *values* is one short line of what can be printed; it may be empty, or untold."""
    for value in _told(values):
        if not isinstance(value, str) or len(value) > _LONGEST_TEXT or not value.isprintable():
            raise ValueError(f"{shown(value)} is not a short text")


def check_versions(*values: Any) -> None:
    """Each of *values* is a version such as 580.95.05, empty, or untold."""
    for value in _told(values):
        if value != "":
            _check(_VERSION, value, "a version")


def check_numbers(*values: Any) -> None:
    """Each of *values* is a number, and finite, or untold."""
    for value in _told(values):
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if not number or not math.isfinite(value):
            raise ValueError(f"{shown(value)} is not a number")


def check_prices(*values: Any) -> None:
    """Each of *values* is a number that can be paid, or untold: nobody is given money for a GPU."""
    check_numbers(*values)
    for value in _told(values):
        if value < 0:
            raise ValueError(f"{value} is not a price")


def check_count(value: Any) -> None:
    """*value* is a number of things, of which there may be none."""
    check_numbers(value)
    if value < 0:
        raise ValueError(f"{value} is not how many there are")


def printable(text: str) -> str:
    """*text* for people, of any length and origin: one line without control characters."""
    return "".join(one if one.isprintable() else " " for one in text[:_LONGEST_SHOWN]).strip()


def shown(value: Any) -> str:
    """*value* in an error message: the beginning of it, with nothing that a terminal obeys."""
    return ascii(value)[:60]


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _told(values: Iterable[Any]) -> Iterator[Any]:
    """Those that the provider tells: it says nothing by None."""
    return (value for value in values if value is not None)


def _check(pattern: re.Pattern[str], value: Any, what: str) -> None:
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise ValueError(f"{shown(value)} is not {what}")
