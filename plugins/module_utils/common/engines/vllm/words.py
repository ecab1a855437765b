# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""vLLM's command line, written and read as its parser reads it (vllm/utils/argparse_utils.py).

Kinds of options:

* flag: its name alone, and nothing that turns it off
* boolean: `--x` and `--no-x`; switch: `--disable-x` for `--enable-x` as well
* word: its name with `true` or `false`
* perhaps: its name alone, or with a value
* value, json, commas (a list as one word): its name with a word
* list: its name with several words; repeated: its name before each of them
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple

from . import options as table

#: Kinds that are turned on and off, and take no other value.
ON_OR_OFF = ("flag", "boolean", "switch", "word")
#: Kinds whose value is several, each a word or a part of one.
_OF_LISTS = ("list", "repeated", "commas")
#: Ansible's words for true and false.
_STATES = {
    **dict.fromkeys(("true", "yes", "on", "y", "t", "1", "1.0"), True),
    **dict.fromkeys(("false", "no", "off", "n", "f", "0", "0.0"), False),
}
_INVERSE = {"enable-": "disable-", "disable-": "enable-"}
_NEGATIVE_NUMBER = re.compile(r"-\d+|-\d*\.\d+")
#: -O3 is a level since there is an option for it, and was a part of the compilation's settings.
_LEVEL, _COMPILATION = "optimization-level", "compilation-config"


class Option(NamedTuple):
    """An option, by its long name without dashes; `short` has its dash, or is empty."""

    name: str
    short: str
    kind: str


class Found(NamedTuple):
    """What a name stands for; `on` is False for a name that turns its option off."""

    option: Option
    on: bool


class Unknown(ValueError):
    """The parser knows no such name, or several that begin like it."""

    def __init__(self, name: str, several: Sequence[str] = ()) -> None:
        super().__init__(name)
        self.name = name
        self.several = sorted(several)


class Options:
    """The options of one release, or of all: then each is as the newest release has it."""

    def __init__(self, options: Iterable[Option]) -> None:
        self.options = tuple(options)
        self._names: dict[str, Found] = {}
        for option in self.options:
            self._names.update(_names(option))

    @property
    def names(self) -> list[str]:
        """Every name, with its dashes."""
        return sorted(self._names)

    def __contains__(self, name: str) -> bool:
        return name in self._names

    def find(self, name: str) -> Found:
        """What a name with its dashes stands for, also where it is only the beginning of one."""
        name = _dashed(name)
        if name in self._names:
            return self._names[name]
        if name.startswith("-O") and not name.startswith("-O."):
            return self.find(f"--{_LEVEL}" if f"--{_LEVEL}" in self._names else f"--{_COMPILATION}")
        begun = {full: found for full, found in self._names.items() if full.startswith(name)}
        if len({found.option for found in begun.values()}) == 1:
            return next(iter(begun.values()))
        # -qfp8, a short name and its value in one word
        short = {found.short: found for found in self.options if len(found.short) == len("-q")}
        if not begun and name[:2] in short and not name.startswith("--"):
            return Found(short[name[:2]], on=True)
        raise Unknown(name, list(begun))


def releases() -> list[str]:
    """The releases whose options are known, the oldest first."""
    return table.RELEASES.split()


@cache
def options_of(release: str | None) -> Options:
    """The options of a release; of one that is not known, each that any release has."""
    order = releases()
    number = order.index(release) if release in order else None
    newest: dict[str, tuple[int, Option]] = {}
    for option, first, last in _rows(order):
        if number is None or first <= number <= last:
            newest[option.name] = max(newest.get(option.name, (last, option)), (last, option))
    return Options(option for _last, option in newest.values())


def having(name: str) -> list[str]:
    """The releases that know this name."""
    return [release for release in releases() if name in options_of(release)]


def _rows(order: list[str]) -> Iterator[tuple[Option, int, int]]:
    for line in table.OPTIONS.splitlines():
        name, short, kind, first, last = line.split()
        until = len(order) - 1 if last == "-" else order.index(last)
        yield Option(name, "" if short == "-" else short, kind), order.index(first), until


def _names(option: Option) -> Iterator[tuple[str, Found]]:
    on, off = Found(option, on=True), Found(option, on=False)
    if option.kind in ("boolean", "switch"):
        yield f"--no-{option.name}", off
    if option.kind == "switch":
        for begins, other in _INVERSE.items():
            if option.name.startswith(begins):
                yield f"--{other}{option.name[len(begins) :]}", off
    if option.short:
        yield option.short, on
    yield f"--{option.name}", on


def _dashed(name: str) -> str:
    """A name as the parser compares it: underscores count as dashes, but behind a dot."""
    if not name.startswith("--"):
        return name
    head, dot, path = name.partition(".")
    return head.replace("_", "-") + dot + path


# Writing


def canonical(name: str, options: Options) -> str:
    """The one name of an option as Python spells it, however it was written: -tp is
    tensor_parallel_size, and cc.pass_config is compilation_config.pass_config."""
    head, dot, path = name.strip("-").partition(".")
    return _long(head, options).replace("-", "_") + dot + path


def _long(head: str, options: Options) -> str:
    long = _dashed(f"--{head}")
    name = f"-{head}" if f"-{head}" in options or head == "O" else long
    try:
        found = options.find(name)
    except Unknown:
        return long[2:]
    # A name that turns its option off keeps it: what is said of it is said of that name.
    return found.option.name if found.on else long[2:]


def words(arguments: Mapping[str, Any], options: Options) -> list[str]:
    """The command line for options by name, in the order of their names.

    True and false, and the words for them, turn an option on and off, null leaves it out; a list
    and a mapping become what the option takes them as.
    """
    named = {canonical(name, options): value for name, value in arguments.items()}
    return [word for name in sorted(named) for word in _words(name, named[name], options)]


def _words(name: str, value: Any, options: Options) -> list[str]:
    if value is None:
        return []
    head, dot, path = name.partition(".")
    written = f"--{head.replace('_', '-')}{dot}{path}"
    if dot:
        return _dotted(written, value)
    try:
        found = options.find(written)
    except Unknown:
        return _of_unknown(written, value)
    kind = found.option.kind
    if kind in ON_OR_OFF:
        if value == "":
            return []
        state = is_on(value)
        # With "=" the parser refuses it; a word of its own would be taken for the model.
        return [f"{written}={_text(value)}"] if state is None else _turned(found, state)
    if value is True or value is False:
        return [written] if value else []
    if kind in _OF_LISTS and isinstance(value, str) and isinstance(_document(value), list):
        value = _document(value)  # surveys and -e give text
    if isinstance(value, list):
        return _listed(written, kind, value)
    return _with_value(written, value)


def is_on(value: Any) -> bool | None:
    """Whether an option is on, told by a boolean or by a word or number that people write for one.

    None for what is neither.
    """
    return value if isinstance(value, bool) else _STATES.get(str(value).strip().lower())


def _turned(found: Found, state: bool) -> list[str]:
    option, state = found.option, state == found.on
    if option.kind == "word":
        return [f"--{option.name}", str(state).lower()]
    if state:
        return [f"--{option.name}"]
    return [] if option.kind == "flag" else [f"--no-{option.name}"]


def _dotted(written: str, value: Any) -> list[str]:
    """One key of a document: the parser reads its value as JSON, or else as text."""
    if written.endswith("+") and isinstance(value, list):
        return [written, ",".join(map(str, value))]
    return [written, value if isinstance(value, str) else json.dumps(value)]


def _listed(written: str, kind: str, parts: list[Any]) -> list[str]:
    if kind == "json":
        return [written, json.dumps(parts)]
    if kind == "commas":
        return [written, ",".join(map(str, parts))]
    if kind == "repeated":
        return [word for part in parts for word in _with_value(written, part)]
    return [written, *map(_text, parts)] if parts else []


def _with_value(written: str, value: Any) -> list[str]:
    text = _text(value)
    if text.startswith("-") and not _NEGATIVE_NUMBER.fullmatch(text):
        # By itself it would be taken for the name of an option.
        return [f"{written}={text}"]
    return [written, text]


def _of_unknown(written: str, value: Any) -> list[str]:
    if isinstance(value, bool):
        return [written] if value else []
    return _listed(written, "list", value) if isinstance(value, list) else [written, _text(value)]


def _text(value: Any) -> str:
    return json.dumps(value) if isinstance(value, (dict, list)) else str(value)


# Reading


class Read(NamedTuple):
    """What a command line says: options by their canonical names, names that are unknown, and words
    that belong to no option."""

    arguments: dict[str, Any]
    unknown: list[Unknown]
    loose: list[str]


def read(line: Iterable[str], options: Options) -> Read:
    """The options that these words set; of those that are set twice, the last counts."""
    result, rest = Read({}, [], []), list(line)
    while rest:
        word = rest.pop(0)
        if word == "--":
            result.loose.extend(rest)
            break
        if not _is_option(word, options):
            result.loose.append(word)
            continue
        name, equals, value = word.partition("=")
        try:
            _set(result.arguments, name, [value] if equals else [], rest, options)
        except Unknown as unknown:
            result.unknown.append(unknown)
    return result


def _set(
    arguments: dict[str, Any], name: str, value: list[str], rest: list[str], options: Options
) -> None:
    """Set what this name, its value and the words behind it say."""
    head, dot, path = _dashed(name).partition(".")
    if dot and head.startswith("-"):
        taken = value or [rest.pop(0) if rest else ""]
        option = options.find(f"--{_COMPILATION}" if head == "-O" else head).option
        _set_key(arguments, option.name.replace("-", "_"), path, taken[0])
        return
    found = options.find(head)
    option, key = found.option, found.option.name.replace("-", "_")
    if head[:2] in ("-O", option.short) and len(head) > len("-O"):
        # -O3, -qfp8
        value = value or [head[2:]]
    kind = option.kind
    if kind in ("flag", "boolean", "switch"):
        arguments[key] = found.on
    elif kind == "list":
        arguments[key] = [_value(part) for part in value or _taken(rest, len(rest), options)]
    elif kind == "repeated":
        arguments.setdefault(key, []).extend(value or _taken(rest, 1, options))
    else:
        taken = value or _taken(rest, 1, options)
        arguments[key] = (_document if kind == "json" else _value)(taken[0]) if taken else True
        if kind == "word":
            arguments[key] = is_on(arguments[key])


def _set_key(arguments: dict[str, Any], option: str, path: str, text: str) -> None:
    if path.endswith("+"):
        key = f"{option}.{path[:-1]}"
        arguments[key] = [*arguments.get(key, []), *map(_value, text.split(","))]
    else:
        arguments[f"{option}.{path}"] = _document(text)


def _taken(rest: list[str], most: int, options: Options) -> list[str]:
    """The values that come next, off the rest."""
    count = 0
    while count < min(most, len(rest)) and not _is_option(rest[count], options):
        count += 1
    taken, rest[:count] = rest[:count], []
    return taken


def _is_option(word: str, options: Options) -> bool:
    """Whether the parser takes a word for the name of an option, known or not."""
    if not word.startswith("-") or word == "-" or _NEGATIVE_NUMBER.fullmatch(word):
        return False
    return " " not in word or _dashed(word.partition("=")[0]) in options or "." in word


def _document(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _value(text: str) -> Any:
    """A number where the text is how one is written, so that it can be written again."""
    found = _document(text)
    is_number = isinstance(found, (int, float)) and not isinstance(found, bool)
    return found if is_number and str(found) == text else text
