# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options that decide how much memory is taken, from wherever they are given.

They are arguments by name or words of the command line; words may be shortened as argparse allows
it (--tensor-parallel 2), and name a part of a document behind a dot
(--speculative-config.method mtp). Words come last, so they win.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from .engine_options import DECIDING, FLAGS, SHORT_NAMES

#: Options that are documents of their own, as JSON or as parts behind dots.
DOCUMENTS = frozenset(("hf_overrides", "speculative_config"))
#: A file that may hold any option, and is not read here.
UNREAD = frozenset(("config",))
#: What decides beside what engine_options lists.
_MORE = frozenset(("enable_expert_parallel", "max_loras", "max_lora_rank"))
_NAMES = DECIDING | _MORE
_FLAGS = FLAGS | {"enable_expert_parallel"}
_SHORT = {**SHORT_NAMES, "-ep": "enable_expert_parallel"}


def given_options(
    arguments: Mapping[str, Any], words: Sequence[str] = ()
) -> tuple[dict[str, Any], list[str]]:
    """The options by name, and the names of what decides and cannot be read."""
    options: dict[str, Any] = {}
    unread: list[str] = []
    for name, value in arguments.items():
        _put(options, unread, str(name), value)
    rest = [str(word) for word in words]
    while rest:
        word, equals, value = rest.pop(0).partition("=")
        if not word.startswith("-") or word.lstrip("-")[:1].isdigit():
            continue
        wanted, option = _option(word)
        if option.partition(".")[0] not in _NAMES:
            continue
        if option in _FLAGS:
            options[option] = wanted
        elif not (equals or rest):
            unread.append(word)
        else:
            _put(options, unread, word, value if equals else rest.pop(0))
    return options, unread


def _option(name: str) -> tuple[bool, str]:
    """Whether it is wanted, and the option that a name, a short one or its beginning stands for."""
    if name in _SHORT:
        return True, _SHORT[name]
    first, dot, part = name.strip("-").partition(".")
    first = first.replace("-", "_")
    wanted = not first.startswith("no_")
    first = first.removeprefix("no_")
    if first not in _NAMES and len(first) > 3:
        longer = [known for known in _NAMES if known.startswith(first)]
        first = longer[0] if len(longer) == 1 else first
    return wanted, f"{first}{dot}{part}"


def _put(options: dict[str, Any], unread: list[str], name: str, value: Any) -> None:
    option, _dot, part = _option(name)[1].partition(".")
    if option in UNREAD:
        if is_set(value):
            unread.append(name)
    elif option not in DOCUMENTS:
        options[option] = value
    elif part:
        _place(options, option, part.split("."), value)
    elif not is_set(value):
        options.pop(option, None)
    else:
        content = _content(value)
        if isinstance(content, Mapping):
            options[option] = dict(content)
        else:
            unread.append(name)


def _place(options: dict[str, Any], option: str, path: list[str], value: Any) -> None:
    """Put a value where its path leads to in a document."""
    place = options.setdefault(option, {})
    for key in path[:-1]:
        inner = place.get(key)
        place[key] = dict(inner) if isinstance(inner, Mapping) else {}
        place = place[key]
    place[path[-1]] = _content(value)


def _content(value: Any) -> Any:
    """A value as JSON reads it, or as it is."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return value


def is_set(value: Any) -> bool:
    """Whether an option is on."""
    return bool(value) and str(value).lower() not in ("false", "no", "0", "none", "null", "{}")


def overridden(config: Mapping[str, Any], overrides: Mapping[str, Any]) -> Mapping[str, Any]:
    """The config as hf_overrides changes it: entries of entries are replaced one by one."""
    changed = dict(config)
    for key, value in overrides.items():
        inner = changed.get(key)
        both = isinstance(inner, Mapping) and isinstance(value, Mapping)
        changed[key] = overridden(inner, value) if both else value  # type: ignore[arg-type]
    return changed
