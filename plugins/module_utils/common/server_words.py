# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a server may be called and told: the controller refuses the rest before anything is rented,
and the host whatever has come to it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

#: What a service may be called.
NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_-]{0,62}")
#: What a proxy may call a server behind it: as its host is called, too.
SERVER_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9._-]{0,62}")
#: How long each check of a start may take, once the one before has passed, where nobody says so.
#: The first completion may compile kernels yet.
CHECKS_SECONDS = {"health": 120.0, "model": 60.0, "completion": 300.0}
#: Options of an engine that the module has options for, and what says them instead.
OWN_OPTIONS = {
    "model": "option 'model'",
    "host": "option 'host'",
    "port": "option 'port'",
    "served-model-name": "option 'served_model_name'",
    "api-key": "option 'api_key'",
    "hf-repo": "option 'model'",
}
_OPTION = re.compile(r"[A-Za-z][A-Za-z0-9-]*(\.[A-Za-z0-9_.-]+)?\+?")
_TOKEN = "hf-token"
_SHORT = {"hf": "hf-repo", "hfr": "hf-repo", "hft": _TOKEN}
"""Other names of llama-server for what is told here."""


def port_of(told: object) -> int | None:
    """A port that is asked for by its number or as `auto`, which is None. Raises ValueError."""
    text = str(told).strip()
    if text == "auto":
        return None
    if not (text.isascii() and text.isdigit()) or not 0 < int(text) < 65536:
        raise ValueError(f"{text} is neither a number from 1 to 65535 nor auto")
    return int(text)


def spelled(name: str) -> str:
    """An engine's option as it is written on a command line, without its dashes: what stands behind
    a dot is a key of its value, and stays as it is."""
    head, dot, path = name.strip("-").partition(".")
    return head.replace("_", "-") + dot + path


def refused(
    arguments: Mapping[str, Any],
    extra_args: Iterable[Any],
    instead: Mapping[str, str] | None = None,
) -> Iterator[str]:
    """Why no engine may be started with these, one sentence each.

    *instead* names what has its own place there, as OWN_OPTIONS does for the module.
    """
    instead = OWN_OPTIONS if instead is None else instead
    for key in sorted(arguments):
        if not _OPTION.fullmatch(spelled(key)):
            yield f"arguments: {key!r} is not the name of an engine option."
        yield from _misplaced("arguments", spelled(key), key, instead)
    for word in map(str, extra_args):
        # Others are values, such as name=/path of an adapter. What stands behind = may be a key.
        name = word.partition("=")[0]
        if name.startswith("-"):
            yield from _misplaced("extra_args", spelled(name), name, instead)


def _misplaced(where: str, option: str, given: str, instead: Mapping[str, str]) -> Iterator[str]:
    option = _SHORT.get(option, option)
    # An engine takes the beginning of a name for the name.
    meant = (name for name in (_TOKEN, *instead) if name.startswith(option))
    option = next(meant, option) if len(option) > 1 else option
    if option == _TOKEN:
        yield (
            f"{where}: {given!r} would show the token to everybody on the host. Set HF_TOKEN in "
            "'environment'."
        )
    if option in instead:
        yield f"{where}: set {instead[option]}, not {given!r}."
