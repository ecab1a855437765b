# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes common/engines/vllm/options.py: which option of its server each release of vLLM has.

It reads the sources of every release of the compatibility table from its wheel on the package
index, of which only these files are fetched, and runs nothing of them: what `add_argument` is
called with stands in the source, or follows from the type of a field of vLLM's configuration, as
its own `get_kwargs` turns one into the other. `--check` only tells what would change.
"""

from __future__ import annotations

import ast
import difflib
import io
import re
import sys
import textwrap
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import requests
from packaging.version import Version

from ansible_collections.inferops.gpu.plugins.module_utils.common.engines.vllm import (
    options as vllm_options,
)
from ansible_collections.inferops.gpu.plugins.module_utils.serving.engines.vllm.releases import (
    SERIES,
)
from tests.tools.compatibility import LOOKUPS_AT_ONCE, report_of

#: Where a release says what its server can be told: with which options, and of which types.
OPTIONS = re.compile(r"vllm/(engine/arg_utils|entrypoints/(\w+/)?cli_args)\.py")
TYPES = re.compile(r"vllm/(config(/\w+)?|utils/argparse_utils)\.py")
#: Its parser makes a switch of every boolean option, where it has this class.
SWITCH = "EnableDisableAction"
#: Classes and functions whose `add_argument` counts; others are there for documentation.
ADDING = ("add_cli_args", "make_arg_parser")
#: Read at once from a wheel: most of what is asked for lies together.
BLOCK_BYTES = 256 * 1024
SECONDS = 60.0


class Option(NamedTuple):
    """An option of one release; `common/engines/vllm/words.py` says what the kinds mean."""

    name: str
    short: str
    kind: str


class RemoteFile(io.RawIOBase):
    """A file behind an address, of which only what is read is fetched."""

    def __init__(self, url: str) -> None:
        self._session, self._url, self._position = requests.Session(), url, 0
        self._size = int(self._fetch("-1").headers["Content-Range"].rpartition("/")[2])

    def _fetch(self, span: str) -> requests.Response:
        answer = self._session.get(self._url, headers={"Range": f"bytes={span}"}, timeout=SECONDS)
        answer.raise_for_status()
        return answer

    def seekable(self) -> bool:
        return True

    def readable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        self._position = start + offset
        return self._position

    def tell(self) -> int:
        return self._position

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        count = min(len(buffer), self._size - self._position)
        if count > 0:
            last = self._position + count - 1
            buffer[:count] = self._fetch(f"{self._position}-{last}").content
            self._position += count
        return max(count, 0)


def sources(version: str, wanted: re.Pattern[str]) -> dict[str, str]:
    """The files of a release whose path is wanted."""
    url = report_of(version)["install"][0]["download_info"]["url"]
    with zipfile.ZipFile(io.BufferedReader(RemoteFile(url), BLOCK_BYTES)) as wheel:
        return {
            name: wheel.read(name).decode() for name in wheel.namelist() if wanted.fullmatch(name)
        }


def options(files: Mapping[str, str]) -> list[Option]:
    """The options of the server that these sources add to its parser."""
    trees = {path: ast.parse(text) for path, text in files.items()}
    names = _Names.of(trees.values())
    found = [
        option
        for path, tree in trees.items()
        if OPTIONS.fullmatch(path)
        for function in _adding(tree)
        for option in _Reader(names, tree, function).options()
    ]
    if SWITCH in names.classes:
        found = [
            option._replace(kind="switch") if option.kind == "boolean" else option
            for option in found
        ]
    return sorted(set(found))


class _Names(NamedTuple):
    """What the names in the sources of a release stand for."""

    classes: Mapping[str, ast.ClassDef]
    aliases: Mapping[str, ast.expr]

    @classmethod
    def of(cls, trees: Iterable[ast.Module]) -> _Names:
        classes, aliases = {}, {}
        for node in (node for tree in trees for node in tree.body):
            if isinstance(node, ast.ClassDef):
                classes[node.name] = node
            if isinstance(node, ast.Assign) and isinstance(node.value, (ast.Subscript, ast.BinOp)):
                aliases[ast.unparse(node.targets[0])] = node.value
            if isinstance(node, ast.AnnAssign) and node.value:
                aliases[ast.unparse(node.target)] = node.value
        return cls(classes, aliases)

    @property
    def settings(self) -> set[str]:
        """Classes that hold settings: a field of their type is given as JSON."""
        return {name for name, node in self.classes.items() if _holds_settings(node)}


def _holds_settings(node: ast.ClassDef) -> bool:
    made_by = [ast.unparse(one) for one in node.decorator_list]
    bases = [ast.unparse(one) for one in node.bases]
    return any("dataclass" in one or one.startswith("config") for one in made_by) or any(
        one.startswith("dict[") for one in bases
    )


def _adding(tree: ast.Module) -> Iterator[ast.FunctionDef]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and node.name in ADDING:
            yield node


class _Reader:
    """Reads the options that one function adds."""

    def __init__(self, names: _Names, file: ast.Module, function: ast.FunctionDef) -> None:
        self._names, self._function = names, function
        #: What a variable was made of: x_kwargs = get_kwargs(XConfig), y_kwargs = x_kwargs["y"]
        self._made = {
            ast.unparse(node.targets[0]): node.value
            for node in ast.walk(function)
            if isinstance(node, ast.Assign)
        }
        #: Changes of what follows from a field's type, wherever in the file they are made.
        self._changes = [
            (tuple(_keys(target)), node)
            for node in ast.walk(file)
            if isinstance(node, (ast.Assign, ast.Delete))
            for target in node.targets
        ]

    def options(self) -> Iterator[Option]:
        for call in ast.walk(self._function):
            if isinstance(call, ast.Call) and ast.unparse(call.func).endswith(".add_argument"):
                yield from self._of(call)

    def _of(self, call: ast.Call) -> Iterator[Option]:
        if any(isinstance(word, ast.JoinedStr) for word in call.args):
            # for key, value in kwargs.items(): add_argument(f"--{key}", **value)
            yield from self._of_all_fields()
            return
        words = [word.value for word in call.args if isinstance(word, ast.Constant)]
        if any(isinstance(word, ast.Name) for word in call.args):
            # for name, type in [("--one", str), ("--another", bool)]: add_argument(name, type=type)
            words = self._looped()
        short = next((word for word in words if re.match(r"-\w", word)), "")
        for word in words:
            if word.startswith("--"):
                yield Option(word.removeprefix("--"), short, self._kind(call))

    def _looped(self) -> list[str]:
        """The names of options in the lists that loops go over."""
        loops = [node.iter for node in ast.walk(self._function) if isinstance(node, ast.For)]
        words = [
            node.value
            for loop in loops
            for node in ast.walk(loop)
            if isinstance(node, ast.Constant)
        ]
        return [word for word in words if isinstance(word, str) and word.startswith("--")]

    def _of_all_fields(self) -> Iterator[Option]:
        known = self._names.classes
        owner = "FrontendArgs" if "FrontendArgs" in known else "BaseFrontendArgs"
        for field, annotation in self._fields(owner).items():
            kind = self._kind_of_field(field, annotation)
            yield Option(field.replace("_", "-"), "", kind)

    def _kind(self, call: ast.Call) -> str:
        given = {word.arg: word.value for word in call.keywords if word.arg}
        if {"action", "nargs"} & set(given) or "type" in given:
            return _kind_of_call({name: ast.unparse(value) for name, value in given.items()})
        unpacked = [word.value for word in call.keywords if word.arg is None]
        return self._kind_of_kwargs(unpacked[0]) if unpacked else "value"

    def _kind_of_kwargs(self, value: ast.expr) -> str:
        """The kind that follows from `**x_kwargs["field"]`, directly or with changes."""
        if isinstance(value, ast.Dict):
            inner = [
                part for key, part in zip(value.keys, value.values, strict=True) if key is None
            ]
            return self._kind_of_kwargs(inner[0])
        if isinstance(value, ast.Name):
            return self._kind_of_kwargs(self._made[value.id])
        assert isinstance(value, ast.Subscript), ast.unparse(value)
        made = ast.unparse(value.value)
        made = ast.unparse(self._made[made]) if made in self._made else made
        (config,) = re.findall(r"get_kwargs\((\w+)\)", made)
        field = ast.literal_eval(value.slice)
        return self._kind_of_field(field, self._fields(config)[field])

    def _kind_of_field(self, field: str, annotation: ast.expr) -> str:
        kind = _kind_of_hints(set(_hints(annotation, self._names.aliases)), self._names.settings)
        for keys, change in self._changes:
            if keys[-2:] == (field, "nargs") and isinstance(change, ast.Delete):
                kind = "json" if kind == "list" else kind
            if keys[-2:] == (field, "action") and isinstance(change, ast.Assign):
                action = ast.unparse(change.value)
                kind = "repeated" if action == "'append'" else kind
            if keys[-2:] == (field, "type") and isinstance(change, ast.Assign):
                kind = "json" if "json.loads" in ast.unparse(change.value) else kind
        return kind

    def _fields(self, name: str) -> dict[str, ast.expr]:
        """The types of the fields of a class and of those that it is made of."""
        found: dict[str, ast.expr] = {}
        for base in map(ast.unparse, self._names.classes[name].bases):
            if base in self._names.classes:
                found.update(self._fields(base))
        for node in self._names.classes[name].body:
            if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
                found[node.target.id] = node.annotation
        return found


def _keys(target: ast.expr) -> Iterator[str]:
    """The constants of x["a"]["b"], in their order."""
    if isinstance(target, ast.Subscript):
        yield from _keys(target.value)
        if isinstance(target.slice, ast.Constant):
            yield str(target.slice.value)


def _kind_of_call(given: Mapping[str, str]) -> str:
    """The kind of an option that says itself how it takes its values."""
    action, nargs, convert = (given.get(name, "") for name in ("action", "nargs", "type"))
    if action in ("'store_true'", "'store_false'"):
        return "flag"
    if action.endswith("BooleanOptionalAction"):
        return "boolean"
    if action == "StoreBoolean":
        return "word"
    if action == "'append'":
        return "repeated"
    if nargs in ("'+'", "'*'"):
        return "list"
    if nargs == "'?'":
        return "perhaps"
    if ".split(','" in convert:
        return "commas"
    return "json" if re.search("json|nullable_kvs|_config\\b|Config", convert) else "value"


def _hints(annotation: ast.expr, aliases: Mapping[str, ast.expr]) -> Iterator[str]:
    """The names of the types that a union is of: `bool`, `list`, `None`, a class."""
    if isinstance(annotation, ast.BinOp):
        yield from _hints(annotation.left, aliases)
        yield from _hints(annotation.right, aliases)
        return
    if isinstance(annotation, ast.Constant) and isinstance(annotation.value, str):
        annotation = ast.parse(annotation.value, mode="eval").body
    name = ast.unparse(annotation)
    if isinstance(annotation, ast.Subscript):
        name = ast.unparse(annotation.value)
        inner = annotation.slice
        parts = inner.elts if isinstance(inner, ast.Tuple) else [inner]
        if name in ("Union", "Optional", "SkipValidation"):
            yield from (hint for part in parts for hint in _hints(part, aliases))
            yield from ["None"] if name == "Optional" else []
            return
        if name == "Annotated":
            yield from _hints(parts[0], aliases)
            return
    if name in aliases:
        yield from _hints(aliases[name], aliases)
    else:
        yield name.lower() if name in ("List", "Dict", "Tuple", "Set") else name


def _kind_of_hints(hints: set[str], classes: Iterable[str]) -> str:
    """The kind that get_kwargs makes of a field's types, in its order."""
    if any(hint in classes for hint in hints):
        return "json"
    if hints == {"bool", "str", "None"}:
        return "perhaps"
    if "bool" in hints:
        return "boolean"
    if hints & {"list", "tuple", "set"} and "Literal" not in hints:
        return "list"
    return "json" if "dict" in hints else "value"


def table(by_release: Mapping[str, Iterable[Option]]) -> str:
    """The lines of the table: what an option is, from its first release like that to its last."""
    order = sorted(by_release, key=Version)
    spans: dict[Option, list[list[str]]] = {}
    for number, release in enumerate(order):
        for option in by_release[release]:
            runs = spans.setdefault(option, [])
            if number and runs and runs[-1][1] == order[number - 1]:
                runs[-1][1] = release
            else:
                runs.append([release, release])
    lines = [
        f"{option.name} {option.short or '-'} {option.kind} {first} {_last(last, order)}"
        for option, runs in spans.items()
        for first, last in runs
    ]
    return "\n".join(sorted(lines))


def _last(release: str, order: list[str]) -> str:
    return "-" if release == order[-1] else release


def written(text: str, by_release: Mapping[str, Iterable[Option]]) -> str:
    """The source of the module with another table in it."""
    releases = "\n".join(textwrap.wrap(" ".join(sorted(by_release, key=Version)), 96))
    for name, content in (("RELEASES", releases), ("OPTIONS", table(by_release))):
        opening = f'{name} = """'
        before, _opening, rest = text.partition(f"{opening}\\\n")
        text = f"{before}{opening}\\\n{content}\n{rest[rest.index(chr(34) * 3) :]}"
    return text


def bring_up_to_date(
    table_module: ModuleType,
    files: re.Pattern[str],
    read: Callable[[dict[str, str]], Any],
    write: Callable[[str, dict[str, Any]], str],
    arguments: list[str],
) -> int:
    """Write a table anew from the releases on the package index; 0 when that is done.

    With --check only tell what would change; 1 when something would. *read* gets these *files* of a
    release by their names, *write* the table's source and what was read by release.
    """
    releases = [one for row in SERIES if row.accelerator == "cuda" for one in row.versions]
    with ThreadPoolExecutor(LOOKUPS_AT_ONCE) as pool:
        found = pool.map(lambda release: read(sources(release, files)), releases)
        by_release = dict(zip(releases, found, strict=True))
    file = Path(table_module.__file__ or "").resolve()
    before = file.read_text()
    after = write(before, by_release)
    changes = difflib.unified_diff(before.splitlines(), after.splitlines(), "before", "after", n=0)
    print("\n".join(changes) or "The table says what the releases have.")
    if "--check" not in arguments:
        file.write_text(after)
        return 0
    return int(before != after)


def main(arguments: list[str]) -> int:
    """Bring the table of options up to date, or with --check tell what would change."""
    files = re.compile(f"{OPTIONS.pattern}|{TYPES.pattern}")
    return bring_up_to_date(vllm_options, files, options, written, arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
