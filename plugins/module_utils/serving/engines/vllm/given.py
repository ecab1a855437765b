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

from ....common.engines.vllm.words import ON_OR_OFF, is_on, options_of, read
from .options import named

#: Options that are documents of their own, as JSON or as parts behind dots.
DOCUMENTS = frozenset(("hf_overrides", "speculative_config"))
#: A file that may hold any option, and is not read here.
UNREAD = frozenset(("config",))


def given_options(
    arguments: Mapping[str, Any], words: Sequence[str] = ()
) -> tuple[dict[str, Any], list[str]]:
    """The options by name, and the names of what decides and cannot be read."""
    options: dict[str, Any] = {}
    said = read(map(str, words), options_of(None)).arguments
    # An option that wants a value and has none.
    unread = [name for name, value in said.items() if value is True and not _turns_on(name)]
    for name, value in (*named(arguments).items(), *said.items()):
        _put(options, unread, name, value)
    return options, unread


def _turns_on(name: str) -> bool:
    option, dot, _path = name.partition(".")
    kind = options_of(None).find(f"--{option}").option.kind
    return bool(dot) or kind in ON_OR_OFF or kind == "perhaps"


def _put(options: dict[str, Any], unread: list[str], name: str, value: Any) -> None:
    option, _dot, part = name.partition(".")
    if option in UNREAD:
        if is_set(value):
            unread.append(name)
    elif option not in DOCUMENTS:
        options[name] = value
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
    state = is_on(value)
    return (
        bool(value) and str(value).lower() not in ("none", "null", "{}") if state is None else state
    )


def overridden(config: Mapping[str, Any], overrides: Mapping[str, Any]) -> Mapping[str, Any]:
    """The config as hf_overrides changes it: entries of entries are replaced one by one."""
    changed = dict(config)
    for key, value in overrides.items():
        inner = changed.get(key)
        both = isinstance(inner, Mapping) and isinstance(value, Mapping)
        changed[key] = overridden(inner, value) if both else value  # type: ignore[arg-type]
    return changed
